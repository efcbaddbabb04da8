"""A segment: an immutable pair of files, vectors and case records.

Keys 0..n-1 tie a row of the vector file to a row of the SQLite file. Each file is
named by its SHA-256 and is opened only after that was checked. Inside stands which
encoder made the vectors; another encoder's query would retrieve nonsense.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgedge import disk
from ecgedge.atomic import install, sha256_of
from ecgedge.casebase.database import SCHEMA, check_meta, connect
from ecgedge.casebase.ecgs import read_ecg, write_ecgs
from ecgedge.casebase.held import HeldCodes
from ecgedge.casebase.remembered import verified_once
from ecgedge.casebase.scan import Keys
from ecgedge.casebase.texts import CaseTexts, like, match, read_texts, write_texts, write_words
from ecgedge.casebase.vectors import EXACT_BELOW, Vectors, quantize, remainders, write_vectors
from ecgedge.errors import DamagedError, UsageError
from ecgedge.recording import FloatArray

if TYPE_CHECKING:
    import sqlite3

_PAGE_BYTES = 4096

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE cases (
    key INTEGER PRIMARY KEY, case_id TEXT NOT NULL, statements TEXT NOT NULL, report TEXT,
    age INTEGER, sex TEXT, source TEXT NOT NULL, patient TEXT NOT NULL);
CREATE TABLE held (names TEXT NOT NULL, held BLOB NOT NULL, ends BLOB NOT NULL);
"""
_INDICES = """
CREATE UNIQUE INDEX by_case_id ON cases (case_id);
CREATE INDEX by_patient ON cases (patient);
"""
_COLUMNS = "key, case_id, statements, report, age, sex, source, patient"
_VARIABLES = 500  # SQLite before 3.32 allows 999 in one query


@dataclass(frozen=True)
class CaseRecord:
    """One past ECG without its signal or identity.

    statements: SCP code -> likelihood in percent, 0 where the source gave none.
    age in years. sex "M", "F" or None. source: where it came from, for people.
    group: a pseudonym shared by all cases of one patient.
    """

    case_id: str
    statements: Mapping[str, float]
    report: str | None
    age: int | None
    sex: str | None
    source: str
    group: str

    @property
    def surest_first(self) -> tuple[str, ...]:
        """The statement codes, the likeliest first."""
        held = self.statements
        return tuple(sorted(held, key=lambda code: (-held[code], code)))


@dataclass(frozen=True)
class SegmentRef:
    """The SHA-256 names of a segment's two files, its number of cases and dimensions."""

    vectors: str
    cases: str
    count: int
    dim: int


def write_segment(
    directory: Path,
    embeddings: FloatArray,
    cases: Sequence[CaseRecord],
    *,
    encoder_id: str,
    texts: CaseTexts | None = None,
    words: Sequence[str] = (),
    ecgs: Sequence[bytes] | None = None,
) -> SegmentRef:
    """Write both files, atomically; the same input gives the same bytes.

    embeddings: float (len(cases), dim), unit norm. texts: vectors of the cases' reports.
    words: for each case the text that a search by keywords looks at; none for no index.
    ecgs: each case's packed signal (`casebase.ecgs`), or None to keep none.

    Raises UsageError for another shape, no case or a repeated case id, ReleaseError for an
    embedding without a direction.
    """
    if embeddings.ndim != 2 or len(embeddings) != len(cases) or not len(cases):
        raise UsageError(f"{len(cases)} cases with embeddings of shape {embeddings.shape}")
    if (texts and len(texts.vectors) != len(cases)) or len(words) not in (0, len(cases)):
        raise UsageError(f"{len(cases)} cases with texts or words of another number")
    if len({case.case_id for case in cases}) < len(cases):
        raise UsageError("a case id appears twice in one segment")
    if ecgs is not None and len(ecgs) != len(cases):
        raise UsageError(f"{len(cases)} cases with {len(ecgs)} stored ECGs")
    count, dim = embeddings.shape
    meta = {"schema": SCHEMA, "encoder_id": encoder_id, "dim": str(dim), "count": str(count)}
    temporary = directory / f".segment.{os.getpid()}.tmp"
    try:
        disk.make_folder(directory)
        rows = quantize(embeddings)
        # What the graph finds is ranked more finely than int8 can; a full scan needs no more.
        fine = remainders(embeddings, rows) if count >= EXACT_BELOW else None
        write_vectors(temporary, rows, fine)
        vectors = _name_by_hash(temporary)
        write_cases(temporary, cases, meta, texts, words, ecgs)
        records = _name_by_hash(temporary)
    except OSError as error:
        raise UsageError(f"{directory} cannot be written: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return SegmentRef(vectors, records, count, dim)


def _name_by_hash(temporary: Path) -> str:
    digest = sha256_of(temporary)
    install(temporary, temporary.with_name(digest))
    return digest


def write_cases(
    path: Path,
    cases: Sequence[CaseRecord],
    meta: Mapping[str, str],
    texts: CaseTexts | None,
    words: Sequence[str],
    ecgs: Sequence[bytes] | None,
) -> None:
    """Write the SQLite file of a segment; arguments as of `write_segment`."""
    import sqlite3

    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database:
        # No journal beside the file, and no leftovers of memory inside it.
        for pragma in (f"page_size={_PAGE_BYTES}", "journal_mode=OFF", "secure_delete=ON"):
            database.execute(f"PRAGMA {pragma}")
        database.executescript(_TABLES)
        database.executemany("INSERT INTO meta VALUES (?, ?)", sorted(meta.items()))
        rows = (_to_row(key, case) for key, case in enumerate(cases))
        database.executemany("INSERT INTO cases VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        codes = HeldCodes.of([case.statements for case in cases])
        database.execute("INSERT INTO held VALUES (?, ?, ?)", codes.to_row())
        if texts:
            write_texts(database, texts)
        if words:
            write_words(database, words)
        if ecgs is not None:
            write_ecgs(database, ecgs)
        database.commit()
        database.executescript(_INDICES)
    with path.open("rb+") as file:
        # Bytes 96 to 99 say which SQLite wrote the file, for information only
        # (its file format, section 1.3.18): not part of the cases' identity.
        file.seek(96)
        file.write(bytes(4))


def _to_row(key: int, case: CaseRecord) -> tuple[Any, ...]:
    import json

    statements = json.dumps(dict(case.statements), ensure_ascii=False, separators=(",", ":"))
    facts = (case.report, case.age, case.sex, case.source, case.group)
    return (key, case.case_id, statements, *facts)


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
