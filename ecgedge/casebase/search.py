"""Nearest cases over several segments, withdrawn ones never among them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecgedge.casebase.neighbours import Hit, Neighbours
from ecgedge.casebase.scan import Keys
from ecgedge.casebase.segment import CaseRecord, Segment
from ecgedge.errors import MismatchError
from ecgedge.recording import FloatArray


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
    ) -> Neighbours:
        """The k nearest cases, best first; fewer only when no more are available.

        query: float (dim,), any length. Raises MismatchError for another dimension,
        ReleaseError for a query that is not finite or all zero.
        """
        numbers = np.asarray(query, dtype=np.float32)
        nothing = np.empty(0, dtype=np.int64)
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
            found.append((similarities, np.full(len(keys), place), keys))
        if len(found) == 1:  # in order already
            return Neighbours(self._segments, *found[0])
        found.append((np.empty(0, dtype=np.float32), nothing, nothing))  # also without a segment
        similarities, places, keys = (np.concatenate(part) for part in zip(*found, strict=True))
        order = np.lexsort((keys, places, -similarities))[:k]
        return Neighbours(self._segments, similarities[order], places[order], keys[order])

    def parts(self) -> list[tuple[Segment, Keys]]:
        """Every segment with the sorted keys of its withdrawn cases, which must not be shown."""
        return list(zip(self._segments, self._withdrawn, strict=True))

    def all_cases(self) -> list[CaseRecord]:
        """Every case that is not withdrawn, segment by segment in the order of keys."""
        cases = []
        for segment, keys in self.parts():
            withdrawn = set(keys.tolist())
            cases += [case for key, case in segment.all_records().items() if key not in withdrawn]
        return cases


__all__ = ["CaseBase", "Hit", "Neighbours"]
