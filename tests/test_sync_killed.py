"""The real command, killed with -9 at random moments of an update from a real server."""

from __future__ import annotations

import itertools
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from faulty_server import Behaviour, Handler, Server, honest
from power import lay_out, tree_of
from power_centre import STORE, Expected, check_clean, command, open_centre
from threaded_server import running

from ecgedge.casebase.release import Store
from ecgedge.sync.status import read_status

UPDATED = Expected(0, 1, (0, 1))
KILLS_IN_DOWNLOAD = 4
KILLS_AT_ANY_TIME = 8


class Line:
    """What a server does. asked: set at the first request. stuck: once it holds the line."""

    def __init__(self, most_bytes: int | None = None) -> None:
        self.most_bytes = most_bytes
        self.asked, self.stuck, self.dead = (threading.Event() for _ in range(3))

    def script(self) -> Iterator[Behaviour]:
        """Begun by the first request."""
        self.asked.set()
        yield from itertools.repeat(honest if self.most_bytes is None else self._holds)

    def _holds(self, handler: Handler) -> None:
        """Send so much of a blob and wait until nobody is there any more."""
        if "/blobs/" not in handler.path:
            return honest(handler)
        assert handler.body is not None
        handler.begin(200, Content_Length=len(handler.body))
        handler.send(handler.body[: self.most_bytes])
        self.stuck.set()
        self.dead.wait()
        handler.close_connection = True
        return None


@contextmanager
def syncing(
    files: dict[str, bytes], root: Path, machine: Path, line: Line
) -> Iterator[subprocess.Popen[bytes]]:
    """The command at work, once it has asked for something; dead at the end."""
    with running(Server(files, line.script())) as server:
        process = subprocess.Popen(
            command(server.log.url, root, machine),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).resolve().parent.parent,
        )
        assert line.asked.wait(timeout=120)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            line.dead.set()


def test_the_command_killed_at_random_moments_leaves_a_whole_release_and_the_next_completes(
    tmp_path: Path, power_cuts: dict[str, object]
) -> None:
    # The command asks this machine's own clock.
    centre = open_centre(tmp_path / "centre", datetime.now(UTC))
    root = centre.written(tmp_path / "repository", 1) / "root.json"
    before = tree_of(centre.cart(tmp_path / "machine", 0))
    files = centre.offered[1]

    machine = lay_out(before, tmp_path / "timed")
    with syncing(files, root, machine, Line()) as process:
        begun_s = time.monotonic()
        assert process.wait(timeout=120) == 0
        took_s = time.monotonic() - begun_s
    check_clean(centre, machine, UPDATED)

    moments = random.Random(16)
    found = []
    for number in range(KILLS_IN_DOWNLOAD + KILLS_AT_ANY_TIME):
        in_download = number < KILLS_IN_DOWNLOAD
        machine = lay_out(before, tmp_path / str(number))
        line = Line(moments.randrange(24_000) if in_download else None)
        with syncing(files, root, machine, line) as process:
            if in_download:
                assert line.stuck.wait(timeout=120)
            else:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=moments.random() * took_s)
        store = Store(machine / STORE)
        read_status(store, centre.now)
        found.append(centre.answers(store))
        assert found[-1] in centre.ids[: 1 if in_download else 2]
        centre.sync(machine, 1)
        check_clean(centre, machine, UPDATED)
    old = found.count(centre.ids[0])
    power_cuts["the command, killed"] = f"{len(found)} times, {old} before its switch"
    assert old > KILLS_IN_DOWNLOAD
