"""The recording and its lead algebra."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgedge.errors import InputError
from ecgedge.recording import LEADS, LIMB_FROM_I_II, Recording, assemble, parse_lead


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("I", ("I", 1.0)),
        ("avr", ("aVR", 1.0)),
        ("-aVR", ("aVR", -1.0)),
        ("Lead II", ("II", 1.0)),
        ("ECG V1", ("V1", 1.0)),
        ("MDC_ECG_LEAD_aVF", ("aVF", 1.0)),
        ("MLII", ("II", 1.0)),
        ("c4", ("V4", 1.0)),
        ("V7", None),
        ("VX", None),
        ("resp", None),
        ("", None),
        ("1", None),
    ],
)
def test_spellings_of_leads(spelling: str, expected: tuple[str, float] | None) -> None:
    assert parse_lead(spelling) == expected


@settings(max_examples=60, deadline=None)
@given(kept=st.sets(st.integers(0, 5), min_size=2), seed=st.integers(0, 2**32 - 1))
def test_any_two_limb_leads_give_back_all_six(kept: set[int], seed: int) -> None:
    independent = np.random.default_rng(seed).normal(size=(2, 15))
    limb = (LIMB_FROM_I_II @ independent).astype(np.float32)
    names = [LEADS[index] for index in sorted(kept)]
    recording = assemble(names, limb[sorted(kept)], rate_hz=500, unit="mV")
    np.testing.assert_allclose(recording.signal[:6], limb, atol=1e-4)
    assert np.isnan(recording.signal[6:]).all()


def test_limb_lead_algebra_is_einthovens_and_goldbergers() -> None:
    one, two = np.array([0.3, -0.2]), np.array([0.8, 0.5])
    signal = assemble(["I", "II"], np.stack([one, two]), rate_hz=500, unit="mV").signal
    expected = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    np.testing.assert_allclose(signal[:6], expected, atol=1e-6)


def test_a_single_limb_lead_derives_nothing() -> None:
    recording = assemble(["II"], np.ones((1, 4)), rate_hz=500, unit="mV")
    assert recording.present.tolist() == [lead == "II" for lead in LEADS]


def test_derived_leads_have_the_gaps_of_their_parents() -> None:
    columns = np.ones((2, 5))
    columns[0, 1], columns[1, 3] = np.nan, np.inf
    signal = assemble(["I", "II"], columns, rate_hz=500, unit="mV").signal
    assert np.argwhere(np.isnan(signal[2])).ravel().tolist() == [1, 3]
    assert np.argwhere(np.isnan(signal[0])).ravel().tolist() == [1]


def test_a_recorded_lead_is_never_overwritten_by_algebra() -> None:
    columns = np.stack([np.ones(4), np.ones(4), np.full(4, 9.0)])
    signal = assemble(["I", "II", "III"], columns, rate_hz=500, unit="mV").signal
    assert (signal[2] == 9).all()


def test_an_inverted_avr_is_turned_round() -> None:
    signal = assemble(["-aVR"], np.full((1, 3), 0.5), rate_hz=500, unit="mV").signal
    assert (signal[3] == -0.5).all()


@pytest.mark.filterwarnings("error")
def test_samples_beyond_float32_count_as_missing_without_a_warning() -> None:
    recording = assemble(["V1"], np.array([[1.0, 1e300]]), rate_hz=500, unit="mV")
    assert np.isnan(recording.signal[6, 1])


@pytest.mark.parametrize(
    ("names", "shape", "rate_hz", "match"),
    [
        (["V1", "C1"], (2, 5), 500, "lead V1 appears twice"),
        (["resp"], (1, 5), 500, "none of the channels resp is an ECG lead"),
        ([], (0, 5), 500, "none of the channels"),
        (["I"], (2, 5), 500, "1 lead names for data of shape"),
        (["I"], (1, 0), 500, "no resting ECG"),
        (["I"], (1, 5), 99, "outside 100 to 2000 Hz"),
        (["I"], (1, 5), float("nan"), "outside 100 to 2000 Hz"),
    ],
)
def test_what_is_no_recording_is_refused(
    names: list[str], shape: tuple[int, int], rate_hz: float, match: str
) -> None:
    with pytest.raises(InputError, match=match):
        assemble(names, np.zeros(shape), rate_hz=rate_hz, unit="mV")


def test_a_recording_checks_its_shape_and_unit_and_is_float32() -> None:
    with pytest.raises(InputError, match=r"shape \(12, n\)"):
        Recording(np.zeros((3, 4), np.float32), 500, "mV")
    with pytest.raises(InputError, match="neither mV nor NU"):
        Recording(np.zeros((12, 4), np.float32), 500, "uV")  # type: ignore[arg-type]
    recording = Recording(np.zeros((12, 1000)), 500, "NU")  # type: ignore[arg-type]
    assert recording.signal.dtype == np.float32
    assert recording.duration_s == 2.0
