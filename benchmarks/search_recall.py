"""What the search benchmark holds every answer against: the nearest rows by exact float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from search_vectors import Floats

from ecgedge.casebase import vectors

#: recall is measured at so many neighbours.
AT = 10
_BLOCK = 20_000


def truth(rows: Floats, asked: Floats) -> Any:
    """Keys of the AT nearest rows by float32, best first, (queries, AT)."""
    keys = np.empty((len(asked), 0), dtype=np.int64)
    scores = np.empty((len(asked), 0), dtype=np.float32)
    for start in range(0, len(rows), _BLOCK):
        new = asked @ rows[start : start + _BLOCK].T
        at = np.argpartition(new, max(new.shape[1] - AT, 0), axis=1)[:, -AT:]
        keys = np.hstack([keys, at + start])
        scores = np.hstack([scores, np.take_along_axis(new, at, axis=1)])
        order = np.argsort(-scores, axis=1, kind="stable")[:, :AT]
        keys, scores = (np.take_along_axis(each, order, axis=1) for each in (keys, scores))
    return keys


def recall(found: Any, right: Any) -> float:
    """Mean share of the right keys among the found ones."""
    pairs = zip(found, right, strict=True)
    return float(np.mean([len(set(f[:AT]) & set(r)) / AT for f, r in pairs]))


def exact_types(rows: Floats, asked: Floats, right: Any) -> dict[str, float]:
    """recall@10 of comparing with every row, in each type of vector: what the type alone loses."""
    levels, query = vectors.quantize(rows), vectors.quantize(asked).astype(np.float32)
    half = asked.astype(np.float16).astype(np.float32)
    types: dict[str, tuple[Callable[[], Any], Floats]] = {
        "int8, usearch's cast (times 127)": (
            lambda: unit(np.round(rows * 127)),
            np.round(asked * 127),
        ),
        "int8, scaled to the largest component": (lambda: unit(levels), query),
        "the same, the query not rounded": (lambda: unit(levels), asked),
        "16 bits: int8 and remainders": (
            lambda: unit(levels + vectors.remainders(rows, levels) / np.float32(256)),
            asked,
        ),
        "f16": (lambda: rows.astype(np.float16).astype(np.float32), half),
    }
    return {name: recall(truth(held(), q), right[: len(q)]) for name, (held, q) in types.items()}


def unit(rows: Any) -> Floats:
    """float32 rows of length 1."""
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float32))
    return np.asarray(rows / lengths[:, None], dtype=np.float32)
