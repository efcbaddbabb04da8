"""Statistics over beats, NaN where a beat has no value; every row at once.

As np.nanmedian and np.nanstd, whose care for other cases takes many times as long as the work.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def counts(rows: Values) -> NDArray[np.intp]:
    """How many of the last axis are known."""
    return np.asarray(np.isfinite(rows).sum(axis=-1))


def medians(rows: Values) -> Values:
    """Over the last axis; NaN where nothing is known."""
    ordered = np.sort(rows, axis=-1)  # NaN last
    if np.isfinite(ordered[..., -1]).all():  # all known, as mostly: the middle is one place
        n = rows.shape[-1]
        return np.asarray((ordered[..., (n - 1) // 2] + ordered[..., n // 2]) / 2)
    ordered = ordered.reshape(-1, rows.shape[-1])
    known = np.maximum(counts(rows), 1).ravel()
    index = np.arange(len(ordered))
    middle = (ordered[index, (known - 1) // 2] + ordered[index, known // 2]) / 2
    return np.asarray(middle.reshape(rows.shape[:-1]))


def deviations(rows: Values) -> Values:
    """Standard deviation over the last axis; 0 for one value or none."""
    known = np.isfinite(rows)
    if known.all():
        apart = rows - (rows.sum(axis=-1) / rows.shape[-1])[..., None]
        return np.asarray(np.sqrt(np.square(apart, out=apart).sum(axis=-1) / rows.shape[-1]))
    number = np.maximum(known.sum(axis=-1), 1)
    filled = np.where(known, rows, 0.0)
    mean = filled.sum(axis=-1) / number
    apart = np.where(known, filled - mean[..., None], 0.0)
    return np.asarray(np.sqrt(np.einsum("...b,...b->...", apart, apart) / number))


def median(values: list[float]) -> float:
    """Of a few plain numbers, where an array would take ten times as long."""
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def deviation(values: list[float]) -> float:
    """Standard deviation of a few plain numbers."""
    mean = sum(values) / len(values)
    return math.sqrt(sum([(value - mean) ** 2 for value in values]) / len(values))


def outermost(marks: Values, share: float) -> Values:
    """The least of each column when that share of it, the least ones, is left aside; (beats,).

    Between two ranks on a straight line, as np.nanquantile; NaN where nothing is known.
    """
    ordered = np.sort(marks, axis=0)  # NaN last
    if len(marks) and np.isfinite(ordered[-1]).all():  # all known, as mostly: one rank for all
        place = share * (len(marks) - 1)
        least = ordered[int(place)]
        return np.asarray(least + (ordered[math.ceil(place)] - least) * (place - int(place)))
    rank = share * np.maximum(counts(marks.T) - 1, 0)
    below = rank.astype(np.intp)
    column = np.arange(marks.shape[1])
    least = ordered[below, column]
    above = ordered[np.ceil(rank).astype(np.intp), column]
    return np.asarray(least + (above - least) * (rank - below))
