"""A small web proxy on loopback: CONNECT for https, whole addresses for http."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from threaded_server import running


@dataclass
class ProxyLog:
    """address: host:port. asked: "GET <url>" or "CONNECT <host:port>". headers: of each."""

    address: str
    asked: list[str] = field(default_factory=list)
    passwords: list[str | None] = field(default_factory=list)


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, password: str | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.password = password
        self.log = ProxyLog(f"127.0.0.1:{self.server_address[1]}")

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Proxy

    def _may(self) -> bool:
        told = self.headers.get("Proxy-Authorization")
        self.server.log.asked.append(f"{self.command} {self.path}")
        self.server.log.passwords.append(told)
        if self.server.password in (None, told):
            return True
        self.send_response(407)
        self.send_header("Proxy-Authenticate", "Basic")
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def do_GET(self) -> None:
        if not self._may():
            return
        parts = urlsplit(self.path)
        assert parts.hostname
        onward = HTTPConnection(parts.hostname, parts.port or 80)
        headers = {key: value for key, value in self.headers.items() if "Proxy" not in key}
        onward.request("GET", parts.path, headers=headers)
        reply = onward.getresponse()
        data = reply.read()
        self.send_response(reply.status)
        for name, value in reply.getheaders():
            if name not in ("Server", "Date"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        onward.close()

    def do_CONNECT(self) -> None:
        if not self._may():
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as onward:
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            _join(self.connection, onward)

    def log_message(self, *_: object) -> None:
        pass


def _join(one: socket.socket, other: socket.socket) -> None:
    """Pass bytes both ways until either side has had enough."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in selector.select():
                data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                if not data:
                    return
                key.data.sendall(data)


@contextmanager
def proxying(password: str | None = None) -> Iterator[ProxyLog]:
    """A proxy. password: the Proxy-Authorization header without which it does nothing."""
    with running(_Proxy(password)) as server:
        yield server.log
