"""Refuses a release whose case records hold anything but what ecgedge writes.

A column too many, a table of somebody's own, a name where a number belongs: whatever the
format has no field for does not leave the centre. An error says where (table, column, case id,
field), never what stands there. Bytes between the fields are no matter of this module:
`masking` writes every file anew and publishes that.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ecgedge.casebase.database import connect
from ecgedge.casebase.manifest import Manifest
from ecgedge.casebase.release import Store
from ecgedge.casebase.segment import SegmentRef
from ecgedge.central.identifiers import find
from ecgedge.errors import DamagedError, InputError
from ecgedge.statements import statements

if TYPE_CHECKING:
    import sqlite3

#: Ages above 89 identify: a corpus reader writes 90 for all of them.
OLDEST_YEARS = 90
_LONGEST_REPORT = 20_000  # characters; a report has some hundreds

_TABLES: Mapping[str, tuple[str, ...]] = {
    "meta": ("name", "value"),
    "cases": ("key", "case_id", "statements", "report", "age", "sex", "source", "patient"),
    "held": ("names", "held", "ends"),
}
_OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "texts": ("model", "dim", "vectors"),
    "ecgs": ("key", "signal"),
    "words": ("told",),
}
#: What SQLite's full-text search keeps for the table `words` (FTS5, without its content).
_SHADOWS: Mapping[str, tuple[str, ...]] = {
    "words_data": ("id", "block"),
    "words_idx": ("segid", "term", "pgno"),
    "words_docsize": ("id", "sz"),
    "words_config": ("k", "v"),
}
_INDICES = {"by_case_id": "cases", "by_patient": "cases"}
_META = {"schema", "encoder_id", "dim", "count"}

_SLUG = re.compile(r"[A-Za-z0-9._+-]{1,80}")
_CASE_ID = re.compile(r"[A-Za-z0-9._-]{1,40}/[A-Za-z0-9._-]{1,40}")
_PSEUDONYM = re.compile(r"[0-9a-f]{12}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")

#: What `index build` writes into a manifest's corpus, and what each may be.
_CORPUS: Mapping[str, type | tuple[type, ...]] = {
    "name": str,
    "attribution": str,
    "folds": list,
    "valid_folds": list,
    "cases": int,
    "patients": int,
    "validation_recordings": int,
    "validation_auc_super": (float, type(None)),
    "skipped": int,
    "without_signal": int,
    "reports": bool,
    "signals": bool,
    "masked_reports": int,
    "tuned_on_cases": int,
    "created": str,
    "added": list,
}
_LONGEST_NOTE = 2_000  # characters


def check_schema(store: Store, manifest: Manifest) -> None:
    """Raise InputError for the first thing in a release that has no place in the schema.

    DamagedError where a file's bytes are not those of its name.
    """
    _check_manifest(manifest)
    for number, ref in enumerate(manifest.segments, start=1):
        where = f"segment {number} of release {manifest.id}"
        with closing(connect(store.blob(ref.cases))) as database:
            check_tables(database, where)
            _check_meta(database, where)
            _check_cases(database, ref, where)
            _check_signals(database, where)


def check_tables(database: sqlite3.Connection, where: str) -> None:
    """Raise InputError unless a file holds the tables, columns and indices of a segment."""
    found: dict[str, tuple[str, ...]] = {}
    query = "SELECT type, name, tbl_name, sql FROM sqlite_master"
    for kind, name, table, sql in _ask(database, query, where):
        if kind == "index" and (sql is None or _INDICES.get(name) == table):
            continue
        if kind != "table":
            raise InputError(f"{where} holds a {kind} that is none of ecgedge's: {_REBUILD}")
        found[name] = tuple(
            column
            for _, column, *_ in _ask(database, f"PRAGMA table_xinfo({_quoted(name)})", where)
            if not (name == "words" and column in ("words", "rank"))  # FTS5's own, hidden
        )
    known = {**_TABLES, **_OPTIONAL, **_SHADOWS}
    for name, columns in found.items():
        if name not in known:
            raise InputError(f"{where} holds a table that is none of ecgedge's: {_REBUILD}")
        if columns != known[name]:
            raise InputError(
                f"{where} has other columns in its table {name} than {', '.join(known[name])}: "
                f"{_REBUILD}"
            )
    missing = set(_TABLES) - set(found)
    if missing:
        raise InputError(f"{where} lacks the table {min(missing)}: {_REBUILD}")


_REBUILD = "only what `ecgedge index build` wrote can be published"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _ask(database: sqlite3.Connection, query: str, where: str) -> list[Any]:
    import sqlite3

    try:
        return database.execute(query).fetchall()
    except sqlite3.Error:
        raise DamagedError(f"{where} cannot be read as case records: build it again") from None


def _check_meta(database: sqlite3.Connection, where: str) -> None:
    rows = _ask(database, "SELECT name, value FROM meta", where)
    if {name for name, _ in rows} != _META:
        raise InputError(
            f"{where} names other facts in its table meta than {', '.join(sorted(_META))}: "
            f"{_REBUILD}"
        )
    if not all(isinstance(value, str) and _SLUG.fullmatch(value) for _, value in rows):
        raise InputError(f"{where} holds a text in its table meta that is no id: {_REBUILD}")


def _check_cases(database: sqlite3.Connection, ref: SegmentRef, where: str) -> None:
    query = f"SELECT {', '.join(_TABLES['cases'])} FROM cases ORDER BY key"
    count = 0
    for row in _ask(database, query, where):
        case_id = row[1]
        if not isinstance(case_id, str) or not _is_case_id(case_id):
            raise InputError(
                f"the case with key {row[0]} of {where} has a case_id that is not written "
                "corpus/record, in letters, digits, dot, dash and underscore, or that holds what "
                "looks like a date or another identifier: rename it in the corpus and build again"
            )
        column = _wrong_column(row, count)
        if column:
            raise InputError(
                f"case {case_id} of {where} holds something in {column} that does not belong "
                f"there ({_BELONGS[column]}): correct it in the corpus and build again"
            )
        count += 1
    if count != ref.count:
        raise DamagedError(f"{where} holds {count} cases, the release says {ref.count}")


def _is_case_id(text: str) -> bool:
    """Whether this is corpus/record. A record's number may have any length; no name, no date."""
    corpus, _, record = text.partition("/")
    if not _CASE_ID.fullmatch(text) or find(corpus):
        return False
    return record.isdigit() or not find(record)


