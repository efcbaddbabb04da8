"""Delineation: synthetic hearts of known timing, what must not change it, and LUDB's marks."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgedge.recording import Recording
from ecgedge.signal.beat_statistics import deviations, medians, outermost
from ecgedge.signal.conditioning import Conditioned, condition
from ecgedge.signal.delineation import Delineation, delineate
from ecgedge.signal.delineation_filters import Spectrum
from ecgedge.signal.synthetic import Heart, synthesize

# From ecgedge/signal/synthetic.py: a wave is a Gaussian, so it has its peak at the delay after
# R and is over 2 to 3 widths from it, whichever share of its height one calls nothing.
P_PEAK_S, P_WIDTH_S = -0.16, 0.025
T_PEAK_S, T_WIDTH_S = 0.28, 0.050
QRS_FROM_S = (-0.028 - 3.8 * 0.010, -0.028 - 1.6 * 0.010)  # Q's width
QRS_TO_S = (0.028 + 1.6 * 0.012, 0.028 + 3.8 * 0.012)  # S's width


def inner(marks: Delineation, duration_s: float = 10.0) -> np.ndarray:
    """Beats whose P and T lie inside of the recording."""
    return (marks.beats > 0.4) & (marks.beats < duration_s - 0.6)


@pytest.mark.parametrize("rate_hz", [100, 250, 360, 500, 1000])
@pytest.mark.parametrize("rate_bpm", [45, 66, 90])
def test_waves_of_a_synthetic_heart_are_where_they_were_put(rate_hz: int, rate_bpm: int) -> None:
    marks = delineate(condition(synthesize(Heart(rate_bpm=rate_bpm), rate_hz=rate_hz)))
    beats = 60 / rate_bpm * (0.4 + np.arange(100))
    beats = beats[(beats > 0.4) & (beats < 9.4)]
    assert np.abs(marks.beats[inner(marks)] - beats).max() < 0.012
    seen = inner(marks)

    def after_r(times: np.ndarray) -> np.ndarray:
        return times[:, seen] - beats

    # Leads in which P or T nearly cancels may stray; the usual lead must not.
    assert np.median(after_r(marks.p.peak)) == pytest.approx(P_PEAK_S, abs=0.006)
    assert np.median(after_r(marks.t.peak)) == pytest.approx(T_PEAK_S, abs=0.006)
    for wave, peak, width in (
        (marks.p, P_PEAK_S, P_WIDTH_S),
        (marks.t, T_PEAK_S, T_WIDTH_S),
    ):
        onset, offset = np.median(after_r(wave.onset)), np.median(after_r(wave.offset))
        assert 1.3 * width < peak - onset < 3 * width
        assert 1.3 * width < offset - peak < 3 * width
    # Few leads see Q and S well; all together do.
    assert QRS_FROM_S[0] < np.median(marks.qrs.earliest_onset[seen] - beats) < QRS_FROM_S[1]
    assert QRS_TO_S[0] < np.median(marks.qrs.latest_offset[seen] - beats) < QRS_TO_S[1]


@settings(max_examples=25)
@given(
    lead=st.sampled_from([0, 1, 5, 9, 10, 11]),
    rate_bpm=st.floats(45, 95),
    width=st.floats(0.9, 1.6),
)
def test_marks_are_in_order_and_inside_of_the_recording(
    lead: int, rate_bpm: float, width: float
) -> None:
    recording = synthesize(Heart(rate_bpm=rate_bpm, qrs_width=width))
    marks = delineate(condition(recording), (lead,))
    for waves in (marks.p, marks.qrs, marks.t):
        known = np.isfinite(waves.onset)
        assert known.sum() >= inner(marks).sum() - 1
        assert np.array_equal(known, np.isfinite(waves.offset))
        assert (waves.onset[known] < waves.offset[known]).all()
        assert (waves.onset[known] >= 0).all()
        assert (waves.offset[known] <= recording.duration_s).all()
    both = np.isfinite(marks.p.onset) & np.isfinite(marks.qrs.onset)
    assert (marks.p.peak[both] < marks.qrs.onset[both]).all()
    both = np.isfinite(marks.t.onset) & np.isfinite(marks.qrs.onset)
    assert (marks.t.peak[both] > marks.qrs.offset[both]).all()


@settings(max_examples=20)
@given(shift=st.integers(5, 90), seed=st.integers(0, 2**16))
def test_a_shift_in_time_shifts_the_marks(shift: int, seed: int) -> None:
    long = condition(_noisy(synthesize(duration_s=12.0), seed)).signal
    first = delineate(Conditioned(long[:, :1000]))
    second = delineate(Conditioned(long[:, shift : shift + 1000]))
    before = first.beats - shift / 100
    pairs = [
        (one, int(np.argmin(np.abs(second.beats - time))))
        for one, time in enumerate(before)
        if 0.6 < time < 8.9 - shift / 100
    ]
    one, other = np.array(pairs).T
    assert np.abs(before[one] - second.beats[other]).max() < 1e-9
    for a, b in ((first.p, second.p), (first.qrs, second.qrs), (first.t, second.t)):
        for left, right in ((a.onset, b.onset), (a.offset, b.offset)):
            apart = np.abs(left[:, one] - shift / 100 - right[:, other])
            # The ends of the window reach a little into the filters, so now and then a
            # shallow boundary lies elsewhere; most lie where they lay.
            assert np.nanmedian(apart) < 0.001
            assert np.isfinite(apart).mean() > 0.9


@settings(max_examples=20)
@given(scale=st.floats(0.05, 20.0))
def test_the_scale_of_the_recording_does_not_matter(scale: float) -> None:
    recording = _noisy(synthesize(), 1)
    scaled = Recording(recording.signal * np.float32(scale), recording.rate_hz, "NU")
    one, other = delineate(condition(recording)), delineate(condition(scaled))
    assert np.array_equal(one.beats, other.beats)
    for a, b in ((one.p, other.p), (one.qrs, other.qrs), (one.t, other.t)):
        assert np.nanmedian(np.abs(a.onset - b.onset)) < 0.001
        assert np.nanmedian(np.abs(a.offset - b.offset)) < 0.001


@settings(max_examples=40)
@given(
    missing=st.lists(st.integers(0, 11), unique=True, max_size=12),
    gap=st.tuples(st.integers(0, 990), st.integers(0, 500)),
    n=st.sampled_from([1, 3, 30, 250, 500, 1000]),
)
def test_missing_leads_and_gaps_never_crash_nor_carry_marks(
    missing: list[int], gap: tuple[int, int], n: int
) -> None:
    signal = condition(synthesize()).signal[:, :n].copy()
    signal[missing] = np.nan
    signal[3:9, gap[0] : gap[0] + gap[1]] = np.nan
    marks = delineate(Conditioned(signal))
    assert len(marks.leads) == np.isfinite(signal).any(axis=1).sum()
    for waves in (marks.p, marks.qrs, marks.t):
        assert waves.onset.shape == (len(marks.leads), len(marks.beats))
        for row, lead in enumerate(marks.leads):
            known = np.isfinite(waves.onset[row])
            ends = zip(waves.onset[row][known], waves.offset[row][known], strict=True)
            for onset, offset in ends:
                stretch = signal[lead, int(onset * 100) : int(offset * 100) + 1]
                assert np.isfinite(stretch).all(), "a wave was marked in a gap"


def test_a_printed_page_of_four_columns_is_delineated_where_it_was_printed() -> None:
    signal = condition(synthesize(Heart(rate_bpm=75))).signal.copy()
    printed = np.zeros(signal.shape, dtype=bool)
    for column, leads in enumerate(([0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11])):
        printed[leads, 250 * column : 250 * (column + 1)] = True
    signal[~printed] = np.nan
    marks = delineate(Conditioned(signal))
    assert len(marks.beats) >= 11
    assert (np.isfinite(marks.qrs.onset).sum(axis=1) >= 2).all()
    assert np.isfinite(marks.qrs.earliest_onset).sum() >= 8


@pytest.mark.parametrize("leads", [tuple(range(12)), (1,)])
def test_no_wave_is_found_where_none_was_put(leads: tuple[int, ...]) -> None:
    without_p = delineate(condition(synthesize(Heart(p_wave=0))), leads)
    assert np.isnan(without_p.p.onset).all()
    assert np.isfinite(without_p.t.onset).any()
    without_t = delineate(condition(synthesize(Heart(t_wave=0))), leads)
    assert np.isnan(without_t.t.onset).all()
    assert np.isfinite(without_t.p.onset).any()


def test_fibrillation_waves_are_no_p_waves() -> None:
    clean = synthesize(Heart(rate_bpm=90, jitter=0.6, p_wave=0))
    time = np.arange(clean.n_samples) / clean.rate_hz
    f_waves = 0.08 * np.sin(2 * np.pi * 6.1 * time + np.sin(1.3 * time))
    recording = Recording(clean.signal + f_waves.astype(np.float32), clean.rate_hz, "mV")
    marks = delineate(condition(recording))
    assert len(marks.beats) >= 12
    assert np.isnan(marks.p.onset).all()


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_no_signal_has_no_waves(value: float) -> None:
    marks = delineate(Conditioned(np.full((12, 1000), value, np.float32)))
    assert marks.beats.shape == (0,)
    assert marks.qrs.onset.shape[1] == 0
    assert marks.p.earliest_onset.shape == (0,)


@pytest.mark.parametrize("sigma_s", [0.0135, 0.02, 0.045])
def test_filters_agree_with_scipy(sigma_s: float) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    rows = np.random.default_rng(0).normal(size=(3, 400)).astype(np.float32)
    found, sigma = (
        Spectrum(rows, 100).filtered((("slope", sigma_s), ("hump", sigma_s))),
        sigma_s * 100,
    )
    settings = {"mode": "nearest", "truncate": 8.0}
    slope = sigma * ndimage.gaussian_filter1d(rows, sigma, order=1, **settings)
    hump = -(sigma**2) * ndimage.gaussian_filter1d(rows, sigma, order=2, **settings)
    # scipy samples the Gaussian, we transform it: they differ where it is narrow.
    assert np.abs(found[0] - slope).max() < 0.02
    assert np.abs(found[1] - hump).max() < 0.04


@settings(max_examples=60)
@given(
    rows=st.lists(
        st.lists(st.one_of(st.floats(-9, 9), st.just(np.nan)), min_size=5, max_size=5),
        min_size=1,
        max_size=4,
    )
)
def test_statistics_over_beats_agree_with_numpy(rows: list[list[float]]) -> None:
    table = np.array(rows)
    some = np.isfinite(table).any(axis=1)
    assert np.isnan(medians(table)[~some]).all()
    assert np.allclose(medians(table)[some], [np.nanmedian(row) for row in table[some]])
    assert np.allclose(deviations(table)[some], [np.nanstd(row) for row in table[some]])
    known = np.isfinite(table).any(axis=0)
    for share in (0.0, 0.25):
        expected = [np.nanquantile(column, share) for column in table.T[known]]
        assert np.allclose(outermost(table, share)[known], expected)


def _noisy(recording: Recording, seed: int) -> Recording:
    noise = np.random.default_rng(seed).normal(0, 0.01, recording.signal.shape)
    return Recording((recording.signal + noise).astype(np.float32), recording.rate_hz, "mV")


def test_ludb_waves_are_found_where_cardiologists_marked_them(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shared_data / "mixed-mv"
    if not (folder / "ludb_delineation.csv.gz").is_file():
        pytest.skip("LUDB is not there")
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "benchmarks"))
    from delineation import ours
    from ludb import read_marks, score

    from ecgedge.formats import read

    marks = read_marks(folder / "ludb_delineation.csv.gz")
    rows, found = (0, 1, 6, 10), {}
    for record in range(2, 201, 6):  # even: none of these was tuned on
        recording = read(folder / f"LUDB_{record}.hea")
        for row, waves in ours(recording, rows).items():
            found[record, row] = waves
    figures = score(marks, found, list(found))
    print(figures)
    assert min(figures["QRS"]["peak"][name] for name in ("sensitivity", "ppv")) >= 99.5
    for wave, sensitivity, ppv, sd_ms in (("P", 97, 93, 20), ("T", 95, 95, 34)):
        for point in figures[wave].values():
            assert point["sensitivity"] > sensitivity
            assert point["ppv"] > ppv
            assert point["sd_ms"] < sd_ms
            assert abs(point["mean_ms"]) < 8
