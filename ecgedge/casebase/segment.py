"""A segment: an immutable pair of files, vectors and case records.

Keys 0..n-1 tie a row of the vector file to a row of the SQLite file. Each file is
named by its SHA-256 and is opened only after that was checked. Inside stands which
encoder made the vectors; another encoder's query would retrieve nonsense.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgedge.casebase.database import check_meta, connect
from ecgedge.casebase.ecgs import read_ecg, read_packed
from ecgedge.casebase.held import HeldCodes
from ecgedge.casebase.records import CaseRecord, SegmentRef
from ecgedge.casebase.remembered import verified_once
from ecgedge.casebase.scan import Keys
from ecgedge.casebase.texts import CaseTexts, has_words, like, match, read_texts
from ecgedge.casebase.vectors import Vectors
from ecgedge.errors import DamagedError
from ecgedge.recording import FloatArray

if TYPE_CHECKING:
    import sqlite3

_COLUMNS = "key, case_id, statements, report, age, sex, source, patient"
_VARIABLES = 500  # SQLite before 3.32 allows 999 in one query


class Segment:
    """An opened segment; make one with `Segment.open`."""

    def __init__(self, ref: SegmentRef, vectors: Vectors, database: sqlite3.Connection) -> None:
        self.ref = ref
        self.vectors = vectors
        self._database = database

    @classmethod
    def open(cls, directory: Path, ref: SegmentRef, encoder_id: str) -> Segment:
        """Verify both files (large ones as `remembered` says), then map them.

        Raises DamagedError for missing or changed bytes, MismatchError when the vectors
        are another encoder's or the file is of a newer ecgedge.
        """
        paths = verified_once(directory / ref.vectors), verified_once(directory / ref.cases)
        database = connect(paths[1])
        try:
            check_meta(database, ref.cases, encoder_id=encoder_id, count=ref.count, dim=ref.dim)
            return cls(ref, Vectors(paths[0], ref.count, ref.dim), database)
        except BaseException:
            database.close()
            raise

    def __len__(self) -> int:
        return self.ref.count

    def close(self) -> None:
        self._database.close()

    def search(self, query: FloatArray, k: int, excluded: Keys) -> tuple[Keys, FloatArray]:
        """As `Vectors.search`."""
        return self.vectors.search(query, k, excluded)

    def codes(self, key: int) -> tuple[str, ...]:
        """The statement codes of this case, without reading its record."""
        return self._held.of_key(key)

    def tally(self, keys: Keys, weights: FloatArray) -> list[tuple[str, float]]:
        """(code, summed weight) of the codes that these cases carry."""
        return self._held.tally(keys, weights)

    def vector(self, key: int) -> FloatArray:
        """The stored embedding of this case, float32 (dim,), length 1."""
        return self.vectors.row(key)

    def ecg(self, key: int) -> FloatArray | None:
        """The conditioned signal of this case, where the segment keeps any."""
        return read_ecg(self._database, key)

    def packed_ecgs(self) -> dict[int, bytes]:
        """The stored bytes of every ECG that is kept, by key."""
        return read_packed(self._database)

    @property
    def has_words(self) -> bool:
        """Whether the segment holds a keyword index."""
        return has_words(self._database)

    def best(self, values: Mapping[str, FloatArray], width: int) -> FloatArray:
        """As `HeldCodes.best`."""
        return self._held.best(values, width)

    @cached_property
    def _held(self) -> HeldCodes:
        import sqlite3

        try:
            row = self._database.execute("SELECT names, held, ends FROM held").fetchone()
        except sqlite3.Error as error:
            raise DamagedError(f"{self.ref.cases} has no table of codes: {error}") from None
        return HeldCodes.from_row(*row)

    @cached_property
    def texts(self) -> CaseTexts | None:
        """The vectors of the cases' reports, where the segment holds them."""
        return read_texts(self._database, len(self))

    def match(self, expression: str, limit: int) -> tuple[list[tuple[int, float]], str]:
        """As `texts.match`."""
        return match(self._database, expression, limit)

    def like(self, words: Sequence[str], codes: Sequence[str]) -> list[int]:
        """As `texts.like`."""
        return like(self._database, words, codes)

    def records(self, keys: Sequence[int]) -> list[CaseRecord]:
        """The cases of these keys, in their order."""
        fetched = _decode(self._rows("key", keys))
        return [fetched[key] for key in keys]

    def all_records(self) -> dict[int, CaseRecord]:
        """Every case by its key, in the order of keys."""
        query = f"SELECT {_COLUMNS} FROM cases ORDER BY key"
        return _decode(self._database.execute(query).fetchall())

    def keys_of(self, case_ids: Collection[str] = (), groups: Collection[str] = ()) -> Keys:
        """Sorted keys of the cases with one of these ids or of one of these patients."""
        by_id = self._rows("case_id", sorted(case_ids), columns="key")
        by_group = self._rows("patient", sorted(groups), columns="key")
        keys = {key for (key,) in by_id} | {key for (key,) in by_group}
        return np.array(sorted(keys), dtype=np.int64)

    def _rows(self, name: str, values: Sequence[Any], columns: str = _COLUMNS) -> list[Any]:
        rows: list[Any] = []
        for start in range(0, len(values), _VARIABLES):
            part = values[start : start + _VARIABLES]
            marks = ",".join("?" * len(part))
            query = f"SELECT {columns} FROM cases WHERE {name} IN ({marks})"
            rows += self._database.execute(query, part).fetchall()
        return rows


def _decode(rows: Sequence[Sequence[Any]]) -> dict[int, CaseRecord]:
    """Rows of _COLUMNS -> cases by key; all statements in one JSON pass, half the time of many."""
    import json

    statements = json.loads(f"[{','.join(row[2] for row in rows)}]")
    return {
        row[0]: CaseRecord(row[1], held, *row[3:])
        for row, held in zip(rows, statements, strict=True)
    }


__all__ = ["CaseRecord", "Segment", "SegmentRef"]
