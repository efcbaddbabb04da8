"""Session and wire decoder together: real octets, cut and damaged at will."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streaming_builders import DEVICE, counts_at, leads_of

from ecgedge.streaming.session import Session
from ecgedge.streaming.told import Notice, Window
from firmware_bridge import wire
from firmware_bridge.decoder import WireDecoder

CONFIGURATION = wire.tagged(DEVICE)


def octets_of(numbers, *, off=0):
    """A configuration each ten frames, and frames with these numbers."""
    out = []
    for count, number in enumerate(numbers):
        if count % 10 == 0:
            out.append(wire.seal(wire.configuration_body(CONFIGURATION)))
        first = number * 10
        out.append(
            wire.seal(
                wire.data_body(
                    counts_at(first, 10),
                    first=first,
                    t_us=first * 10_000,
                    tag=CONFIGURATION.tag,
                    off=off,
                    off_valid=0xFF,
                )
            )
        )
    return out


def run(pieces):
    """(session, windows, notices) of these octets, each piece 100 ms after the one before."""
    session = Session(WireDecoder(), every_s=1.0, window_s=2.0)
    told: list[Window | Notice] = []
    for number, piece in enumerate(pieces):
        told += session.feed(piece, number * 100_000)
    told += session.finish(len(pieces) * 100_000)
    windows = [one for one in told if isinstance(one, Window)]
    return session, windows, [one for one in told if isinstance(one, Notice)]


def plain(window):
    return (window.number, window.first, window.refused, window.recording.signal.tobytes())


HARM = st.lists(
    st.tuples(st.integers(0, 109), st.sampled_from(["lost", "twice", "swapped", "torn", "turned"])),
    max_size=12,
)


def harmed(frames, harm):
    out = list(frames)
    for at, how in sorted(harm, reverse=True):
        at %= len(out) - 1
        if how == "lost":
            del out[at]
        elif how == "twice":
            out.insert(at, out[at])
        elif how == "swapped":
            out[at], out[at + 1] = out[at + 1], out[at]
        elif how == "torn":
            out[at] = out[at][: len(out[at]) // 2]
        else:
            out[at] = out[at][:9] + bytes([out[at][9] ^ 4]) + out[at][10:]
    return out


@settings(max_examples=60)
@given(HARM, st.lists(st.integers(0, 12_000), max_size=40))
def test_octets_give_the_same_windows_and_notices_however_they_are_cut(harm, cuts):
    octets = b"".join(harmed(octets_of(range(100)), harm))
    edges = [0, *sorted(cut % len(octets) for cut in cuts), len(octets)]
    pieces = [octets[begin:end] for begin, end in pairwise(edges)]
    whole, cut = run([octets]), run(pieces)
    assert [plain(one) for one in whole[1]] == [plain(one) for one in cut[1]]
    assert whole[2] == cut[2]
    assert whole[0].summary() == cut[0].summary()


@settings(max_examples=60)
@given(HARM)
def test_whatever_is_lost_the_samples_of_windows_are_those_sent_or_nan(harm):
    _, windows, _ = run(harmed(octets_of(range(100)), harm))
    for window in windows:
        sent = leads_of(counts_at(window.first, 200))
        there = np.isfinite(window.recording.signal)
        assert (there == there[0]).all()
        np.testing.assert_array_equal(window.recording.signal[there], sent[there])
        assert window.missing_s == pytest.approx((~there[0]).sum() / 100)


@given(st.lists(st.binary(max_size=400), max_size=20))
def test_random_octets_before_and_in_a_stream_are_sentences_and_no_window_is_wrong(noise):
    frames = octets_of(range(100))
    mixed = [b for pair in zip(frames, [*noise, *[b""] * 200], strict=False) for b in pair]
    _, windows, _ = run([*noise, b"\0", *mixed])
    for window in windows:
        sent = leads_of(counts_at(window.first, 200))
        there = np.isfinite(window.recording.signal)
        np.testing.assert_array_equal(window.recording.signal[there], sent[there])


def test_megabytes_of_noise_are_another_format_and_nothing_else():
    random = np.random.default_rng(1)
    session, windows, notices = run([random.bytes(10_000) for _ in range(200)])
    assert windows == []
    assert [notice.kind for notice in notices] == ["not_this_format"]
    assert session.summary().octets == 2_000_000


def test_a_restart_of_the_microcontroller_on_the_wire_begins_windows_anew():
    first = octets_of(range(1000, 1025))
    again = wire.tagged(replace(DEVICE, boot=8))
    body = wire.data_body
    anew = [wire.seal(wire.configuration_body(again))] + [
        wire.seal(body(counts_at(n * 10, 10), first=n * 10, t_us=n * 10**5, tag=again.tag))
        for n in range(25)
    ]
    session, windows, notices = run([*first, *anew])
    assert [window.first for window in windows] == [10_000, 0]
    assert [n.text for n in notices if n.kind == "restart"] == [
        "the device restarted, at 2.5 s: windows begin anew"
    ]
    assert [n.kind for n in notices] == ["configuration", "restart"]
    assert session.summary().restarts == 1


def test_a_device_that_tells_what_it_is_but_sends_no_sample_is_said_once():
    hello, sample = octets_of([0])
    session = Session(WireDecoder())
    kinds = []
    for second in range(8):
        kinds += [(second, one.kind) for one in session.feed(hello, second * 1_000_000)]
    assert kinds == [(3, "no_data")]
    back = session.feed(sample, 8_000_000)
    assert [one.kind for one in back] == ["configuration", "data_back"]
