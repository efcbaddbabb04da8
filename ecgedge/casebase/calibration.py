"""From a share of votes to a probability.

The neighbours' share is first smoothed towards the statement's prevalence in the case base by
a few pseudo-votes, so that no vote is not the same as never. What it then adds to the
prevalence, in log-odds, is the evidence; the probability is logistic in it (Platt 1999), with
one slope for all statements and an intercept for each that was shrunk towards the common one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Votes for the prevalence that every count starts with. On the validation folds 1, 5 and 20
#: differ by less than their error; 5 had the best log loss in most settings.
PRIOR_VOTES = 5.0


@dataclass(frozen=True)
class Curves:
    """One calibration curve a statement, all of one slope.

    slope: not negative, so that a probability never falls as the share rises.
    statements: those that validation could judge -> (prevalence in the case base, intercept).
    """

    slope: float
    statements: Mapping[str, tuple[float, float]]
    prior_votes: float = PRIOR_VOTES

    def __post_init__(self) -> None:
        """Raises ValueError for numbers that give no probability."""
        numbers = [self.slope, self.prior_votes, *(b for _, b in self.statements.values())]
        known = all(0 < prevalence < 1 for prevalence, _ in self.statements.values())
        if not known or not np.isfinite(numbers).all() or self.slope < 0 or self.prior_votes <= 0:
            raise ValueError("the calibration curves are not made of usable numbers")

    def probability(self, name: str, share: float, voters: int) -> float | None:
        """0 to 1; None for a statement that validation could not judge.

        share: 0 to 1, of the votes. voters: how many neighbours voted.
        """
        return self.probabilities({name: share}, voters).get(name)

    def probabilities(self, shares: Mapping[str, float], voters: int) -> dict[str, float]:
        """`probability` of every statement that validation could judge, in one pass."""
        judged = [name for name in shares if name in self.statements]
        if not judged:
            return {}
        share = np.array([shares[name] for name in judged])
        prevalence, intercept = np.array([self.statements[name] for name in judged]).T
        gained = evidence(share, prevalence, voters, self.prior_votes)
        told = logistic(intercept + log_odds(prevalence) + self.slope * gained)
        return dict(zip(judged, told.tolist(), strict=True))


def evidence(share: Any, prevalence: Any, voters: Any, prior_votes: float = PRIOR_VOTES) -> Any:
    """Log-odds that the votes add to the prevalence; arrays or numbers, broadcast."""
    smoothed = (voters * share + prior_votes * prevalence) / (voters + prior_votes)
    return log_odds(smoothed) - log_odds(prevalence)


def log_odds(probability: Any) -> Any:
    """log(p / (1 - p)) for 0 < p < 1."""
    return np.log(probability) - np.log1p(-np.asarray(probability))


def logistic(value: Any) -> Any:
    """1 / (1 + exp(-value)), without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(value, dtype=np.float64)))
