"""Connections that are late, do not listen or cannot be had, with short deadlines."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from serving_builders import PATIENCE_S

from ecgedge.serving.claim import claimed, listening
from ecgedge.serving.server import Limits, Server

LIMITS = Limits(connections=4, line_bytes=1000, line_s=0.3, send_s=0.3, stop_s=PATIENCE_S)
MUCH = b"x" * (32 << 20) + b"\n"


def _echo(line: bytes) -> bytes:
    return MUCH if line == b"much" else line + b"\n"


@contextmanager
def _serving(path: Path, reply: Callable[[bytes], bytes] = _echo) -> Iterator[Server]:
    server = Server(reply, LIMITS)
    with claimed(path), listening(path) as listener:
        thread = threading.Thread(target=server.run, args=(listener,))
        thread.start()
        yield server
        server.stop()
        thread.join()
    server.close()


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE_S)
    connection.connect(str(path))
    return connection


def _asked(path: Path) -> bytes:
    with _connect(path) as connection:
        connection.sendall(b"well?\n")
        return connection.recv(100)


def test_lines_are_answered_in_order_however_they_are_cut(tmp_path: Path) -> None:
    with _serving(tmp_path / "s"), _connect(tmp_path / "s") as connection:
        for piece in (b"on", b"e\ntwo\nth", b"ree", b"\n"):
            connection.sendall(piece)
        got = b""
        while got.count(b"\n") < 3:
            got += connection.recv(100)
        assert got == b"one\ntwo\nthree\n"


def test_a_line_that_drips_in_is_cut_off_at_its_deadline(tmp_path: Path) -> None:
    """Each byte comes in time, the line does not."""
    with _serving(tmp_path / "s"), _connect(tmp_path / "s") as connection:
        connection.settimeout(0.02)
        with pytest.raises(ConnectionError):
            _drip(connection)
        assert _asked(tmp_path / "s") == b"well?\n"


def _drip(connection: socket.socket) -> None:
    """A byte now and then. Raises ConnectionError once the other side has closed."""
    for _ in range(int(PATIENCE_S / 0.02)):
        connection.sendall(b"x")
        with suppress(TimeoutError):
            if not connection.recv(1):
                raise ConnectionResetError


def test_a_client_that_does_not_read_its_answer_is_let_go(tmp_path: Path) -> None:
    with _serving(tmp_path / "s"), _connect(tmp_path / "s") as deaf:
        deaf.sendall(b"much\n")
        assert _asked(tmp_path / "s") == b"well?\n"
        received = 0
        threading.Event().wait(2 * LIMITS.send_s)
        while piece := deaf.recv(1 << 20):
            received += len(piece)
        assert received < len(MUCH)


def test_a_thread_that_cannot_be_had_costs_one_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _serving(tmp_path / "s"):
        assert _asked(tmp_path / "s") == b"well?\n"

        def exhausted(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", exhausted)
            with _connect(tmp_path / "s") as unlucky:
                assert b"too many connections" in unlucky.recv(1000)
        assert _asked(tmp_path / "s") == b"well?\n"


def test_an_answer_in_flight_is_waited_for(tmp_path: Path) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def reply(line: bytes) -> bytes:
        asked.set()
        assert go_on.wait(PATIENCE_S)
        return line + b"\n"

    with _serving(tmp_path / "s", reply) as server:
        connection = _connect(tmp_path / "s")
        connection.sendall(b"slow\n")
        assert asked.wait(PATIENCE_S)
        server.stop()
        threading.Timer(0.1, go_on.set).start()
    with connection:  # the server has ended by now
        assert connection.recv(100) == b"slow\n"
    assert not (tmp_path / "s").exists()
