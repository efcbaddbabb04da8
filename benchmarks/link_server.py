"""A web server behind a link that breaks: it answers ranges well and resets each connection."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PIECE_BYTES = 1 << 14
_PATIENCE_MS = 5000


class BadLink(ThreadingHTTPServer):
    """Serves one file at every path.

    drop_bytes: of a body, after which the connection is reset. rate_bytes_per_s: None for as
    fast as it goes. sent_bytes counts what reached the other machine. A connection is reset
    once that has everything up to the drop; dropping is called just before.
    """

    daemon_threads = True

    def __init__(self, data: bytes, drop_bytes: int, rate_bytes_per_s: float | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.data, self.drop_bytes, self.rate_bytes_per_s = data, drop_bytes, rate_bytes_per_s
        self.dropping: Callable[[], None] = lambda: None
        self.sent_bytes = self.requests = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that ends is what this server is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BadLink

    def do_GET(self) -> None:
        whole = self.server.data
        told = self.headers.get("Range")
        start = int(told.removeprefix("bytes=").removesuffix("-")) if told else 0
        piece = memoryview(whole)[start:]
        if start:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(piece)))
        self.end_headers()
        drops = len(piece) > self.server.drop_bytes
        self._send(piece[: self.server.drop_bytes])
        if drops:
            self.server.dropping()
            self._reset()

    def _send(self, piece: memoryview) -> None:
        rate = self.server.rate_bytes_per_s
        begun = time.monotonic()
        sent = 0
        try:
            while sent < len(piece):
                if rate is not None:
                    time.sleep(max(0.0, begun + sent / rate - time.monotonic()))
                sent += self.connection.send(piece[sent : sent + _PIECE_BYTES])
        finally:
            with self.server.lock:
                self.server.requests += 1
                self.server.sent_bytes += sent - self._undelivered()

    def _undelivered(self) -> int:
        """Bytes that the other machine has not acknowledged, once it had time to."""
        for _ in range(_PATIENCE_MS):
            told = fcntl.ioctl(self.connection, termios.TIOCOUTQ, bytes(4))
            waiting = int.from_bytes(told, "little")
            if not waiting:
                return 0
            time.sleep(0.001)
        return waiting

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(server: BadLink) -> Iterator[BadLink]:
    """The server in a thread of its own."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
