"""The vectors of a segment: int8 rows in a usearch file, searched by cosine.

Each unit vector is scaled to its own largest component (max-abs 127) before it
becomes int8. usearch's own cast (times 127) would leave 23 to 31 of 127 levels
in use, and exact recall@10 of .93 instead of .99 (measured at 20,000 cases).

A usearch file begins with the rows as one plain matrix and the graph follows
it, so a small segment is scanned without usearch at all. That is faster than
usearch's own exact search (measured at 20,000 x 128), it saves a cold start the
import, and boards on which usearch does not load can still answer. A large
segment goes through the HNSW graph.

The scan multiplies with the int8 kernels of numkong, on which usearch itself
rests, where they are vectorised (0.3 ms instead of 0.65 for 20,000 x 128 after an
encoder ran, measured on x86), and with numpy elsewhere, as on a Raspberry Pi 4,
where numkong's int8 is serial code. Both add up whole numbers: same scores.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgedge.errors import DamagedError, ReleaseError
from ecgedge.recording import FloatArray

Int8Array = NDArray[np.int8]
Keys = NDArray[np.int64]

#: Cases up to which every row is compared. Provisional: a scan of 20,000 took 0.3 to 0.5 ms
#: on a busy x86 core and grows with the count; still to be measured on the boards.
EXACT_BELOW = 50_000

_HEADER = np.dtype([("rows", "<u4"), ("columns", "<u4")])
_MAGIC = b"usearch"
_LEVELS = 127
#: numkong's names for AVX2 and for Arm's dot product, the least that has fast int8 code.
_INT8_CAPABLE = ("haswell", "neonsdot")
_BLOCK = 64
_BLOCK_ROWS = 1_024
#: Breadth of the graph search, above the number of neighbours an answer is voted from.
_EXPANSION = 128


def quantize(embeddings: FloatArray) -> Int8Array:
    """float (n, dim) -> int8 (n, dim), each row scaled so that its largest component is 127.

    Raises ReleaseError for a row that is not finite or all zero: it has no direction.
    """
    peak = np.abs(embeddings).max(axis=-1, keepdims=True)
    if not (np.isfinite(peak) & (peak > 0)).all():
        raise ReleaseError("an embedding is not finite or is all zero, so nothing resembles it")
    levels: Int8Array = np.round(embeddings * (_LEVELS / peak)).astype(np.int8)
    return levels


def write_vectors(path: Path, rows: Int8Array) -> None:
    """A usearch file of int8 rows under keys 0..n-1; the same rows give the same bytes."""
    index = _index_class()(ndim=rows.shape[1], metric="cos", dtype="i8")
    # More than one thread would link the graph in another order each time.
    index.add(np.arange(len(rows), dtype=np.uint64), rows, threads=1)
    index.save(str(path))
    if not np.array_equal(_map_rows(path, len(rows), rows.shape[1]), rows):
        raise ReleaseError("this version of usearch lays its file out in a way ecgedge cannot read")


def _map_rows(path: Path, count: int, dim: int) -> Int8Array:
    """The matrix at the head of a usearch file, mapped, shape (count, dim)."""
    size = count * dim
    with path.open("rb") as file:
        head = file.read(_HEADER.itemsize)
        file.seek(_HEADER.itemsize + size)
        magic = file.read(len(_MAGIC))
    if head != np.array((count, dim), _HEADER).tobytes() or magic != _MAGIC:
        raise DamagedError(f"{path} does not hold {count} vectors of {dim} numbers")
    rows: Int8Array = np.memmap(
        path, dtype=np.int8, mode="r", offset=_HEADER.itemsize, shape=(count, dim)
    )
    # A plain view: slicing a memmap object costs a microsecond more each time.
    return np.asarray(rows)


class Vectors:
    """Search over one verified vector file; `path` must have been hash-checked before.

    rows: int8 (n, dim), mapped.
    """

    def __init__(self, path: Path, count: int, dim: int) -> None:
        self.rows = _map_rows(path, count, dim)
        self._graph: Any = None if count < EXACT_BELOW else _open_graph(path, dim)

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, key: int) -> FloatArray:
        """One stored vector, float32 (dim,), length 1."""
        numbers = self.rows[key].astype(np.float32)
        unit: FloatArray = numbers / np.sqrt(numbers @ numbers)
        return unit

    def search(self, query: Int8Array, k: int, excluded: Keys) -> tuple[Keys, FloatArray]:
        """Up to k (keys, cosines), best first, equal ones by key; never an excluded key.

        query: int8 (dim,) from `quantize`. The answer is exact below EXACT_BELOW cases;
        above, the graph may miss a neighbour but never returns fewer than there are.
        """
        k = min(k, len(self) - len(excluded))
        if k <= 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if self._graph is not None:
            found = self._search_graph(query, k, excluded)
            if len(found[0]) == k:
                return found
        scores = self._score_all(query)
        scores[excluded] = -np.inf
        keys = top(scores, k)
        return keys, scores[keys]

    def _score_all(self, query: Int8Array) -> FloatArray:
        """Cosine with every row, float32 (n,).

        The int8 products are whole numbers below 2**24 (up to 1,040 dimensions), which
        float32 adds up without rounding: every machine ranks alike.
        """
        numbers = query.astype(np.float32)
        dots = _int8_kernel() or _dots
        scores = dots(self.rows, query) * self._inverse_lengths
        scores *= 1 / np.sqrt(numbers @ numbers)
        return scores

    @cached_property
    def _inverse_lengths(self) -> FloatArray:
        blocks = [np.einsum("nd,nd->n", block, block) for _, block in float_blocks(self.rows)]
        return np.asarray(1 / np.sqrt(np.concatenate(blocks)), dtype=np.float32)

    def _search_graph(self, query: Int8Array, k: int, excluded: Keys) -> tuple[Keys, FloatArray]:
        """HNSW search, widened by as many as might be thrown away again."""
        wanted = min(k + len(excluded), len(self))
        matches = self._graph.search(query, wanted, threads=1)
        keys = np.asarray(matches.keys, dtype=np.int64)
        if len(excluded):
            keys = keys[~np.isin(keys, excluded)]
        keys = np.unique(keys[:k])  # usearch pads some short answers with key 0
        # usearch's own distances carry its kernel's rounding; these are exact as above.
        rows, numbers = self.rows[keys].astype(np.float32), query.astype(np.float32)
        scores = rows @ numbers / np.sqrt(np.einsum("nd,nd->n", rows, rows) * (numbers @ numbers))
        order = np.argsort(-scores, kind="stable")
        return keys[order], scores[order]


@lru_cache(maxsize=1)
def _int8_kernel() -> Callable[[Int8Array, Int8Array], FloatArray] | None:
    """numkong's products of int8 rows with a query, or None where it has no vector code."""
    try:
        import numkong
    except (ImportError, OSError):
        return None
    capable = numkong.get_capabilities()
    if not any(capable.get(name) for name in _INT8_CAPABLE):
        return None

    def dots(rows: Int8Array, query: Int8Array) -> FloatArray:
        products = numkong.cdist(query[None], rows, metric="dot")
        found: FloatArray = np.asarray(products, dtype=np.float32)[0]
        return found

    return dots


