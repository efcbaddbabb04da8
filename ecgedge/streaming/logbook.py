"""Writes a log beside the stream, in a thread: a slow or full card must not hold up the device."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ecgedge.errors import UsageError
from ecgedge.streaming.arrivals import Back, Lost, Octets
from ecgedge.streaming.log import header_line, record
from ecgedge.streaming.reasons import reason

#: What came is handed to the system this often, in one write...
WRITE_EVERY_S = 1.0
#: ... and every so many of those the system is told to bring it to the card.
SYNC_EVERY = 10
#: So much may wait for a card that does not answer: ten minutes at 13.5 kB/s.
_MOST_WAITING = 8 << 20
_NAMED_BY_TIME = "%Y-%m-%dT%H-%M-%SZ.ecglog"


class Logbook:
    """One log file, new and growing.

    problem: why it is no longer written, or "": whoever watches goes on without it. octets,
    writes, syncs: what was handed to the system, and how often.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        """path: a file that is not there yet, or a folder, where the log is named by the time.

        facts: of the header. Raises UsageError where it cannot be made.
        """
        begun = datetime.now(UTC)
        self.path = path / begun.strftime(_NAMED_BY_TIME) if path.is_dir() else path
        self.problem = ""
        self.octets = self.writes = self.syncs = 0
        self._handle = _create(self.path)
        self._lock = threading.Lock()
        told = {**facts, "started": begun.isoformat(timespec="seconds")}
        self._waiting = bytearray(header_line(told))
        self.write()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_writing, name="log", daemon=True)
        self._thread.start()

    def add(self, arrival: Octets | Lost | Back) -> None:
        """Have it written within a second; returns at once."""
        if self.problem:
            return
        data = record(arrival)
        with self._lock:
            self._waiting += data
            stuck = len(self._waiting) > _MOST_WAITING
        if stuck:
            self.problem = "its card takes nothing any more"

    def write(self) -> None:
        """Hand over what waits, in one write."""
        with self._lock:
            data, self._waiting = memoryview(bytes(self._waiting)), bytearray()
        if not data or self.problem:
            return
        try:
            while data:
                done = os.write(self._handle, data)
                data = data[done:]
                self.octets += done
                self.writes += 1
        except OSError as error:
            self.problem = reason(error)

    def facts(self) -> dict[str, Any]:
        """For a summary."""
        return {
            "path": str(self.path),
            "octets": self.octets,
            "writes": self.writes,
            "syncs": self.syncs,
            "problem": self.problem,
        }

    def close(self, patience_s: float = 5.0) -> None:
        """Write and sync what is left; a card that does not answer is left behind."""
        self._ended.set()
        self._thread.join(patience_s)
        if not self._thread.is_alive():
            os.close(self._handle)

    def _keep_writing(self) -> None:
        turn = 0
        while not self._ended.wait(WRITE_EVERY_S):
            turn += 1
            before = self.octets
            self.write()
            if turn % SYNC_EVERY == 0 and self.octets > before:
                self._sync()
        self.write()
        self._sync()

    def _sync(self) -> None:
        try:
            os.fdatasync(self._handle)
            self.syncs += 1
        except OSError:
            pass  # a terminal or /dev/full: there is nothing to bring to a card


def _create(path: Path) -> int:
    """A new file's handle; a character device is written to as it is."""
    flags = os.O_WRONLY | os.O_CLOEXEC | os.O_APPEND
    try:
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o640)
    except FileExistsError:
        if path.exists() and stat.S_ISCHR(path.stat().st_mode):
            return os.open(path, flags)
        raise UsageError(f"{path} is there already: a log is never written over") from None
    except OSError as error:
        words = reason(error)
        raise UsageError(f"the log {path} cannot be made: {words}") from None
