"""What goes wrong between a heart and a file: the algebra, the ratios, the repeatability."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal as scipy_signal

from ecgedge.errors import InputError, UsageError
from ecgedge.recording import CHEST, LEADS, LIMB, LIMB_FROM_I_II, Recording
from ecgedge.signal import corrupt
from ecgedge.signal.swaps import LIMB_SWAPS
from ecgedge.signal.synthetic import Heart, synthesize

ECG = synthesize(Heart(rate_bpm=72), rate_hz=500)
GAPPED = replace(ECG, signal=np.where(np.arange(5000) < 1200, np.nan, ECG.signal))

SAME_LENGTH: dict[str, Callable[[Recording], Recording]] = {
    "limb": lambda it: corrupt.swap_limb(it, "LA/RA"),
    "chest": lambda it: corrupt.swap_chest(it, "V1", "V3"),
    "reversed chest": corrupt.reverse_chest,
    "hum": lambda it: corrupt.hum(it, 50, 0),
    "wander": lambda it: corrupt.wander(it, -3),
    "emg": lambda it: corrupt.emg_noise(it, 6, seed=4),
    "drop": lambda it: corrupt.drop_leads(it, ["V2"]),
    "keep": lambda it: corrupt.keep_leads(it, ["I", "II"]),
    "print": corrupt.print_3x4,
    "backwards": corrupt.reverse_time,
}


def electrodes(recording: Recording) -> np.ndarray:
    """Potentials of RA, LA and LL, the right arm at 0."""
    lead_i, lead_ii = recording.signal[:2].astype(np.float64)
    return np.stack([np.zeros_like(lead_i), lead_i, lead_ii])


@pytest.mark.parametrize(
    ("pair", "order"), [("LA/RA", (1, 0, 2)), ("RA/LL", (2, 1, 0)), ("LA/LL", (0, 2, 1))]
)
def test_a_swap_of_limb_leads_is_a_swap_of_electrode_potentials(
    pair: str, order: tuple[int, int, int]
) -> None:
    ra, la, ll = electrodes(ECG)[list(order)]
    expected = LIMB_FROM_I_II @ np.stack([la - ra, ll - ra])
    swapped = corrupt.swap_limb(ECG, pair)
    np.testing.assert_allclose(swapped.signal[LIMB], expected, atol=1e-5)
    np.testing.assert_array_equal(swapped.signal[CHEST], ECG.signal[CHEST])


@pytest.mark.parametrize("pair", list(LIMB_SWAPS))
def test_swapping_twice_restores(pair: str) -> None:
    twice = corrupt.swap_limb(corrupt.swap_limb(GAPPED, pair), pair)
    np.testing.assert_array_equal(twice.signal, GAPPED.signal)


def test_chest_leads_change_places_and_limb_leads_do_not() -> None:
    swapped = corrupt.swap_chest(ECG, "V1", "V2").signal
    np.testing.assert_array_equal(swapped[[6, 7]], ECG.signal[[7, 6]])
    np.testing.assert_array_equal(swapped[8:], ECG.signal[8:])
    np.testing.assert_array_equal(corrupt.reverse_chest(ECG).signal[6], ECG.signal[11])
    np.testing.assert_array_equal(corrupt.reverse_chest(ECG).signal[LIMB], ECG.signal[LIMB])


@given(
    snr_db=st.floats(-20, 40),
    seed=st.integers(0, 1000),
    kind=st.sampled_from(["emg", "hum", "wander"]),
)
def test_noise_has_the_ratio_it_was_asked_for_and_keeps_einthovens_law(
    snr_db: float, seed: int, kind: str
) -> None:
    add = {
        "emg": lambda: corrupt.emg_noise(ECG, snr_db, seed),
        "hum": lambda: corrupt.hum(ECG, 60, snr_db, seed),
        "wander": lambda: corrupt.wander(ECG, snr_db, seed),
    }[kind]
    noise = add().signal.astype(np.float64) - ECG.signal
    clean = ECG.signal.astype(np.float64)
    limb = 10 * np.log10(clean[LIMB].var(axis=1).sum() / noise[LIMB].var(axis=1).sum())
    chest = 10 * np.log10(clean[CHEST].var(axis=1) / noise[CHEST].var(axis=1))
    np.testing.assert_allclose([limb, *chest], snr_db, atol=0.05)
    np.testing.assert_allclose(noise[LIMB], LIMB_FROM_I_II @ noise[:2], atol=1e-4)


def test_muscle_noise_means_the_same_at_every_rate() -> None:
    for rate_hz in (100.0, 500.0):
        noisy = corrupt.emg_noise(synthesize(rate_hz=rate_hz), 0, seed=1)
        noise = noisy.signal - synthesize(rate_hz=rate_hz).signal
        frequency, power = scipy_signal.welch(noise[6], rate_hz, nperseg=200)
        inside = (frequency >= 4) & (frequency <= 46)
        assert power[inside].sum() > 0.97 * power.sum()


def test_hum_sits_at_its_frequency_and_is_refused_where_it_cannot_be_held() -> None:
    noise = corrupt.hum(ECG, 50, 0).signal - ECG.signal
    frequency, power = scipy_signal.periodogram(noise[6], 500)
    assert frequency[power.argmax()] == pytest.approx(50)
    with pytest.raises(UsageError, match="50 Hz"):
        corrupt.hum(synthesize(rate_hz=100), 50, 0)


@pytest.mark.parametrize("name", list(SAME_LENGTH))
def test_a_corruption_repeats_leaves_its_input_alone_and_keeps_gaps(name: str) -> None:
    before = GAPPED.signal.copy()
    first, second = SAME_LENGTH[name](GAPPED), SAME_LENGTH[name](GAPPED)
    np.testing.assert_array_equal(first.signal, second.signal)
    np.testing.assert_array_equal(GAPPED.signal, before)
    assert first.signal.shape == before.shape
    assert first.signal.dtype == np.float32
    gaps = np.isnan(first.signal).sum(axis=1)
    assert (gaps >= 1200).all()


def test_leads_are_dropped_and_kept_by_name() -> None:
    assert [LEADS[i] for i in np.flatnonzero(corrupt.keep_leads(ECG, ["II", "V5"]).present)] == [
        "II",
        "V5",
    ]
    assert corrupt.drop_leads(ECG, ["aVR"]).present.sum() == 11
    with pytest.raises(UsageError, match="V7"):
        corrupt.drop_leads(ECG, ["V7"])
    with pytest.raises(UsageError, match="chest"):
        corrupt.swap_chest(ECG, "I", "V1")
    with pytest.raises(UsageError, match="LA/RL"):
        corrupt.swap_limb(ECG, "LA/RL")


def test_a_print_shows_a_quarter_of_each_lead_and_all_of_the_rhythm_strip() -> None:
    shown = np.isfinite(corrupt.print_3x4(ECG).signal).mean(axis=1)
    assert shown[1] == 1
    assert np.allclose(np.delete(shown, 1), 0.25)
    bare = np.isfinite(corrupt.print_3x4(ECG, rhythm=None).signal)
    assert bare.sum(axis=0).tolist() == [3] * 5000


def test_a_crop_is_the_beginning() -> None:
    np.testing.assert_array_equal(corrupt.crop(ECG, 5).signal, ECG.signal[:, :2500])
    assert corrupt.crop(ECG, 60).n_samples == 5000
    with pytest.raises(UsageError, match="no sample"):
        corrupt.crop(ECG, 0)


@pytest.mark.parametrize("rate_hz", [100.0, 128.0, 250.0, 360.0, 1000.0])
def test_resampling_agrees_with_the_signal_made_at_that_rate(rate_hz: float) -> None:
    """The synthetic heart is a formula: at any rate it can be evaluated outright."""
    exact = synthesize(Heart(rate_bpm=72), rate_hz=rate_hz).signal
    ours = corrupt.resample(ECG, rate_hz)
    assert ours.rate_hz == rate_hz
    assert ours.n_samples == exact.shape[1]
    # At 100 Hz the sharpest waves reach past half the rate: what is cut off there may differ.
    np.testing.assert_allclose(ours.signal, exact, atol=0.02 if rate_hz < 250 else 2e-3)


def test_resampling_keeps_gaps_and_refuses_rates_no_front_end_uses() -> None:
    ours = corrupt.resample(GAPPED, 250)
    assert np.isnan(ours.signal).sum(axis=1).tolist() == [600] * 12
    with pytest.raises(InputError):
        corrupt.resample(ECG, 50)


def test_played_backwards_twice_is_forwards() -> None:
    twice = corrupt.reverse_time(corrupt.reverse_time(ECG))
    np.testing.assert_array_equal(twice.signal, ECG.signal)
    assert not np.allclose(corrupt.reverse_time(ECG).signal, ECG.signal, atol=0.1)
