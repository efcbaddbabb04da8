"""scalogram-1 against convolution in the time domain, and against pure tones."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal as dsp

from ecgedge.imaging.scalogram import FREQUENCIES_HZ, SCALOGRAM_1, magnitudes
from ecgedge.signal.conditioning import Conditioned

TIME = np.arange(1000) / 100


def direct_magnitude(series: np.ndarray, frequency_hz: float) -> np.ndarray:
    """|series convolved with the sampled Morlet wavelet|, no FFT involved."""
    deviation_s = 6 / (2 * np.pi * frequency_hz)
    reach = int(np.ceil(6 * deviation_s * 100))
    t = np.arange(-reach, reach + 1) / 100
    wavelet = np.exp(-0.5 * (t / deviation_s) ** 2) * np.exp(2j * np.pi * frequency_hz * t)
    wavelet *= 2 / (deviation_s * np.sqrt(2 * np.pi)) / 100
    full = dsp.convolve(series, wavelet, mode="full", method="direct")
    return np.abs(full[reach : reach + len(series)])


def test_magnitudes_are_those_of_direct_convolution() -> None:
    # Up to 25 Hz: above, the sampled wavelets of the oracle fold at half the rate.
    sweep = dsp.chirp(TIME, 0.5, 10, 25, method="logarithmic")
    noise = np.random.default_rng(3).normal(size=1000)
    noise = dsp.sosfiltfilt(dsp.butter(8, 20, fs=100, output="sos"), noise)
    both = np.stack([sweep, noise]) * dsp.windows.tukey(1000, 0.1)
    found = magnitudes(both)
    for row, frequency_hz in enumerate(FREQUENCIES_HZ):
        for lead in range(2):
            expected = direct_magnitude(both[lead], frequency_hz)
            assert np.abs(found[lead, row] - expected).max() < 1e-3, frequency_hz


@settings(max_examples=24, deadline=None)
@given(st.integers(0, 23), st.floats(0.1, 8), st.floats(0, 6.3))
def test_a_pure_tone_peaks_in_its_own_row_and_reads_its_amplitude(
    row: int, amplitude: float, phase: float
) -> None:
    tone = amplitude * np.sin(2 * np.pi * FREQUENCIES_HZ[row] * TIME + phase)
    found = magnitudes(tone[None])[0]
    middle = found[:, 450:550].mean(axis=1)
    assert middle.argmax() == row
    assert abs(middle[row] / amplitude - 1) < 0.02


def test_frames_are_the_log_of_means_of_four_samples() -> None:
    signal = np.random.default_rng(0).normal(size=(12, 1000)).astype(np.float32)
    image = SCALOGRAM_1.encode(Conditioned(signal))
    mean = magnitudes(signal).reshape(12, 24, 250, 4).mean(axis=3)
    assert np.abs(np.expm1(image) / 4 - mean).max() < 2e-3


def test_less_than_a_5000th_of_the_windows_end_leaks_into_its_start() -> None:
    signal = np.zeros((12, 1000), np.float32)
    signal[:, 900:] = 5 * np.sin(2 * np.pi * FREQUENCIES_HZ[0] * TIME[900:])
    start = SCALOGRAM_1.encode(Conditioned(signal))[:, :, :50]
    assert np.expm1(start.max()) / 4 < 5 * 2e-4


def test_a_gap_is_zero_in_its_frames() -> None:
    signal = np.ones((12, 1000), np.float32)
    signal[3, 402] = np.nan
    image = SCALOGRAM_1.encode(Conditioned(signal))
    assert not image[3, :, 100].any()
    assert image[3, 0, 101] > 0
