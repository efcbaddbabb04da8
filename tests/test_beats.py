"""R peaks: synthetic hearts of known beat times, and LUDB's cardiologists' marks."""

import csv
import gzip
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgedge.recording import Recording, assemble
from ecgedge.signal.beats import r_peaks
from ecgedge.signal.conditioning import Conditioned, condition
from ecgedge.signal.synthetic import Heart, synthesize

# A beat nearer to an end than this may be cut, or be the foot of one just outside:
# it is neither asked for nor held against the detector.
EDGE_S = 0.1


def first_principles_beats(rate_bpm: float, duration_s: float = 10.0) -> np.ndarray:
    """A regular synthetic heart beats first at 0.4 of an interval, then every interval."""
    interval = 60.0 / rate_bpm
    return np.arange(0.4 * interval, duration_s, interval)


def assert_beats(found: np.ndarray, expected_s: np.ndarray, tolerance_s: float = 0.02) -> None:
    assert (np.diff(found) > 0).all()
    apart = np.abs(found[:, None] / 100 - expected_s)
    asked = (expected_s > EDGE_S) & (expected_s < 10 - EDGE_S)
    assert apart.min(axis=0)[asked].max() <= tolerance_s, "a beat was missed or misplaced"
    judged = apart[(found > 100 * EDGE_S) & (found < 100 * (10 - EDGE_S))]
    assert judged.min(axis=1).max() <= tolerance_s, "a beat was found where there is none"
    assert len(np.unique(judged.argmin(axis=1))) == len(judged), "a beat was found twice"


@pytest.mark.parametrize("rate_bpm", [30, 40, 55, 66, 90, 120, 150, 180, 200, 220])
@pytest.mark.parametrize("qrs_width", [1.0, 1.8])
def test_every_beat_of_a_regular_heart_is_found_once(rate_bpm: float, qrs_width: float) -> None:
    recording = synthesize(Heart(rate_bpm=rate_bpm, qrs_width=qrs_width))
    assert_beats(r_peaks(condition(recording)), first_principles_beats(rate_bpm))


@settings(max_examples=25, deadline=None)
@given(
    rate_bpm=st.floats(30, 220),
    noise_mv=st.floats(0, 0.06),
    hum_mv=st.floats(0, 0.1),
    wander_mv=st.floats(0, 0.5),
    seed=st.integers(0, 2**32 - 1),
)
def test_noise_hum_and_wander_do_not_move_or_hide_beats(
    rate_bpm: float, noise_mv: float, hum_mv: float, wander_mv: float, seed: int
) -> None:
    clean = synthesize(Heart(rate_bpm=rate_bpm))
    time = np.arange(clean.n_samples) / clean.rate_hz
    noise = np.random.default_rng(seed).normal(0, noise_mv, clean.signal.shape)
    tones = hum_mv * np.sin(2 * np.pi * 50 * time) + wander_mv * np.sin(2 * np.pi * 0.2 * time)
    noisy = Recording((clean.signal + noise + tones).astype(np.float32), clean.rate_hz, "mV")
    assert_beats(r_peaks(condition(noisy)), first_principles_beats(rate_bpm))


def test_a_tall_t_wave_is_not_a_beat() -> None:
    found = r_peaks(condition(synthesize(Heart(rate_bpm=60, t_wave=3.0))))
    assert_beats(found, first_principles_beats(60))


def test_one_tall_ectopic_beat_does_not_hide_the_others() -> None:
    recording = synthesize(Heart(rate_bpm=60))
    signal = recording.signal.copy()
    signal[:, 2600:2900] *= 5  # the beat at 5.4 s
    found = r_peaks(condition(Recording(signal, recording.rate_hz, "mV")))
    assert_beats(found, first_principles_beats(60))


@pytest.mark.parametrize("kept", [1, 3, 8])
def test_beats_are_found_in_whatever_lead_is_there(kept: int) -> None:
    signal = synthesize().signal.copy()
    signal[[lead for lead in range(12) if lead != kept]] = np.nan
    found = r_peaks(condition(Recording(signal, 500, "mV")))
    # In V3 alone the largest deflection is the S wave, 28 ms after R.
    assert_beats(found, first_principles_beats(66), tolerance_s=0.04)


@pytest.mark.parametrize("value", [np.nan, 0.0])
@pytest.mark.parametrize("n", [1, 5, 1000])
def test_no_signal_has_no_beats(value: float, n: int) -> None:
    found = r_peaks(Conditioned(np.full((12, n), value, np.float32)))
    assert found.shape == (0,)
    assert np.issubdtype(found.dtype, np.integer)


def ludb_marks(folder: Path) -> dict[int, np.ndarray]:
    """R peaks in seconds that LUDB's cardiologists marked in lead II, per record."""
    marks: dict[int, list[float]] = defaultdict(list)
    with gzip.open(folder / "ludb_delineation.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            if row["lead"] == "ii" and row["symbol"] == "N":
                marks[int(row["record"])].append(int(row["sample_500hz"]) / 500)
    return {record: np.array(times) for record, times in marks.items()}


def test_ludb_beats_are_found_with_sensitivity_and_ppv_over_97_percent(shared_data: Path) -> None:
    wfdb = pytest.importorskip("wfdb")
    folder = shared_data / "mixed-mv"
    if not (folder / "ludb_delineation.csv.gz").is_file():
        pytest.skip("LUDB is not there")
    marks = ludb_marks(folder)
    right = missed = wrong = 0
    for record in range(3, 201, 6):
        raw = wfdb.rdrecord(str(folder / f"LUDB_{record}"))
        recording = assemble(raw.sig_name, raw.p_signal.T, rate_hz=raw.fs, unit="mV")
        marked = marks[record]
        # LUDB leaves the first and the last beats of a record unmarked.
        found = r_peaks(condition(recording)) / 100
        found = found[(found > marked[0] - 0.15) & (found < marked[-1] + 0.15)]
        near = np.abs(found[:, None] - marked) < 0.15  # the usual window (EC57)
        right += near.any(axis=0).sum()
        missed += (~near.any(axis=0)).sum()
        wrong += (~near.any(axis=1)).sum()
    sensitivity, ppv = right / (right + missed), right / (right + wrong)
    print(f"LUDB, 33 records: sensitivity {sensitivity:.4f}, PPV {ppv:.4f}, {right} beats")
    assert min(sensitivity, ppv) >= 0.97
