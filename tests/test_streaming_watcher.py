"""The loop of a watched stream, with sources and answers that the test holds in its hand."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from watch_builders import PATIENCE_S, cut, frames, octets, wait_until, without

from ecgedge.answer import Answer, Quality
from ecgedge.errors import QualityRefused, ReleaseError
from ecgedge.recording import Recording
from ecgedge.signal.synthetic import synthesize
from ecgedge.streaming.arrivals import Arrival, Back, End, Lost, Octets
from ecgedge.streaming.logbook import Logbook
from ecgedge.streaming.replies import Answered, Refused
from ecgedge.streaming.session import Session
from ecgedge.streaming.told import Notice
from ecgedge.streaming.watcher import Limits, Told, Watcher
from firmware_bridge.decoder import WireDecoder

SECOND_US = 1_000_000
FRAMES_A_SECOND = 51  # one of them the configuration


def an_answer(recording: Recording) -> Answer:
    """One that names what it was asked for; nothing is looked up."""
    nothing: dict[str, Any] = {"supports": (), "withheld": (), "matches": (), "measurements": {}}
    quality = Quality("ok", (), ())
    return Answer(
        recording.source, recording.unit, (0.0, 10.0), quality,
        novelty=None, release="", model="", timings_ms={}, **nothing,
    )  # fmt: skip


class Played:
    """A source that gives prepared arrivals, and then ends."""

    name = "played"
    options: Mapping[str, Any] = {}

    def __init__(self, arrivals: Sequence[Arrival | None], *, live: bool) -> None:
        self.live = live
        self._arrivals: Iterator[Arrival | None] = iter(arrivals)
        self._us = 0

    def read(self, timeout_s: float) -> Arrival | None:
        arrival = next(self._arrivals, End(self._us))
        if arrival is not None:
            self._us = arrival.host_us
        return arrival

    def now_us(self) -> int:
        return self._us

    def close(self) -> None: ...


def each_second(seconds: int, **options: Any) -> list[Octets]:
    """A stream in pieces of a second, each when it is over."""
    pieces = batched(frames(seconds, **options), FRAMES_A_SECOND)
    return [Octets((at + 1) * SECOND_US, b"".join(one)) for at, one in enumerate(pieces)]


def batched(stream: Iterator[bytes], size: int) -> Iterator[list[bytes]]:
    while piece := list(islice(stream, size)):
        yield piece


def watcher(
    arrivals: Sequence[Arrival | None], *, live: bool = False, every_s: float = 10, **options: Any
) -> tuple[Watcher, list[Told]]:
    said: list[Told] = []
    options.setdefault("query", an_answer)
    session = Session(WireDecoder(), every_s=every_s)
    return Watcher(Played(arrivals, live=live), session, tell=said.append, **options), said


def kinds(said: Sequence[Told]) -> list[str]:
    return [one.kind for one in said if isinstance(one, Notice)]


def numbers(said: Sequence[Told], kind: type[Answered] | type[Refused]) -> list[int]:
    return [one.window.number for one in said if isinstance(one, kind)]  # type: ignore[union-attr]


def test_every_window_of_a_file_is_answered_however_long_an_answer_takes() -> None:
    gate = threading.Event()

    def slow(recording: Recording) -> Answer:
        assert gate.wait(PATIENCE_S)
        return an_answer(recording)

    watched, said = watcher([Octets(0, octets(60))], query=slow)
    loop = threading.Thread(target=watched.run)
    loop.start()
    wait_until(lambda: watched.tally.windows == 3)  # one in hand, one waiting, one before the door
    assert loop.is_alive()
    gate.set()
    loop.join(PATIENCE_S)
    assert numbers(said, Answered) == [1, 2, 3, 4, 5, 6]
    assert watched.tally.dropped == 0
    assert watched.ended


def test_of_a_live_stream_the_oldest_window_gives_way_and_it_is_said() -> None:
    gate, asked = threading.Event(), threading.Event()

    def slow(recording: Recording) -> Answer:
        asked.set()
        assert gate.wait(PATIENCE_S)
        return an_answer(recording)

    watched, said = watcher([], live=True, query=slow)

    def arrivals() -> Iterator[Arrival]:
        stream = each_second(60)
        yield from stream[:10]
        assert asked.wait(PATIENCE_S)  # window 1 is in hand
        yield from stream[10:]
        gate.set()

    watched.source = Played([], live=True)
    watched.source._arrivals = arrivals()
    watched.run()
    assert numbers(said, Answered) == [1, 6]
    dropped = [one for one in said if isinstance(one, Notice) and one.kind == "dropped"]
    assert [one.facts["window"] for one in dropped] == [2, 3, 4, 5]
    assert watched.tally == replace(
        watched.tally, windows=6, answered=2, refused=0, failed=0, dropped=4
    )


def test_a_lead_off_is_said_while_a_query_runs() -> None:
    gate, said_off = threading.Event(), threading.Event()

    def stuck(recording: Recording) -> Answer:
        assert gate.wait(PATIENCE_S)
        return an_answer(recording)

    watched, said = watcher(
        [*each_second(10), *each_second(13, off_from_s=10)[10:]], live=True, query=stuck
    )

    def tell(one: Told) -> None:
        said.append(one)
        if isinstance(one, Notice) and one.kind == "lead_off":
            said_off.set()

    watched.tell = tell
    loop = threading.Thread(target=watched.run)
    loop.start()
    assert said_off.wait(PATIENCE_S)
    assert watched.tally.answered == 0
    (off,) = (one for one in said if isinstance(one, Notice) and one.kind == "lead_off")
    assert 10 < off.at_s <= 11
    gate.set()
    loop.join(PATIENCE_S)
    assert numbers(said, Answered) == [1]


def test_a_window_with_too_much_missing_is_refused_with_its_reason_and_quality() -> None:
    stream = list(frames(20))
    watched, said = watcher([Octets(0, without(stream, 600, 800))])
    watched.run()
    (refused,) = (one for one in said if isinstance(one, Refused))
    assert refused.window.number == 2
    assert "missing" in str(refused.error)
    assert refused.quality is not None
    assert "gap" in kinds(said)
    assert (watched.tally.answered, watched.tally.refused) == (1, 1)


def test_the_engine_is_asked_for_the_samples_that_were_sent() -> None:
    asked: list[Recording] = []

    def look(recording: Recording) -> Answer:
        asked.append(recording)
        return an_answer(recording)

    watched, _ = watcher([Octets(0, octets(25))], query=look, every_s=5)
    watched.run()
    whole = synthesize(duration_s=25)
    for number, one in enumerate(asked):
        expected = cut(whole, 2500 * number).signal
        np.testing.assert_allclose(one.signal, expected, atol=1e-4)
    assert len(asked) == 4


def test_a_window_that_the_engine_refuses_is_refused_and_the_stream_goes_on() -> None:
    def choosy(recording: Recording) -> Answer:
        if recording.source.startswith("00:00:00"):
            raise QualityRefused("flat")
        return an_answer(recording)

    watched, said = watcher([Octets(0, octets(20))], query=choosy)
    watched.run()
    assert (numbers(said, Refused), numbers(said, Answered)) == ([1], [2])


def test_a_release_that_is_damaged_fails_windows_and_ends_nothing() -> None:
    def broken(recording: Recording) -> Answer:
        raise ReleaseError("the case base is damaged")

    watched, said = watcher([Octets(0, octets(20))], query=broken)
    watched.run()
    assert [one.failed for one in said if isinstance(one, Refused)] == [True, True]
    assert (watched.tally.failed, watched.tally.refused) == (2, 0)


def test_a_source_that_was_lost_and_came_back_is_told_and_windows_go_on() -> None:
    stream = each_second(20)
    arrivals = [*stream[:5], Lost(6_000_000, "the cable"), None, Back(9_000_000), *stream[5:]]
    watched, said = watcher(arrivals, live=True)
    watched.run()
    heard = kinds(said)
    assert heard.index("source_lost") < heard.index("source_back")
    assert numbers(said, Answered) == [1, 2]


def test_what_the_teller_raises_ends_the_watch() -> None:
    """A reader of standard output that has gone."""

    def gone(one: Told) -> None:
        if isinstance(one, Answered):
            raise BrokenPipeError

    watched, _ = watcher(each_second(60))
    watched.tell = gone
    with pytest.raises(BrokenPipeError):
        watched.run()


def test_so_many_windows_are_enough() -> None:
    watched, said = watcher([Octets(0, octets(60))], limits=Limits(windows=2))
    watched.run()
    assert numbers(said, Answered) == [1, 2]


@pytest.mark.parametrize("arrivals", [[Octets(0, octets(60))], each_second(60)])
def test_so_many_seconds_are_enough(arrivals: list[Octets]) -> None:
    watched, _ = watcher(arrivals, limits=Limits(seconds=30))
    watched.run()
    assert watched.tally.windows >= 3
    assert watched.seconds >= 30
    assert (len(arrivals) == 1) == watched.ended or watched.seconds < 32


def test_a_stop_is_heard_between_two_reads() -> None:
    heard = threading.Event()

    def arrivals() -> Iterator[Arrival | None]:
        yield from each_second(12)
        heard.set()
        while True:
            yield None

    watched, said = watcher([], live=True, stopped=heard.is_set)
    watched.source = Played([], live=True)
    watched.source._arrivals = arrivals()
    watched.run()
    assert numbers(said, Answered) == [1]
    assert not watched.ended


def test_the_heart_beats_while_a_query_hangs_and_says_for_how_long() -> None:
    gate, beats = threading.Event(), []

    def beat(busy_s: float) -> None:
        beats.append(busy_s)
        if busy_s > 0.3:
            gate.set()

    def slow(recording: Recording) -> Answer:
        assert gate.wait(PATIENCE_S)
        return an_answer(recording)

    watched, _ = watcher([Octets(0, octets(40))], query=slow, beat=beat)
    watched.run()
    assert watched.tally.answered == 4
    assert max(beats) > 0.3


def test_a_log_that_ended_early_is_told_once_and_the_watch_goes_on() -> None:
    watched, said = watcher(each_second(20), logbook=Logbook(Path("/dev/full"), {}))
    watched.run()
    assert kinds(said).count("log") == 1
    (told,) = (one for one in said if isinstance(one, Notice) and one.kind == "log")
    assert "no space left on device" in told.text
    assert numbers(said, Answered) == [1, 2]


def test_a_torn_end_of_a_log_is_told() -> None:
    watched, said = watcher([*each_second(10), End(0, "the log ends within a record")])
    watched.run()
    assert kinds(said)[-1] == "log"
    assert numbers(said, Answered) == [1]


STREAM = octets(22)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 3)), max_size=12))
def test_no_times_and_no_marks_of_a_log_can_change_a_window(log: list[tuple[int, int]]) -> None:
    step = len(STREAM) // 12 + 1
    arrivals: list[Arrival] = []
    for number in range(12):
        host_us, mark = log[number] if number < len(log) else (0, 3)
        arrivals += [Lost(host_us, "gone")] * (mark in (0, 2)) + [Back(host_us)] * (mark in (1, 2))
        arrivals.append(Octets(host_us, STREAM[number * step : (number + 1) * step]))
    watched, said = watcher(arrivals, every_s=4, stats=True)
    watched.run()
    windows = [one.window for one in said if isinstance(one, Answered)]
    assert [one.first for one in windows] == [0, 2000, 4000, 6000]
    whole = synthesize(duration_s=22)
    np.testing.assert_allclose(windows[-1].recording.signal, cut(whole, 6000).signal, atol=1e-4)
    assert watched.tally.answered == 4


def test_stats_are_told_each_minute_where_asked_for() -> None:
    watched, said = watcher(each_second(150), stats=True)
    watched.run()
    told = [one for one in said if isinstance(one, Notice) and one.kind == "stats"]
    assert [round(one.at_s) for one in told] == [61, 121]  # a minute, two, after the first octets
    assert told[0].facts["rate_hz"] == 500
    assert "ppm" in told[0].text
    assert "500.0" in told[0].text
