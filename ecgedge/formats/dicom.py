"""DICOM waveform files -> Recording, through pydicom (extra `formats`).

Only the waveform, the age and the sex are parsed; names and dates are never
loaded. Samples are raw * sensitivity * correction + baseline, the baseline being
in the sensitivity's unit (DICOM PS3.3 C.10.9.1.4).
"""

from __future__ import annotations

import importlib
import io
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgedge.errors import InputError, UsageError
from ecgedge.formats import facts
from ecgedge.recording import MAX_SAMPLES, Recording, Unit, assemble, parse_lead

_TAGS = ["WaveformSequence", "PatientAge", "PatientSex", "SpecificCharacterSet"]
_DTYPES = {(8, "SB"): "i1", (8, "UB"): "u1", (16, "SS"): "i2", (16, "US"): "u2"}
_DTYPES |= {(32, "SL"): "i4", (32, "UL"): "u4"}
#: The one transfer syntax that is compressed as a whole: small bytes, unbounded memory.
_DEFLATED = b"1.2.840.10008.1.2.1.99"

# Last part of an SCP-ECG ("5.6.3-9-61") or MDC ("2:61") lead code.
_CODES = {1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF"}
_CODES |= {2 + chest: f"V{chest}" for chest in range(1, 7)}


def read_dicom(
    data: bytes,
    *,
    rate_hz: float | None = None,
    unit: str | None = None,
    leads: Sequence[str] | None = None,
    source: str = "",
) -> Recording:
    """Read the resting ECG of a DICOM file, not its median beat.

    Raises InputError for another kind of DICOM file, a damaged one, or where
    pydicom is missing; UsageError where an option contradicts the file.
    """
    try:
        pydicom = importlib.import_module("pydicom")
    except ImportError:
        raise InputError(
            "a DICOM file needs one more package: pip install 'ecgedge[formats]'"
        ) from None
    if _DEFLATED in data[:2048]:
        raise InputError("deflated DICOM files are not read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(io.BytesIO(data), specific_tags=_TAGS)
            group, names = _choose_group(dataset, leads)
            ecg = facts.ecg_channels(names)
            channels = [group.ChannelDefinitionSequence[index] for index in ecg]
            rate_hz = facts.settle_rate(float(group.SamplingFrequency), rate_hz)
            little_endian = dataset.original_encoding[1] is not False
            raw = _raw_samples(group, little_endian=little_endian)[ecg]
            signal, own_unit = _to_physical(group, channels, raw, unit)
            meta = _person(dataset)
    except (InputError, UsageError):
        raise
    except Exception:  # pydicom parses lazily and damaged bytes raise anything
        raise InputError("the DICOM file is damaged or holds no usable waveform") from None
    facts.check_amplitude(signal)
    chosen = [names[index] for index in ecg]
    return assemble(chosen, signal, rate_hz=rate_hz, unit=own_unit, source=source, meta=meta)


def _choose_group(dataset: Any, leads: Sequence[str] | None) -> tuple[Any, list[str]]:
    """The multiplex group labelled RHYTHM, else the one with most ECG leads; and its names."""
    groups = list(dataset.get("WaveformSequence") or ())
    if not groups:
        raise InputError("the DICOM file holds no waveform")
    labels = [str(group.get("MultiplexGroupLabel", "")).upper() for group in groups]
    candidates = [g for g, label in zip(groups, labels, strict=True) if "MEDIAN" not in label]
    rhythm = [g for g, label in zip(groups, labels, strict=True) if "RHYTHM" in label]
    named = [(group, _lead_names(group)) for group in rhythm or candidates]
    if not named:
        raise InputError("the DICOM file holds a median beat but no rhythm")
    group, names = max(named, key=lambda pair: sum(parse_lead(n) is not None for n in pair[1]))
    return group, facts.settle_leads(names, leads)


def _lead_names(group: Any) -> list[str]:
    return [_lead_name(channel) for channel in group.ChannelDefinitionSequence]


def _lead_name(channel: Any) -> str:
    """The source's meaning, such as "Lead I (Einthoven)", else its standard code."""
    sources = channel.get("ChannelSourceSequence") or ()
    if not sources:
        return str(channel.get("ChannelLabel", ""))
    meaning = re.sub(r"\(.*?\)", "", str(sources[0].get("CodeMeaning", "")))
    if parse_lead(meaning) is not None:
        return meaning
    scheme = str(sources[0].get("CodingSchemeDesignator", "")).upper()
    number = re.search(r"[-:](\d+)$", str(sources[0].get("CodeValue", "")))
    if number is not None and scheme in ("SCPECG", "MDC"):
        return _CODES.get(int(number[1]), meaning)
    return meaning


def _raw_samples(group: Any, *, little_endian: bool) -> NDArray[Any]:
    """Stored integers, shape (channels, samples)."""
    n_samples, n_channels = int(group.NumberOfWaveformSamples), int(group.NumberOfWaveformChannels)
    if n_channels != len(group.ChannelDefinitionSequence):
        raise InputError("the DICOM file defines other channels than it holds")
    if not 0 < n_samples <= MAX_SAMPLES:
        raise InputError(f"the DICOM file claims {n_samples} samples a lead, no resting ECG")
    kind = (int(group.WaveformBitsAllocated), str(group.WaveformSampleInterpretation))
    if kind not in _DTYPES:
        raise InputError(f"DICOM waveforms stored as {kind[0]}-bit {kind[1][:4]} are not read")
    dtype = np.dtype(("<" if little_endian else ">") + _DTYPES[kind])
    data = bytes(group.WaveformData)
    if len(data) < n_samples * n_channels * dtype.itemsize:
        raise InputError("the DICOM file holds fewer samples than it claims; it is cut short")
    frames = np.frombuffer(data, dtype, n_samples * n_channels).reshape(n_samples, n_channels)
    return frames.T


def _to_physical(
    group: Any, channels: Sequence[Any], raw: NDArray[Any], given: str | None
) -> tuple[NDArray[np.float64], Unit]:
    """Stored integers to mV or NU, shape kept, NaN for the padding value."""
    signal = raw.astype(np.float64)
    units: list[Unit] = []
    uncalibrated = not any(channel.get("ChannelSensitivity") for channel in channels)
    if uncalibrated and given is not None and facts.given_unit(given)[0] == "NU":
        units = ["NU"]
    else:
        for row, channel in zip(signal, channels, strict=True):
            own, scale, baseline = _calibration(channel)
            units.append(own)
            row *= scale
            row += baseline
        facts.settle_unit(facts.common_unit(units), given)
    padding = group.get("WaveformPaddingValue")
    if padding is not None:
        signal[raw == _padding_value(padding, raw.dtype)] = np.nan
    return signal, units[0]


def _calibration(channel: Any) -> tuple[Unit, float, float]:
    """(unit, physical units a stored one, baseline in physical units) of one channel."""
    if abs(float(channel.get("ChannelSampleSkew") or 0)) >= 1:
        raise InputError("the DICOM file's channels are skewed in time, which is not read")
    sensitivity = float(channel.get("ChannelSensitivity") or 0)
    if sensitivity == 0 or not np.isfinite(sensitivity):
        raise InputError(
            "a DICOM channel states no sensitivity, so its amplitude is unknown;"
            " if that holds for all leads, --unit NU reads them without amplitude"
        )
    unit, factor = facts.parse_unit(str(channel.ChannelSensitivityUnitsSequence[0].CodeValue))
    correction = float(channel.get("ChannelSensitivityCorrectionFactor", 1.0))
    baseline = float(channel.get("ChannelBaseline", 0.0))
    return unit, sensitivity * correction * factor, baseline * factor


def _padding_value(padding: Any, dtype: np.dtype[Any]) -> int:
    """The padding value as a sample; pydicom gives bytes where the tag is OB or OW."""
    if isinstance(padding, bytes):
        return int(np.frombuffer(padding[: dtype.itemsize], dtype)[0])
    return int(padding)


def _person(dataset: Any) -> dict[str, Any]:
    """Age in whole years and sex, where the file states them."""
    found: dict[str, Any] = {}
    age = re.fullmatch(r"(\d{3})([YMWD])", str(dataset.get("PatientAge", "")))
    if age:
        years = int(age[1]) / {"Y": 1, "M": 12, "W": 52.18, "D": 365.25}[age[2]]
        found |= {"age": int(years)} if years <= facts.OLDEST else {}
    if dataset.get("PatientSex") in ("M", "F"):
        found["sex"] = str(dataset.PatientSex)
    return found
