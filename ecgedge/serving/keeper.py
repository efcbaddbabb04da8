"""Keeps an engine open, and opens the store's active release anew when it has changed.

Looking costs a few `stat` calls a request. What a sync switched to is opened by the first
request after it; if that cannot be opened, the release before keeps answering and says so.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgedge.casebase.release import open_store
from ecgedge.engine import Engine
from ecgedge.errors import ReleaseError
from ecgedge.signal.synthetic import synthesize

#: So long a release that could not be opened is left alone: each try hashes all its files.
RETRY_S = 30.0
_Signature = tuple[int, int, int] | None
_Found = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class _Kept:
    """An opened release, the files it was opened from, and its answer to a known recording."""

    engine: Engine
    files: dict[Path, _Signature]
    known: _Found

    @property
    def changed(self) -> bool:
        """Whether a file was altered under its map. One that was deleted lives on in it."""
        now = {path: _signature(path) for path in self.files}
        return any(there is not None and there != self.files[path] for path, there in now.items())


class Keeper:
    """One engine for one store. One request at a time has it: memory then has one bound,
    whoever asks, and on a cart the encoder's own threads use the cores better.
    """

    def __init__(self, store: Path | str | None, **options: Any) -> None:
        """options: those of `Engine.open` but the release. Raises what that raises."""
        self._store = open_store(store)
        self._options = options
        self._lock = threading.Lock()
        self._current = _signature(self._store.root / "current")
        self._kept: _Kept | None = self._open()
        self._retry_at = 0.0
        self.problem = ""

    @property
    def engine(self) -> Engine | None:
        """The engine that would answer now, to be looked at only."""
        return self._kept.engine if self._kept else None

    @property
    def root(self) -> Path:
        return self._store.root

    @contextmanager
    def opened(self) -> Iterator[tuple[Engine, tuple[str, ...]]]:
        """The engine of the active release, for this block alone, and notes for its answers.

        Raises ReleaseError where neither the active release nor the one before can answer.
        """
        with self._lock:
            yield self._renewed()

    def check(self, timeout_s: float) -> str:
        """What is wrong with a known recording's answer, or "". Waits timeout_s for its turn.

        A damaged store is no fault of this process: `problem` tells of it.
        """
        if not self._lock.acquire(timeout=timeout_s):
            return f"a request has not ended for {timeout_s:g} s"
        try:
            self._renewed()
            assert self._kept is not None
            same = _ask(self._kept.engine) == self._kept.known
            return "" if same else "a known recording is answered otherwise than before"
        except ReleaseError:
            return ""
        except Exception as error:
            return f"a known recording cannot be answered: {type(error).__name__}"
        finally:
            self._lock.release()

    def _renewed(self) -> tuple[Engine, tuple[str, ...]]:
        """Open the active release if it is another or its files have changed."""
        current = _signature(self._store.root / "current")
        damaged = self._kept is not None and self._kept.changed
        again = self._problem_is_old()
        if current != self._current or damaged or again:
            self._current = current
            self._try_open(damaged)
        if self._kept is None:
            raise ReleaseError(self.problem)
        engine = self._kept.engine
        if not self.problem:
            return engine, ()
        told = f"answered by release {engine.manifest.id}: the active one cannot be opened"
        return engine, (f"{told} ({self.problem})",)

    def _problem_is_old(self) -> bool:
        return bool(self.problem) and time.monotonic() >= self._retry_at

    def _try_open(self, damaged: bool) -> None:
        try:
            active = self._store.current_id()
            if damaged or self._kept is None or active != self._kept.engine.manifest.id:
                self._kept = self._open()
            self.problem = ""
        except Exception as error:  # also MemoryError: two releases were open for a moment
            self.problem = str(error) or type(error).__name__
            self._retry_at = time.monotonic() + RETRY_S
            if damaged:
                # What is mapped is not what was verified: no answer rather than a wrong one.
                self._kept = None
            print(f"ecgedge: {self.problem}", file=sys.stderr)

    def _open(self) -> _Kept:
        manifest = self._store.manifest()
        # Before the files are verified: a change in between is then noticed, not missed.
        blobs = [self._store.blobs / name for name in manifest.blobs()]
        files = {path: _signature(path) for path in blobs}
        engine = Engine.open(self._store.root, release=manifest.id, **self._options)
        return _Kept(engine, files, _ask(engine))


def _ask(engine: Engine) -> _Found:
    """What a made-up heart is answered with; the first time this also maps what opens late."""
    answer = engine.query(synthesize(), force=True)
    return tuple((match.case_id, match.similarity) for match in answer.matches)


def _signature(path: Path) -> _Signature:
    """Changes when a file is replaced or written; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
