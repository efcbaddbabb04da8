"""A simulated device on a bad day: every fault at once, and what a session makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from streaming_builders import DEVICE

from ecgedge.recording import LEADS
from ecgedge.signal.synthetic import synthesize
from ecgedge.streaming.session import Session
from ecgedge.streaming.told import Notice, Window
from firmware_bridge.decoder import WireDecoder
from firmware_bridge.simulator import Sent, Unplugged, parse, simulate

RATE_HZ = 100.0
S = 1_000_000


def watched(faults, *, seconds=120.0, seed=1, every_s=1.0):
    """(session, windows, notices, the recording that is played without end)."""
    recording = synthesize(rate_hz=RATE_HZ, duration_s=20.0)
    device = simulate([recording], DEVICE, parse(faults), seed=seed, seconds=seconds)
    session = Session(WireDecoder(), every_s=every_s)
    told: list[Window | Notice] = []
    host_us = 0
    for one in device:
        now_us = round(one.t_s * S)
        for tick_us in range(host_us + S, now_us, S):
            told += session.tick(tick_us)
        host_us = now_us
        if isinstance(one, Sent):
            told += session.feed(one.octets, host_us)
        elif isinstance(one, Unplugged):
            told += session.source_lost(host_us, "the cable was pulled")
            host_us += round(one.seconds * S)
            told += session.source_back(host_us)
    told += session.finish(host_us)
    windows = [one for one in told if isinstance(one, Window)]
    return session, windows, [one for one in told if isinstance(one, Notice)], recording


def first_at(notices, kind):
    return next(notice.at_s for notice in notices if notice.kind == kind)


def assert_no_wrong_sample(windows, recording):
    """Each sample is NaN or the heart's own, to half a count, at its place in the recording."""
    played = np.hstack([recording.signal] * 2)
    for window in windows:
        begin = window.first % recording.n_samples
        sent = played[:, begin : begin + window.recording.n_samples]
        there = np.isfinite(window.recording.signal)
        np.testing.assert_allclose(window.recording.signal[there], sent[there], atol=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_a_bad_day_gives_the_right_sentences_at_the_right_time_and_no_wrong_sample(seed):
    faults = (
        "lost=0.02,duplicated=0.01,reordered=0.02,flipped=0.01,slipped=0.01,jitter=5,"
        "lead_off=20:3:V1,gain=40:2,stall=50:5,stall=60:3:overrun,unplug=70:5,clock_back=90:2"
    )
    session, windows, notices, recording = watched(faults, seed=seed)
    assert_no_wrong_sample(windows, recording)
    assert 20 < first_at(notices, "lead_off") <= 21
    assert 23 < first_at(notices, "lead_on") <= 24
    changes = [one for one in notices if one.kind == "configuration"]
    assert [one.text.split(";")[0] for one in changes[1:]] == ["changed its gain"]
    assert changes[1].at_s == pytest.approx(40, abs=0.5)
    assert len([one for one in notices if one.kind == "no_data"]) == 2
    assert [one.kind for one in notices if one.kind.startswith("source")] == [
        "source_lost",
        "source_back",
    ]
    assert first_at(notices, "clock") == pytest.approx(90, abs=0.5)
    # Nothing restarted: the numbers tell every loss, also that of the pulled cable.
    summary = session.summary()
    assert (summary.breaks, summary.restarts, summary.clock_steps) == (0, 0, 1)
    assert summary.seconds == pytest.approx(120, abs=0.5)
    told_s = sum(one.facts["seconds"] for one in notices if one.kind == "gap")
    assert told_s == pytest.approx(summary.lost / RATE_HZ)


def test_lead_off_blanks_its_lead_and_no_other():
    _, windows, _, _ = watched("lead_off=20:3:V1", seconds=30)
    (window,) = (one for one in windows if one.end_s == 25)
    dark = np.isnan(window.recording.signal)
    v1 = LEADS.index("V1")
    assert dark[v1].sum() == pytest.approx(300, abs=10)
    assert not np.delete(dark, v1, axis=0).any()


def test_a_reboot_begins_windows_anew_and_none_spans_it():
    session, windows, notices, _ = watched("reboot=30:4", seconds=60)
    assert session.summary().restarts == 1
    assert len([one for one in notices if one.kind == "restart"]) == 1
    assert all(window.clean for window in windows)
    numbers = [window.first for window in windows]
    assert numbers.count(0) == 2
    assert len(numbers) == 21 + 17  # of 30 s before it and 26 s after
