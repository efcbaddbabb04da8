"""DICOM waveforms against pydicom's own scaling, and against the standard's formula."""

import sys
from pathlib import Path

import numpy as np
import pytest
from writers import dicom_bytes

from ecgedge import formats
from ecgedge.errors import InputError, UsageError
from ecgedge.recording import LEADS

pydicom = pytest.importorskip("pydicom")

RAW = np.random.default_rng(1).integers(-1000, 1000, (60, 12)).astype(np.int16)
MEDIAN = np.zeros((20, 12), np.int16)


def waveform_file() -> Path:
    from pydicom.data import get_testdata_file

    return Path(get_testdata_file("waveform_ecg.dcm"))


def assert_equals_pydicom(path: Path) -> None:
    recording = formats.read(path)
    expected = pydicom.dcmread(path).waveform_array(0) / 1000  # the group states uV
    np.testing.assert_allclose(recording.signal, expected.T, atol=1e-6)
    assert (recording.rate_hz, recording.unit, recording.n_samples) == (1000, "mV", 10000)
    assert recording.meta == {"age": 42, "sex": "F"}


def test_the_file_that_ships_with_pydicom_equals_its_own_scaling() -> None:
    assert_equals_pydicom(waveform_file())


def test_a_real_file_equals_pydicoms_scaling(shared_data: Path) -> None:
    assert_equals_pydicom(shared_data / "cart-files" / "dicom_anonymous.dcm")


@pytest.mark.parametrize(("unit", "factor"), [("uV", 1e-3), ("mV", 1.0), ("V", 1e3)])
def test_samples_are_raw_times_sensitivity_times_correction_plus_baseline(
    unit: str, factor: float
) -> None:
    data = dicom_bytes([("RHYTHM", RAW)], sensitivity=0.25, correction=1.5, baseline=7, unit=unit)
    signal = formats.read_bytes(data).signal
    np.testing.assert_allclose(signal, (RAW.T * 0.25 * 1.5 + 7) * factor, rtol=1e-6, atol=1e-6)


def test_the_rhythm_is_chosen_before_the_median_beat() -> None:
    for groups in (
        [("MEDIAN BEAT", MEDIAN), ("RHYTHM", RAW)],
        [("RHYTHM", RAW), ("MEDIAN BEAT", MEDIAN)],
        [("MEDIAN BEAT", MEDIAN), ("", RAW)],
    ):
        assert formats.read_bytes(dicom_bytes(groups)).n_samples == 60
    with pytest.raises(InputError, match="a median beat but no rhythm"):
        formats.read_bytes(dicom_bytes([("MEDIAN BEAT", MEDIAN)]))


def test_leads_named_only_by_their_standard_code_are_known() -> None:
    numbers = (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8)  # SCP-ECG, EN 1064 table of lead codes
    codes = [f"5.6.3-9-{number}" for number in numbers]
    plain = formats.read_bytes(dicom_bytes([("RHYTHM", RAW)]))
    coded = formats.read_bytes(dicom_bytes([("RHYTHM", RAW)], codes=codes))
    np.testing.assert_array_equal(coded.signal, plain.signal)


def test_big_endian_files_hold_the_same_samples() -> None:
    little = formats.read_bytes(dicom_bytes([("RHYTHM", RAW)]))
    big = formats.read_bytes(dicom_bytes([("RHYTHM", RAW)], big_endian=True))
    np.testing.assert_array_equal(big.signal, little.signal)


def test_the_padding_value_becomes_a_gap() -> None:
    raw = RAW.copy()
    raw[5, 7] = -32768
    signal = formats.read_bytes(dicom_bytes([("RHYTHM", raw)], padding=-32768)).signal
    assert np.argwhere(np.isnan(signal)).tolist() == [[7, 5]]


@pytest.mark.parametrize(
    ("age", "sex", "meta"),
    [
        ("056Y", "M", {"age": 56, "sex": "M"}),
        ("030M", "O", {"age": 2}),
        ("003W", None, {"age": 0}),
        ("999Y", "", {}),
        (None, "F", {"sex": "F"}),
    ],
)
def test_age_and_sex_are_taken_and_nothing_else(
    age: str | None, sex: str | None, meta: dict[str, object]
) -> None:
    recording = formats.read_bytes(dicom_bytes([("RHYTHM", RAW)], age=age, sex=sex))
    assert recording.meta == meta
    assert "Secret" not in repr(recording)


def test_a_channel_without_sensitivity_is_refused_unless_read_as_nu() -> None:
    data = dicom_bytes([("RHYTHM", RAW)], sensitivity=None)
    with pytest.raises(InputError, match="no sensitivity, so its amplitude is unknown"):
        formats.read_bytes(data)
    with pytest.raises(InputError, match="no sensitivity"):
        formats.read_bytes(data, unit="mV")
    recording = formats.read_bytes(data, unit="NU")
    assert recording.unit == "NU"
    np.testing.assert_array_equal(recording.signal, RAW.T.astype(np.float32))


def test_options_that_contradict_the_file_are_refused() -> None:
    data = dicom_bytes([("RHYTHM", RAW)])
    with pytest.raises(UsageError, match="contradicts --unit NU"):
        formats.read_bytes(data, unit="NU")
    with pytest.raises(UsageError, match="contradicts --rate-hz 250"):
        formats.read_bytes(data, rate_hz=250)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"unit": "mmHg"}, "'mmHg' is none of"),
        ({"rate_hz": 1}, "outside 100 to 2000 Hz"),
        ({"rate_hz": 1e6}, "outside 100 to 2000 Hz"),
        ({"sensitivity": 0.0}, "no sensitivity"),
        ({"leads": ("V1", "V1", *LEADS[2:])}, "lead V1 appears twice"),
        ({"leads": ("resp",) * 12}, "named as an ECG lead"),
    ],
)
def test_files_that_cannot_be_read_as_an_ecg_are_refused(
    options: dict[str, object], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        formats.read_bytes(dicom_bytes([("RHYTHM", RAW)], **options))


@pytest.mark.filterwarnings("error")
def test_a_truncated_or_waveformless_file_is_refused() -> None:
    data = dicom_bytes([("RHYTHM", RAW)])
    for end in range(132, len(data), 97):
        with pytest.raises(InputError):
            formats.read_bytes(data[:end])
    with pytest.raises(InputError, match="holds no waveform"):
        formats.read_bytes(dicom_bytes([]))


def test_without_pydicom_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(InputError, match=r"pip install 'ecgedge\[formats\]'"):
        formats.read_bytes(b"\0" * 128 + b"DICM")
