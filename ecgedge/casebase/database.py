"""Opening a segment's file of case records, and whether it is the one that was asked for."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgedge.errors import DamagedError, MismatchError

if TYPE_CHECKING:
    import sqlite3

SCHEMA = "1"


def connect(path: Path) -> sqlite3.Connection:
    """Read-only, and told that nobody else writes: no locks, no journal, works on a read-only
    file system. Any thread may ask, see `_connection_class`. Raises DamagedError.
    """
    import sqlite3

    location = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        return sqlite3.connect(
            location, uri=True, check_same_thread=False, factory=_connection_class()
        )
    except sqlite3.Error as error:
        raise DamagedError(f"{path} cannot be opened as case records: {error}") from None


@cache
def _connection_class() -> type[sqlite3.Connection]:
    """A connection whose `execute` threads enter one at a time.

    SQLite takes turns by itself, but Python keeps one compiled statement for each text and,
    since 3.12, calls it free until its first step has begun: a second thread could bind its
    own parameters between the first one's binding and stepping. After that step, fetching
    needs no lock.
    """
    import sqlite3

    class Shared(sqlite3.Connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._turn = threading.Lock()

        def execute(self, *arguments: Any) -> sqlite3.Cursor:
            with self._turn:
                return super().execute(*arguments)

    return Shared


def check_meta(
    database: sqlite3.Connection, name: str, *, encoder_id: str, count: int, dim: int
) -> None:
    """Raises DamagedError for other tables, MismatchError for another schema, encoder or size.

    name: SHA-256 name of the file.
    """
    import sqlite3

    try:
        meta = dict(database.execute("SELECT name, value FROM meta").fetchall())
    except sqlite3.Error as error:
        raise DamagedError(f"{name} does not hold case records: {error}") from None
    if meta.get("schema") != SCHEMA:
        raise MismatchError(
            f"case records {name[:12]} are of schema {meta.get('schema')}, "
            f"this ecgedge reads {SCHEMA}: update ecgedge"
        )
    if meta.get("encoder_id") != encoder_id:
        raise MismatchError(
            f"case base {name[:12]} was built with encoder {meta.get('encoder_id')}, "
            f"not with {encoder_id}: install a release whose parts belong together"
        )
    if (meta.get("count"), meta.get("dim")) != (str(count), str(dim)):
        raise MismatchError(
            f"case records {name[:12]} hold {meta.get('count')} cases of "
            f"{meta.get('dim')} numbers, the release says {count} of {dim}"
        )
