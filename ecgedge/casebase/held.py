"""Which statements each case of a segment carries, as two arrays.

A query's votes need the codes of a hundred and more cases but the records of the few
that are shown, so the codes stand apart from the records: 2 bytes a code and 4 a case.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecgedge.errors import DamagedError


@dataclass(frozen=True)
class HeldCodes:
    """names: every code, sorted. held: uint16 indices into names, case after case, in the
    order in which each case lists them. ends: uint32 (n,), where each case's indices end.
    """

    names: tuple[str, ...]
    held: NDArray[np.uint16]
    ends: NDArray[np.uint32]

    @classmethod
    def of(cls, cases: Sequence[Collection[str]]) -> HeldCodes:
        """From the codes of each case, in the order of keys."""
        names = sorted({code for codes in cases for code in codes})
        place = {name: index for index, name in enumerate(names)}
        held = [place[code] for codes in cases for code in codes]
        ends = np.cumsum([len(codes) for codes in cases])
        return cls(tuple(names), np.array(held, dtype="<u2"), ends.astype("<u4"))

    def of_key(self, key: int) -> tuple[str, ...]:
        """The codes of this case, in the order in which it lists them."""
        start = int(self.ends[key - 1]) if key else 0
        indices = self.held[start : int(self.ends[key])].tolist()
        return tuple([self.names[index] for index in indices])

    def tally(
        self, keys: NDArray[np.int64], weights: NDArray[np.float32]
    ) -> list[tuple[str, float]]:
        """(code, summed weight) of every code that the cases of these keys carry.

        weights: above 0; one that vanished below float's reach counts as not there.
        """
        ends = self.ends[keys].astype(np.int64)
        starts = self.ends[keys - 1].astype(np.int64)
        starts[keys == 0] = 0
        counts = ends - starts
        # Positions start, start + 1, ... end - 1 of each case, one case after the other.
        passed = counts.cumsum()
        first = (starts - (passed - counts)).repeat(counts)
        indices = self.held[first + np.arange(len(first))]
        total = np.bincount(indices, weights.repeat(counts), len(self.names))
        return [(self.names[code], sum_) for code, sum_ in enumerate(total.tolist()) if sum_]

    def best(self, values: Mapping[str, NDArray[np.float32]], width: int) -> NDArray[np.float32]:
        """float32 (cases, width): the largest value of each case's codes, column by column.

        values: code -> float (width,). -inf for a case that carries none of them.
        """
        nothing = np.full(width, -np.inf, dtype=np.float32)
        table = np.array([values.get(name, nothing) for name in self.names], dtype=np.float32)
        ends = self.ends.astype(np.int64)
        starts = np.concatenate([[0], ends[:-1]])
        found = np.full((len(ends), width), -np.inf, dtype=np.float32)
        filled = ends > starts
        if filled.any():
            found[filled] = np.maximum.reduceat(table[self.held], starts[filled], axis=0)
        return found

    def to_row(self) -> tuple[str, bytes, bytes]:
        """What `from_row` reads: JSON, and the two arrays in little-endian bytes."""
        return json.dumps(self.names), self.held.tobytes(), self.ends.tobytes()

    @classmethod
    def from_row(cls, names: str, held: bytes, ends: bytes) -> HeldCodes:
        """Raises DamagedError unless the three fit together."""
        try:
            read = cls(
                tuple(json.loads(names)), np.frombuffer(held, "<u2"), np.frombuffer(ends, "<u4")
            )
            whole = len(read.held) == (int(read.ends[-1]) if len(read.ends) else 0)
            if not whole or (len(read.held) and int(read.held.max()) >= len(read.names)):
                raise ValueError("indices do not fit")
        except ValueError as error:
            raise DamagedError(f"a segment's table of codes cannot be read: {error}") from None
        return read
