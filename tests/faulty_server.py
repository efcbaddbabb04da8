"""A real web server on loopback that does, request by request, what a test tells it to."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from threaded_server import running

Behaviour = Callable[["Handler"], None]


@dataclass
class Log:
    """What was asked of a server and what it sent. requests: (path, Range header)."""

    url: str
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    body_bytes: int = 0


class Server(ThreadingHTTPServer):
    """Serves `files` from memory. script: what to do with the requests, one after another;
    those after its end are answered honestly.
    """

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes], script: Iterator[Behaviour]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.script = files, script
        self.log = Log(f"http://127.0.0.1:{self.server_address[1]}")
        self.lock = threading.Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what many of these tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.log.requests.append((self.path, self.headers.get("Range")))
            self.server.log.headers.append(dict(self.headers))
            behaviour = next(self.server.script, honest)
        behaviour(self)

    @property
    def body(self) -> bytes | None:
        """All of the file that is asked for."""
        return self.server.files.get(self.path.split("?")[0].lstrip("/"))

    @property
    def start(self) -> int:
        told = self.headers.get("Range")
        return int(told.removeprefix("bytes=").removesuffix("-")) if told else 0

    def begin(self, status: int, **headers: object) -> None:
        """Status and headers, in which "_" stands for "-"."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def send(self, data: bytes) -> None:
        with self.server.lock:
            self.server.log.body_bytes += len(data)
        self.wfile.write(data)

    def wait_for_hang_up(self) -> None:
        """Until the other side has had enough."""
        self.close_connection = True
        self.wfile.flush()
        while self.connection.recv(4096):
            pass

    def log_message(self, *_: object) -> None:
        pass


def honest(handler: Handler) -> None:
    """As any static server."""
    _serve(handler, handler.start, None)


def drops_after(count: int) -> Behaviour:
    """Break the connection after so many bytes of the body, which do arrive."""

    def behave(handler: Handler) -> None:
        _serve(handler, handler.start, count)

    return behave


def no_ranges(handler: Handler) -> None:
    """All of the file, whatever was asked for."""
    _serve(handler, 0, None)


def refuses(status: int, **headers: object) -> Behaviour:
    """An error with an empty body."""

    def behave(handler: Handler) -> None:
        handler.begin(status, Content_Length=0, **headers)

    return behave


def page(handler: Handler) -> None:
    """A network's login page in place of anything."""
    body = b"\n<!DOCTYPE html><html><body>Welcome to Hospital-Guest</body></html>"
    handler.begin(200, Content_Type="text/html", Content_Length=len(body))
    handler.send(body)


def claims(content_range: str) -> Behaviour:
    """A piece that is named so, whichever was asked for."""

    def behave(handler: Handler) -> None:
        assert handler.body is not None
        piece = handler.body[handler.start :]
        handler.begin(206, Content_Range=content_range, Content_Length=len(piece))
        handler.send(piece)

    return behave


def chunked(handler: Handler) -> None:
    """A body in chunks, without its length."""
    assert handler.body is not None
    handler.begin(200, Transfer_Encoding="chunked")
    for at in range(0, len(handler.body), 7001):
        piece = handler.body[at : at + 7001]
        handler.send(b"%x\r\n%s\r\n" % (len(piece), piece))
    handler.send(b"0\r\n\r\n")


def endless(handler: Handler) -> None:
    """A body that does not end."""
    handler.begin(200, Connection="close")
    handler.close_connection = True
    while True:  # until the other side hangs up and writing fails
        handler.send(bytes(1 << 16))


def _serve(handler: Handler, start: int, count: int | None) -> None:
    whole = handler.body
    if whole is None:
        return handler.begin(404, Content_Length=0)
    if start >= len(whole) > 0 and start:
        return handler.begin(416, Content_Length=0, Content_Range=f"bytes */{len(whole)}")
    piece = whole[start:]
    if start:
        told = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
        handler.begin(206, Content_Length=len(piece), Content_Range=told)
    else:
        handler.begin(200, Content_Length=len(piece))
    if count is None or count >= len(piece):
        return handler.send(piece)
    handler.send(piece[:count])
    # A plain close lets what was sent arrive; a reset would throw away what is under way.
    handler.close_connection = True
    return None


@contextmanager
def serving(
    files: Mapping[str, bytes], *script: Behaviour, tls: ssl.SSLContext | None = None
) -> Iterator[Log]:
    """A server of these files, by path. script: what it does with the first requests."""
    server = Server(files, iter(script))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.log.url = f"https://localhost:{server.server_address[1]}"
    with running(server):
        yield server.log
