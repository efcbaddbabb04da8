"""Tiny writers of recording files for tests, written from the standards, not from the readers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgedge.recording import LEADS


def encode_wfdb(frames: NDArray[np.int64], code: int) -> bytes:
    """Integers of shape (n, signals) as the bytes of a WFDB signal file."""
    flat = [int(value) for value in frames.reshape(-1)]
    if code == 80:
        return bytes(value + 128 for value in flat)
    if code in (16, 24, 32):
        return b"".join(value.to_bytes(code // 8, "little", signed=True) for value in flat)
    assert code == 212
    out = bytearray()
    for first, second in zip(flat[::2], [*flat[1::2], 0], strict=False):
        a, b = first & 0xFFF, second & 0xFFF
        out += bytes([a & 0xFF, a >> 8 | b >> 8 << 4, b & 0xFF])
    return bytes(out[:-1] if len(flat) % 2 else out)


def write_wfdb(
    folder: Path,
    digital: NDArray[np.int64],
    *,
    name: str = "rec",
    code: int = 16,
    rate_hz: float = 500,
    gain: str = "1000(0)/mV",
    leads: Sequence[str] = LEADS,
    comments: Sequence[str] = (),
    preamble: bytes = b"",
    suffix: str = ".dat",
) -> Path:
    """Write digital of shape (n, leads) as one record; returns the header's path."""
    n = digital.shape[0]
    form = f"{code}+{len(preamble)}" if preamble else f"{code}"
    lines = [f"{name} {len(leads)} {rate_hz:g} {n}"]
    for lead, column in zip(leads, digital.T, strict=True):
        total = int(column.sum()) % 65536
        lines.append(f"{name}{suffix} {form} {gain} {code % 100} 0 {column[0]} {total} 0 {lead}")
    header = folder / f"{name}.hea"
    header.write_text("\n".join([*lines, *comments]) + "\n")
    (folder / f"{name}{suffix}").write_bytes(preamble + encode_wfdb(digital, code))
    return header


def matlab_preamble(n_signals: int, n_samples: int, kind: int = 30) -> bytes:
    """The 24 bytes before the samples of a MATLAB version 4 matrix named "val"."""
    return np.array([kind, n_signals, n_samples, 0, 4], "<i4").tobytes() + b"val\0"


def csv_text(
    signal: NDArray[Any],
    *,
    leads: Sequence[str] = LEADS,
    delimiter: str = ",",
    comments: Sequence[str] = (),
    decimals: int = 4,
) -> str:
    """signal of shape (leads, n) as a table, NaN as an empty cell."""
    rows = [
        delimiter.join("" if np.isnan(value) else f"{value:.{decimals}f}" for value in row)
        for row in signal.T
    ]
    return "\n".join([*comments, delimiter.join(leads), *rows]) + "\n"


def npy_bytes(array: NDArray[Any]) -> bytes:
    """An .npy file's bytes."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def dicom_bytes(
    groups: Sequence[tuple[str, NDArray[np.int16]]],
    *,
    leads: Sequence[str] = LEADS,
    rate_hz: float = 500,
    sensitivity: float | None = 2.5,
    correction: float = 1.0,
    baseline: float = 0.0,
    unit: str = "uV",
    padding: int | None = None,
    age: str | None = None,
    sex: str | None = None,
    codes: Sequence[str] | None = None,
    big_endian: bool = False,
) -> bytes:
    """A DICOM 12-lead ECG; groups are (label, raw samples of shape (n, leads)).

    codes: SCP-ECG code values that name the channels in place of readable meanings.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import (
        ExplicitVRBigEndian,
        ExplicitVRLittleEndian,
        TwelveLeadECGWaveformStorage,
    )

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    syntax = ExplicitVRBigEndian if big_endian else ExplicitVRLittleEndian
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = TwelveLeadECGWaveformStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.SOPClassUID, dataset.SOPInstanceUID = TwelveLeadECGWaveformStorage, "1.2.3"
    dataset.PatientName = "Secret^Name"
    if age is not None:
        dataset.PatientAge = age
    if sex is not None:
        dataset.PatientSex = sex
    dataset.WaveformSequence = []
    for label, raw in groups:
        group = Dataset()
        group.MultiplexGroupLabel = label
        group.NumberOfWaveformSamples, group.NumberOfWaveformChannels = raw.shape
        group.SamplingFrequency = f"{rate_hz:g}"
        group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
        if padding is not None:
            group.add_new("WaveformPaddingValue", "OW", np.array([padding], "<i2").tobytes())
        group.add_new("WaveformData", "OW", raw.astype(">i2" if big_endian else "<i2").tobytes())
        group.ChannelDefinitionSequence = [
            _channel(lead, sensitivity, correction, baseline, unit) for lead in leads
        ]
        for channel, code in zip(group.ChannelDefinitionSequence, codes or (), strict=False):
            source = channel.ChannelSourceSequence[0]
            source.CodeValue, source.CodingSchemeDesignator = code, "SCPECG"
            source.CodeMeaning = "channel"
        dataset.WaveformSequence.append(group)
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _channel(
    lead: str, sensitivity: float | None, correction: float, baseline: float, unit: str
) -> Any:
    from pydicom.dataset import Dataset

    channel, source = Dataset(), Dataset()
    source.CodeValue, source.CodingSchemeDesignator = "0", "99TEST"
    source.CodeMeaning = f"Lead {lead}"
    channel.ChannelSourceSequence = [source]
    channel.WaveformBitsStored = 16
    if sensitivity is not None:
        channel.ChannelSensitivity = f"{sensitivity:g}"
        channel.ChannelSensitivityCorrectionFactor = f"{correction:g}"
        channel.ChannelBaseline = f"{baseline:g}"
        units = Dataset()
        units.CodeValue, units.CodingSchemeDesignator, units.CodeMeaning = unit, "UCUM", unit
        channel.ChannelSensitivityUnitsSequence = [units]
    return channel
