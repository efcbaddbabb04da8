"""cond-1: golden vectors, a scipy oracle, and what must hold for any recording."""

import warnings

import numpy as np
import pytest
from golden.cases import CASES, CONDITIONED, on_grid
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import fft
from scipy import signal as dsp

from ecgedge.recording import Recording
from ecgedge.signal.conditioning import GRID, condition
from ecgedge.signal.synthetic import Heart, synthesize

STEP = 1 / GRID

hearts = st.builds(
    Heart,
    rate_bpm=st.floats(35, 180),
    jitter=st.floats(0, 0.6),
    p_wave=st.sampled_from([0.0, 1.0]),
    qrs_width=st.floats(0.8, 2.0),
    st_mv=st.floats(-0.2, 0.3),
)


@pytest.mark.parametrize("name", CASES)
def test_output_is_bit_for_bit_the_golden_vector(name: str) -> None:
    with np.load(CONDITIONED) as golden:
        assert np.array_equal(on_grid(condition(CASES[name]()).signal), golden[name])


def scipy_oracle(recording: Recording) -> np.ndarray:
    """cond-1 of a recording without gaps, said again with scipy's filters and FFT."""
    rate, n = recording.rate_hz, recording.n_samples
    n_out = round(n * 100 / rate)
    pad = min(n - 1, round(2 * rate))
    padded = np.pad(
        recording.signal.astype(float), ((0, 0), (pad, pad)), mode="reflect", reflect_type="odd"
    )
    # Lengthen to the first length under a second more that is whole at 100 Hz as well.
    lengths = padded.shape[1] + np.arange(int(rate))
    off = np.abs(lengths * 100 / rate - np.round(lengths * 100 / rate)).round(9)
    length = int(lengths[np.argmin(off)])
    padded = np.pad(padded, ((0, 0), (0, length - padded.shape[1])), mode="edge")
    spectrum = fft.rfft(padded, axis=1)
    omega = 2 * np.pi * fft.rfftfreq(length, 1 / rate)
    for order, corner_hz, kind in ((2, 0.5, "highpass"), (4, 40, "lowpass")):
        b, a = dsp.butter(order, 2 * np.pi * corner_hz, kind, analog=True)
        _, response = dsp.freqs(b, a, omega)
        spectrum = spectrum * np.abs(response) ** 2  # forward and backward
    m = round(length * 100 / rate)
    resampled = fft.irfft(spectrum[:, : m // 2 + 1], m, axis=1) * m / length
    start = round(pad * 100 / rate)
    out = resampled[:, start : start + n_out]
    scale = out.std(axis=1)
    scale[:6] = np.sqrt((scale[:6] ** 2).mean())
    out = (out - out.mean(axis=1, keepdims=True)) / scale[:, None]
    return np.clip(np.round(out * 1024) / 1024, -16, 16)


@settings(max_examples=25, deadline=None)
@given(hearts, st.sampled_from([100, 128, 250, 257, 360, 500, 977, 1000, 2000]), st.floats(2, 11))
def test_output_equals_the_scipy_oracle_to_one_grid_step(
    heart: Heart, rate_hz: float, duration_s: float
) -> None:
    recording = synthesize(heart, rate_hz=rate_hz, duration_s=duration_s)
    difference = np.abs(condition(recording).signal - scipy_oracle(recording))
    assert difference.max() <= STEP
    assert (difference > 0).mean() < 1e-3, "only ties of rounding may differ"


def test_inside_it_is_close_to_a_digital_zero_phase_filter_at_1000_hz() -> None:
    recording = CASES["wander-1000"]()
    filtered = recording.signal.astype(float)
    for order, corner_hz, kind in ((2, 0.5, "highpass"), (4, 40, "lowpass")):
        sos = dsp.butter(order, corner_hz, kind, fs=1000, output="sos")
        filtered = dsp.sosfiltfilt(sos, filtered, axis=1)
    inside = slice(200, -200)
    theirs = filtered[:, ::10][:, inside]
    ours = condition(recording).signal[:, inside].astype(float)
    theirs = theirs - theirs.mean(axis=1, keepdims=True)
    ours = ours - ours.mean(axis=1, keepdims=True)
    gain = (theirs * ours).sum(axis=1) / (theirs**2).sum(axis=1)
    assert np.abs(ours - gain[:, None] * theirs).max() < 0.03


@settings(max_examples=25, deadline=None)
@given(hearts, st.floats(1e-3, 1e4))
def test_any_gain_gives_the_same_output(heart: Heart, gain: float) -> None:
    recording = synthesize(heart, rate_hz=250)
    scaled = Recording(recording.signal * np.float32(gain), 250, "NU")
    assert np.abs(condition(recording).signal - condition(scaled).signal).max() <= STEP


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.05, 20), min_size=6, max_size=6))
def test_chest_leads_may_each_have_their_own_gain(gains: list[float]) -> None:
    recording = synthesize(rate_hz=250)
    signal = recording.signal.copy()
    signal[6:] *= np.array(gains, np.float32)[:, None]
    scaled = condition(Recording(signal, 250, "NU")).signal
    assert np.abs(condition(recording).signal - scaled).max() <= STEP


