"""Servers for tests: real processes on sockets in temporary folders, and hand-made requests."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ecgedge.casebase.release import Store, builtin_store

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "synthetic.csv"
RECORD = ROOT / "examples" / "synthetic.hea"
PATIENCE_S = 60.0  # a busy machine is not a failure


def request(command: str = "query", **fields: Any) -> bytes:
    """A request's line."""
    return json.dumps({"schema": "ecgedge/1", "command": command, **fields}).encode() + b"\n"


def copy_store(target: Path) -> Store:
    """A copy of the built-in release that a test may change."""
    shutil.copytree(builtin_store().root, target)
    return Store(target)


def next_release(store: Store, note: str) -> str:
    """A further, whole release in the store, not yet active: the same one with a note."""
    manifest = store.manifest()
    return store.add_release(replace(manifest, notes=(*manifest.notes, note)))


def broken_release(store: Store) -> str:
    """A release whose parts do not open."""
    return store.add_release(replace(store.manifest(), novelty=store.put_blob(b"no model")))


class Connection:
    """One connection to a server: lines out, replies in."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(str(path))
        self._file = self.socket.makefile("rb")

    def send(self, line: bytes) -> None:
        self.socket.sendall(line)

    def receive(self) -> dict[str, Any]:
        """The next reply. Raises EOFError where the server has hung up."""
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        told: dict[str, Any] = json.loads(line)
        return told

    def ask(self, line: bytes) -> dict[str, Any]:
        self.send(line)
        return self.receive()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def ask(path: Path, line: bytes) -> dict[str, Any]:
    """One request on a connection of its own."""
    with Connection(path) as connection:
        return connection.ask(line)


def launch(path: Path, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start `ecgedge serve --json`; it may not answer yet."""
    command = [sys.executable, "-m", "ecgedge", "serve", "--json", "--socket", str(path), *words]
    return _start(command, env)


def _start(
    command: Sequence[str], env: Mapping[str, str] | None, pass_fds: Sequence[int] = ()
) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=pass_fds,
    )


def launch_with_socket(listener: socket.socket) -> subprocess.Popen[str]:
    """Start `ecgedge serve` as a systemd socket unit does, with its socket as handle 3."""
    code = (
        "import os, sys\n"
        f"os.dup2({listener.fileno()}, 3)\n"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'ecgedge', 'serve', '--json'])"
    )
    return _start([sys.executable, "-c", code], None, pass_fds=[listener.fileno()])


def await_answer(server: subprocess.Popen[str], path: Path) -> None:
    """Wait until the server answers at its path, and is not too busy to."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        assert server.poll() is None, server.communicate()
        try:
            if ask(path, request("ping"))["ok"]:
                return
        except (FileNotFoundError, ConnectionError):
            pass
        time.sleep(0.02)
    raise AssertionError("the server does not answer")


def end(server: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[int, str, str]:
    """Send a signal; (exit code, stdout, stderr)."""
    server.send_signal(number)
    out, err = server.communicate(timeout=PATIENCE_S)
    return server.returncode, out, err


@contextmanager
def running(
    path: Path, *words: str, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A server that answers, ended with the block if it still runs."""
    server = launch(path, *words, env=env)
    try:
        await_answer(server, path)
        yield server
    finally:
        if server.poll() is None:
            server.kill()
        server.communicate()
