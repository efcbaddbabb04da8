"""The loop of `ecgedge watch`: a source, its session, its log, and the answers.

The thread that runs it reads, and tells notices at once; answers are found and told in a
second one, so that a query never holds up the device. What decides is in `Session`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from ecgedge.streaming.answering import Answering
from ecgedge.streaming.arrivals import Arrival, Back, End, Lost, Octets, Source
from ecgedge.streaming.replies import Answered, Query, Refused, reply
from ecgedge.streaming.stats import sentence
from ecgedge.streaming.told import Notice, NoticeKind, Window

if TYPE_CHECKING:
    from ecgedge.streaming.logbook import Logbook
    from ecgedge.streaming.session import Session

#: How long a read waits: nothing is noticed later than that.
POLL_S = 0.2
#: What a query in hand may take once somebody wants to stop.
_PATIENCE_S = 10.0
_STATS_EVERY_S = 60.0

Told = Answered | Refused | Notice


@dataclass(frozen=True)
class Limits:
    """When to stop by itself. seconds: of the host's time or of stream, whichever is more."""

    windows: int | None = None
    seconds: float = math.inf


@dataclass
class Tally:
    """What became of the windows. failed: the engine was at fault, not the signal."""

    windows: int = 0
    answered: int = 0
    refused: int = 0
    failed: int = 0
    dropped: int = 0


@dataclass
class Watcher:
    """Watches a source until it ends, a limit is reached or `stopped` says so.

    query: asked in a thread of its own, one window at a time. tell: takes what there is to
    say, from either thread. beat: called several times a second with the seconds for which
    the window in hand has been worked at. Raises what `tell` raises, and what the source
    raises when it can no longer be read.
    """

    source: Source
    session: Session
    query: Query
    tell: Callable[[Told], None]
    logbook: Logbook | None = None
    limits: Limits = field(default_factory=Limits)
    stats: bool = False
    stopped: Callable[[], bool] = lambda: False
    beat: Callable[[float], None] = lambda busy_s: None

    def __post_init__(self) -> None:
        self.tally = Tally()
        self.ended = False
        self.seconds = 0.0
        self._answering = Answering(self._answer)
        self._stream_s = 0.0
        self._begun_us: int | None = None
        self._stats_at_s = _STATS_EVERY_S
        self._log_told = False

    def run(self) -> None:
        """Watch. Afterwards every window has been told of."""
        while not self.ended and not self._over():
            self._breathe()
            self._take(self.source.read(POLL_S))
        if not self._enough():
            self._say_all(self.session.finish(self.source.now_us()))
        self._drain()
        tally = self.tally
        tally.dropped = tally.windows - tally.answered - tally.refused - tally.failed

    def _take(self, arrival: Arrival | None) -> None:
        """One arrival, or none in time, into the log and the session."""
        if isinstance(arrival, Octets | Lost | Back) and self.logbook:
            self.logbook.add(arrival)
        host_us = arrival.host_us if arrival else self.source.now_us()
        self._pass_time(host_us)
        match arrival:
            case Octets():
                self._say_all(self.session.feed(arrival.data, host_us))
            case Lost():
                self._say_all(self.session.source_lost(host_us, arrival.why))
            case Back():
                self._say_all(self.session.source_back(host_us))
            case End():
                self.ended = True
                if arrival.why:
                    self._say("log", arrival.why)
                return
        self._say_all(self.session.tick(host_us))
        self._say_now_and_then()

    def _pass_time(self, host_us: int) -> None:
        if self._begun_us is None:
            self._begun_us = host_us
        self.seconds = max((host_us - self._begun_us) / 1e6, self._stream_s)

    def _say_all(self, told: Sequence[Window | Notice]) -> None:
        for one in told:
            if isinstance(one, Notice):
                self.tell(one)
            elif not self._enough():
                self._hand_over(one)

    def _hand_over(self, window: Window) -> None:
        """Have a window answered: a live stream does not wait, all else does."""
        self.tally.windows += 1
        self._stream_s = window.end_s
        while not self.source.live and not self._answering.wait_for_place(POLL_S):
            self._breathe()
            if self.stopped():
                return
        dropped = self._answering.offer(window)
        if dropped is not None:
            self.tally.dropped += 1
            self._say(
                "dropped",
                f"window {dropped.number} is left out: answers take longer than windows come",
                window=dropped.number,
                dropped=self.tally.dropped,
            )

    def _answer(self, window: Window) -> None:
        """In the thread of answers."""
        told = reply(window, self.query)
        if isinstance(told, Answered):
            self.tally.answered += 1
        elif told.failed:
            self.tally.failed += 1
        else:
            self.tally.refused += 1
        self.tell(told)

    def _say(self, kind: NoticeKind, text: str, **facts: object) -> None:
        self.tell(Notice(kind, text, self.session.position_s, facts))

    def _say_now_and_then(self) -> None:
        if self.logbook and self.logbook.problem and not self._log_told:
            self._log_told = True
            self._say("log", f"the log {self.logbook.path} has ended: {self.logbook.problem}")
        if self.stats and self.seconds >= self._stats_at_s:
            self._stats_at_s = self.seconds + _STATS_EVERY_S
            report = self.session.clock.report()
            self._say("stats", sentence(report), **asdict(report))

    def _breathe(self) -> None:
        """What must happen whatever the stream does; raises what ended the answers."""
        self.beat(self._answering.busy_s())
        if self._answering.failure is not None:
            raise self._answering.failure

    def _drain(self) -> None:
        """Wait for the windows in hand; not for ever once somebody wants to stop."""
        patience = _PATIENCE_S
        while not self._answering.finish(POLL_S):
            self._breathe()
            if self.stopped():
                patience -= POLL_S
                if patience <= 0:
                    return
        self._breathe()

    def _enough(self) -> bool:
        return self.limits.windows is not None and self.tally.windows >= self.limits.windows

    def _over(self) -> bool:
        return self.stopped() or self._enough() or self.seconds >= self.limits.seconds
