"""A figure with its interval, and the bootstrap over patients that gives it.

Records of one patient are alike, so patients are resampled, not records (a
cluster bootstrap, Davison and Hinkley 1997, section 3.8). The same draws serve
every figure, which makes the interval of a difference a paired one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRAWS = 1000
SEED = 20200525
LEVEL = 0.95


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    value: None where it cannot be computed; then `why` says so.
    draws: its value in each bootstrap draw. n: queries it rests on.
    chance: what order or scores without information give. ceiling: the best possible.
    facts: further numbers for JSON, such as the gallery size.
    """

    value: float | None
    n: int
    draws: Floats | None = None
    chance: float | None = None
    ceiling: float | None = None
    why: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def interval(self) -> tuple[float, float] | tuple[None, None]:
        """The 95 % percentile interval, or (None, None)."""
        known = self.draws[np.isfinite(self.draws)] if self.draws is not None else np.empty(0)
        if self.value is None or known.size == 0:
            return None, None
        tail = 50 * (1 - LEVEL)
        low, high = np.percentile(known, [tail, 100 - tail])
        return float(low), float(high)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        low, high = self.interval
        told: dict[str, Any] = {"value": self.value, "lo": low, "hi": high, "n": self.n}
        told["chance"] = self.chance
        if self.ceiling is not None:
            told["ceiling"] = self.ceiling
        if self.why:
            told["why"] = self.why
        return told | self.facts


def missing(why: str, n: int = 0) -> Figure:
    """A figure that cannot be computed, with the reason."""
    return Figure(None, n, why=why)


def patient_weights(groups: Sequence[str], draws: int = DRAWS, seed: int = SEED) -> Floats:
    """(draws, n): how often each record counts when patients are drawn with replacement.

    groups: one patient name a record.
    """
    _, patient = np.unique(np.asarray(groups), return_inverse=True)
    count = int(patient.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)
    return drawn[:, patient].astype(np.float64)


def mean_figure(
    values: Floats,
    weights: Floats,
    *,
    chance: Floats | None = None,
    ceiling: Floats | None = None,
    **facts: Any,
) -> Figure:
    """The mean over queries of one value each; NaN rows are left out, and n says so.

    values, chance, ceiling: (n,). weights: (draws, n) from `patient_weights`.
    """
    used = np.isfinite(values)
    if not used.any():
        return missing("no query to compute it on")
    kept = weights[:, used]
    total = kept.sum(axis=1)
    draws = np.where(total > 0, kept @ values[used] / np.maximum(total, 1), np.nan)

    def mean(other: Floats | None) -> float | None:
        return None if other is None else float(other[used].mean())

    return Figure(
        float(values[used].mean()),
        int(used.sum()),
        draws,
        chance=mean(chance),
        ceiling=mean(ceiling),
        facts=facts,
    )


def mean_of(figures: Collection[Figure]) -> Figure:
    """The mean of several figures of the same queries; missing where any of them is.

    n is that of the figure with the fewest queries.
    """
    values = [figure.value for figure in figures if figure.value is not None]
    draws = [figure.draws for figure in figures if figure.draws is not None]
    if not len(values) == len(draws) == len(figures) > 0:
        why = next((figure.why for figure in figures if figure.value is None), "nothing to average")
        return missing(why)
    chances = [figure.chance for figure in figures if figure.chance is not None]
    return Figure(
        float(np.mean(values)),
        min(figure.n for figure in figures),
        np.mean(draws, axis=0),
        chance=float(np.mean(chances)) if len(chances) == len(figures) else None,
    )


def difference(first: Figure, second: Figure) -> Figure:
    """first - second with the paired interval; missing where either is."""
    if first.value is None or second.value is None:
        return missing(first.why or second.why)
    paired = first.draws is not None and second.draws is not None
    draws = first.draws - second.draws if paired else None  # type: ignore[operator]
    return Figure(first.value - second.value, first.n, draws)
