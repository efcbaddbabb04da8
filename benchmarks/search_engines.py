"""The searches that benchmarks/search.py compares: how each builds its file and asks it.

All of them link their graphs alike, as the cart's does (`vectors.CONNECTIVITY` and
`EXPANSION_ADD`), are asked with the same breadth, on one thread, and build on one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgedge.casebase import vectors

Floats = NDArray[np.float32]
#: (query, k) -> keys, best first.
Ask = Callable[[Floats, int], Any]


@dataclass(frozen=True)
class Engine:
    """build(rows, path) writes a file; None where the rows themselves are the file.

    open(path, rows path, count, dim) -> how to ask it. file: whose file it reads, if not its own.
    needs: what it imports.
    """

    title: str
    open: Callable[[Path, Path, int, int], Ask]
    build: Callable[[Floats, Path], None] | None = None
    file: str = ""
    graph: bool = False
    needs: tuple[str, ...] = ()


def _build_ours(rows: Floats, path: Path) -> None:
    levels = vectors.quantize(rows)
    vectors.write_vectors(path, levels, vectors.remainders(rows, levels))


def _open_ours(graph: bool, fine: bool = True) -> Callable[[Path, Path, int, int], Ask]:
    def opened(path: Path, _: Path, count: int, dim: int) -> Ask:
        vectors.EXACT_BELOW = 0 if graph else count + 1
        index = vectors.Vectors(path, count, dim)
        if not fine:
            index.fine = None
        none = np.empty(0, np.int64)
        return lambda query, k: index.search(query, k, none)[0]

    return opened


def _build_f16(rows: Floats, path: Path) -> None:
    from usearch.index import Index

    index = Index(
        ndim=rows.shape[1],
        metric="cos",
        dtype="f16",
        connectivity=vectors.CONNECTIVITY,
        expansion_add=vectors.EXPANSION_ADD,
    )
    index.add(np.arange(len(rows), dtype=np.uint64), rows, threads=1)
    index.save(str(path))


def _open_f16(path: Path, _: Path, count: int, dim: int) -> Ask:
    from usearch.index import Index

    index = Index(
        ndim=dim,
        metric="cos",
        dtype="f16",
        expansion_search=vectors.EXPANSION,
        enable_key_lookups=False,
    )
    index.view(str(path))
    return lambda query, k: index.search(query, k, threads=1).keys


def _open_numpy(_: Path, rows: Path, count: int, dim: int) -> Ask:
    held = np.load(rows)

    def ask(query: Floats, k: int) -> Any:
        scores = held @ query
        found = np.argpartition(scores, len(scores) - k)[-k:]
        return found[np.argsort(-scores[found])]

    return ask


def _faiss() -> Any:
    import faiss

    faiss.omp_set_num_threads(1)
    return faiss


def _build_faiss(make: Callable[[Any, int], Any]) -> Callable[[Floats, Path], None]:
    def build(rows: Floats, path: Path) -> None:
        faiss = _faiss()
        index = make(faiss, rows.shape[1])
        index.train(rows[:100_000])
        index.add(rows)
        faiss.write_index(index, str(path))

    return build


def _open_faiss(path: Path, _: Path, count: int, dim: int) -> Ask:
    faiss = _faiss()
    index = faiss.read_index(str(path))
    if hasattr(index, "hnsw"):
        index.hnsw.efSearch = vectors.EXPANSION
    return lambda query, k: index.search(query[None], k)[1][0]


def _faiss_hnsw(faiss: Any, dim: int) -> Any:
    kind, product = faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    index = faiss.IndexHNSWSQ(dim, kind, vectors.CONNECTIVITY, product)
    index.hnsw.efConstruction = vectors.EXPANSION_ADD
    return index


def _faiss_sq8(faiss: Any, dim: int) -> Any:
    kind, product = faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    return faiss.IndexScalarQuantizer(dim, kind, product)


def _build_hnswlib(rows: Floats, path: Path) -> None:
    import hnswlib

    index = hnswlib.Index("ip", rows.shape[1])
    index.init_index(len(rows), M=vectors.CONNECTIVITY, ef_construction=vectors.EXPANSION_ADD)
    index.set_num_threads(1)
    index.add_items(rows, num_threads=1)
    index.save_index(str(path))


def _open_hnswlib(path: Path, _: Path, count: int, dim: int) -> Ask:
    import hnswlib

    index = hnswlib.Index("ip", dim)
    index.load_index(str(path))
    index.set_num_threads(1)
    index.set_ef(vectors.EXPANSION)
    return lambda query, k: index.knn_query(query, k, num_threads=1)[0][0]


ENGINES = {
    "ours-scan": Engine(
        "ecgedge, every row, int8",
        _open_ours(graph=False),
        _build_ours,
        file="ours",
        needs=("simsimd",),
    ),
    "numpy": Engine("numpy, every row, float32 in memory", _open_numpy),
    "faiss-flat": Engine(
        "faiss, every row, float32 in memory",
        _open_faiss,
        _build_faiss(lambda faiss, dim: faiss.IndexFlatIP(dim)),
        needs=("faiss",),
    ),
    "faiss-sq8": Engine(
        "faiss, every row, SQ8 in memory", _open_faiss, _build_faiss(_faiss_sq8), needs=("faiss",)
    ),
    "ours-graph": Engine(
        "**ecgedge, HNSW int8, ranked in 16 bits, mapped**",
        _open_ours(graph=True),
        _build_ours,
        file="ours",
        graph=True,
        needs=("usearch.index",),
    ),
    "ours-coarse": Engine(
        "the same, ranked in int8 rows and a 16-bit query",
        _open_ours(graph=True, fine=False),
        _build_ours,
        file="ours",
        graph=True,
        needs=("usearch.index",),
    ),
    "usearch-f16": Engine(
        "usearch, HNSW f16, mapped", _open_f16, _build_f16, graph=True, needs=("usearch.index",)
    ),
    "faiss-hnsw": Engine(
        "faiss, HNSW SQ8 in memory",
        _open_faiss,
        _build_faiss(_faiss_hnsw),
        graph=True,
        needs=("faiss",),
    ),
    "hnswlib": Engine(
        "hnswlib, HNSW float32 in memory",
        _open_hnswlib,
        _build_hnswlib,
        graph=True,
        needs=("hnswlib",),
    ),
}
