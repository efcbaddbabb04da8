"""A line in, its reply out, whatever the line holds and whatever happens on the way."""

from __future__ import annotations

import os
import sys
import time
import traceback
from dataclasses import asdict, replace
from typing import Any

from ecgedge import __version__, formats
from ecgedge.answer import Answer
from ecgedge.errors import EcgedgeError, MismatchError, QualityRefused
from ecgedge.recording import Recording
from ecgedge.serving.keeper import Keeper
from ecgedge.serving.place import store_name
from ecgedge.serving.protocol import (
    OUT_OF_MEMORY,
    Query,
    failure_line,
    parse_request,
    reply_line,
)
from ecgedge.signal.quality import assess


class Desk:
    """Answers lines from a kept engine and counts them."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.answered = self.failed = 0
        self._begun = time.monotonic()

    def reply(self, line: bytes) -> bytes:
        """One line for one line; a fault in a request is its reply, never an exception."""
        command = "query"
        try:
            request = parse_request(line)
            command = request.command
            if request.query is not None:
                return self._query(request.query)
            return reply_line(command, self.status() if command == "status" else _version())
        except MemoryError as error:
            _log(error)
            self.failed += 1
            return OUT_OF_MEMORY
        except Exception as error:
            if not isinstance(error, EcgedgeError):
                _log(error)
            self.failed += 1
            return failure_line(command, error)

    def status(self) -> dict[str, object]:
        """What is kept open, since when, and how many queries it has answered."""
        keeper, engine = self.keeper, self.keeper.engine
        return {
            **_version(),
            "pid": os.getpid(),
            "store": store_name(keeper.root),
            "release": engine.manifest.id if engine else None,
            "model": engine.encoder.spec.id if engine else None,
            "cases": len(engine.casebase) if engine else 0,
            "problem": keeper.problem,
            "answered": self.answered,
            "failed": self.failed,
            "uptime_s": round(time.monotonic() - self._begun, 1),
        }

    def _query(self, query: Query) -> bytes:
        if query.version not in (None, __version__):
            raise MismatchError(f"this server is ecgedge {__version__}, not {query.version}")
        ours = store_name(self.keeper.root)
        if query.store is not None and store_name(query.store) != ours:
            raise MismatchError(f"this server answers from {ours}, not from {query.store}")
        with self.keeper.opened() as (engine, notes):
            if query.encoder not in (None, engine.encoder.spec.id):
                raise MismatchError(f"this server encodes with {engine.encoder.spec.id}")
            begun = time.perf_counter()
            recording = _read(query)
            read_ms = (time.perf_counter() - begun) * 1e3
            try:
                answer: Answer = engine.query(
                    recording,
                    query.k,
                    force=query.force,
                    max_novelty=query.max_novelty,
                    draft=query.draft,
                )
            except QualityRefused as error:
                self.answered += 1
                facts = {"source": recording.source, "quality": asdict(assess(recording))}
                return failure_line("query", error, **facts)
            answer = replace(answer, notes=(*answer.notes, *notes)).with_reading(read_ms)
            self.answered += 1
        return reply_line("query", answer.to_dict())


def _version() -> dict[str, object]:
    return {"version": __version__}


def _read(query: Query) -> Recording:
    """The recording that was named or sent, under the name it is to have in the answer."""
    options: dict[str, Any] = {
        "rate_hz": query.rate_hz,
        "unit": query.unit,
        "leads": query.leads,
    }
    if query.path is not None:
        name = query.path
        recording = formats.read(name, **options)
    elif query.files is not None:
        name = query.name or ""
        recording = formats.read_files(query.files, name, **options)
    else:
        name = "-"
        recording = formats.read_bytes(query.data or b"", **options)
    return replace(recording, source=query.source or name)


def _log(error: BaseException) -> None:
    """A line for the journal; neither the request's words nor a file's, which may be a person's."""
    print(f"ecgedge: fault in a request: {type(error).__name__}", file=sys.stderr)
    if os.environ.get("ECGEDGE_DEBUG") == "1":
        traceback.print_exception(error, file=sys.stderr)
