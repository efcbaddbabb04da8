"""The optional tables of a segment's case records: report vectors, and words to look up.

`texts` holds one int8 vector a case, what the text tower made of its report: a
release may carry it where it may not carry the report itself. `words` is an FTS5
index (SQLite's full-text search) over the wordings of each case's statements, and
over its report where the release holds it. A segment without either is read as
before, and one with them is read by an ecgedge that does not know them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ecgedge.casebase.scan import Int8Array
from ecgedge.errors import DamagedError, MismatchError

if TYPE_CHECKING:
    import sqlite3

_TEXTS = "CREATE TABLE texts (model TEXT NOT NULL, dim INTEGER NOT NULL, vectors BLOB NOT NULL)"
# Without a copy of the text ("contentless"): what was indexed cannot be read back from it.
_WORDS = (
    "CREATE VIRTUAL TABLE words USING "
    "fts5(told, content='', tokenize='unicode61 remove_diacritics 0')"
)
#: How SQLite puts it that a table, or FTS5 itself, is not there.
_NO_TEXTS, _NO_WORDS, _NO_MODULE = (
    "no such table: texts",
    "no such table: words",
    "no such module: fts5",
)
NO_INDEX = "this release holds no keyword index"
NO_FTS5 = "the SQLite of this machine has no full-text search (FTS5)"


@dataclass(frozen=True)
class CaseTexts:
    """Vectors of the cases' reports, made by the text tower whose file has this SHA-256.

    vectors: int8 (n, dim), rows as the cases, all zero for a case without a report.
    """

    model: str
    vectors: Int8Array


def write_texts(database: sqlite3.Connection, texts: CaseTexts) -> None:
    """Add the table of report vectors."""
    database.execute(_TEXTS)
    row = (texts.model, texts.vectors.shape[1], texts.vectors.tobytes())
    database.execute("INSERT INTO texts VALUES (?, ?, ?)", row)


def write_words(database: sqlite3.Connection, words: Iterable[str]) -> bool:
    """Add the keyword index, one text a case; False where this SQLite cannot make one."""
    import sqlite3

    try:
        database.execute(_WORDS)
    except sqlite3.OperationalError as error:
        if _NO_MODULE in str(error):
            return False
        raise
    database.executemany("INSERT INTO words (rowid, told) VALUES (?, ?)", enumerate(words))
    # One merged index: smaller, faster, and the same however the inserts were grouped.
    database.execute("INSERT INTO words (words) VALUES ('optimize')")
    return True


def read_texts(database: sqlite3.Connection, count: int) -> CaseTexts | None:
    """The report vectors, or None where the segment has none. Raises DamagedError."""
    import sqlite3

    try:
        row = database.execute("SELECT model, dim, vectors FROM texts").fetchone()
    except sqlite3.Error as error:
        if _NO_TEXTS in str(error):
            return None
        raise DamagedError(f"a segment's report vectors cannot be read: {error}") from None
    if row is None or len(row[2]) != count * row[1]:
        raise DamagedError("a segment's report vectors are not one a case")
    return CaseTexts(row[0], np.frombuffer(row[2], np.int8).reshape(count, row[1]))


def has_words(database: sqlite3.Connection) -> bool:
    """Whether there is a keyword index. Raises DamagedError."""
    import sqlite3

    query = "SELECT 1 FROM sqlite_master WHERE name = 'words'"
    try:
        return database.execute(query).fetchone() is not None
    except sqlite3.Error as error:
        raise DamagedError(f"a segment's tables cannot be read: {error}") from None


def check_texts(texts: CaseTexts, model: str, dim: int) -> None:
    """Raise MismatchError unless these vectors are this text tower's, in its dimension."""
    if texts.model != model or texts.vectors.shape[1] != dim:
        raise MismatchError(
            f"report vectors were made with text model {texts.model[:12]}, not with {model[:12]}: "
            "install a release whose parts belong together"
        )


def match(
    database: sqlite3.Connection, expression: str, limit: int
) -> tuple[list[tuple[int, float]], str]:
    """([(key, score)], "") best first by BM25, or ([], why there is no keyword index)."""
    import sqlite3

    query = (
        "SELECT rowid, -bm25(words) FROM words WHERE words MATCH ? "
        "ORDER BY bm25(words), rowid LIMIT ?"
    )
    try:
        return database.execute(query, (expression, limit)).fetchall(), ""
    except sqlite3.Error as error:
        for told, why in ((_NO_WORDS, NO_INDEX), (_NO_MODULE, NO_FTS5)):
            if told in str(error):
                return [], why
        raise DamagedError(f"a segment's keyword index cannot be searched: {error}") from None


def like(database: sqlite3.Connection, words: Sequence[str], codes: Sequence[str]) -> list[int]:
    """Keys of the cases that carry one of these codes or whose report holds one of these words."""
    patterns = [f'%"{_escaped(code)}":%' for code in codes]
    tests = ["statements LIKE ? ESCAPE '\\'"] * len(patterns)
    patterns += [f"%{_escaped(word)}%" for word in words]
    tests += ["report LIKE ? ESCAPE '\\'"] * len(words)
    query = f"SELECT key FROM cases WHERE {' OR '.join(tests) or '0'} ORDER BY key"
    return [key for (key,) in database.execute(query, patterns)]


def _escaped(text: str) -> str:
    return "".join(f"\\{mark}" if mark in "\\%_" else mark for mark in text)
