"""Clocks: what a simulated drift, jitter and step come out as."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from ecgedge.streaming.clock import ARRIVALS, ENOUGH_S, SECONDS, Clock, hull_line

FRAME = 10


def arrivals(
    seconds,
    *,
    rate_hz=500.0,
    true_hz=500.0,
    device_ppm=0.0,
    jitter_us=1000.0,
    grain_us=0,
    seed=1,
):
    """(first, t_us, host_us) of frames; jitter is exponential, a host may look each grain_us."""
    random = np.random.default_rng(seed)
    count = int(seconds * true_hz / FRAME)
    first = np.arange(count) * FRAME
    begun_us = first / true_hz * 1e6
    t_us = np.round(7e9 + begun_us * (1 + device_ppm / 1e6)).astype(np.int64)
    host = 1e12 + begun_us + FRAME / true_hz * 1e6 + random.exponential(jitter_us, count)
    if grain_us:
        host = np.ceil(host / grain_us) * grain_us
    host_us = np.maximum.accumulate(host.astype(np.int64))
    return list(zip(first.tolist(), t_us.tolist(), host_us.tolist(), strict=True))


def clock_of(frames, rate_hz=500.0):
    clock = Clock()
    clock.begin(rate_hz)
    for first, t_us, host_us in frames:
        clock.add(first, FRAME, t_us, host_us)
    return clock


@pytest.mark.parametrize("ppm", [-100.0, -20.0, 0.0, 5.0, 100.0])
@pytest.mark.parametrize(
    ("seconds", "jitter_us", "grain_us", "stated_ppm"),
    [(600, 1000, 0, 3), (600, 5000, 16_000, 30), (3600, 5000, 16_000, 5), (60, 1000, 0, 25)],
)
def test_drift_is_recovered_within_the_ppm_it_states(ppm, seconds, jitter_us, grain_us, stated_ppm):
    frames = arrivals(seconds, device_ppm=ppm, jitter_us=jitter_us, grain_us=grain_us)
    report = clock_of(frames).report()
    assert report.device is not None
    assert abs(report.device.drift_ppm - ppm) <= report.device.within_ppm <= stated_ppm
    assert report.note == ""


@pytest.mark.parametrize("seed", range(5))
def test_a_host_that_looks_nearly_in_step_with_the_frames_does_not_break_what_is_stated(seed):
    frames = arrivals(60, true_hz=500.03, device_ppm=10, jitter_us=5000, grain_us=16_000, seed=seed)
    line = clock_of(frames).report().device
    assert abs(line.drift_ppm - 10) <= line.within_ppm


@pytest.mark.parametrize("seed", range(5))
def test_ten_minutes_of_millisecond_jitter_are_right_to_a_hundredth_of_a_ppm(seed):
    frames = arrivals(600, device_ppm=37, jitter_us=1000, seed=seed)
    assert clock_of(frames).report().device.drift_ppm == pytest.approx(37, abs=0.01)


def test_jitter_is_how_late_bytes_are_beyond_the_quickest():
    report = clock_of(arrivals(3600, device_ppm=40, jitter_us=2000)).report()
    assert report.device.p50_ms == pytest.approx(2 * np.log(2), rel=0.1)
    assert report.device.p95_ms == pytest.approx(2 * np.log(20), rel=0.1)
    # The longest of n exponential waits is mean * ln(n), give or take a few means.
    assert report.device.max_ms == pytest.approx(2 * np.log(3600 * 50), rel=0.3)


def test_offset_is_the_host_less_the_device_now():
    report = clock_of(arrivals(600, device_ppm=50, jitter_us=500)).report()
    # Host 1e12 at device 7e9 and 50 ppm of 600 s behind since, seen at the newest frame.
    assert report.device.offset_us == pytest.approx(1e12 - 7e9 - 600 * 50, abs=200)


def test_a_device_that_samples_faster_than_it_says_is_measured_by_both_clocks():
    report = clock_of(arrivals(600, true_hz=500.05, device_ppm=30, jitter_us=500)).report()
    assert report.rate_hz == 500
    assert report.measured_host_hz == pytest.approx(500.05, rel=1e-6)
    assert report.measured_device_hz == pytest.approx(500.05 / (1 + 30e-6), rel=1e-6)
    assert report.samples.drift_ppm == pytest.approx(100, abs=1)


def test_a_stall_and_its_burst_do_not_move_the_drift():
    frames = arrivals(600, device_ppm=25, jitter_us=1000)
    stalled = [
        (first, t_us, max(host_us, 10**12 + 580_000_000) if first > 500 * 540 else host_us)
        for first, t_us, host_us in frames
    ]
    report = clock_of(stalled).report()
    assert abs(report.device.drift_ppm - 25) < 0.5
    assert 39e3 < report.device.max_ms < 41e3


def test_a_clock_that_steps_is_counted_and_fitted_anew():
    frames = arrivals(300, device_ppm=25)
    middle = len(frames) // 2
    clock = Clock()
    clock.begin(500.0)
    steps = [
        clock.add(first, FRAME, t_us - (5_000_000 if number >= middle else 0), host_us)
        for number, (first, t_us, host_us) in enumerate(frames)
    ]
    assert [number for number, step in enumerate(steps) if step is not None] == [middle]
    assert steps[middle] == pytest.approx(-5e6, abs=100)
    report = clock.report()
    assert report.steps == 1
    assert report.device.seconds == pytest.approx(150, abs=2)
    assert report.samples.seconds == pytest.approx(300, abs=2)
    assert report.device.drift_ppm == pytest.approx(25, abs=5)


def test_lost_samples_are_no_step():
    frames = arrivals(60)
    clock = clock_of(frames[:500] + frames[2000:])
    assert clock.report().steps == 0


def test_too_little_and_a_replay_are_said_and_give_no_numbers():
    short = clock_of(arrivals(ENOUGH_S - 1)).report()
    assert (short.device, short.samples, short.measured_device_hz) == (None, None, None)
    assert short.note == "too little was seen: clocks need 10 s without a restart"
    at_once = clock_of([(first, t_us, 5) for first, t_us, _ in arrivals(60)]).report()
    assert (at_once.device, at_once.samples, at_once.measured_host_hz) == (None, None, None)
    assert at_once.note == "bytes did not arrive as they were sampled, so this was no live stream"
    assert Clock().report().note.startswith("too little")


def test_a_device_without_a_clock_is_measured_by_its_samples():
    frames = [(first, None, host_us) for first, _, host_us in arrivals(600, true_hz=499.99)]
    report = clock_of(frames).report()
    assert report.device is None
    assert report.measured_device_hz is None
    assert report.samples.drift_ppm == pytest.approx(-20, abs=1)
    assert report.note == "the device tells no time of its own, or its clock stepped"


def test_the_newest_hour_decides_and_memory_is_bounded():
    """Three hours of which only the last drifts; 1 frame a second, so that it is quick."""
    clock = Clock()
    clock.begin(10.0)
    tracemalloc.start()
    held = []
    for second in range(3 * SECONDS):
        drifted = max(second - 2 * SECONDS, 0) * 30
        clock.add(second * 10, 10, second * 1_000_000, second * 1_000_000 - drifted)
        if second % 600 == 599:
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert clock.report().device.drift_ppm == pytest.approx(30, abs=0.1)
    assert held[-1] - held[1] < 2_000
    assert ARRIVALS < 3 * SECONDS


@settings(max_examples=50)
@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=40))
def test_the_line_is_the_linear_programme_of_moon_skelly_and_towsley(y):
    x = np.arange(len(y), dtype=float)
    y = np.array(y, dtype=float)
    slope, level = hull_line(x, y)
    below = y - (level + slope * x)
    assert below.min() > -1e-9
    best = linprog(
        [-x.sum(), -len(x)],
        A_ub=np.column_stack([x, np.ones_like(x)]),
        b_ub=y,
        bounds=[(None, None)] * 2,
    )
    assert below.sum() == pytest.approx(y.sum() + best.fun, abs=1e-6 * (1 + abs(y.sum())))
