"""A line to a device that is taken up again, by itself, whenever it is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ecgedge.errors import EcgedgeError
from ecgedge.streaming.arrivals import Arrival, Back, Lost, Octets

#: Pause before a try to come back: the first, and the longest after doublings.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 2.0


class Line(Protocol):
    """An open connection to a device, as `SerialPort` and `TcpLine`."""

    def read(self, timeout_s: float) -> bytes | None:
        """Octets, None for none in time; raises EcgedgeError where the line is lost."""
        ...

    def close(self) -> None: ...


class Live:
    """A source that never ends by itself. The first connection is made at once."""

    live = True

    def __init__(
        self,
        name: str,
        connect: Callable[[], Line],
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """connect: opens the line anew, by name. Raises what it raises.

        clock: monotonic seconds; wait: passes as many of them.
        """
        self.name = name
        self.options: Mapping[str, Any] = {}
        self._connect, self._clock, self._wait = connect, clock, wait
        self._line: Line | None = connect()
        self._pause_s = FIRST_PAUSE_S
        self._next_try_s = 0.0

    def now_us(self) -> int:
        return int(self._clock() * 1e6)

    def read(self, timeout_s: float) -> Arrival | None:
        if self._line is None:
            return self._come_back(timeout_s)
        try:
            data = self._line.read(timeout_s)
        except EcgedgeError as error:
            self.close()
            self._next_try_s = self._clock() + self._pause_s
            return Lost(self.now_us(), str(error))
        if not data:
            return None
        self._pause_s = FIRST_PAUSE_S  # only octets prove that it is really back
        return Octets(self.now_us(), data)

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _come_back(self, timeout_s: float) -> Arrival | None:
        """Try to connect when it is time to, within the timeout."""
        left_s = max(self._next_try_s - self._clock(), 0.0)
        self._wait(min(left_s, timeout_s))
        if left_s > timeout_s:
            return None
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        try:
            self._line = self._connect()
        except EcgedgeError:
            self._next_try_s = self._clock() + self._pause_s
            return None
        return Back(self.now_us())
