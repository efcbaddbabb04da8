"""Text tables and NumPy files: what is read, and what is refused with which exit code."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from writers import csv_text, npy_bytes

from ecgedge import formats
from ecgedge.errors import InputError, UsageError
from ecgedge.recording import LEADS, Recording

EIGHT = ("I", "II", *LEADS[6:])
SIGNAL = np.random.default_rng(0).normal(size=(12, 40)).round(4)


def read_text(
    text: str,
    rate_hz: float | None = 500,
    unit: str | None = "mV",
    leads: list[str] | None = None,
) -> Recording:
    return formats.read_bytes(text.encode(), name="t.csv", rate_hz=rate_hz, unit=unit, leads=leads)


def read_array(
    array: np.ndarray, unit: str | None = "mV", leads: list[str] | None = None
) -> Recording:
    data = npy_bytes(array)
    return formats.read_bytes(data, name="a.npy", rate_hz=500, unit=unit, leads=leads)


@settings(max_examples=30, deadline=None)
@given(
    order=st.permutations(range(12)),
    delimiter=st.sampled_from([",", ";", "\t"]),
    gaps=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_table_is_read_whatever_its_order_and_delimiter(
    order: list[int], delimiter: str, gaps: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(12, 20)).round(4)
    if gaps:
        signal[rng.random(signal.shape) < 0.2] = np.nan
        signal[:, 0] = 1.0  # every lead holds a sample, so none is derived
    text = csv_text(signal[order], leads=[LEADS[i] for i in order], delimiter=delimiter)
    recording = read_text(text)
    np.testing.assert_array_equal(recording.signal, signal.astype(np.float32))


def test_time_columns_spellings_and_quotes_are_understood() -> None:
    text = 'time;"lead ii";c1\r\n00:00:01;"0,5";-1\r\n00:00:02;;NaN\r\n'
    signal = read_text(text).signal
    np.testing.assert_array_equal(signal[1], np.array([0.5, np.nan], np.float32))
    np.testing.assert_array_equal(signal[6], np.array([-1, np.nan], np.float32))


def test_comment_lines_state_rate_unit_age_and_sex() -> None:
    comments = ["# rate_hz: 250", "# unit: uV", "# Age: 44", "# Sex: F"]
    recording = read_text(csv_text(SIGNAL * 1000, comments=comments), None, None)
    assert (recording.rate_hz, recording.unit) == (250, "mV")
    assert recording.meta == {"age": 44, "sex": "F"}
    np.testing.assert_allclose(recording.signal, SIGNAL, atol=1e-6)


def test_units_in_the_column_titles_count_as_stated() -> None:
    text = csv_text(SIGNAL * 1000, leads=[f"{lead} (uV)" for lead in LEADS])
    np.testing.assert_allclose(read_text(text, unit=None).signal, SIGNAL, atol=1e-6)
    with pytest.raises(UsageError, match="the file states mV, which contradicts --unit NU"):
        read_text(text, unit="NU")


def test_eight_leads_are_completed_by_lead_algebra() -> None:
    rows = [LEADS.index(lead) for lead in EIGHT]
    for recording in (
        read_text(csv_text(SIGNAL[rows], leads=EIGHT)),
        read_array(SIGNAL[rows]),
        read_array(SIGNAL[rows].T),
    ):
        np.testing.assert_allclose(recording.signal[2], SIGNAL[1] - SIGNAL[0], atol=1e-6)
        assert np.isfinite(recording.signal).all()


def test_a_single_lead_is_readable_and_the_others_are_missing() -> None:
    recording = read_text("II\n0.1\n0.2\n")
    np.testing.assert_array_equal(recording.present, [lead == "II" for lead in LEADS])


def test_a_headerless_table_needs_the_lead_names() -> None:
    text = "0.1,0.2\n0.3,0.4\n"
    with pytest.raises(UsageError, match="--leads"):
        read_text(text)
    signal = read_text(text, leads=["I", "V1"]).signal
    np.testing.assert_allclose(signal[6], [0.2, 0.4], atol=1e-6)


@pytest.mark.parametrize(
    ("rate_hz", "unit", "match"),
    [(None, "mV", "--rate-hz 500"), (500, None, "--unit mV"), (500, "kg", "'kg' is none of")],
)
def test_a_missing_or_wrong_option_is_named(
    rate_hz: float | None, unit: str | None, match: str
) -> None:
    for data in (csv_text(SIGNAL).encode(), npy_bytes(SIGNAL)):
        with pytest.raises(UsageError, match=match):
            formats.read_bytes(data, rate_hz=rate_hz, unit=unit)


@pytest.mark.parametrize("rate_hz", [1, 1e6, 0, -500, float("nan"), float("inf")])
def test_rates_no_front_end_uses_are_refused(rate_hz: float) -> None:
    for data in (csv_text(SIGNAL).encode(), npy_bytes(SIGNAL)):
        with pytest.raises(InputError, match="outside 100 to 2000 Hz"):
            formats.read_bytes(data, rate_hz=rate_hz, unit="mV")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("Dear colleague,\nthe patient was well.\n", "line 1 should name the ECG leads"),
        ("\n\nname,age\nx,3\n", "line 3 should name the ECG leads"),
        ("# note\nI,II\n0.1,0.2\n0.3,high\n", "line 4, column 2 is no number"),
        ("I,II\n0.1,0.2\n0.3\n", "line 3 has 1 columns where the header row has 2"),
        ("I,II\n0,1,0,2\n", "line 2 has 4 columns"),
        ("I,II\n", "0 rows of samples"),
        ("# only a comment\n", "holds no table"),
        ("   \n\n", "holds no table"),
        ("I,II,I\n1,2,3\n", "lead I appears twice"),
        ("V1,C1\n1,2\n", "lead V1 appears twice"),
        ("I,II\n1,1_0\n", "no number"),
        ("I,II\n1,1e9\n", "is the unit right"),
        ("# rate_hz: fast\nI,II\n1,2\n", "states the rate holds no number"),
        ("# unit: bpm\nI,II\n1,2\n", "'bpm' is none of"),
        ("I (mV),II (NU)\n1,2\n", "some leads are in mV and some in NU"),
    ],
)
def test_text_that_is_no_signal_is_refused_with_its_line(text: str, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        read_text(text)
    assert str(caught.value).startswith("t.csv")
    assert "\n" not in str(caught.value)


def test_messages_never_repeat_what_a_cell_says() -> None:
    with pytest.raises(InputError) as caught:
        read_text("I,II\n0.1,Mary Smith\n")
    assert "Mary" not in str(caught.value)


def test_nan_and_infinite_samples_become_gaps() -> None:
    signal = SIGNAL.copy()
    signal[6, 3], signal[7, 4], signal[8, 5] = np.nan, np.inf, -np.inf
    text = csv_text(signal).replace("nan", "NaN")
    for recording in (read_text(text), read_array(signal), read_array(signal.T)):
        missing = ~np.isfinite(recording.signal)
        assert sorted(zip(*np.nonzero(missing), strict=True)) == [(6, 3), (7, 4), (8, 5)]
        assert np.isnan(recording.signal[missing]).all()


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "<i2", ">i2", "<i4", "u1", "<f2"])
@pytest.mark.parametrize("turned", [False, True])
def test_arrays_of_any_plain_type_and_either_orientation_are_read(dtype: str, turned: bool) -> None:
    values = np.arange(480).reshape(12, 40) % 100
    array = values.astype(dtype)
    recording = read_array(np.asfortranarray(array.T) if turned else array)
    np.testing.assert_array_equal(recording.signal, values.astype(np.float32))


def test_arrays_in_other_lead_orders_need_the_names() -> None:
    recording = read_array(SIGNAL[::-1], leads=list(LEADS[::-1]))
    np.testing.assert_array_equal(recording.signal, SIGNAL.astype(np.float32))


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((3, 40)), "one axis must count 12 or 8 leads"),
        (np.zeros((12, 12)), "one axis must count 12 or 8 leads"),
        (np.zeros((8, 12)), "one axis must count 12 or 8 leads"),
        (np.zeros(40), "not leads by samples"),
        (np.zeros((2, 12, 40)), "not leads by samples"),
        (np.zeros((12, 0)), "no resting ECG"),
        (np.zeros((12, 4), complex), "no plain numbers"),
        (np.zeros((12, 4), "U3"), "no plain numbers"),
        (np.zeros((12, 4), bool), "no plain numbers"),
        (np.full((12, 4), 1e300), "is the unit right"),
    ],
)
def test_arrays_that_are_no_ecg_are_refused(array: np.ndarray, match: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=match):
            read_array(array)


def test_pickled_arrays_are_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "evil.npy"
    np.save(path, np.array([[print]], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="no plain numbers"):
        formats.read(path, rate_hz=500, unit="mV")


def test_an_array_header_that_claims_four_gigabytes_is_refused() -> None:
    data = npy_bytes(np.zeros((12, 5000)))
    for n in (5001, 7_000_000, 50_000_000, 10**15):
        claim = data.replace(b"(12, 5000), }" + b" " * (len(str(n)) - 4), b"(12, %d), }" % n)
        with pytest.raises(InputError, match="NPY header"):
            formats.read_bytes(claim, rate_hz=500, unit="mV")
