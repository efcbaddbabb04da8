"""Nearest cases over several segments, withdrawn ones never among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecgedge.casebase.segment import CaseRecord, Segment
from ecgedge.casebase.vectors import quantize
from ecgedge.errors import MismatchError
from ecgedge.recording import FloatArray


@dataclass(frozen=True)
class Hit:
    """One retrieved case and the cosine of its embedding with the query's."""

    similarity: float
    case: CaseRecord


class CaseBase:
    """Segments searched as one. All must be of one encoder (`Segment.open` sees to that)."""

    def __init__(
        self, segments: Sequence[Segment], withdrawn: frozenset[str] = frozenset()
    ) -> None:
        self._segments = tuple(segments)
        self._withdrawn = [segment.keys_of(withdrawn) for segment in self._segments]

    def __len__(self) -> int:
        """Cases that can be retrieved."""
        return sum(map(len, self._segments)) - sum(map(len, self._withdrawn))

    def search(
        self,
        query: FloatArray,
        k: int,
        *,
        exclude_groups: frozenset[str] = frozenset(),
        exclude_cases: frozenset[str] = frozenset(),
    ) -> list[Hit]:
        """The k nearest cases, best first; fewer only when no more are available.

        query: float (dim,), any length. Raises MismatchError for another dimension,
        ReleaseError for a query that is not finite or all zero.
        """
        numbers = quantize(np.asarray(query, dtype=np.float32))
        found = []
        for place, segment in enumerate(self._segments):
            if numbers.shape != (segment.ref.dim,):
                raise MismatchError(
                    f"a query of shape {numbers.shape} for cases of {segment.ref.dim} numbers"
                )
            excluded = self._withdrawn[place]
            if exclude_groups or exclude_cases:
                excluded = np.union1d(excluded, segment.keys_of(exclude_cases, exclude_groups))
            keys, similarities = segment.search(numbers, k, excluded)
            found.append((similarities.tolist(), [place] * len(keys), keys.tolist()))
        return self._fetch(found, k)

    def _fetch(self, found: list[tuple[list[float], list[int], list[int]]], k: int) -> list[Hit]:
        """Merge the segments' answers and read the records of the k best only."""
        ranked = sorted(
            (-similarity, place, key)
            for part in found
            for similarity, place, key in zip(*part, strict=True)
        )[:k]
        cases = {}
        for place, segment in enumerate(self._segments):
            keys = [key for _, at, key in ranked if at == place]
            for key, case in zip(keys, segment.records(keys), strict=True):
                cases[place, key] = case
        return [Hit(-negative, cases[place, key]) for negative, place, key in ranked]

    def all_cases(self) -> list[CaseRecord]:
        """Every case that is not withdrawn, segment by segment in the order of keys."""
        cases = []
        for segment, keys in zip(self._segments, self._withdrawn, strict=True):
            withdrawn = set(keys.tolist())
            cases += [case for key, case in segment.all_records().items() if key not in withdrawn]
        return cases
