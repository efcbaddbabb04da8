"""WFDB records (PhysioNet): a header and its signal files -> Recording.

Our own small reader, so that the cart needs numpy only; tests compare it with the
`wfdb` package. A checksum that does not match means damaged bytes and is refused
(the WFDB library only warns); the initial value is informative and not checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from ecgedge.errors import InputError, UsageError
from ecgedge.formats import facts
from ecgedge.formats.sent import File, SentFolder
from ecgedge.formats.wfdb_header import (
    MAX_HEADER_BYTES,
    UNCALIBRATED_GAIN,
    Header,
    SignalLine,
    parse_header,
)
from ecgedge.formats.wfdb_samples import (
    FLAC,
    FORMATS,
    IntArray,
    check_matlab,
    decode_flac,
    invalid_code,
)
from ecgedge.recording import MAX_SAMPLES, FloatArray, Recording, Unit, assemble

#: FLAC cannot be bounded by the sample count alone, so its files are bounded by size.
_MAX_FLAC_BYTES = 64 << 20


def read_wfdb(
    header_path: File,
    *,
    rate_hz: float | None = None,
    unit: str | None = None,
    leads: Sequence[str] | None = None,
    source: str = "",
) -> Recording:
    """Read the record of this header.

    Raises InputError for anything that is damaged, missing or ambiguous, OSError
    where a file cannot be opened, UsageError where an option contradicts the header.
    """
    with header_path.open("rb") as file:
        raw = file.read(MAX_HEADER_BYTES + 1)
    if len(raw) > MAX_HEADER_BYTES or b"\0" in raw:
        raise InputError("the WFDB header is no text")
    header = parse_header(raw.decode("utf-8", errors="replace"))
    rate_hz = facts.settle_rate(header.rate_hz, rate_hz)
    names = facts.settle_leads([line.description for line in header.signals], leads)
    ecg = facts.ecg_channels(names)
    scales, own_unit = _calibrate([header.signals[index] for index in ecg], unit)
    columns = _read_digital(header, header_path.parent)
    signal = _to_physical([header.signals[i] for i in ecg], [columns[i] for i in ecg], scales)
    facts.check_amplitude(signal)
    return assemble(
        [names[index] for index in ecg],
        signal,
        rate_hz=rate_hz,
        unit=own_unit,
        source=source,
        meta=facts.person(header.comments),
    )


def _calibrate(lines: Sequence[SignalLine], given: str | None) -> tuple[list[float], Unit]:
    """Physical units (mV or NU) per ADC unit for each line, and which of the two."""
    if all(line.gain is None for line in lines) and given is not None:
        if facts.given_unit(given)[0] != "NU":
            raise UsageError("the header states no gain, so its samples cannot be read as voltages")
        return [1 / UNCALIBRATED_GAIN] * len(lines), "NU"
    units: list[Unit] = []
    scales: list[float] = []
    for line in lines:
        if line.gain is None:
            raise InputError(
                f"lead {line.description} has gain 0, so its amplitude is unknown;"
                " if that holds for all leads, --unit NU reads them without amplitude"
            )
        own, factor = facts.parse_unit(line.unit)
        units.append(own)
        scales.append(factor / line.gain)
    return scales, facts.settle_unit(facts.common_unit(units), given)


def _read_digital(header: Header, folder: Path | SentFolder) -> list[IntArray]:
    """ADC values, one array of equal length a signal line, checksums verified."""
    files = [name for name, _ in groupby(line.file for line in header.signals)]
    if len(files) != len(set(files)):
        raise InputError("the WFDB header scatters the signals of one file")
    columns: list[IntArray] = []
    for name in files:
        group = [line for line in header.signals if line.file == name]
        frames = _read_file(folder / name, group, header.n_samples)
        _verify_checksums(group, frames)
        columns.extend(frames.T)
    if len({column.size for column in columns}) != 1:
        raise InputError("the signal files of the WFDB record differ in length")
    return columns


def _read_file(path: File, group: Sequence[SignalLine], n_samples: int | None) -> IntArray:
    """Frames of one signal file, shape (n, len(group)); reads no more than it needs."""
    code, offset = group[0].code, group[0].offset
    if any((line.code, line.offset) != (code, offset) for line in group):
        raise InputError(f"the WFDB header gives {path.name} several formats or offsets")
    if code not in FORMATS and code not in FLAC:
        known = ", ".join(str(number) for number in FORMATS)
        raise InputError(f"WFDB format {code} is not read, only {known} and FLAC")
    if not path.is_file():
        raise InputError(f"the signal file {path.name} named by the header is missing")
    size = path.stat().st_size
    if code in FLAC:
        if size > _MAX_FLAC_BYTES or offset:
            raise InputError(f"the FLAC signal file {path.name} is no resting ECG")
        return decode_flac(path.read_bytes(), code, len(group), n_samples)
    form = FORMATS[code]
    if n_samples is None:
        n_samples = form.n_samples(max(size - offset, 0)) // len(group)
        if not 0 < n_samples <= MAX_SAMPLES:
            raise InputError(f"{path.name} with {size} bytes is no resting ECG")
    n_bytes = form.n_bytes(n_samples * len(group))
    if size < offset + n_bytes:
        raise InputError(
            f"the header promises {offset + n_bytes} bytes but {path.name} has {size};"
            " the file is cut short"
        )
    with path.open("rb") as file:
        if path.suffix.lower() == ".mat":
            check_matlab(file.read(20), code, offset, len(group))
        file.seek(offset)
        data = file.read(n_bytes)
    if len(data) < n_bytes:
        raise InputError(f"{path.name} ended while it was read")
    return form.decode(data, n_samples * len(group)).reshape(n_samples, len(group))


def _verify_checksums(group: Sequence[SignalLine], frames: IntArray) -> None:
    """Compare 16 bits of each sum; publishers write them signed or unsigned."""
    sums = frames.sum(axis=0, dtype=np.int64)
    for line, total in zip(group, sums.tolist(), strict=True):
        if line.checksum is not None and (total - line.checksum) % (1 << 16):
            raise InputError(
                f"lead {line.description or '(unnamed)'} does not match its checksum;"
                f" {line.file} or its header is damaged"
            )


def _to_physical(
    lines: Sequence[SignalLine], columns: Sequence[IntArray], scales: Sequence[float]
) -> FloatArray:
    """ADC values to mV or NU, shape (len(lines), n), NaN for the formats' invalid codes."""
    signal = np.empty((len(lines), columns[0].size), dtype=np.float32)
    for row, line, column, scale in zip(signal, lines, columns, scales, strict=True):
        row[:] = (column.astype(np.float64) - line.baseline) * scale
        row[column == invalid_code(line.code)] = np.nan
    return signal
