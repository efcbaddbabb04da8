"""fields-1 against slow loops written from the definitions."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgedge.imaging.fields import FIELDS_1, typical_beat
from ecgedge.recording import Recording
from ecgedge.signal.beats import r_peaks
from ecgedge.signal.conditioning import Conditioned, condition
from ecgedge.signal.synthetic import Heart, synthesize


def slow_fields(series: list[float]) -> np.ndarray:
    """(3, 100, 100) of one lead's beat, one pair of samples at a time."""
    n = len(series)
    largest = max(abs(x) for x in series)
    x = [value / largest if largest else value for value in series]
    phi = [np.arccos(value) for value in x]
    ordered = sorted(x)

    def quartile(q: float) -> float:
        at = q * (n - 1)
        low = int(at)
        return ordered[low] + (at - low) * (ordered[min(low + 1, n - 1)] - ordered[low])

    edges = [quartile(q) for q in (0.25, 0.5, 0.75)]
    state = [sum(value > edge for edge in edges) for value in x]
    counts = np.zeros((4, 4))
    for now, after in pairwise(state):
        counts[now, after] += 1
    fields = np.zeros((3, n, n))
    for i in range(n):
        for j in range(n):
            fields[0, i, j] = np.cos(phi[i] + phi[j])
            fields[1, i, j] = abs(x[i] - x[j])
            left = counts[state[i]].sum()
            fields[2, i, j] = counts[state[i], state[j]] / left if left else 0
    return fields


def slow_image(beat: np.ndarray) -> np.ndarray:
    image = np.zeros((3, 150, 200))
    for lead in range(12):
        if np.isnan(beat[lead]).any():
            continue
        fields = slow_fields([float(value) for value in beat[lead]])
        small = np.zeros((3, 50, 50))
        for i in range(50):
            for j in range(50):
                block = fields[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
                small[:, i, j] = block.reshape(3, 4).mean(axis=1)
        row, column = divmod(lead, 4)
        image[:, 50 * row : 50 * row + 50, 50 * column : 50 * column + 50] = small
    return image


@pytest.mark.parametrize("rate_bpm", [50, 66])
def test_the_image_is_that_of_the_definitions(rate_bpm: float) -> None:
    signal = condition(synthesize(Heart(rate_bpm=rate_bpm, jitter=0.3))).signal.copy()
    signal[5] = np.nan
    signal[7] = 0.0
    beat = typical_beat(signal, r_peaks(Conditioned(signal)))
    image = FIELDS_1.encode(Conditioned(signal))
    assert np.abs(image - slow_image(beat)).max() < 2e-4


def test_the_beat_lies_35_samples_before_and_65_after_its_r_peak() -> None:
    signal = np.tile(np.arange(1000, dtype=np.float32), (12, 1))
    beat = typical_beat(signal, np.array([500]))
    assert beat[0, 0] == 465
    assert beat[0, -1] == 564


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.floats(1.5, 4))
def test_an_ectopic_beat_is_never_the_one_shown(which: int, factor: float) -> None:
    recording = synthesize(Heart(rate_bpm=60))
    signal = recording.signal.copy()
    at = round((0.4 + which) * 500)
    signal[:, at - 100 : at + 250] *= np.float32(-factor)
    disturbed = condition(Recording(signal, 500, "mV")).signal
    peaks = np.round((0.4 + np.arange(10)) * 100).astype(int)
    shown = typical_beat(disturbed, peaks)
    ectopic = disturbed[:, peaks[which] - 35 : peaks[which] + 65]
    assert not np.array_equal(shown, ectopic)
    assert shown[1, 35] > 0


def test_without_a_beat_the_middle_second_is_shown() -> None:
    signal = np.tile(np.arange(1000, dtype=np.float32), (12, 1))
    assert typical_beat(signal, np.array([], int))[0, [0, -1]].tolist() == [450, 549]


def test_a_beat_cut_by_both_ends_is_padded_with_zeros() -> None:
    signal = np.ones((12, 50), np.float32)
    beat = typical_beat(signal, np.array([20]))
    assert beat.shape == (12, 100)
    assert beat[0].sum() == 50
    assert beat[0, 14] == 0
    assert beat[0, 15] == 1
