"""`ecgedge serve` put together: claim the path, open the engine, listen, answer, end clean."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ecgedge.serving import systemd
from ecgedge.serving.claim import claimed, listening
from ecgedge.serving.desk import Desk
from ecgedge.serving.keeper import Keeper
from ecgedge.serving.server import Server

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def serve(path: Path, store: Path | None = None, **options: Any) -> dict[str, object]:
    """Answer at this path until a signal ends it; returns the desk's last status.

    options: how the engine is opened, as for `Engine.open`.

    A socket that systemd hands over is used instead of the path. To be called from the main
    thread. Raises UsageError where the path cannot be had, ReleaseError where the store
    cannot answer.
    """
    with ExitStack() as held:
        given = systemd.inherited()
        if given is None:
            held.enter_context(claimed(path))
        desk = Desk(Keeper(store, **options))
        server = Server(desk.reply)
        held.callback(server.close)  # after the socket has gone: nobody new waits meanwhile
        held.enter_context(_stopped_by_signals(server))
        listener = held.enter_context(given if given is not None else listening(path))
        where = listener.getsockname()
        _say(f"answering at {where} from release {desk.status()['release']}")
        systemd.notify("READY=1", _state(desk))
        held.enter_context(_watched(desk))
        server.run(listener)
        systemd.notify("STOPPING=1")
    return {"socket": where, **desk.status()}


@contextmanager
def _stopped_by_signals(server: Server) -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        server.stop()

    nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    numbers = [number for number in _SIGNALS if not (nohup and number == signal.SIGHUP)]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _watched(desk: Desk) -> Iterator[None]:
    """Ask a known recording now and then, and tell systemd that it was answered as ever."""
    span_s = systemd.watchdog_s()
    ended = threading.Event()
    if span_s is None:
        yield
        return
    every_s = span_s / 3  # one check that is held up by a long request does no harm

    def watch() -> None:
        while not ended.wait(every_s):
            wrong = desk.keeper.check(every_s)
            if wrong:
                _say(wrong)
            systemd.notify(*([] if wrong else ["WATCHDOG=1"]), _state(desk, wrong))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join(every_s)


def _state(desk: Desk, wrong: str = "") -> str:
    told = desk.status()
    problem = wrong or told["problem"]
    return f"STATUS=release {told['release']}, {told['answered']} answered. {problem}"


def _say(text: str) -> None:
    print(f"ecgedge: {text}", file=sys.stderr, flush=True)
