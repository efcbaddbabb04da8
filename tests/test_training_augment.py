"""Augmentations: what they may change and what they must leave alone."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgedge.recording import CHEST, LIMB, LIMB_FROM_I_II
from ecgedge.signal.conditioning import GRID, condition
from ecgedge.signal.synthetic import Heart, synthesize
from ecgedge.training.augment import AugmentConfig, augment

SEEDS = st.integers(0, 2**31)
STILL = AugmentConfig(0, 0, 0, 0, 0, 0, 0, 0)
SIGNAL = condition(synthesize(Heart(rate_bpm=72))).signal


def run(seed, signal=SIGNAL, **changes):
    """Everything off but the changes."""
    return augment(signal, dataclasses.replace(STILL, **changes), np.random.default_rng(seed))


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_shape_and_type_are_kept_and_the_input_is_not_touched(seed):
    before = SIGNAL.copy()
    out = augment(SIGNAL, AugmentConfig(), np.random.default_rng(seed))
    assert (out.shape, out.dtype) == ((12, 1000), np.float32)
    assert not np.isinf(out).any()
    np.testing.assert_array_equal(SIGNAL, before)
    assert not np.shares_memory(out, SIGNAL)


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_the_same_random_state_gives_the_same_signal(seed):
    first, second = (
        augment(SIGNAL, AugmentConfig(), np.random.default_rng(seed)) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_other_random_states_give_other_signals():
    drawn = {augment(SIGNAL, AugmentConfig(), np.random.default_rng(s)).tobytes() for s in range(9)}
    assert len(drawn) == 9


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_with_everything_off_nothing_changes(seed):
    np.testing.assert_array_equal(run(seed), SIGNAL)


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_gain_shift_and_stretch_keep_einthovens_law(seed):
    out = run(seed, gain=0.5, shift_s=2.0, stretch=0.06)
    observed = np.isfinite(out).all(axis=0)
    assert observed.sum() > 700
    limb = out[LIMB, observed]
    # Six leads on a grid of 1/1024 before, each interpolated alike.
    np.testing.assert_allclose(limb, LIMB_FROM_I_II @ limb[:2], atol=2.5 / GRID)


def test_gain_scales_each_chest_lead_and_leaves_the_limb_leads_scale():
    """cond-1 took the common scale away, so only a chest lead's against the limb leads is left."""
    out = run(1, gain=0.3)
    np.testing.assert_array_equal(out[LIMB], SIGNAL[LIMB])
    ratios = []
    for before, after in zip(SIGNAL[CHEST], out[CHEST], strict=True):
        ratio = float(np.dot(before, after) / np.dot(before, before))
        np.testing.assert_allclose(after, ratio * before, atol=1e-5)
        ratios.append(ratio)
    assert len({round(ratio, 4) for ratio in ratios}) == 6
    assert min(ratios) > 0


def test_a_shift_moves_the_trace_and_calls_the_uncovered_edge_missing():
    for seed in range(20):
        out = run(seed, shift_s=2.0)
        gone = np.isnan(out).all(axis=0)
        assert gone.sum() <= 200
        np.testing.assert_array_equal(gone, np.isnan(out).any(axis=0))
        edges = np.flatnonzero(np.diff(gone.astype(int)))
        assert len(edges) <= 1


def test_wander_is_slow_and_noise_is_small():
    wander = run(4, wander=0.3) - SIGNAL
    power = np.abs(np.fft.rfft(wander * np.hanning(1000), axis=1)) ** 2
    assert np.abs(wander).max() <= 0.3
    assert power[:, :11].sum() > 0.99 * power.sum()  # below 1 Hz
    noise = run(4, noise=0.15) - SIGNAL
    assert 0 < noise.std() < 0.2


MASKS = [{"p_lead_off": 1}, {"p_limb_only": 1}, {"p_print": 1},
         {"p_lead_off": 1, "p_limb_only": 1, "p_print": 1}]  # fmt: skip


@pytest.mark.parametrize("masks", MASKS)
@given(seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_masks_only_take_samples_away(masks, seed):
    out = run(seed, **masks)
    seen = np.isfinite(out)
    assert 0 < seen.sum() < seen.size
    np.testing.assert_array_equal(out[seen], SIGNAL[seen])


@given(SEEDS)
@settings(max_examples=15, deadline=None)
def test_one_to_three_whole_leads_come_off(seed):
    gone = np.isnan(run(seed, p_lead_off=1))
    np.testing.assert_array_equal(gone.all(axis=1), gone.any(axis=1))
    assert 1 <= gone.all(axis=1).sum() <= 3


def test_limb_only_is_no_chest_lead():
    out = run(0, p_limb_only=1)
    assert np.isnan(out[CHEST]).all()
    np.testing.assert_array_equal(out[LIMB], SIGNAL[LIMB])


def test_a_printed_page_shows_each_lead_for_2_5_s_and_lead_ii_throughout():
    seen = np.isfinite(run(0, p_print=1))
    expected = np.zeros((12, 1000), dtype=bool)
    for lead in range(12):
        column = lead // 3
        expected[lead, 250 * column : 250 * (column + 1)] = True
    expected[1] = True
    np.testing.assert_array_equal(seen, expected)


def test_what_is_missing_stays_missing():
    signal = SIGNAL.copy()
    signal[[3, 8]] = np.nan
    for seed in range(10):
        out = augment(signal, AugmentConfig(), np.random.default_rng(seed))
        assert np.isnan(out[[3, 8]]).all()