_BELONGS = {
    "key": "numbers from 0 on",
    "statements": "known SCP codes, each with a likelihood from 0 to 100",
    "report": f"a text of up to {_LONGEST_REPORT} characters, or nothing",
    "age": f"years from 0 to {OLDEST_YEARS}, which stands for all above 89, or nothing",
    "sex": "M, F or nothing",
    "source": "the corpus, the word record and the record's number, as in case_id",
    "patient": "a pseudonym of 12 hex digits",
}


def _wrong_column(row: tuple[Any, ...], key: int) -> str:
    """The first column of a case whose value is of no kind that ecgedge writes, or ""."""
    _, case_id, told, report, age, sex, source, patient = row
    right = {
        "key": row[0] == key,
        "statements": _are_statements(told),
        "report": report is None or (isinstance(report, str) and len(report) <= _LONGEST_REPORT),
        "age": age is None or (isinstance(age, int) and 0 <= age <= OLDEST_YEARS),
        "sex": sex in ("M", "F", None),
        "source": source == source_of(case_id),
        "patient": isinstance(patient, str) and bool(_PSEUDONYM.fullmatch(patient)),
    }
    return next((column for column, fits in right.items() if not fits), "")


def source_of(case_id: str) -> str:
    """What a case's `source` says: "ptb-xl/158" comes from "ptb-xl record 158"."""
    corpus, _, record = case_id.partition("/")
    return f"{corpus} record {record}"


def _are_statements(told: object) -> bool:
    try:
        held = json.loads(told) if isinstance(told, str) else None
    except ValueError:
        return False
    return isinstance(held, dict) and all(
        code in statements() and type(value) in (int, float) and 0 <= value <= 100
        for code, value in held.items()
    )


def _check_signals(database: sqlite3.Connection, where: str) -> None:
    """A stored ECG is one zlib stream and nothing behind it."""
    if not _ask(database, "SELECT 1 FROM sqlite_master WHERE name = 'ecgs'", where):
        return
    for key, signal in _ask(database, "SELECT key, signal FROM ecgs", where):
        if not isinstance(signal, bytes) or not _is_one_stream(signal):
            raise InputError(
                f"the case with key {key} of {where} holds something in its stored ECG that is no "
                f"ECG: {_REBUILD}"
            )


def _is_one_stream(data: bytes) -> bool:
    reader = zlib.decompressobj()
    try:
        reader.decompress(data)
    except zlib.error:
        return False
    return reader.eof and not reader.unused_data


def _check_manifest(manifest: Manifest) -> None:
    """Facts and notes of a manifest are bare: known names, numbers, sentences without a person."""
    where = f"release {manifest.id}"
    _check_facts(manifest.corpus, where)
    for number, note in enumerate(manifest.notes, start=1):
        _check_told(f"note {number}", note, where)
    bad = next((one for one in manifest.withdrawn if not _CASE_ID.fullmatch(one)), None)
    if bad is not None or not _DAY.fullmatch(manifest.created):
        raise InputError(f"{where} has a withdrawn case or a date in another form than ecgedge's")
    rest = {name: one for name, one in asdict(manifest).items() if name not in _TOLD}
    if not all(_SLUG.fullmatch(one) or _CASE_ID.fullmatch(one) for one in _strings(rest)):
        raise InputError(f"{where} holds a text where only ids belong: {_REBUILD}")


def _check_facts(facts: Mapping[str, Any], where: str) -> None:
    """Raise InputError for a fact that is none of ecgedge's, in the additions too."""
    for name, value in facts.items():
        if name not in _CORPUS:
            raise InputError(f"{where} has a fact in its corpus that is none of ours: {_REBUILD}")
        if not isinstance(value, _CORPUS[name]):
            raise InputError(f"{where} has in its corpus a {name} of the wrong kind: {_REBUILD}")
        for one in value if isinstance(value, list) else ():
            if name == "added" and isinstance(one, dict):
                _check_facts({**one, "added": []}, where)
            elif type(one) is not int:
                raise InputError(f"{where} has {name} that are not numbers: {_REBUILD}")
        if isinstance(value, str) and not (name == "created" and _DAY.fullmatch(value)):
            _check_told(name, value, where)


def _check_told(name: str, text: str, where: str) -> None:
    """Raise InputError for the centre's own words with an identifier in them."""
    kinds = ", ".join(sorted({one.kind for one in find(text)}))
    if kinds or len(text) > _LONGEST_NOTE:
        raise InputError(
            f"{where} holds in its {name} what looks like an identifier "
            f"({kinds or 'a text this long'}): word it otherwise and build again"
        )


_TOLD = {"corpus", "notes", "format"}


def _strings(data: object) -> Iterator[str]:
    """Every text in plain data, names of fields included."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for name, value in data.items():
            yield str(name)
            yield from _strings(value)
    elif isinstance(data, list | tuple):
        for value in data:
            yield from _strings(value)
