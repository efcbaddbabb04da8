"""A saturating power law through few points: error(n) = floor + scale * (n / n_most)^-exponent.

Learning curves of deep networks follow such a law over a wide middle range (Hestness et
al. 2017; Rosenfeld et al. 2020). Three parameters through four sizes are nearly free, so
they are held to what is possible: floor and scale are not negative, the exponent lies
between 0.05 and 1. For a given exponent the rest is linear least squares, so the
exponents are tried one by one and nothing can fail to converge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Exponents that are tried; those of Hestness et al. lie between 0.07 and 0.35.
EXPONENTS = np.round(np.arange(0.05, 1.0001, 0.01), 2)


@dataclass(frozen=True)
class Curves:
    """One curve a row. floor, scale, exponent: (draws,); most: the n that scale refers to."""

    floor: Floats
    scale: Floats
    exponent: Floats
    most: float

    def at(self, n: float) -> Floats:
        """(draws,) the error expected of n."""
        return np.asarray(self.floor + self.scale * (n / self.most) ** -self.exponent)


def fit(n: Floats, errors: Floats, *, floor: float | None = None) -> Curves:
    """The least-squares curve of each row. n: (m,) sizes, errors: (draws, m).

    floor: fixes it; 0 gives the plain power law, the most hopeful reading. Raises
    ValueError for fewer than three sizes (two with a fixed floor): then the law is free.
    """
    n, errors = np.asarray(n, dtype=np.float64), np.atleast_2d(errors).astype(np.float64)
    if len(np.unique(n)) < (3 if floor is None else 2):
        raise ValueError("too few sizes to fit a learning curve")
    best = np.full(len(errors), np.inf)
    kept = np.zeros((3, len(errors)))
    for exponent in EXPONENTS:
        x = (n / n.max()) ** -exponent
        base, scale = _line(x, errors, floor)
        loss = ((base[:, None] + scale[:, None] * x - errors) ** 2).sum(axis=1)
        better = loss < best
        best = np.where(better, loss, best)
        kept = np.where(better, np.stack([base, scale, np.full(len(errors), exponent)]), kept)
    return Curves(kept[0], kept[1], kept[2], float(n.max()))


def _line(x: Floats, errors: Floats, fixed: float | None) -> tuple[Floats, Floats]:
    """Least squares floor + scale * x with neither negative, each row of errors."""
    if fixed is not None:
        return np.full(len(errors), fixed), _slope(x, errors - fixed)
    mean, away = errors.mean(axis=1), x - x.mean()
    scale = errors @ away / (away @ away)
    floor = mean - scale * x.mean()
    through_zero = _slope(x, errors)
    scale = np.where(floor < 0, through_zero, np.maximum(scale, 0.0))
    floor = np.where(floor < 0, 0.0, np.where(scale > 0, floor, mean))
    return floor, scale


def _slope(x: Floats, errors: Floats) -> Floats:
    return np.maximum(errors @ x / (x @ x), 0.0)


def redraw(runs: list[Floats], draws: int, seed: int) -> Floats:
    """(draws, m): the mean error of each size over its runs drawn with replacement.

    runs: the errors of each size's runs, (seeds,) each.
    """
    random = np.random.default_rng(seed)
    columns = [
        one[random.integers(0, len(one), size=(draws, len(one)))].mean(axis=1) for one in runs
    ]
    return np.stack(columns, axis=1)
