"""Probabilities of supports: bounded, monotone, fitted to the optimum, and judged fairly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from ecgedge.casebase.calibration import Curves
from ecgedge.evaluation.calibration import (
    FEWEST_POSITIVES,
    Votes,
    apply,
    cross_fitted,
    fit,
    fit_curves,
    judged,
    log_loss,
    patient_parts,
)
from ecgedge.evaluation.reliability import Reliability, error_by_luck

SHARES = st.floats(0, 1)


def make_votes(count: int = 300, statements: int = 4, seed: int = 0) -> Votes:
    """Truth drawn with a probability; the votes are of 50 neighbours that have it that often."""
    rng = np.random.default_rng(seed)
    truth = np.clip(rng.beta(0.5, 1.5, (count, statements)), 0.01, 0.99)
    labels = rng.random(truth.shape) < truth
    shares = rng.binomial(50, truth) / 50
    groups = [f"g{row // 2}" for row in range(count)]
    names = [f"S{column}" for column in range(statements)]
    return Votes(names, shares, labels, truth.mean(axis=0), 50, groups)


@given(
    share=SHARES, other=SHARES, prevalence=st.floats(1e-4, 1 - 1e-4), slope=st.floats(0, 5),
    intercept=st.floats(-5, 5), voters=st.integers(1, 300),
)  # fmt: skip
def test_a_probability_lies_between_0_and_1_and_never_falls_as_the_share_rises(
    share: float, other: float, prevalence: float, slope: float, intercept: float, voters: int
) -> None:
    curves = Curves(slope, {"A": (prevalence, intercept)})
    low, high = sorted((share, other))
    below, above = (curves.probability("A", one, voters) for one in (low, high))
    assert below is not None
    assert above is not None
    assert 0 <= below <= above + 1e-12 <= 1 + 1e-12
    assert curves.probability("B", share, voters) is None


def test_one_curve_and_the_whole_table_say_the_same() -> None:
    votes = make_votes()
    curves = fit(votes)
    assert curves is not None
    table = apply(curves, votes)
    for row, column in ((0, 0), (7, 2), (99, 3)):
        alone = curves.probability(f"S{column}", votes.shares[row, column], votes.voters)
        assert alone == pytest.approx(table[row, column], abs=1e-9)


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_the_fit_is_the_optimum_a_general_minimiser_finds(spread: float) -> None:
    votes = make_votes(120)
    prior = np.clip(votes.prevalence, 1e-4, 1 - 1e-4).round(6)
    smoothed = (votes.voters * votes.shares + 5 * prior) / (votes.voters + 5)
    offset = np.log(prior / (1 - prior))
    gained = np.log(smoothed / (1 - smoothed)) - offset

    def loss(theta: np.ndarray) -> float:
        z = theta[0] + theta[2:] + offset + theta[1] * gained
        penalty = theta[0] ** 2 / 8 + (theta[1] - 1) ** 2 / 0.5
        penalty += (theta[2:] ** 2).sum() / (2 * spread**2)
        return float(np.logaddexp(0, np.where(votes.labels, -z, z)).sum() + penalty)

    best = minimize(loss, np.r_[0.0, 1.0, np.zeros(4)], method="BFGS", options={"gtol": 1e-8}).x
    ours = fit_curves(votes, spread)
    assert ours.slope == pytest.approx(best[1], abs=1e-4)
    theirs = best[0] + best[2:]
    bias = [ours.statements[name][1] for name in votes.names]
    np.testing.assert_allclose(bias, theirs, atol=1e-4)


def test_votes_that_speak_against_the_truth_leave_the_prevalence() -> None:
    votes = make_votes()
    against = replace(votes, shares=1 - votes.shares)
    curves = fit_curves(against, 0.3)
    assert curves.slope == 0
    rates = apply(curves, against)
    assert np.ptp(rates, axis=0).max() < 1e-12


def test_statements_of_too_few_patients_or_no_case_are_not_judged() -> None:
    votes = make_votes(60, 3)
    labels = np.zeros((60, 3), dtype=bool)
    labels[: 2 * FEWEST_POSITIVES, 0] = True  # two recordings a patient
    labels[: 2 * (FEWEST_POSITIVES - 1), 1] = True
    labels[:, 2] = True
    assert judged(replace(votes, labels=labels)).tolist() == [True, False, False]
    without = replace(votes, labels=labels, prevalence=np.array([0.0, 0.1, 0.1]))
    assert not judged(without).any()
    assert fit(without) is None


def test_cross_fitting_never_lets_a_patient_vouch_for_himself() -> None:
    votes = make_votes(80, 2)
    before = cross_fitted(votes)
    labels = votes.labels.copy()
    mine = np.array([group == "g3" for group in votes.groups])
    labels[mine] = ~labels[mine]
    after = cross_fitted(replace(votes, labels=labels))
    np.testing.assert_array_equal(before[mine], after[mine])
    assert not np.array_equal(before[~mine], after[~mine])


def test_parts_hold_every_recording_once_and_no_patient_twice() -> None:
    groups = [f"g{row % 17}" for row in range(60)]
    parts = patient_parts(groups)
    assert np.sum(parts, axis=0).tolist() == [1] * 60
    for part in parts:
        inside = {group for group, here in zip(groups, part, strict=True) if here}
        outside = {group for group, here in zip(groups, part, strict=True) if not here}
        assert not inside & outside


def test_calibration_mends_shares_that_overstate() -> None:
    """Neighbours that agree too much: shares pushed towards 0 and 1."""
    votes = make_votes(600)
    odds = np.clip(votes.shares, 0.02, 0.98) / (1 - np.clip(votes.shares, 0.02, 0.98))
    loud = replace(votes, shares=odds**3 / (1 + odds**3))
    fitted = cross_fitted(loud)
    error = [Reliability.of(p, votes.labels).error()[0] for p in (loud.shares, fitted)]
    assert error[1] < 0.5 * error[0]
    assert log_loss(fitted, votes.labels) < log_loss(loud.shares, votes.labels)


@given(seed=st.integers(0, 200), bins=st.integers(1, 12), least=st.sampled_from([0.0, 0.05, 0.4]))
def test_the_calibration_error_is_what_a_loop_over_bins_gives(
    seed: int, bins: int, least: float
) -> None:
    rng = np.random.default_rng(seed)
    said, true = rng.random((13, 3)), rng.random((13, 3)) < 0.4
    kept = said >= least
    pairs = sorted(zip(said[kept], true[kept], strict=True), key=lambda pair: pair[0])
    total = 0.0
    for members in np.array_split(np.arange(len(pairs)), bins):
        if len(members):
            mean = np.mean([pairs[m][0] for m in members])
            rate = np.mean([pairs[m][1] for m in members])
            total += len(members) / len(pairs) * abs(mean - rate)
    reliability = Reliability.of(said, true, least, bins)
    assert reliability.error()[0] == pytest.approx(total, abs=1e-9)
    assert sum(point["pairs"] for point in reliability.points()) == len(pairs)


def test_weights_count_a_recording_as_often_as_it_was_drawn() -> None:
    rng = np.random.default_rng(5)
    said, true = rng.random((20, 2)), rng.random((20, 2)) < 0.5
    drawn = rng.integers(0, 3, (1, 20)).astype(float)
    reliability = Reliability.of(said, true, bins=1)
    rows = np.repeat(np.arange(20), drawn[0].astype(int))
    expected = abs(said[rows].mean() - true[rows].mean())
    assert reliability.error(drawn)[0] == pytest.approx(expected)


def test_right_probabilities_err_by_luck_only_and_less_with_more_pairs() -> None:
    rng = np.random.default_rng(2)
    said = rng.random((4000, 5))
    error = Reliability.of(said, rng.random(said.shape) < said).error()[0]
    assert error == pytest.approx(error_by_luck(said, draws=30), rel=0.6)
    assert error_by_luck(said, draws=30) < error_by_luck(said[:100], draws=30)


@pytest.mark.parametrize(
    "broken",
    [(-1.0, {"A": (0.1, 0.0)}), (1.0, {"A": (0.0, 0.0)}), (1.0, {"A": (0.1, float("nan"))})],
)
def test_curves_of_unusable_numbers_are_refused(broken: tuple) -> None:
    with pytest.raises(ValueError, match="usable numbers"):
        Curves(*broken)
