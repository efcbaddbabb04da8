"""What reports give the trainer: gram ids, which are equal, statements, words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecgedge.corpora.ptbxl import Corpus, CorpusRecord
from ecgedge.encoders.text import grams, normalise, pad_ids
from ecgedge.recording import FloatArray

Keys = NDArray[np.int64]


@dataclass(frozen=True)
class ReportSet:
    """Every report of some folds, with or without a signal.

    ids: int64 (M, longest), padded gram ids. owner: int64 (n,), the row of each recording's
    own report. text_key, set_key: int64 (M,), see `equivalence_keys`.
    """

    records: tuple[CorpusRecord, ...]
    ids: NDArray[np.int64]
    owner: NDArray[np.int64]
    text_key: NDArray[np.int64]
    set_key: NDArray[np.int64]

    @classmethod
    def of(
        cls, records: Sequence[CorpusRecord], recorded: Sequence[CorpusRecord], buckets: int
    ) -> ReportSet:
        """records: all of the folds; recorded: those with a signal, in their order."""
        place = {record.record_id: row for row, record in enumerate(records)}
        owner = np.array([place[record.record_id] for record in recorded], dtype=np.int64)
        ids = pad_ids([record.report for record in records], buckets)
        return cls(tuple(records), ids, owner, *equivalence_keys(records))

    def same(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.bool_]:
        """bool (len(left), len(right)): which pairs of reports are equivalent."""
        same_text = self.text_key[left][:, None] == self.text_key[right]
        return np.asarray(same_text | (self.set_key[left][:, None] == self.set_key[right]))


def equivalence_keys(records: Sequence[CorpusRecord]) -> tuple[Keys, Keys]:
    """Two int64 (n,) keys; records are equivalent when either is equal.

    The first numbers the normalised texts, the second the sets of statements.
    """
    texts: dict[str, int] = {}
    sets: dict[frozenset[str], int] = {}
    text_key = [texts.setdefault(normalise(r.report), len(texts)) for r in records]
    set_key = [sets.setdefault(frozenset(r.statements), len(sets)) for r in records]
    return np.array(text_key, dtype=np.int64), np.array(set_key, dtype=np.int64)


@dataclass(frozen=True)
class LabelColumns:
    """Columns of the supervised part: every statement seen often enough, and the classes.

    names: e.g. "AFIB", "super:CD", "sub:IMI".
    """

    names: tuple[str, ...]

    @classmethod
    def of(cls, corpus: Corpus, records: Sequence[CorpusRecord], minimum: int = 3) -> LabelColumns:
        """Columns that at least `minimum` of the records carry."""
        count: dict[str, int] = {}
        for record in records:
            for name in label_names(corpus, record):
                count[name] = count.get(name, 0) + 1
        return cls(tuple(sorted(name for name, n in count.items() if n >= minimum)))

    def matrix(self, corpus: Corpus, records: Sequence[CorpusRecord]) -> FloatArray:
        """float32 (n, columns) of 0 and 1."""
        held = [label_names(corpus, record) for record in records]
        return np.array([[name in row for name in self.names] for row in held], dtype=np.float32)


@dataclass(frozen=True)
class WordColumns:
    """Words and neighbouring pairs that many reports carry: what a report says beyond its codes.

    Heart axis, leads concerned, degrees and hedges are words that no statement keeps.
    """

    grams: tuple[str, ...]

    @classmethod
    def of(cls, records: Sequence[CorpusRecord], share: float = 0.002) -> WordColumns:
        """Grams in at least this share of the reports (and three), but not in nearly all."""
        count: Counter[str] = Counter()
        for record in records:
            count.update(set(grams(record.report)))
        least, most = max(3, share * len(records)), 0.95 * len(records)
        return cls(tuple(sorted(gram for gram, n in count.items() if least <= n <= most)))

    def matrix(self, records: Sequence[CorpusRecord]) -> NDArray[np.bool_]:
        """bool (n, grams): which report carries which."""
        place = {gram: column for column, gram in enumerate(self.grams)}
        held = np.zeros((len(records), len(place)), dtype=bool)
        for row, record in zip(held, records, strict=True):
            row[[place[gram] for gram in grams(record.report) if gram in place]] = True
        return held


def label_names(corpus: Corpus, record: CorpusRecord) -> set[str]:
    """The codes a record carries and the diagnostic classes they belong to."""
    codes = set(record.statements)
    super_ = {f"super:{name}" for name in corpus.table.labels(codes, "super")}
    sub = {f"sub:{name}" for name in corpus.table.labels(codes, "sub")}
    return codes | super_ | sub
