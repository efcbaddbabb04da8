"""A server that sends next to nothing is given up, however steadily it does so.

A timeout alone does not do that: each byte starts it anew. So what comes in is weighed against
the time that was waited for it, below HTTP, where headers and the lines between chunks count
like a file's bytes. Time the cart itself spends, at a slow disk say, does not count.
"""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from ecgedge.errors import NetworkError

#: No more is read at a time, be it one piece of a body or all headers: endless headers and
#: endless lines between chunks end here. The largest honest one is a piece of 64 KiB.
MAX_AT_ONCE_BYTES = 1 << 20


@dataclass
class Pace:
    """How fast one reply comes in: at least so many bytes a second in each window."""

    least_bytes_per_s: float = 100.0
    window_s: float = 60.0
    _waited_s: float = 0.0
    _bytes: int = 0

    def note(self, arrived_bytes: int, waited_s: float) -> None:
        """Raises NetworkError where a window ends with too little in it."""
        self._bytes += arrived_bytes
        self._waited_s += waited_s
        if self._waited_s < self.window_s:
            return
        rate = self._bytes / self._waited_s
        if rate < self.least_bytes_per_s:
            raise NetworkError(
                f"the server is too slow: {rate:.0f} bytes a second for {self._waited_s:.0f} s; "
                "try again later or on another network"
            )
        self._waited_s, self._bytes = 0.0, 0


def watch(manager: PoolManager, pace: Callable[[], Pace], clock: Callable[[], float]) -> None:
    """Give every reply of this manager's connections a pace of its own. clock: seconds."""

    class Response(_PacedResponse):
        new_pace = staticmethod(pace)
        now = staticmethod(clock)

    class Plain(HTTPConnection):
        response_class = Response

    class Encrypted(HTTPSConnection):
        response_class = Response

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    manager.pool_classes_by_scheme = {"http": PlainPool, "https": EncryptedPool}


class _PacedResponse(http.client.HTTPResponse):
    """A reply whose bytes are timed as they leave the socket, proxies' own replies too."""

    new_pace: Callable[[], Pace]
    now: Callable[[], float]

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self._paced = _Paced(self.fp.detach(), self.new_pace(), self.now)
        self.fp = io.BufferedReader(self._paced)

    def read1(self, n: int = -1) -> bytes:
        self._paced.left_bytes = MAX_AT_ONCE_BYTES
        return super().read1(n)


class _Paced(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, pace: Pace, now: Callable[[], float]) -> None:
        self._raw, self._pace, self._now = raw, pace, now
        self.left_bytes = MAX_AT_ONCE_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        begun = self._now()
        arrived = self._raw.readinto(buffer) or 0
        if arrived:
            self._pace.note(arrived, self._now() - begun)
        self.left_bytes -= arrived
        if self.left_bytes < 0:
            raise NetworkError("the server sends endless headers: is this the right address?")
        return arrived

    def close(self) -> None:
        self._raw.close()
        super().close()
