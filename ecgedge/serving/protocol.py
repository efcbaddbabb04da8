"""One line of JSON in, one line out. Pure: bytes to a request, results to bytes.

    {"schema": "ecgedge/1", "command": "query", "path": "/ward/17.hea", "k": 5}
    {"schema": "ecgedge/1", "command": "query", "ok": true, "matches": [...], ...}

Commands are query, ping and status. A reply is the envelope that `--json` prints, also for
a line that is no request. Fields that are not known are refused: a misspelt option must
not be answered as if it had not been given.
"""

from __future__ import annotations

import binascii
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import PurePosixPath
from typing import Any

from ecgedge.answer import SCHEMA
from ecgedge.envelope import dumps
from ecgedge.errors import EcgedgeError, UsageError

#: Longest line either side reads; a 10 s recording as CSV is under 1 MiB.
LINE_BYTES = 8 << 20
MAX_K = 1000
UNITS = ("mV", "uV", "V", "NU")
_NAME_CHARACTERS = 4096
_FILES = 16
_LEADS = 64


@dataclass(frozen=True)
class Query:
    """What `ecgedge query` would be asked, and with what.

    Of path (absolute), data (a stream's bytes) and files (name -> bytes, of which `name` is
    meant) exactly one is set. source: what the answer calls the recording. store, encoder,
    version: what must answer, as `place.store_name`, the encoder's id and
    `ecgedge.__version__` say it; None for any.
    """

    path: str | None = None
    data: bytes | None = None
    files: Mapping[str, bytes] | None = None
    name: str | None = None
    source: str | None = None
    k: int = 5
    force: bool = False
    max_novelty: float = 1.0
    draft: bool = False
    rate_hz: float | None = None
    unit: str | None = None
    leads: tuple[str, ...] | None = None
    store: str | None = None
    encoder: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Request:
    """command: "query", "ping" or "status"; query is there for the first."""

    command: str
    query: Query | None = None


def parse_request(line: bytes) -> Request:
    """Raises UsageError, one sentence, for anything that is not exactly a request."""
    told = _parse_object(line)
    if told.get("schema") != SCHEMA:
        raise UsageError(f'a request says "schema": "{SCHEMA}"')
    command = told.get("command")
    if command not in ("query", "ping", "status"):
        raise UsageError('a request\'s "command" is "query", "ping" or "status"')
    given = {name: value for name, value in told.items() if name not in ("schema", "command")}
    known = _CHECKS if command == "query" else {}
    for name in given:
        if name not in known:
            raise UsageError(f"{name[:40]!r} is no field of a {command} request")
    return Request(command, _parse_query(given) if command == "query" else None)


def _parse_object(line: bytes) -> dict[str, Any]:
    if len(line) > LINE_BYTES:
        raise UsageError(f"a request is longer than {LINE_BYTES >> 20} MiB")
    try:
        told = json.loads(
            line.decode("utf-8"), object_pairs_hook=_unrepeated, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise UsageError("a request is one line of JSON in UTF-8, names unrepeated") from None
    if not isinstance(told, dict):
        raise UsageError("a request is a JSON object")
    return told


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) < len(pairs):
        raise ValueError("a repeated name")
    return told


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _parse_query(given: Mapping[str, Any]) -> Query:
    asked: dict[str, Any] = {}
    for name, value in given.items():
        if value is not None:  # null is what stands where nothing was given
            read, wanted = _CHECKS[name]
            try:
                asked[name] = read(value)
            except ValueError:
                raise UsageError(f'a request\'s "{name}" is {wanted}') from None
    if sum(name in asked for name in ("path", "data", "files")) != 1:
        raise UsageError('a query names its recording by one of "path", "data" and "files"')
    if ("name" in asked) != ("files" in asked):
        raise UsageError('"name" says which of the "files" is meant, and goes with them')
    return Query(**asked)


def _require(met: bool) -> None:
    if not met:
        raise ValueError


def _text(value: Any) -> str:
    _require(isinstance(value, str) and 0 < len(value) <= _NAME_CHARACTERS)
    return str(value)


