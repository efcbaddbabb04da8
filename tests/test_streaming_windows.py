"""Windows on the sample clock: held to a model that knows every sample that was sent."""

from __future__ import annotations

import resource
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streaming_builders import (
    DEVICE,
    RATE_HZ,
    Played,
    counts_at,
    frame,
    frames,
    leads_of,
    play,
    with_gain,
)

from ecgedge.errors import UsageError
from ecgedge.streaming.session import Session
from ecgedge.streaming.windows import HOLE_S, MISSING_SHARE, clock_text, longest_run, refusal
from firmware_bridge.events import Event, Gap

# What a stream is made of: samples of a gain, samples lost, electrode C2 off, a restart.
PIECES = st.lists(
    st.one_of(
        st.tuples(st.just("sent"), st.integers(1, 150), st.sampled_from([1, 2])),
        st.tuples(st.just("lost"), st.integers(1, 60) | st.integers(1, 10_000), st.just(0)),
        st.tuples(st.just("off"), st.integers(1, 150), st.just(1)),
        st.tuples(st.just("restart"), st.integers(0, 2**32), st.just(0)),
    ),
    max_size=12,
)
V2 = 7


def stream_of(pieces, longest=13):
    """(events, segments): a segment is (first number, leads (12, n) with NaN where none came)."""
    events: list[Event] = []
    first, leads = 0, []
    segments = []
    position = 0
    for kind, number, gain in pieces:
        if kind == "restart":
            segments.append((first, leads))
            events.append(Gap(position, None, "restarted"))
            first, leads, position = number, [], number
            continue
        end = position + number
        if kind == "lost":
            events.append(Gap(position, number, "lost"))
            if leads:  # before its first sample a segment has not begun
                leads.append(np.full((12, number), np.nan, dtype=np.float32))
            else:
                first = end
        else:
            off = 0b1000 if kind == "off" else 0  # channel 3 is C2 against WCT
            told = {"off": off, "off_valid": 0xFF, "configuration": with_gain(DEVICE, gain)}
            events += frames(position, end, longest, **told)
            sent = leads_of(counts_at(position, number), gain)
            sent[V2] = np.nan if off else sent[V2]
            leads.append(sent)
        position = end
    segments.append((first, leads))
    return events, [(first, np.hstack(leads)) for first, leads in segments if leads]


def expected(segments, every_s, window_s):
    """Every window the model knows of, but those without a sample: (first, leads)."""
    size = round(window_s * RATE_HZ)
    for first, leads in segments:
        trailing = np.flatnonzero(np.isfinite(leads).any(axis=0))[-1] + 1
        number = 0
        while (end := round((window_s + number * every_s) * RATE_HZ)) <= trailing:
            window = leads[:, end - size : end]
            if np.isfinite(window).any():
                yield first + end - size, window
            number += 1


EVERY = st.sampled_from([0.3, 0.5, 1.0, 1.7, 4.0])


@given(PIECES, EVERY)
def test_a_window_holds_what_was_sent_bit_for_bit_and_nan_exactly_where_it_was_lost(
    pieces, every_s
):
    events, segments = stream_of(pieces)
    _, windows, _ = play(events, every_s=every_s, window_s=1.0)
    wanted = list(expected(segments, every_s, 1.0))
    assert [window.first for window in windows] == [first for first, _ in wanted]
    for window, (_, leads) in zip(windows, wanted, strict=True):
        np.testing.assert_array_equal(window.recording.signal, leads)
        assert window.missing_s == np.isnan(leads).all(axis=0).sum() / RATE_HZ


@given(PIECES, EVERY, st.integers(1, 500), st.integers(1, 40), st.integers(0, 10**7))
def test_how_bytes_are_cut_and_when_they_come_changes_nothing(
    pieces, every_s, at_once, longest, us_each
):
    events, _ = stream_of(pieces)
    one = play(events, every_s=every_s, window_s=1.0)
    other = play(events, at_once=at_once, us_each=us_each, every_s=every_s, window_s=1.0)
    assert [told(w) for w in one[1]] == [told(w) for w in other[1]]
    assert one[2] == other[2]
    assert one[0].summary() == other[0].summary()
    # Frames of another length are other bytes, yet the windows are the same.
    reframed = play(stream_of(pieces, longest)[0], every_s=every_s, window_s=1.0)
    assert [told(w) for w in one[1]] == [told(w) for w in reframed[1]]


