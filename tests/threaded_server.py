"""Servers of the standard library, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer
from typing import TypeVar

T = TypeVar("T", bound=BaseServer)


@contextmanager
def running(server: T) -> Iterator[T]:
    """The server while it serves; at the end it and its thread are gone."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
