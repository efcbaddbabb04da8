"""Fitting calibration curves, and applying them fairly.

Whoever is calibrated and judged on the same recordings is judged kindly: `cross_fitted` gives
each patient the curves fitted on the other patients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecgedge.casebase.calibration import Curves, evidence, log_odds, logistic

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Patients with (and without) a statement below which its probability is not judged: with 8
#: the 95 % interval of a rate, exp(1.96 / sqrt(8)), spans no more than a factor of two to
#: either side. With fewer, validation could not tell p = .5 from p = .2.
FEWEST_POSITIVES = 8
#: How far intercepts may stray from the common one (standard deviation, log-odds); chosen.
SPREADS = (0.0, 0.3, 0.6, 1.0)
PARTS = 10

_SEED = 20200525
# Priors that matter only with next to no data: slope 1, intercept 0.
_SLOPE_SPREAD, _COMMON_SPREAD = 0.5, 2.0
_LEAST_SPREAD = 1e-3
_STEPS = 60
_RAREST = 1e-4


@dataclass(frozen=True)
class Votes:
    """What neighbours said of some recordings, and what is true.

    names: (statements,). shares, labels: (n, statements). prevalence: (statements,) in the
    case base. voters: neighbours that voted. groups: (n,) patients.
    """

    names: Sequence[str]
    shares: Floats
    labels: Bools
    prevalence: Floats
    voters: int
    groups: Sequence[str]

    def columns(self, kept: Bools) -> Votes:
        """Only these statements."""
        names = [name for name, keep in zip(self.names, kept, strict=True) if keep]
        shares, labels = self.shares[:, kept], self.labels[:, kept]
        return Votes(names, shares, labels, self.prevalence[kept], self.voters, self.groups)

    def rows(self, kept: Bools) -> Votes:
        """Only these recordings."""
        groups = [group for group, keep in zip(self.groups, kept, strict=True) if keep]
        shares, labels = self.shares[kept], self.labels[kept]
        return Votes(self.names, shares, labels, self.prevalence, self.voters, groups)


def judged(votes: Votes) -> Bools:
    """(statements,): known to the case base, and with enough patients on both sides."""
    _, patient = np.unique(np.asarray(votes.groups), return_inverse=True)
    count = int(patient.max(initial=-1)) + 1
    having = np.zeros((count, len(votes.names)), dtype=bool)
    np.logical_or.at(having, patient, votes.labels)
    positive = having.sum(axis=0)
    enough = (positive >= FEWEST_POSITIVES) & (count - positive >= FEWEST_POSITIVES)
    return np.asarray(enough & (votes.prevalence > 0) & (votes.prevalence < 1))


def fit(votes: Votes) -> Curves | None:
    """Curves for the statements that can be judged, None where there is none.

    How much intercepts may differ is chosen by the log loss on patients left out.
    """
    kept = judged(votes)
    return fit_all(votes.columns(kept)) if kept.any() else None


def fit_all(votes: Votes) -> Curves:
    """As `fit`, for every statement given, however rare."""
    losses = [log_loss(left_out(votes, spread), votes.labels) for spread in SPREADS]
    return fit_curves(votes, SPREADS[int(np.argmin(losses))])


def cross_fitted(votes: Votes) -> Floats:
    """(n, statements) probabilities, each patient's from curves fitted on the others only."""
    return _by_parts(votes, fit_all)


def left_out(votes: Votes, spread: float) -> Floats:
    """As `cross_fitted`, with intercepts of this spread."""
    return _by_parts(votes, lambda others: fit_curves(others, spread))


def _by_parts(votes: Votes, fitter: Callable[[Votes], Curves]) -> Floats:
    probabilities = np.zeros(votes.shares.shape)
    for here in patient_parts(votes.groups):
        curves = fitter(votes.rows(~here)) if not here.all() else Curves(1.0, {})
        probabilities[here] = apply(curves, votes.rows(here))
    return probabilities


def patient_parts(groups: Sequence[str], parts: int = PARTS) -> list[Bools]:
    """Masks (n,) of up to `parts` sets of recordings; no patient is in two of them."""
    _, patient = np.unique(np.asarray(groups), return_inverse=True)
    count = int(patient.max(initial=-1)) + 1
    part = np.random.default_rng(_SEED).permutation(count) % max(1, min(parts, count))
    return [part[patient] == number for number in range(min(parts, count))]


def apply(curves: Curves, votes: Votes) -> Floats:
    """(n, statements) probabilities; the prevalence for statements without a curve."""
    fallback = _inside(votes.prevalence)
    pairs = [
        curves.statements.get(name, (share, 0.0))
        for name, share in zip(votes.names, fallback.tolist(), strict=True)
    ]
    prevalence, bias = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    known = np.array([name in curves.statements for name in votes.names], dtype=bool)
    gained = evidence(votes.shares, prevalence, votes.voters, curves.prior_votes)
    return np.asarray(
        logistic(bias + log_odds(prevalence) + curves.slope * np.where(known, gained, 0.0))
    )


def fit_curves(votes: Votes, spread: float) -> Curves:
    """Maximum of the penalised likelihood, by Newton's method; slope at least 0.

    spread: prior standard deviation of each intercept about the common one.
    """
    prevalence = _inside(votes.prevalence)
    gained = evidence(votes.shares, prevalence, votes.voters)
    offset = log_odds(prevalence)
    solution = _newton(gained, offset, votes.labels, spread)
    if solution[1] < 0:  # votes that speak against: believe in the prevalence only
        solution = _newton(np.zeros_like(gained), offset, votes.labels, spread)
        solution[1] = 0.0
    bias = solution[0] + solution[2:]
    return Curves(
        round(float(solution[1]), 6),
        {
            name: (round(float(share), 6), round(float(one), 6))
            for name, share, one in zip(votes.names, prevalence, bias, strict=True)
        },
    )


def _newton(gained: Floats, offset: Floats, labels: Bools, spread: float) -> Floats:
    """(2 + statements,): common intercept, slope, each statement's own share."""
    count = gained.shape[1]
    own = max(spread, _LEAST_SPREAD)
    centre = np.r_[0.0, 1.0, np.zeros(count)]
    penalty = np.r_[_COMMON_SPREAD**-2, _SLOPE_SPREAD**-2, np.full(count, own**-2)]
    now: Floats = centre.copy()
    for _ in range(_STEPS):
        chance = logistic(now[0] + now[2:] + offset + now[1] * gained)
        rest, weight = chance - labels, chance * (1 - chance)
        by_statement, weighted = weight.sum(axis=0), (weight * gained).sum(axis=0)
        gradient = np.r_[rest.sum(), (rest * gained).sum(), rest.sum(axis=0)]
        gradient += penalty * (now - centre)
        hessian = np.diag(np.r_[by_statement.sum(), (weight * gained**2).sum(), by_statement])
        hessian[0, 1] = hessian[1, 0] = weighted.sum()
        hessian[0, 2:] = hessian[2:, 0] = by_statement
        hessian[1, 2:] = hessian[2:, 1] = weighted
        step = np.linalg.solve(hessian + np.diag(penalty), gradient)
        now = now - np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    return now


def _inside(prevalence: Floats) -> Floats:
    """Kept off 0 and 1, where log-odds end."""
    inside: Floats = np.clip(np.round(prevalence, 6), _RAREST, 1 - _RAREST)
    return inside


def log_loss(probabilities: Floats, labels: Bools) -> float:
    """Mean over recordings of the summed -log of what was said of the truth."""
    said = np.where(labels, probabilities, 1 - probabilities)
    return float(-np.log(np.maximum(said, 1e-12)).sum(axis=1).mean())