gaps = st.lists(
    st.tuples(st.integers(0, 11), st.integers(0, 2499), st.integers(1, 2500)), max_size=12
)


@settings(max_examples=25, deadline=None)
@given(gaps, st.sampled_from([100, 250, 500]))
def test_the_output_is_missing_exactly_where_the_input_is(
    gaps: list[tuple[int, int, int]], rate_hz: int
) -> None:
    signal = synthesize(rate_hz=rate_hz).signal.copy()
    for lead, start, length in gaps:
        signal[lead, start : start + length] = np.nan
    every = signal[:, np.round(np.arange(1000) * rate_hz / 100).astype(int)]
    out = condition(Recording(signal, rate_hz, "mV")).signal
    assert np.array_equal(np.isnan(out), np.isnan(every))


@settings(max_examples=25, deadline=None)
@given(hearts, st.sampled_from([100, 360, 1000]))
def test_einthovens_and_goldbergers_laws_hold_in_the_output(heart: Heart, rate_hz: float) -> None:
    one, two, three, avr, avl, avf = condition(synthesize(heart, rate_hz=rate_hz)).signal[:6]
    assert np.abs(one + three - two).max() <= 2 * STEP
    assert np.abs(avr + (one + two) / 2).max() <= 2 * STEP
    assert np.abs(avl - (one - three) / 2).max() <= 2 * STEP
    assert np.abs(avf - (two + three) / 2).max() <= 2 * STEP


# A whole number of beats and six tenths: the recording begins and ends between two
# beats. A QRS cut by an end is reflected about whichever of its samples comes last,
# and that does depend on the rate.
quiet_ends = st.builds(
    Heart,
    rate_bpm=st.integers(6, 20).map(lambda k: 6.0 * k),
    qrs_width=st.floats(0.8, 2.0),
    st_mv=st.floats(-0.2, 0.3),
)


@settings(max_examples=15, deadline=None)
@given(quiet_ends, st.integers(100, 1999))
@example(Heart(), 100)
@example(Heart(), 101)
@example(Heart(), 1999)
def test_the_sampling_rate_changes_no_sample_by_more_than_a_thirtieth_of_a_deviation(
    heart: Heart, rate_hz: int
) -> None:
    reference = condition(synthesize(heart, rate_hz=2000)).signal
    other = condition(synthesize(heart, rate_hz=rate_hz)).signal
    n = min(reference.shape[1], other.shape[1])
    assert abs(reference.shape[1] - other.shape[1]) <= 1
    inside = slice(100, n - 100)
    assert np.abs(reference[:, inside] - other[:, inside]).max() < 1 / 30


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_short_constant_and_empty_recordings_neither_raise_nor_warn(data: st.DataObject) -> None:
    n = data.draw(st.sampled_from([1, 2, 3, 7, 100, 1000]))
    rate_hz = data.draw(st.sampled_from([100, 257, 2000]))
    level = data.draw(st.sampled_from([0.0, 1.5, -3000.0, 1e30, np.nan]))
    signal = np.full((12, n), level, np.float32)
    if data.draw(st.booleans()):
        signal[3] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = condition(Recording(signal, rate_hz, "mV"))
    assert out.signal.dtype == np.float32
    assert out.n_samples == max(1, round(n * 100 / rate_hz))
    assert np.array_equal(np.isnan(out.signal).all(axis=1), np.isnan(signal).all(axis=1))
    assert not np.isinf(out.signal).any()


def test_a_constant_lead_stays_zero() -> None:
    signal = synthesize().signal.copy()
    signal[8] = 0.7
    assert (condition(Recording(signal, 500, "mV")).signal[8] == 0).all()


def test_the_input_is_not_modified_and_the_output_repeats() -> None:
    recording = CASES["gaps-500"]()
    before = recording.signal.copy()
    first = condition(recording).signal
    assert np.array_equal(recording.signal, before, equal_nan=True)
    assert np.array_equal(first, condition(recording).signal, equal_nan=True)


def test_an_infinite_sample_is_a_gap() -> None:
    signal = synthesize(rate_hz=100).signal.copy()
    signal[2, 300] = np.inf
    out = condition(Recording(signal, 100, "mV")).signal
    assert np.flatnonzero(np.isnan(out).ravel()).tolist() == [2300]
