"""A query beside servers that do not serve it: the local answer, soon, and never a wrong one."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from serving_builders import RECORD

from ecgedge import __version__
from ecgedge.cli import cli
from ecgedge.serving import client as client_module
from ecgedge.serving import place

Behaviour = Callable[[socket.socket], None]


def _reply(**fields: Any) -> Behaviour:
    line = json.dumps({"schema": "ecgedge/1", "command": "query", **fields}).encode() + b"\n"
    return _bytes(line)


def _bytes(line: bytes) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(line)

    return behave


def _fails(kind: str, code: int) -> Behaviour:
    return _reply(ok=False, error={"type": kind, "message": "no", "exit_code": code})


def _silent(connection: socket.socket) -> None:
    connection.recv(1 << 16)
    time.sleep(1.0)


def _drips(connection: socket.socket) -> None:
    """A byte now and then: alive, but an answer never comes."""
    connection.recv(1 << 16)
    for _ in range(50):
        connection.sendall(b" ")
        time.sleep(0.02)


@contextmanager
def _server(path: Path, behave: Behaviour) -> Iterator[list[int]]:
    """Something that listens and behaves like this; the list grows by one a connection."""
    taken: list[int] = []
    over = threading.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(20)

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    if over.is_set():
                        return
                    taken.append(1)
                    behave(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield taken
        over.set()
        with suppress(OSError), socket.socket(socket.AF_UNIX) as last:
            last.connect(str(path))  # wakes a thread that nobody has asked
        thread.join()


def _query(path: Path, *words: str) -> list[dict[str, Any]]:
    env = {"ECGEDGE_SOCKET": str(path)}
    result = CliRunner().invoke(cli, ["query", str(RECORD), "--json", *words], env=env)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(lambda connection: None, id="hangs up"),
        pytest.param(_silent, id="says nothing"),
        pytest.param(_drips, id="never ends"),
        pytest.param(_bytes(b"HTTP/1.1 400 Bad Request\r\n"), id="speaks another protocol"),
        pytest.param(_bytes(b"[]\n"), id="replies with no object"),
        pytest.param(_bytes(b"[" * 100_000 + b"\n"), id="replies with deep nesting"),
        pytest.param(_reply(ok=True), id="replies without an answer"),
        pytest.param(_reply(ok=True, schema="ecgedge/2"), id="is of another schema"),
        pytest.param(_fails("MismatchError", 7), id="serves another store"),
        pytest.param(_fails("UsageError", 2), id="knows no such field"),
        pytest.param(_fails("InputError", 3), id="cannot read the recording"),
        pytest.param(_fails("EcgedgeError", 1), id="fails"),
    ],
)
def test_a_server_that_does_not_answer_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behave: Behaviour
) -> None:
    monkeypatch.setattr(client_module, "ANSWER_S", 0.2)
    with _server(tmp_path / "s", behave) as taken:
        (told,) = _query(tmp_path / "s")
    assert taken == [1]
    assert (told["ok"], told["served"]) == (True, False)


def test_after_one_failure_the_rest_of_a_command_is_answered_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a folder would wait for a dead server once a file."""
    monkeypatch.setattr(client_module, "ANSWER_S", 0.2)
    begun = time.monotonic()
    with _server(tmp_path / "s", _silent) as taken:
        told = _query(tmp_path / "s", *[str(RECORD)] * 3)
    assert [one["served"] for one in told] == [False] * 4
    assert taken == [1]
    assert time.monotonic() - begun < 30


def test_another_users_server_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent is a person's ECG, and what comes back is believed."""
    asked: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        asked.append(connection.recv(1 << 16))

    monkeypatch.setattr(client_module.struct, "unpack", lambda *_: (1, 54321, 54321))
    with _server(tmp_path / "s", behave):
        (told,) = _query(tmp_path / "s")
    assert told["served"] is False
    assert asked in ([], [b""])


def test_no_serve_and_explain_ask_nobody(tmp_path: Path) -> None:
    with _server(tmp_path / "s", _silent) as taken:
        assert _query(tmp_path / "s", "--no-serve")[0]["served"] is False
    assert taken == []


def test_the_store_and_version_asked_for_go_with_the_request(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []

    def behave(connection: socket.socket) -> None:
        data = b""
        while not data.endswith(b"\n"):
            data += connection.recv(1 << 16)
        seen.append(json.loads(data))

    with _server(tmp_path / "s", behave):
        _query(tmp_path / "s", "-k", "3", "--draft")
    (told,) = seen
    assert (told["version"], told["store"]) == (__version__, place.store_name(None))
    assert (told["k"], told["draft"], told["name"]) == (3, True, RECORD.name)
    assert set(told["files"]) == {"synthetic.hea", "synthetic.dat"}


def test_a_client_looks_in_the_session_then_in_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ECGEDGE_SOCKET", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert place.candidates() == [tmp_path / "ecgedge.sock", Path("/run/ecgedge/ecgedge.sock")]
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert place.candidates() == [Path("/run/ecgedge/ecgedge.sock")]
    monkeypatch.setenv("ECGEDGE_SOCKET", "/elsewhere/s")
    assert place.candidates() == [Path("/elsewhere/s")]
    assert place.candidates(Path("/named/s")) == [Path("/named/s")]
    assert place.find_socket() is None
