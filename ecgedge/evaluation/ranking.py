"""Scores of ranked lists: exact matching with ties and duplicates, precision, nDCG.

Where scores are equal the order is undefined, so a hit is counted as its
probability under a random order of the tied items. The same formula gives the
chance level (everything tied) and the ceiling (duplicates of the target tied at
the top). nDCG after Jarvelin and Kekalainen 2002, with real-valued gains.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def hit_probability(items: ArrayLike, targets: ArrayLike, room: ArrayLike) -> Floats:
    """Chance that at least one of `targets` lies in the first `room` of `items` in random order.

    All three broadcast; targets count among the items. It is
    1 - C(items - targets, room) / C(items, room).
    """
    total, wanted, places = np.broadcast_arrays(
        np.asarray(items, np.float64), np.asarray(targets, np.float64), np.asarray(room, np.float64)
    )
    places = np.clip(places, 0, total)
    miss = np.ones(total.shape)
    for drawn in range(int(places.max(initial=0))):
        step = np.maximum(total - wanted - drawn, 0) / np.maximum(total - drawn, 1)
        miss = np.where(drawn < places, miss * step, miss)
    return np.where(wanted > 0, 1 - miss, 0.0)


def expected_hits(
    scores: NDArray[np.floating], targets: Bools, allowed: Bools, ks: Sequence[int]
) -> Floats:
    """Probability that one of a row's targets is among its k best allowed items, (len(ks), n).

    scores, targets, allowed: (n, gallery). Ties are broken at random.
    """
    masked = np.where(allowed, scores, -np.inf)
    hits = targets & allowed
    best = np.where(hits, masked, -np.inf).max(axis=1, keepdims=True)
    tied = (masked == best) & allowed
    better = (masked > best).sum(axis=1)
    room = np.asarray(ks)[:, None] - better
    return hit_probability(tied.sum(axis=1), (tied & hits).sum(axis=1), room)


def precision_at_k(relevant: ArrayLike, k: int) -> float:
    """Share of the first k places that hold a relevant item; places nobody filled are misses.

    relevant: booleans, best first.
    """
    return float(np.asarray(relevant, dtype=np.float64)[:k].sum() / k)


def discounts(k: int) -> Floats:
    """(k,) weight of each rank, 1 / log2(rank + 1)."""
    return np.asarray(1 / np.log2(np.arange(2, k + 2)))


def dcg(gains: ArrayLike, k: int) -> float:
    """Discounted cumulative gain of the first k items, best first."""
    first = np.asarray(gains, dtype=np.float64)[:k]
    return float(first @ discounts(len(first)))


def ndcg_at_k(ranked: ArrayLike, available: ArrayLike, k: int) -> float:
    """DCG of the ranked gains over that of the best order of all available gains.

    NaN when no available item has any gain: then no order is better than another.
    """
    gains = np.asarray(available, dtype=np.float64)
    best = np.partition(gains, len(gains) - k)[-k:] if len(gains) > k else gains
    ideal = dcg(-np.sort(-best), k)
    return dcg(ranked, k) / ideal if ideal > 0 else float("nan")


def random_ndcg_at_k(available: ArrayLike, k: int) -> float:
    """Expected nDCG of a random order (exact: every place has the mean gain)."""
    gains = np.asarray(available, dtype=np.float64)
    mean = gains.mean() if gains.size else 0.0
    return ndcg_at_k(np.full(min(k, gains.size), mean), gains, k)


def jaccard(rows: Bools, columns: Bools) -> NDArray[np.float32]:
    """Overlap of label sets, |A and B| / |A or B|, shape (n, m); 0 where both are empty.

    rows: (n, labels). columns: (m, labels).
    """
    shared = rows.astype(np.float32) @ columns.astype(np.float32).T
    either = rows.sum(axis=1, dtype=np.float32)[:, None] + columns.sum(axis=1, dtype=np.float32)
    either -= shared
    return np.asarray(np.where(either > 0, shared / np.maximum(either, 1), 0), dtype=np.float32)
