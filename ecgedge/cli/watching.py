"""What `ecgedge watch` says and hears: lines of text or JSON, signals, systemd."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ecgedge.answer import NOTICE
from ecgedge.cli import render_window
from ecgedge.cli.base import emit, report_failure
from ecgedge.errors import EcgedgeError
from ecgedge.serving import systemd
from ecgedge.streaming.replies import Answered, Refused
from ecgedge.streaming.stats import sentence
from ecgedge.streaming.told import Notice, Window
from ecgedge.streaming.watcher import Told, Watcher

if TYPE_CHECKING:
    from ecgedge.engine import Engine
    from ecgedge.streaming.logbook import Logbook
    from ecgedge.streaming.service import Stream

_NAME = "watch"


class Teller:
    """Prints what a watcher has to say, from whichever thread, a whole line or block at a time.

    Results go to stdout. Notices go to stderr as text, or to stdout as JSON lines.
    """

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._lock = threading.Lock()
        self._notes: tuple[str, ...] = ()

    def __call__(self, told: Told) -> None:
        with self._lock:
            match told:
                case Answered():
                    self._answered(told)
                case Refused():
                    self._refused(told)
                case Notice():
                    self._notice(told)

    def begin(
        self, stream: Stream, every_s: float, engine: Engine | None, logbook: Logbook | None
    ) -> None:
        """What is watched, who answers, and where the log is."""
        release = engine.manifest.id if engine else ""
        text = (
            f"watching {stream.source.name} (device {stream.device}), 10 s every {every_s:g} s, "
            f"answered from release {release}. {NOTICE}"
        )
        facts = {**stream.facts, "source": stream.source.name, "every_s": every_s}
        facts["log"] = None if logbook is None else str(logbook.path)
        self(Notice("begun", text, 0.0, {**facts, "release": release, "notice": NOTICE}))

    def summary(self, facts: Mapping[str, Any], error: EcgedgeError | None) -> int:
        """The last line, and the exit code. error: why the whole stream gave nothing."""
        told = {"event": "summary", **facts, "notice": NOTICE}
        with self._lock:
            if self._as_json and error is not None:
                return report_failure(_NAME, error, True, **told)
            emit(_NAME, told, self._as_json, f"{render_window.summary(facts)}\n{NOTICE}")
            return report_failure(_NAME, error, False) if error is not None else 0

    def _answered(self, told: Answered) -> None:
        answer = told.answer.to_dict() if self._as_json else {}
        facts = {"event": "answer", "window": window_facts(told.window), **answer}
        text = "" if self._as_json else render_window.answered(told, self._notes) + "\n"
        self._notes = tuple(told.answer.notes)
        emit(_NAME, facts, self._as_json, text)

    def _refused(self, told: Refused) -> None:
        if not self._as_json:
            click.echo(render_window.refused(told) + "\n")
            return
        report_failure(
            _NAME,
            told.error,
            True,
            event="refused",
            window=window_facts(told.window),
            quality=asdict(told.quality) if told.quality else None,
            notice=NOTICE,
        )

    def _notice(self, told: Notice) -> None:
        if not self._as_json:
            click.echo(render_window.notice(told), err=True)
            return
        facts = {"kind": told.kind, "text": told.text, "at_s": told.at_s, "facts": told.facts}
        emit(_NAME, {"event": "notice", **facts}, True, "")


def window_facts(window: Window) -> dict[str, Any]:
    """A window without its samples."""
    return {
        "number": window.number,
        "first": window.first,
        "start_s": round(window.start_s, 4),
        "end_s": round(window.end_s, 4),
        "missing_s": round(window.missing_s, 4),
        "clean": window.clean,
    }


def summary_facts(
    stream: Stream, watcher: Watcher, logbook: Logbook | None, stats: bool
) -> dict[str, Any]:
    """Everything that was counted."""
    counted = stream.session.summary()
    report = stream.session.clock.report()
    tally = asdict(watcher.tally)
    return {
        "source": stream.source.name,
        "device": stream.device,
        "seconds": round(watcher.seconds, 3),
        "stream": asdict(counted) | {"seconds": round(counted.seconds, 3)},
        "windows": {"due": tally.pop("windows"), **tally, "empty": counted.empty},
        "log": None if logbook is None else logbook.facts(),
        "clock": {"text": sentence(report), **asdict(report)} if stats else None,
    }


def status(watcher: Watcher) -> str:
    """One line for `systemctl status`."""
    told = watcher.tally
    return (
        f"{watcher.source.name}: {told.answered} answered, {told.refused} refused, "
        f"{told.failed} failed, {told.dropped} dropped"
    )


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that the first SIGINT, SIGTERM or SIGHUP sets; the second works as ever."""
    stop = threading.Event()
    wanted = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    heard = [one for one in wanted if signal.getsignal(one) is not signal.SIG_IGN]
    before = {one: signal.getsignal(one) for one in heard}

    def hear(number: int, frame: object) -> None:
        signal.signal(number, before[signal.Signals(number)])
        stop.set()

    for one in heard:
        signal.signal(one, hear)
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def heartbeat(status: Callable[[], str]) -> Callable[[float], None]:
    """Tells systemd, in time for its watchdog, that the loop turns and no answer hangs.

    What is returned takes the seconds for which the window in hand has been worked at.
    """
    span_s = systemd.watchdog_s()
    if not os.environ.get("NOTIFY_SOCKET"):
        return lambda busy_s: None
    every_s = span_s / 3 if span_s else 10.0
    next_s = time.monotonic()

    def beat(busy_s: float) -> None:
        nonlocal next_s
        if time.monotonic() < next_s:
            return
        next_s = time.monotonic() + every_s
        alive = ["WATCHDOG=1"] if span_s and busy_s < span_s else []
        systemd.notify(*alive, f"STATUS={status()}")

    return beat