def told(window):
    """A window without its arrays, which compare element by element."""
    signal = window.recording.signal.tobytes()
    return (window.number, window.first, window.start_s, window.end_s, window.refused, signal)


@given(PIECES, EVERY)
def test_windows_due_are_those_made_and_those_without_a_sample(pieces, every_s):
    session, windows, _ = play(stream_of(pieces)[0], every_s=every_s, window_s=1.0)
    summary = session.summary()
    assert summary.windows == len(windows) + summary.empty
    assert summary.clean == sum(window.clean for window in windows)
    assert summary.refused == sum(bool(window.refused) for window in windows)
    assert [window.number for window in windows] == list(range(1, len(windows) + 1))


def test_a_gap_of_a_year_costs_neither_time_nor_memory_and_windows_stay_on_their_clock():
    year = round(365.25 * 86_400 * RATE_HZ)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    events = [*frames(0, 1500), Gap(1500, year, "lost"), *frames(1500 + year, 4500 + year)]
    session, windows, _ = play(events)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096  # KiB
    assert [round(window.end_s % 10, 6) for window in windows] == [0.0] * len(windows)
    assert session.summary().empty == round(365.25 * 8640) - 1
    assert [bool(window.refused) for window in windows] == [False, True, True, False, False]


def test_windows_are_named_after_the_source_and_their_time():
    _, windows, _ = play(frames(0, 2050), every_s=10.5)
    names = [window.recording.source for window in windows]
    assert names == ["test 00:00:00-00:00:10", "test 00:00:10.5-00:00:20.5"]
    assert clock_text(86_400 + 61) == "24:01:01"


@pytest.mark.parametrize(
    ("holes", "said"),
    [
        ([], ""),
        ([(0, 50)], ""),
        ([(0, 51)], "0.51 s are missing in one place, at most 0.5 s may be"),
        ([(0, 50), (100, 150)], ""),
        ([(0, 40), (100, 140), (200, 221)], "1.01 of 10 s are missing, at most 1 s may be"),
        ([(0, 1000)], "no lead has a sample"),
    ],
)
def test_too_much_missing_is_refused_with_its_reason(holes, said):
    missing = np.zeros(1000, dtype=bool)
    for begin, end in holes:
        missing[begin:end] = True
    assert (HOLE_S, MISSING_SHARE) == (0.5, 0.10)
    assert refusal(missing, RATE_HZ) == said


@given(st.lists(st.booleans(), max_size=60))
def test_the_longest_run_is_that_of_a_plain_count(mask):
    longest = max(map(len, "".join("x" if one else " " for one in mask).split()), default=0)
    assert longest_run(np.array(mask, dtype=bool)) == longest


def test_a_window_whose_leads_are_all_off_is_refused():
    told = {"off": 0b11, "off_valid": 0b11}  # LA and LL: no limb lead, no Wilson's terminal
    _, (window,), _ = play(frames(0, 1000, **told))
    assert window.refused == "no lead has a sample"
    assert not np.isfinite(window.recording.signal).any()


@pytest.mark.parametrize(
    "options", [{"every_s": 0.0}, {"every_s": float("nan")}, {"window_s": 0.5}]
)
def test_windows_that_cannot_be_are_refused_at_once(options):
    with pytest.raises(UsageError):
        play([frame(0)], **options)


def test_a_stream_of_hours_holds_no_more_memory_than_its_first_minutes():
    decoder = Played([])
    session = Session(decoder)
    held = []
    tracemalloc.start()
    for minute in range(90):
        decoder.then(frames(minute * 6000, (minute + 1) * 6000, 100, t_us=minute * 60_000_000))
        session.feed(bytes(60), minute * 60_000_000)
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert len(held) == 90
    assert held[-1] - held[10] < 50_000
