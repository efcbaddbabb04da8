"""The vectors of a segment: int8 rows in a usearch file, searched by cosine.

Each unit vector is scaled to its own largest component (max-abs 127) before it
becomes int8. usearch's own cast (times 127) would leave 23 to 31 of 127 levels
in use, and exact recall@10 of .93 instead of .98 at a million cases.

A usearch file begins with the rows as one plain matrix and the graph follows
it, so a small segment is scanned without usearch at all: exact, no import on a
cold start, and boards on which usearch does not load can still answer. A large
segment goes through the HNSW graph. Behind the graph such a file keeps what
rounding to int8 took from each row, in 1/256 of a level, and the cases found
are ranked by that: at a million cases neighbours lie closer together than int8
can tell. docs/search.md has the figures.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgedge.casebase.scan import Int8Array, Keys, dots, inverse_lengths, top
from ecgedge.errors import DamagedError, ReleaseError
from ecgedge.recording import FloatArray

#: Cases up to which every row is compared (docs/adr/0012).
EXACT_BELOW = 100_000
#: More excluded cases than this are not searched around in the graph: every row is compared.
_MOST_EXCLUDED = 1_000

#: Links of a node in the graph, and how broadly it is searched while building and asking.
CONNECTIVITY, EXPANSION_ADD, EXPANSION = 16, 128, 128
#: How many more cases than wanted the graph is asked for, to be ranked by their fine levels.
_SPARE = 64

Bytes = NDArray[np.uint8]

_HEADER = np.dtype([("rows", "<u4"), ("columns", "<u4")])
_MAGIC = b"usearch"
_LEVELS = 127
_FINE = 256
_FINE_MAGIC = b"ecg-fine"


def quantize(embeddings: FloatArray) -> Int8Array:
    """float (n, dim) -> int8 (n, dim), each row scaled so that its largest component is 127.

    Raises ReleaseError for a row that is not finite or all zero: it has no direction.
    """
    peak = np.abs(embeddings).max(axis=-1, keepdims=True)
    if not (np.isfinite(peak) & (peak > 0)).all():
        raise ReleaseError("an embedding is not finite or is all zero, so nothing resembles it")
    levels: Int8Array = np.round(embeddings * (_LEVELS / peak)).astype(np.int8)
    return levels


def remainders(embeddings: FloatArray, rows: Int8Array) -> Int8Array:
    """What `quantize` took from each component, int8 (n, dim), in 1/256 of a level."""
    peak = np.abs(embeddings).max(axis=-1, keepdims=True)
    lost = np.round((embeddings * (_LEVELS / peak) - rows) * _FINE)
    clipped: Int8Array = np.clip(lost, -128, 127).astype(np.int8)
    return clipped


def write_vectors(path: Path, rows: Int8Array, fine: Int8Array | None = None) -> None:
    """A usearch file of int8 rows under keys 0..n-1; the same rows give the same bytes.

    fine: `remainders` of the rows, for a file that the graph will search. Raises OSError.
    """
    index = _index_class()(
        ndim=rows.shape[1],
        metric="cos",
        dtype="i8",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
    )
    # More than one thread would link the graph in another order each time.
    index.add(np.arange(len(rows), dtype=np.uint64), rows, threads=1)
    try:
        index.save(str(path))
    except RuntimeError as error:  # how usearch says that the disk is full or refuses
        raise OSError(f"{path.name}: {error}") from None
    if fine is not None:
        with path.open("ab") as file:  # usearch reads what it wrote and leaves this alone
            file.write(fine.tobytes() + _FINE_MAGIC)
    if not np.array_equal(_rows(_map(path, *rows.shape), *rows.shape), rows):
        raise ReleaseError("this version of usearch lays its file out in a way ecgedge cannot read")


def _map(path: Path, count: int, dim: int) -> Bytes:
    """The whole file, mapped, once it is seen to hold that many rows; shape (bytes,)."""
    mapped = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
    head = np.array((count, dim), _HEADER).tobytes()
    at = len(head) + count * dim
    if mapped[: len(head)].tobytes() != head or mapped[at : at + len(_MAGIC)].tobytes() != _MAGIC:
        raise DamagedError(f"{path} does not hold {count} vectors of {dim} numbers")
    return mapped


def _rows(mapped: Bytes, count: int, dim: int) -> Int8Array:
    """The matrix at the head of a mapped usearch file, shape (count, dim)."""
    start = _HEADER.itemsize
    return mapped[start : start + count * dim].view(np.int8).reshape(count, dim)


def _fine(mapped: Bytes, count: int, dim: int) -> Int8Array | None:
    """The remainders at its end, shape (count, dim), where it has any."""
    end = len(mapped) - len(_FINE_MAGIC)
    if mapped[end:].tobytes() != _FINE_MAGIC:
        return None
    return mapped[end - count * dim : end].view(np.int8).reshape(count, dim)


class Vectors:
    """Search over one verified vector file; `path` must have been hash-checked before.

    rows: int8 (n, dim), mapped. fine: `remainders` of the rows, where the file has any.
    """

    def __init__(self, path: Path, count: int, dim: int) -> None:
        mapped = _map(path, count, dim)
        self.rows = _rows(mapped, count, dim)
        self._graph: Any = None if count < EXACT_BELOW else _open_graph(mapped, dim)
        self.fine = None if self._graph is None else _fine(mapped, count, dim)

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, key: int) -> FloatArray:
        """One stored vector, float32 (dim,), length 1."""
        numbers = self.rows[key].astype(np.float32)
        unit: FloatArray = numbers / np.sqrt(numbers @ numbers)
        return unit

    def search(self, query: FloatArray, k: int, excluded: Keys) -> tuple[Keys, FloatArray]:
        """Up to k (keys, cosines), best first, equal ones by key; never an excluded key.

        query: float (dim,), any length. The answer is exact below EXACT_BELOW cases, for the
        query and the rows as int8; above, the graph may miss a neighbour but never returns
        fewer than there are. Raises ReleaseError as `quantize`.
        """
        levels = quantize(query)
        k = min(k, len(self) - len(excluded))
        if k <= 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if self._graph is not None and len(excluded) <= _MOST_EXCLUDED:
            found = self._search_graph(query, levels, k, excluded)
            if len(found[0]) == k:
                return found
        scores = self._score_all(levels)
        scores[excluded] = -np.inf
        keys = top(scores, k)
        return keys, scores[keys]

    def _score_all(self, query: Int8Array) -> FloatArray:
        """Cosine with every row, float32 (n,)."""
        numbers = query.astype(np.float32)
        scores = dots(self.rows, query)
        scores *= self._inverse_lengths
        scores *= 1 / np.sqrt(numbers @ numbers)
        return scores

    @cached_property
    def _inverse_lengths(self) -> FloatArray:
        return inverse_lengths(self.rows)

    def _search_graph(
        self, query: FloatArray, levels: Int8Array, k: int, excluded: Keys
    ) -> tuple[Keys, FloatArray]:
        """HNSW search, widened by as many as might be thrown away again."""
        wanted = min(max(k + len(excluded) + _SPARE, EXPANSION), len(self))
        matches = self._graph.search(levels, wanted, threads=1)
        # usearch pads some short answers with key 0
        keys = np.unique(np.asarray(matches.keys, dtype=np.int64))
        if len(excluded):
            keys = keys[~np.isin(keys, excluded)]
        scores = self._score_finely(query, levels, keys)
        order = np.argsort(-scores, kind="stable")[:k]
        return keys[order], scores[order].astype(np.float32)

    def _score_finely(
        self, query: FloatArray, levels: Int8Array, keys: Keys
    ) -> NDArray[np.float64]:
        """Cosines of the query with some rows, in 1/256 of a level, float64.

        Products of whole numbers below 2**53: exact, and alike on every machine.
        """
        rows = self.rows[keys] * np.float64(_FINE)
        if self.fine is not None:
            rows += self.fine[keys]
        numbers = levels * np.float64(_FINE) + remainders(query, levels)
        lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows) * (numbers @ numbers))
        cosines: NDArray[np.float64] = rows @ numbers / lengths
        return cosines


def _open_graph(mapped: Bytes, dim: int) -> Any:
    """The usearch index in a mapped file, or None where usearch does not load: then every row
    is scanned. Mapped once for both: a second mapping would count twice as memory in use.
    """
    try:
        index_class = _index_class()
    except (ImportError, OSError):
        return None
    # Without key lookups nothing is built in memory: keys are 0..n-1 and never looked up.
    graph = index_class(
        ndim=dim,
        metric="cos",
        dtype="i8",
        expansion_search=EXPANSION,
        enable_key_lookups=False,
    )
    graph.view(mapped.data)
    return graph


def _index_class() -> Any:
    """usearch's Index, imported only where it is needed."""
    from usearch.index import Index

    return Index
