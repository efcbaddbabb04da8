"""Point 1: ECG -> report and report -> ECG by exact pair, in three galleries.

Suffix "" is gallery (a), all reports of the split; "_1269" is gallery (b), the
abnormal-only size on which Qiu et al. 2023 published; "_dup" is (c), gallery (a)
where an identical normalised text counts as the hit. Ceilings take identical texts
as indistinguishable. A patient's other records
are never in a query's gallery.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecgedge.corpora.ptbxl import Corpus, CorpusRecord
from ecgedge.encoders.text import TextEncoder, normalise
from ecgedge.evaluation.figures import Figure, mean_figure, missing
from ecgedge.evaluation.ranking import Floats, expected_hits, hit_probability
from ecgedge.recording import FloatArray

KS = (1, 5, 10)
PUBLISHED_SIZE = 1269
PUBLISHED_DRAWS = 20
_SEED = 1269
_ROWS_AT_ONCE = 256
_TEXTS_AT_ONCE = 256

Indices = NDArray[np.intp]


def names() -> list[str]:
    """Every figure of this point."""
    suffixes = ("", "_1269", "_dup")
    return [f"{way}_r{k}{suffix}" for way in ("report", "ecg") for suffix in suffixes for k in KS]


@dataclass(frozen=True)
class Pairs:
    """Queries and the gallery they are searched in, as numbers.

    left, right: unit vectors (n, dim), (texts or ECGs, dim); `column` maps each
    gallery item to its row of `right`, so that identical texts score identically.
    own: (n,) each query's own item. *_text, *_group: equal numbers mean equal
    normalised text, and one patient.
    """

    left: FloatArray
    right: FloatArray
    column: Indices
    own: Indices
    query_text: Indices
    query_group: Indices
    item_text: Indices
    item_group: Indices


def measure(
    corpus: Corpus,
    split: Sequence[CorpusRecord],
    queries: Sequence[CorpusRecord],
    embeddings: FloatArray,
    encoder: TextEncoder | None,
    weights: Floats,
) -> dict[str, Figure]:
    """All figures of point 1.

    split: every row of the split, with or without signal. embeddings: (n, dim) of
    the queries. weights: (draws, n). Rows with an empty report take no part.
    """
    if encoder is None:
        return {name: missing("the release ships no text encoder") for name in names()}
    split = [record for record in split if normalise(record.report)]
    spoken = np.array([bool(normalise(record.report)) for record in queries])
    if not spoken.any():
        return {name: missing("no query has a report") for name in names()}
    queries = [record for record, has in zip(queries, spoken, strict=True) if has]
    weights, embeddings = weights[:, spoken], embeddings[spoken]
    texts, column = _embed_texts(encoder, split)
    forward = _pairs(corpus, queries, embeddings, split, texts, column)
    # The other way round the gallery is the ECGs, and the queries are their reports.
    asked = texts[column[forward.own]]
    backward = _pairs(corpus, queries, asked, queries, embeddings, np.arange(len(queries)))
    ill = _abnormal(corpus, queries)
    figures = _all_galleries("report", forward, weights, ill, _abnormal(corpus, split))
    figures |= _all_galleries("ecg", backward, weights, ill, ill)
    return figures


def _all_galleries(
    way: str,
    pairs: Pairs,
    weights: Floats,
    abnormal_queries: NDArray[np.bool_],
    abnormal_items: NDArray[np.bool_],
) -> dict[str, Figure]:
    by_suffix = {
        "": _whole(pairs, weights, same_text=False),
        "_1269": _published(pairs, weights, abnormal_queries, abnormal_items),
        "_dup": _whole(pairs, weights, same_text=True),
    }
    return {
        f"{way}_r{k}{suffix}": figure
        for suffix, found in by_suffix.items()
        for k, figure in zip(KS, found, strict=True)
    }


def _abnormal(corpus: Corpus, records: Sequence[CorpusRecord]) -> NDArray[np.bool_]:
    """(n,): has a diagnostic class and is not exactly NORM."""
    held = [corpus.table.labels(record.statements, "super") for record in records]
    return np.array([bool(classes - {"NORM"}) for classes in held], dtype=bool)


def _embed_texts(
    encoder: TextEncoder, records: Sequence[CorpusRecord]
) -> tuple[FloatArray, Indices]:
    """One vector a distinct text and, for each record, the row of its own.

    Identical texts share a row, so that rounding cannot order them.
    """
    keys = [normalise(record.report) for record in records]
    _, first, column = np.unique(keys, return_index=True, return_inverse=True)
    texts = [records[int(index)].report for index in first]
    parts = [
        encoder.encode(texts[start : start + _TEXTS_AT_ONCE])
        for start in range(0, len(texts), _TEXTS_AT_ONCE)
    ]
    return np.concatenate(parts), column


def _pairs(
    corpus: Corpus,
    queries: Sequence[CorpusRecord],
    left: FloatArray,
    items: Sequence[CorpusRecord],
    right: FloatArray,
    column: Indices,
) -> Pairs:
    place = {record.record_id: index for index, record in enumerate(items)}
    _, text = np.unique([normalise(record.report) for record in items], return_inverse=True)
    _, group = np.unique([corpus.group(record) for record in items], return_inverse=True)
    own = np.array([place[record.record_id] for record in queries], dtype=np.intp)
    return Pairs(left, right, column, own, text[own], group[own], text, group)


def _rates(pairs: Pairs, rows: Indices, items: Indices, same_text: bool) -> Floats:
    """Hit@k of these queries in the gallery made of these items (each query's own among them).

    (3, len(KS), len(rows)): measured, in random order, and the best possible.
    """
    blocks = [rows[first : first + _ROWS_AT_ONCE] for first in range(0, len(rows), _ROWS_AT_ONCE)]
    return np.concatenate([_block(pairs, block, items, same_text) for block in blocks], axis=2)


def _block(pairs: Pairs, rows: Indices, items: Indices, same_text: bool) -> Floats:
    scores = (pairs.left[rows] @ pairs.right.T)[:, pairs.column[items]]
    own = items == pairs.own[rows][:, None]
    allowed = own | (pairs.item_group[items] != pairs.query_group[rows][:, None])
    identical = allowed & (pairs.item_text[items] == pairs.query_text[rows][:, None])
    targets = identical if same_text else own
    size, twins, wanted = allowed.sum(axis=1), identical.sum(axis=1), targets.sum(axis=1)
    ks = np.array(KS)[:, None]
    return np.stack(
        [
            expected_hits(scores, targets, allowed, KS),
            hit_probability(size, wanted, ks),
            hit_probability(twins, wanted, ks),
        ]
    )


def _figures(rates: Floats, weights: Floats, **facts: int) -> list[Figure]:
    """One figure for each of KS from (3, len(KS), n)."""
    return [
        mean_figure(value, weights, chance=chance, ceiling=ceiling, **facts)
        for value, chance, ceiling in rates.transpose(1, 0, 2)
    ]


def _whole(pairs: Pairs, weights: Floats, *, same_text: bool) -> list[Figure]:
    """Galleries (a) and (c): everything."""
    items = np.arange(len(pairs.column))
    rates = _rates(pairs, np.arange(len(pairs.own)), items, same_text)
    return _figures(rates, weights, gallery=len(items))


def _published(
    pairs: Pairs,
    weights: Floats,
    abnormal_queries: NDArray[np.bool_],
    abnormal_items: NDArray[np.bool_],
) -> list[Figure]:
    """Gallery (b): mean over draws of 1,269 abnormal items around the abnormal queries."""
    rows, items = np.flatnonzero(abnormal_queries), np.flatnonzero(abnormal_items)
    if not len(rows):
        return [missing("no query of the split is abnormal")] * len(KS)
    size = min(PUBLISHED_SIZE, len(items))
    total = np.zeros((3, len(KS), len(pairs.own)))
    times = np.zeros(len(pairs.own))
    draws = PUBLISHED_DRAWS if len(items) > size else 1
    random = np.random.default_rng(_SEED)
    for _ in range(draws):
        chosen_rows, chosen = _draw(pairs, rows, items, size, random)
        total[:, :, chosen_rows] += _rates(pairs, chosen_rows, chosen, same_text=False)
        times[chosen_rows] += 1
    rates = np.where(times > 0, total / np.maximum(times, 1), np.nan)
    return _figures(rates, weights, gallery=size, gallery_draws=draws)


def _draw(
    pairs: Pairs, rows: Indices, items: Indices, size: int, random: np.random.Generator
) -> tuple[Indices, Indices]:
    """The queries of one draw and its gallery: their own items, filled up with others."""
    if len(rows) > size:
        rows = np.sort(random.choice(rows, size, replace=False))
    own = pairs.own[rows]
    others = np.setdiff1d(items, own)
    fill = random.choice(others, size - len(own), replace=False)
    return rows, np.sort(np.concatenate([own, fill]))
