"""Asks a server on behalf of `ecgedge query`; whatever is in doubt, the command does itself.

Only an answer and a refusal for quality are taken from a server. Everything else, from
nobody listening to a recording that it cannot read, means None: the local engine then says
what is so in its own words. What is sent are the files' bytes, so that a server shut into
its own folders can answer, and can never read another file of the same name.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgedge import __version__
from ecgedge.answer import SCHEMA, Answer
from ecgedge.errors import InputError, QualityRefused, UsageError
from ecgedge.serving.place import store_name
from ecgedge.serving.protocol import LINE_BYTES, Query, request_line

#: A server is on this machine: it takes a connection at once or not at all.
CONNECT_S = 0.25
#: From a request to its answer. A warm server needs milliseconds; behind other requests or
#: while it opens another release, up to a second. After this the command answers by itself,
#: so this is what a server that hangs can cost it.
ANSWER_S = 2.0
#: What base64 makes fit into a line, with room for the other fields.
_CONTENT_BYTES = (LINE_BYTES - (1 << 16)) // 4 * 3
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Refused:
    """A recording that the server read and found not good enough."""

    error: QualityRefused
    quality: Mapping[str, Any]


class Client:
    """Asks for one command's recordings; after the first failure it asks no more."""

    def __init__(self, path: Path, store: Path | None, **options: Any) -> None:
        """options: of a `Query`, and the same for every recording."""
        self._path = path
        self._common = {**options, "store": store_name(store), "version": __version__}
        self._gone = False

    def ask(
        self, source: str, stream: Callable[[], bytes] | None = None
    ) -> Answer | Refused | None:
        """The answer for a file, or for a stream's bytes; None: find out yourself."""
        if self._gone:
            return None
        try:
            query = self._query_of(source) if stream is None else self._query_in(source, stream())
            return _taken(_exchanged(self._path, request_line(query))) if query else None
        except InputError:  # one recording's fault: the next may be read
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._gone = True
            return None

    def _query_in(self, source: str, data: bytes) -> Query | None:
        fits = len(data) <= _CONTENT_BYTES
        return Query(data=data, source=source, **self._common) if fits else None

    def _query_of(self, source: str) -> Query | None:
        path = Path(source)
        files = gather(path)
        if files is None:
            return None
        # As `formats.read` names it: "./17.hea" is told as "17.hea".
        return Query(files=files, name=path.name, source=str(path), **self._common)


def gather(path: Path) -> dict[str, bytes] | None:
    """The files that `formats.read` would look into for this path, by name; None where there
    are none, or more bytes than a request holds. Raises InputError for unreadable ones.
    """
    files: dict[str, bytes] = {}
    try:
        for one in (path, path.with_name(path.name + ".hea"), path.with_suffix(".hea")):
            if not _add(files, one):
                return None
        headers = [content for name, content in files.items() if name.endswith(".hea")]
        for name in {word for content in headers for word in _first_words(content)}:
            if not _add(files, path.parent / name):
                return None
    except (OSError, ValueError) as error:
        raise InputError(str(error)) from None
    return files or None


def _add(files: dict[str, bytes], path: Path) -> bool:
    """Put a file's bytes to the others, if there is such a file; False where it is too much."""
    if path.name in files or not path.is_file():
        return True
    room = _CONTENT_BYTES - sum(map(len, files.values()))
    with path.open("rb") as file:
        files[path.name] = file.read(room + 1)
    return len(files[path.name]) <= room


def _first_words(header: bytes) -> list[str]:
    """The file names a WFDB header's signal lines begin with, and other words: no such files."""
    lines = header[:_CHUNK].decode("utf-8", errors="replace").splitlines()
    words = [line.split()[0] for line in lines if line.strip()]
    return [word for word in words if "/" not in word and "\0" not in word]


def _connected(path: Path) -> socket.socket:
    """Raises OSError where nobody listens, or another user than ourselves and root does."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(CONNECT_S)
        connection.connect(str(path))
        if hasattr(socket, "SO_PEERCRED"):
            size = struct.calcsize("3i")
            told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
            if struct.unpack("3i", told)[1] not in (0, os.geteuid()):
                raise PermissionError("another user's server")
    except BaseException:
        connection.close()
        raise
    return connection


def _exchanged(path: Path, line: bytes) -> bytes:
    """The line that comes back for a line; raises OSError for a late, lost or endless one.

    A connection of its own for each: it costs next to nothing, and a server need not wait
    while a recording is still being recorded.
    """
    with _connected(path) as connection:
        deadline = time.monotonic() + ANSWER_S
        connection.settimeout(ANSWER_S)
        connection.sendall(line)
        return _line(connection, deadline)


def _line(connection: socket.socket, deadline: float) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while not pieces or not pieces[-1].endswith(b"\n"):
        connection.settimeout(max(deadline - time.monotonic(), 1e-3))
        piece = connection.recv(_CHUNK)
        size += len(piece)
        if not piece or size > LINE_BYTES:
            raise ConnectionError("no whole reply")
        pieces.append(piece)
    return b"".join(pieces)


def _taken(reply: bytes) -> Answer | Refused:
    """Raises InputError where the server could not read the recording, perhaps for want of an
    option, ValueError and the like for every other reply that settles nothing.
    """
    told = json.loads(reply)
    if (told["schema"], told["command"]) != (SCHEMA, "query"):
        raise ValueError("another protocol")
    if told["ok"] is True:
        return Answer.from_dict(told)
    error = told["error"]
    if error["exit_code"] == QualityRefused.exit_code:
        return Refused(QualityRefused(error["message"]), told["quality"])
    if error["exit_code"] in (InputError.exit_code, UsageError.exit_code):
        raise InputError(error["message"])
    raise ValueError(error["message"])
