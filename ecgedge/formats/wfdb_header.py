"""The WFDB header (`.hea`): grammar and meaning, no samples.

Source: G. Moody, "header(5)" of the WFDB Applications Guide. Where the standard
supplies a default that would be a guess about amplitude or time (gain 200, 250 Hz)
we refuse; where it only names a convention (unit mV, baseline = ADC zero) we follow.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ecgedge.errors import InputError
from ecgedge.recording import MAX_SAMPLES

MAX_HEADER_BYTES = 1 << 18
#: The gain the standard lets one assume for uncalibrated signals; only used for NU.
UNCALIBRATED_GAIN = 200.0

_INT = r"[-+]?\d{1,10}"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?"
_RECORD = re.compile(
    rf"(?P<name>[^\s/,;]+)(?P<segments>/\d+)?\s+(?P<signals>\d{{1,9}})"
    rf"(?:\s+(?P<rate>{_NUMBER})(?:/\S*)?(?:\s+(?P<samples>\d{{1,18}})(?:\s+.*)?)?)?",
    re.ASCII,
)
_FORMAT = re.compile(
    r"(?P<code>\d{1,4})(?:x(?P<per_frame>\d{1,9}))?(?::(?P<skew>\d{1,9}))?(?:\+(?P<offset>\d{1,12}))?",
    re.ASCII,
)
_GAIN = re.compile(
    rf"(?P<gain>{_NUMBER})(?:\((?P<baseline>{_INT})\))?(?:/(?P<unit>\S+))?", re.ASCII
)


@dataclass(frozen=True)
class SignalLine:
    """One channel as its header line describes it.

    gain: ADC units a physical unit, or None where the header leaves it uncalibrated.
    checksum: 16 bits of the sample sum as written (signed or not), None where not stated.
    """

    file: str
    code: int
    offset: int
    gain: float | None
    baseline: int
    unit: str
    checksum: int | None
    description: str


@dataclass(frozen=True)
class Header:
    """rate_hz and n_samples are None where the header leaves them out."""

    name: str
    rate_hz: float | None
    n_samples: int | None
    signals: tuple[SignalLine, ...]
    comments: str


def looks_like_header(text: str) -> bool:
    """Whether the first two lines have the shape of a record line and a signal line."""
    lines = _content_lines(text)
    if not lines or not _RECORD.fullmatch(lines[0]):
        return False
    if len(lines) == 1:
        return "," not in lines[0] and ";" not in lines[0]
    words = lines[1].split()
    return len(words) >= 2 and (
        _FORMAT.fullmatch(words[1]) is not None and re.search(r"[A-Za-z~-]", words[0]) is not None
    )


def parse_header(text: str) -> Header:
    """Read a whole header. Raises InputError for one that cannot describe a 12-lead ECG."""
    lines = _content_lines(text)
    record = _RECORD.fullmatch(lines[0]) if lines else None
    if record is None:
        raise InputError("the WFDB header has no record line")
    if record["segments"]:
        raise InputError("multi-segment WFDB records are not read; give one of the segments")
    n_signals = int(record["signals"])
    if n_signals == 0:
        raise InputError("the WFDB header announces no signal")
    if len(lines) - 1 != n_signals:
        raise InputError(f"the WFDB header announces {n_signals} signals but has {len(lines) - 1}")
    n_samples = int(record["samples"] or 0) or None
    if n_samples is not None and n_samples > MAX_SAMPLES:
        raise InputError(f"the WFDB header claims {n_samples} samples a lead, no resting ECG")
    return Header(
        record["name"],
        None if record["rate"] is None else float(record["rate"]),
        n_samples,
        tuple(_signal_line(line, number) for number, line in enumerate(lines[1:], start=1)),
        "\n".join(line for line in text.splitlines() if line.lstrip().startswith("#")),
    )


def _content_lines(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _signal_line(line: str, number: int) -> SignalLine:
    fields = line.split(None, 8)
    if len(fields) < 2:
        raise InputError(f"signal {number} of the WFDB header names no format")
    file, form = fields[0], _FORMAT.fullmatch(fields[1])
    if form is None:
        raise InputError(f"signal {number} of the WFDB header has no readable format")
    if int(form["per_frame"] or 1) != 1:
        raise InputError(f"signal {number} has several samples a frame, which is not read")
    if int(form["skew"] or 0) != 0:
        raise InputError(f"signal {number} is skewed in time, which is not read")
    _check_file_name(file)
    gain, baseline, unit = _calibration(fields[2:3], number)
    numbers = _integers(fields[3:8], number)
    zero = numbers[1] if len(numbers) > 1 else 0
    # Zero is the standard's placeholder for "no checksum".
    checksum = (numbers[3] or None) if len(numbers) > 3 else None
    return SignalLine(
        file,
        int(form["code"]),
        int(form["offset"] or 0),
        gain,
        zero if baseline is None else baseline,
        unit,
        checksum,
        fields[8].strip() if len(fields) > 8 else "",
    )


def _check_file_name(file: str) -> None:
    """A header may only name files beside itself: no stream, no other folder."""
    if file in ("-", "~", ".", "..") or "/" in file or "\\" in file or ":" in file or "\0" in file:
        raise InputError("the WFDB header names a signal file outside its own folder")


def _calibration(fields: list[str], number: int) -> tuple[float | None, int | None, str]:
    """(gain or None, baseline or None, unit) of a gain field such as 200(1024)/mV."""
    if not fields:
        return None, None, "mV"
    match = _GAIN.fullmatch(fields[0])
    if match is None:
        raise InputError(f"signal {number} of the WFDB header has no readable gain")
    gain = float(match["gain"])
    # Beyond these bounds no ADC exists, and float32 would overflow.
    if gain and not (math.isfinite(gain) and 1e-6 < abs(gain) < 1e15):
        raise InputError(f"signal {number} of the WFDB header has the impossible gain {gain:g}")
    baseline = None if match["baseline"] is None else int(match["baseline"])
    return gain or None, baseline, match["unit"] or "mV"


def _integers(fields: list[str], number: int) -> list[int]:
    if not all(re.fullmatch(_INT, field, re.ASCII) for field in fields):
        raise InputError(f"signal {number} of the WFDB header has a field that is no number")
    return [int(field) for field in fields]
