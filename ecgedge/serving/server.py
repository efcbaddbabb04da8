"""Connections: a thread each, few of them, none for long.

A client that is slow, silent or dead costs its own connection until a deadline and nobody
else's answer: the engine is had only by a request that has arrived whole.
"""

from __future__ import annotations

import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from ecgedge.errors import EcgedgeError, UsageError
from ecgedge.serving.protocol import LINE_BYTES, failure_line

_CHUNK = 1 << 16
_BUSY = failure_line("query", EcgedgeError("too many connections are open: try again"))


@dataclass(frozen=True)
class Limits:
    """line_s: from the end of an answer, or from connecting, to a whole request. send_s: to
    take an answer. stop_s: for what is in flight when the server is told to stop.
    """

    connections: int = 16
    line_bytes: int = LINE_BYTES
    line_s: float = 10.0
    send_s: float = 10.0
    stop_s: float = 10.0


class Server:
    """Answers each line of each connection with `reply`, which must never raise."""

    def __init__(self, reply: Callable[[bytes], bytes], limits: Limits | None = None) -> None:
        self._reply = reply
        self._limits = limits or Limits()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._guard = threading.Lock()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)

    def stop(self) -> None:
        """Make `run` return; may be called from a signal handler or another thread."""
        with suppress(OSError):  # full: it was told already; closed: it has ended
            os.write(self._wake_write, b"x")

    def run(self, listener: socket.socket) -> None:
        """Accept connections of a listening unix socket until `stop`."""
        listener.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._wake_read in ready:
                    break
                self._accept(listener)

    def close(self) -> None:
        """Wait for the answers to what has arrived. To be called when nobody listens any more."""
        with self._guard:
            threads = list(self._open.items())
        for connection, _ in threads:
            with suppress(OSError):  # what it has sent is still read and answered
                connection.shutdown(socket.SHUT_RD)
        deadline = time.monotonic() + self._limits.stop_s
        for _, thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        handles = self._wake_read, self._wake_write
        self._wake_read = self._wake_write = -1  # a late `stop` must not write to another's file
        for handle in handles:
            os.close(handle)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:  # the client has gone, or no file handle is left
            print(f"ecgedge: a connection was lost: {error.strerror}", file=sys.stderr)
            time.sleep(0.05)
            return
        connection.setblocking(True)
        with self._guard:
            full = len(self._open) >= self._limits.connections
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            if not full:
                self._open[connection] = thread
        try:
            if full:
                raise RuntimeError("full")
            thread.start()
        except (RuntimeError, MemoryError):  # full, or no further thread can be had
            self._dismiss(connection)

    def _dismiss(self, connection: socket.socket) -> None:
        with suppress(OSError):
            connection.setblocking(False)
            connection.send(_BUSY)
        self._forget(connection)

    def _forget(self, connection: socket.socket) -> None:
        with self._guard:
            self._open.pop(connection, None)
        with suppress(OSError):
            connection.close()

    def _serve(self, connection: socket.socket) -> None:
        """Answer a connection's lines until it ends, is late or is lost."""
        try:
            for line in self._lines(connection):
                answer = self._reply(line)
                connection.settimeout(self._limits.send_s)
                connection.sendall(answer)
        except UsageError as error:
            with suppress(OSError):
                connection.settimeout(self._limits.send_s)
                connection.sendall(failure_line("query", error))
        except (OSError, MemoryError):  # gone, or does not read: nobody is left to tell
            pass
        finally:
            self._forget(connection)

    def _lines(self, connection: socket.socket) -> Iterator[bytes]:
        """Whole lines without their ends. Raises UsageError for one that is too long or broken
        off, TimeoutError (an OSError) for one that does not come.
        """
        held, searched = bytearray(), 0
        deadline = time.monotonic() + self._limits.line_s
        while True:
            end = held.find(b"\n", searched)
            if end >= 0:
                line = bytes(held[:end])
                del held[: end + 1]
                searched = 0
                yield line
                deadline = time.monotonic() + self._limits.line_s
                continue
            searched = len(held)
            if searched > self._limits.line_bytes:
                raise UsageError(f"a request is longer than {self._limits.line_bytes} bytes")
            connection.settimeout(max(deadline - time.monotonic(), 1e-3))
            piece = connection.recv(_CHUNK)
            if not piece:
                if held.strip():
                    raise UsageError("the request broke off before the end of its line")
                return
            held += piece
