"""The nearest cases of one query: many of them only vote, few are ever read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import overload

import numpy as np
from numpy.typing import NDArray

from ecgedge.casebase.segment import CaseRecord, Segment
from ecgedge.recording import FloatArray


@dataclass(frozen=True)
class Hit:
    """One retrieved case: the cosine of its embedding with the query's, and its codes.

    The record itself is read when `case` is asked for.
    """

    similarity: float
    codes: tuple[str, ...]
    fetch: Callable[[], CaseRecord]

    @cached_property
    def case(self) -> CaseRecord:
        return self.fetch()


class Neighbours(Sequence[Hit]):
    """Hits, best first, made one by one as they are asked for.

    similarities: float32 (k,). places and keys: int64 (k,), the segment and the key in it.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        similarities: FloatArray,
        places: NDArray[np.int64],
        keys: NDArray[np.int64],
    ) -> None:
        self._segments = segments
        self.similarities, self.places, self.keys = similarities, places, keys

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> list[Hit]: ...
    def __getitem__(self, index: int | slice) -> Hit | list[Hit]:
        if isinstance(index, slice):
            return self._hits(np.arange(len(self))[index])
        return self._hits(np.arange(len(self))[[index]])[0]

    def _hits(self, rows: NDArray[np.int64]) -> list[Hit]:
        """Hits whose records, once one is asked for, are read together."""
        shelf = _Shelf(self._segments, self.places[rows].tolist(), self.keys[rows].tolist())
        return [
            Hit(float(self.similarities[row]), shelf.codes(place), partial(shelf.record, place))
            for place, row in enumerate(rows)
        ]

    def vector(self, row: int) -> FloatArray:
        """The stored embedding of a hit, float32 (dim,), length 1."""
        return self._segments[int(self.places[row])].vector(int(self.keys[row]))

    def ecg(self, row: int) -> FloatArray | None:
        """The conditioned signal of a hit, (12, n) at 100 Hz, where its segment keeps any."""
        return self._segments[int(self.places[row])].ecg(int(self.keys[row]))

    def tally(self, weights: FloatArray) -> dict[str, float]:
        """The summed weight of the cases that carry each code.

        weights: (n,), of the first n hits. Codes that none of them carries are left out.
        """
        if len(self._segments) == 1:
            return dict(self._segments[0].tally(self.keys[: len(weights)], weights))
        shares: dict[str, float] = {}
        for place, segment in enumerate(self._segments):
            mine = self.places[: len(weights)] == place
            for code, weight in segment.tally(self.keys[: len(weights)][mine], weights[mine]):
                shares[code] = shares.get(code, 0.0) + weight
        return shares


class _Shelf:
    """Some cases of some segments; all their records are read when the first is wanted."""

    def __init__(self, segments: Sequence[Segment], places: list[int], keys: list[int]) -> None:
        self._segments, self._where = segments, list(zip(places, keys, strict=True))

    def codes(self, row: int) -> tuple[str, ...]:
        place, key = self._where[row]
        return self._segments[place].codes(key)

    def record(self, row: int) -> CaseRecord:
        return self._records[self._where[row]]

    @cached_property
    def _records(self) -> dict[tuple[int, int], CaseRecord]:
        records = {}
        for place, segment in enumerate(self._segments):
            keys = [key for at, key in self._where if at == place]
            for key, record in zip(keys, segment.records(keys), strict=True):
                records[place, key] = record
        return records