def _path(value: Any) -> str:
    _require(_text(value).startswith("/") and "\0" not in value)
    return str(value)


def _file_name(value: Any) -> str:
    _require(PurePosixPath(_text(value)).name == value and value != ".." and "\0" not in value)
    return str(value)


def _bytes(value: Any) -> bytes:
    _require(isinstance(value, str))
    return binascii.a2b_base64(value, strict_mode=True)  # binascii.Error is a ValueError


def _file_bytes(value: Any) -> dict[str, bytes]:
    _require(isinstance(value, dict) and 0 < len(value) <= _FILES)
    return {_file_name(name): _bytes(content) for name, content in value.items()}


def _whole(value: Any) -> int:
    _require(type(value) is int and 1 <= value <= MAX_K)
    return int(value)


def _flag(value: Any) -> bool:
    _require(isinstance(value, bool))
    return bool(value)


def _number(value: Any) -> float:
    _require(type(value) is float or (type(value) is int and abs(value) < 1 << 53))
    _require(math.isfinite(value))
    return float(value)


def _share(value: Any) -> float:
    _require(0 <= _number(value) <= 1)
    return float(value)


def _unit(value: Any) -> str:
    _require(value in UNITS)
    return str(value)


def _lead_names(value: Any) -> tuple[str, ...]:
    _require(isinstance(value, list) and 0 < len(value) <= _LEADS)
    _require(all(isinstance(lead, str) and len(lead) <= _LEADS for lead in value))
    return tuple(value)


#: field of a query -> (how it is read, what it is)
_CHECKS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "path": (_path, "an absolute path"),
    "data": (_bytes, "a file's bytes in base64"),
    "files": (_file_bytes, f"at most {_FILES} plain file names with their bytes in base64"),
    "name": (_file_name, "a plain file name"),
    "source": (_text, f"a text of 1 to {_NAME_CHARACTERS} characters"),
    "k": (_whole, f"a whole number from 1 to {MAX_K}"),
    "force": (_flag, "true or false"),
    "max_novelty": (_share, "a number from 0 to 1"),
    "draft": (_flag, "true or false"),
    "rate_hz": (_number, "a number"),
    "unit": (_unit, f"one of {', '.join(UNITS)}"),
    "leads": (_lead_names, "a list of lead names"),
    "store": (_text, "a folder's name"),
    "encoder": (_text, "an encoder's id"),
    "version": (_text, "a version"),
}


def request_line(query: Query) -> bytes:
    """The line that `parse_request` reads as this query; options left alone are left out."""
    told: dict[str, Any] = {"schema": SCHEMA, "command": "query"}
    for field in fields(query):
        value = getattr(query, field.name)
        if value != field.default:
            told[field.name] = value
    if query.data is not None:
        told["data"] = _base64(query.data)
    if query.files is not None:
        told["files"] = {name: _base64(content) for name, content in query.files.items()}
    return json.dumps(told).encode() + b"\n"


def _base64(content: bytes) -> str:
    return binascii.b2a_base64(content, newline=False).decode()


def reply_line(command: str, facts: Mapping[str, Any]) -> bytes:
    """The envelope around a result, as `--json` prints it."""
    return dumps({"schema": SCHEMA, "command": command, "ok": True, **facts}).encode() + b"\n"


def failure_line(command: str, error: BaseException, **facts: Any) -> bytes:
    """The envelope of a failure; facts are further fields of it."""
    if isinstance(error, EcgedgeError):
        kind, message, code = type(error).__name__, str(error), error.exit_code
    else:
        kind, code = EcgedgeError.__name__, EcgedgeError.exit_code
        detail = " ".join(str(error).split()) or "no further detail"
        message = f"unexpected {type(error).__name__}: {detail}"
    told = {"type": kind, "message": message, "exit_code": code}
    envelope = {"schema": SCHEMA, "command": command, "ok": False, "error": told, **facts}
    return dumps(envelope).encode() + b"\n"


#: Made beforehand: when memory has run out there may be none to word it.
OUT_OF_MEMORY = failure_line(
    "query", EcgedgeError("this recording needs more memory than the server has")
)
