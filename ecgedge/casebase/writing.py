"""Writing a segment: both files atomically, and the same bytes for the same cases."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from ecgedge import disk
from ecgedge.atomic import install, sha256_of
from ecgedge.casebase.database import SCHEMA
from ecgedge.casebase.ecgs import write_ecgs
from ecgedge.casebase.held import HeldCodes
from ecgedge.casebase.records import CaseRecord, SegmentRef
from ecgedge.casebase.scan import Int8Array
from ecgedge.casebase.texts import CaseTexts, write_texts, write_words
from ecgedge.casebase.vectors import EXACT_BELOW, quantize, remainders, write_vectors
from ecgedge.errors import UsageError
from ecgedge.recording import FloatArray

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


def write_segment(
    directory: Path,
    embeddings: FloatArray,
    cases: Sequence[CaseRecord],
    *,
    encoder_id: str,
    texts: CaseTexts | None = None,
    words: Sequence[str] = (),
    ecgs: Sequence[bytes | None] | None = None,
) -> SegmentRef:
    """Write both files, atomically; the same input gives the same bytes.

    embeddings: float (len(cases), dim), unit norm. texts: vectors of the cases' reports.
    words: for each case the text that a search by keywords looks at; none for no index.
    ecgs: each case's packed signal (`casebase.ecgs`), None where there is none to keep.

    Raises UsageError for another shape, no case or a repeated case id, ReleaseError for an
    embedding without a direction.
    """
    if embeddings.ndim != 2 or len(embeddings) != len(cases) or not len(cases):
        raise UsageError(f"{len(cases)} cases with embeddings of shape {embeddings.shape}")
    rows = quantize(embeddings)
    # What the graph finds is ranked more finely than int8 can; a full scan needs no more.
    fine = remainders(embeddings, rows) if len(rows) >= EXACT_BELOW else None
    return write_rows(
        directory, rows, fine, cases, encoder_id=encoder_id, texts=texts, words=words, ecgs=ecgs
    )


def write_rows(
    directory: Path,
    rows: Int8Array,
    fine: Int8Array | None,
    cases: Sequence[CaseRecord],
    *,
    encoder_id: str,
    texts: CaseTexts | None = None,
    words: Sequence[str] = (),
    ecgs: Sequence[bytes | None] | None = None,
) -> SegmentRef:
    """As `write_segment`, of vectors that were quantized before: rows as `vectors.quantize`
    makes them, fine as `vectors.remainders`, both int8 (len(cases), dim).
    """
    if (texts and len(texts.vectors) != len(cases)) or len(words) not in (0, len(cases)):
        raise UsageError(f"{len(cases)} cases with texts or words of another number")
    if len({case.case_id for case in cases}) < len(cases):
        raise UsageError("a case id appears twice in one segment")
    if ecgs is not None and len(ecgs) != len(cases):
        raise UsageError(f"{len(cases)} cases with {len(ecgs)} stored ECGs")
    count, dim = rows.shape
    meta = {"schema": SCHEMA, "encoder_id": encoder_id, "dim": str(dim), "count": str(count)}
    # Workers on several nodes may write into one folder.
    temporary = directory / f".segment.{os.uname().nodename}.{os.getpid()}.tmp"
    try:
        disk.make_folder(directory)
        write_vectors(temporary, rows, fine)
        vectors = _name_by_hash(temporary)
        write_cases(temporary, cases, meta, texts, words, ecgs)
        records = _name_by_hash(temporary)
    except (OSError, _database_error()) as error:
        told = getattr(error, "strerror", None) or error
        raise UsageError(
            f"{directory} cannot be written: {told}: make room, or let it be written, and run it "
            "again"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
    return SegmentRef(vectors, records, count, dim)


def _database_error() -> type[Exception]:
    """How SQLite says that the disk is full or refuses; imported only to write."""
    import sqlite3

    return sqlite3.OperationalError


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
    ecgs: Sequence[bytes | None] | None,
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
