"""Comparing a query with every row: whole numbers multiplied fast, and the best of many scores.

simsimd, on which usearch rests, multiplies int8 rows with a query: about 0.2 ms for 20,000 x 128
on x86, a third of what numpy takes (`benchmarks/search.py`). Its code for processors without
int8 dot products, as in a Raspberry Pi 4, is compiled to NEON and about as fast as numpy's there
(docs/adr/0012). numpy does it where simsimd does not load. Both add up whole numbers: same scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ecgedge.recording import FloatArray

Int8Array = NDArray[np.int8]
Keys = NDArray[np.int64]

_GROUP = 64
_BLOCK_ROWS = 1_024


def dots(rows: Int8Array, query: Int8Array) -> FloatArray:
    """Products of int8 rows (n, dim) with a query (dim,), float32 (n,).

    They are whole numbers below 2**24 (up to 1,040 dimensions), which float32 adds up
    without rounding: every machine ranks alike.
    """
    return (_simd_dots() or _numpy_dots)(rows, query)


@lru_cache(maxsize=1)
def _simd_dots() -> Callable[[Int8Array, Int8Array], FloatArray] | None:
    """simsimd's products, or None where it does not load."""
    try:
        import simsimd
    except (ImportError, OSError):
        return None

    def multiply(rows: Int8Array, query: Int8Array) -> FloatArray:
        # As float64, which it makes faster than float32.
        found: FloatArray = np.asarray(simsimd.cdist(query[None], rows, metric="dot"))[0]
        return found.astype(np.float32)

    return multiply


def _numpy_dots(rows: Int8Array, query: Int8Array) -> FloatArray:
    numbers = query.astype(np.float32)
    products = np.empty(len(rows), dtype=np.float32)
    for start, block in float_blocks(rows):
        np.dot(block, numbers, out=products[start : start + len(block)])
    return products


def inverse_lengths(rows: Int8Array) -> FloatArray:
    """1 / length of each row, float32 (n,)."""
    squares = [np.einsum("nd,nd->n", block, block) for _, block in float_blocks(rows)]
    return np.asarray(1 / np.sqrt(np.concatenate(squares)), dtype=np.float32)


def float_blocks(rows: Int8Array) -> Iterator[tuple[int, FloatArray]]:
    """(start, rows as float32) in pieces that stay in the cache; each reuses one buffer.

    A float32 copy of all rows would be four times the memory traffic: slower after an
    encoder has run (measured at 20,000 x 128).
    """
    buffer = np.empty((_BLOCK_ROWS, rows.shape[1]), dtype=np.float32)
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = rows[start : start + _BLOCK_ROWS]
        np.copyto(buffer[: len(block)], block)
        yield start, buffer[: len(block)]


def top(scores: FloatArray, k: int) -> Keys:
    """Indices of the k largest scores, largest first, equal ones by index.

    The k-th largest of many groups' maxima is a floor no winner lies under, so only the few
    scores above it are sorted: 0.03 ms instead of 0.2 for 60 of 20,000. A group is every
    `groups`-th score, because maxima of columns are what numpy has vector code for. Groups are
    small where there are few scores, so that they outnumber the winners: sorting all scores of
    several small segments took five times as long as all else.
    """
    width = max(1, min(_GROUP, len(scores) // (2 * max(1, k))))
    groups = len(scores) // width
    if k < groups:
        maxima = scores[: groups * width].reshape(width, groups).max(axis=0)
        floor = np.partition(maxima, groups - k)[groups - k] if k else np.inf
        kept = np.flatnonzero(scores >= floor)
    else:
        kept = np.arange(len(scores))
    order = np.argsort(-scores[kept], kind="stable")[:k]
    return np.asarray(kept[order], dtype=np.int64)
