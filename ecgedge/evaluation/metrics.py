"""Scores of predictions against labels, as pure functions of arrays.

Every function takes optional `weights` of shape (draws, n): how often each row
counts in each bootstrap draw. With weights the result has shape (draws,), so an
interval costs a handful of matrix operations and no Python loop over draws.

ROC AUC is the Mann-Whitney statistic (Hanley and McNeil 1982), ties counting half.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Rows of weights handled at once: bounds the memory at about 64 draws x n x 8 bytes x 4.
_DRAWS_AT_ONCE = 64


def roc_auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Probability that a positive outscores a negative, ties counting half.

    labels: (n,) booleans. scores: (n,) numbers, higher meaning more likely.
    NaN when only one class is present.
    """
    held = np.asarray(labels, dtype=bool)
    return float(auc_draws(held, scores, np.ones((1, held.size)))[0])


def macro_auc(labels: ArrayLike, scores: ArrayLike, min_positives: int = 1) -> float:
    """Mean ROC AUC over the columns that have enough positives and any negative.

    labels, scores: (n, classes). NaN when no column qualifies.
    """
    held = np.asarray(labels, dtype=bool)
    values = np.asarray(scores, dtype=np.float64)
    kept = scorable(held, min_positives)
    if not kept.any():
        return float("nan")
    aucs = [roc_auc(held[:, c], values[:, c]) for c in np.flatnonzero(kept)]
    return float(np.mean(aucs))


def scorable(labels: Bools, min_positives: int = 1) -> Bools:
    """(classes,): which columns have at least min_positives positives and one negative."""
    positives = labels.sum(axis=0)
    return np.asarray((positives >= max(min_positives, 1)) & (positives < len(labels)))


def auc_draws(labels: Bools, scores: ArrayLike, weights: Floats) -> Floats:
    """ROC AUC of each draw, shape (draws,); NaN for a draw with one class only."""
    values = np.asarray(scores, dtype=np.float64)
    if values.size == 0:
        return np.full(len(weights), np.nan)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    held = labels[order]
    out = np.empty(len(weights))
    for first in range(0, len(weights), _DRAWS_AT_ONCE):
        rows = slice(first, first + _DRAWS_AT_ONCE)
        out[rows] = _auc_of_sorted(held, weights[rows][:, order], starts)
    return out


def _auc_of_sorted(held: Bools, weights: Floats, starts: NDArray[np.intp]) -> Floats:
    """Rows sorted by score; starts: where each group of equal scores begins."""
    positive = np.add.reduceat(weights * held, starts, axis=1)
    negative = np.add.reduceat(weights * ~held, starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    wins = (positive * (below + 0.5 * negative)).sum(axis=1)
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return np.where(pairs > 0, wins / np.where(pairs > 0, pairs, 1), np.nan)


def choose_thresholds(labels: ArrayLike, scores: ArrayLike) -> Floats:
    """(classes,) thresholds that maximise each class' F1; predicted means score >= threshold.

    labels, scores: (n, classes) of the validation records. A threshold lies half
    way between two neighbouring scores, and among equals the highest is taken. A
    class without positives gets a threshold over every score: it is never claimed.
    """
    held = np.asarray(labels, dtype=bool)
    values = np.asarray(scores, dtype=np.float64)
    return np.array([_best_threshold(held[:, c], values[:, c]) for c in range(held.shape[1])])


def _best_threshold(labels: Bools, scores: Floats) -> float:
    if not labels.any():
        return float(scores.max(initial=0.0) + 1.0)
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    true_positives = np.cumsum(labels[order])
    f1 = 2 * true_positives / (np.arange(1, len(scores) + 1) + labels.sum())
    # A cut is possible only where the next score differs.
    last = np.concatenate([ordered[1:] != ordered[:-1], [True]])
    best = int(np.argmax(np.where(last, f1, -1.0)))
    below = ordered[best + 1] if best + 1 < len(ordered) else ordered[best]
    return float((ordered[best] + below) / 2)


def confusion(labels: Bools, predicted: Bools, weights: Floats) -> tuple[Floats, ...]:
    """True positives, false positives, false negatives, true negatives: each (draws, classes)."""
    return (
        weights @ (labels & predicted),
        weights @ (~labels & predicted),
        weights @ (labels & ~predicted),
        weights @ (~labels & ~predicted),
    )


def macro_f1(labels: Bools, predicted: Bools, weights: Floats | None = None) -> Floats:
    """Mean F1 over classes, (draws,); a class neither held nor claimed in a draw scores 0."""
    tp, fp, fn, _ = confusion(labels, predicted, _ones(weights, labels))
    total = 2 * tp + fp + fn
    return np.asarray((2 * tp / np.where(total > 0, total, 1)).mean(axis=1))


def hamming_loss(labels: Bools, predicted: Bools, weights: Floats | None = None) -> Floats:
    """Share of wrong cells of the label matrix, (draws,)."""
    drawn = _ones(weights, labels)
    wrong = (labels != predicted).mean(axis=1)
    return np.asarray(drawn @ wrong / drawn.sum(axis=1))


def balanced_accuracy(labels: Bools, predicted: Bools, weights: Floats | None = None) -> Floats:
    """Mean over classes of (sensitivity + specificity) / 2, (draws,).

    A class with one kind of label only in a draw is left out of that draw.
    """
    tp, fp, fn, tn = confusion(labels, predicted, _ones(weights, labels))
    held, free = tp + fn, tn + fp
    usable = (held > 0) & (free > 0)
    value = (tp / np.where(usable, held, 1) + tn / np.where(usable, free, 1)) / 2
    return nan_mean(np.where(usable, value, np.nan))


def nan_mean(values: Floats) -> Floats:
    """Mean over the last axis without NaN; NaN (and no warning) where nothing is left."""
    known = np.isfinite(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _ones(weights: Floats | None, labels: Bools) -> Floats:
    return np.ones((1, len(labels))) if weights is None else weights
