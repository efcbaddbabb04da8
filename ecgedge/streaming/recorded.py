"""Sources that wait to be read: a log, a capture of raw octets, standard input."""

from __future__ import annotations

import os
import select
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from ecgedge.errors import InputError
from ecgedge.streaming.arrivals import Arrival, End, Octets
from ecgedge.streaming.log import PREFIX, LogReader
from ecgedge.streaming.reasons import reason

_READ_OCTETS = 1 << 16
#: So long a pipe is waited for that may bring a log; one that is silent for longer is a device.
FIRST_OCTETS_S = 3.0


class Recorded:
    """A file or a pipe. A log is known by its first octets; all else is a raw capture.

    A log brings the times at which its octets came. A file of raw octets has none and is all
    at time 0; a pipe may be live, so its octets have the times at which they are read.
    """

    live = False

    def __init__(self, handle: int, name: str, *, pipe: bool) -> None:
        """handle: an open file descriptor, closed with the source.

        Waits for as many octets as tell a log from a capture, at a silent pipe for
        `FIRST_OCTETS_S`. Raises InputError where they cannot be read or a log's header is none;
        `read` does, too.
        """
        self.name = name
        self._handle, self._pipe = handle, pipe
        self._poll = select.poll()
        self._poll.register(handle, select.POLLIN)
        self._log: LogReader | None = None
        self._begun: bytes | None = b""  # what came before it was known what it is
        self._ready: deque[Arrival] = deque()
        self._host_us = 0
        self._ended = False
        self.options: Mapping[str, Any] = {}
        try:
            self._look()
        except BaseException:
            self.close()
            raise

    def now_us(self) -> int:
        """The time of the latest arrival; the host's where nothing else tells it."""
        return time.monotonic_ns() // 1000 if self._pipe and not self._log else self._host_us

    def read(self, timeout_s: float) -> Arrival | None:
        while not self._ready:
            if self._ended:
                return End(self.now_us(), self._log.torn if self._log else "")
            # A regular file is always ready; a pipe may keep us waiting.
            if self._pipe and not self._poll.poll(max(timeout_s, 0) * 1e3):
                return None
            self._take(self._octets())
            if self._log and not self.options:  # another device may have been taken for granted
                raise InputError(f"{self.name} is a log that came too late: name it as a file")
        arrival = self._ready.popleft()
        self._host_us = arrival.host_us
        return arrival

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _look(self) -> None:
        """Read the beginning, and the header if it is a log's."""
        if self._pipe and not self._poll.poll(FIRST_OCTETS_S * 1e3):
            return
        while not self._ended and (self._begun is not None or self._lacks_header()):
            self._take(self._octets())
        if self._log:
            if self._log.header is None:
                raise InputError(f"{self.name}: {self._log.torn}")
            self.options = self._log.header

    def _lacks_header(self) -> bool:
        return self._log is not None and self._log.header is None

    def _take(self, data: bytes) -> None:
        if self._begun is not None:
            self._begun += data
            if not self._ended and PREFIX.startswith(self._begun):
                return
            data, self._begun = self._begun, None
            if data.startswith(PREFIX):
                self._log = LogReader()
        if self._log:
            self._ready.extend(self._log.feed(data))
            self._ended = self._ended or bool(self._log.damage)
        elif data:
            self._ready.append(Octets(self.now_us(), data))

    def _octets(self) -> bytes:
        """The next octets; none at the end, which is remembered."""
        try:
            data = os.read(self._handle, _READ_OCTETS)
        except OSError as error:
            raise InputError(f"{self.name} cannot be read: {reason(error)}") from None
        self._ended = not data
        return data