def _dots(rows: Int8Array, query: Int8Array) -> FloatArray:
    """Products of int8 rows (n, dim) with a query (dim,), float32 (n,)."""
    numbers = query.astype(np.float32)
    products = np.empty(len(rows), dtype=np.float32)
    for start, block in float_blocks(rows):
        np.dot(block, numbers, out=products[start : start + len(block)])
    return products


def float_blocks(rows: Int8Array) -> Iterator[tuple[int, FloatArray]]:
    """(start, rows as float32) in pieces that stay in the cache; each reuses one buffer.

    A float32 copy of all rows would be four times the memory traffic: faster by half when
    the caches hold nothing else, slower after an encoder has run (measured at 20,000 x 128).
    """
    buffer = np.empty((_BLOCK_ROWS, rows.shape[1]), dtype=np.float32)
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = rows[start : start + _BLOCK_ROWS]
        np.copyto(buffer[: len(block)], block)
        yield start, buffer[: len(block)]


def top(scores: FloatArray, k: int) -> Keys:
    """Indices of the k largest scores, largest first, equal ones by index.

    The k-th largest of block maxima is a floor no winner lies under, so only
    the few scores above it are sorted: 0.03 ms instead of 0.2 for 60 of 20,000.
    """
    blocks = len(scores) // _BLOCK
    kept = np.arange(len(scores))
    if blocks >= k:
        maxima = scores[: blocks * _BLOCK].reshape(blocks, _BLOCK).max(axis=1)
        floor = np.partition(maxima, blocks - k)[blocks - k]
        kept = np.flatnonzero(scores >= floor)
    order = np.argsort(-scores[kept], kind="stable")[:k]
    return np.asarray(kept[order], dtype=np.int64)


def _open_graph(path: Path, dim: int) -> Any:
    """The mapped usearch index, or None where usearch does not load: then every row is scanned."""
    try:
        index_class = _index_class()
    except (ImportError, OSError):
        return None
    graph = index_class(ndim=dim, metric="cos", dtype="i8", expansion_search=_EXPANSION)
    graph.view(str(path))
    return graph


def _index_class() -> Any:
    """usearch's Index, imported only where it is needed."""
    # onnxruntime 1.31 crashes the process (SIGSEGV in libstdc++'s locale code) when it is
    # loaded after usearch 2.26; loaded before, both work.
    with contextlib.suppress(ImportError):
        import onnxruntime  # noqa: F401
    from usearch.index import Index

    return Index
