"""Measurements: known hearts give known numbers, and what cannot be said is not said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgedge.answer import Measurement
from ecgedge.recording import LEADS, LIMB_FROM_I_II, Recording
from ecgedge.signal.measurements import measure
from ecgedge.signal.quality import assess
from ecgedge.signal.synthetic import Heart, synthesize

NAMES = ["heart_rate", "regularity", "rr_variation", "pr", "qrs", "qt", "qtc", "axis"]


def measured(recording: Recording) -> dict[str, Measurement]:
    return measure(recording, assess(recording))


def number(one: Measurement) -> float:
    assert isinstance(one.value, float), one.why
    return one.value


def assert_honest(said: dict[str, Measurement]) -> None:
    """Every value is a finite number or a word, or there is a sentence why not."""
    assert list(said)[:8] == NAMES
    for name, one in said.items():
        if one.value is None:
            assert len(one.why.split()) > 3, name
        elif not isinstance(one.value, str):
            assert np.isfinite(one.value), name
            assert one.beats >= 1, name


@pytest.mark.parametrize("rate_bpm", [40, 66, 95, 140, 180])
def test_the_rate_of_a_regular_heart(rate_bpm: int) -> None:
    said = measured(synthesize(Heart(rate_bpm=rate_bpm)))
    assert number(said["heart_rate"]) == pytest.approx(rate_bpm, rel=0.005)
    assert said["regularity"].value == "regular"
    assert number(said["rr_variation"]) < 10
    assert said["heart_rate"].beats == pytest.approx(rate_bpm / 6, abs=1)


def test_rr_variation_is_the_deviation_of_the_intervals() -> None:
    said = measured(synthesize(Heart(rate_bpm=75, jitter=0.4)))
    steps = (np.arange(12) * 0.6180339887498949) % 1.0 - 0.5  # as synthetic.py makes them
    expected = 800 * 0.4 * steps.std()
    assert number(said["rr_variation"]) == pytest.approx(expected, rel=0.15)


def test_wider_complexes_and_farther_p_waves_measure_longer() -> None:
    narrow = measured(synthesize(Heart(qrs_width=0.8)))
    wide = measured(synthesize(Heart(qrs_width=1.8)))
    assert 70 < number(narrow["qrs"]) < 115
    assert number(wide["qrs"]) > 170
    assert "wide" in wide["qt"].why
    assert narrow["qt"].why == ""
    # P begins 2 to 3 of its widths before its peak, 0.16 s before R.
    assert 235 - 60 < number(narrow["pr"]) + 45 < 235 + 20


def test_qtc_is_fridericias() -> None:
    said = measured(synthesize(Heart(rate_bpm=90)))
    rr_s = 60 / number(said["heart_rate"])
    assert number(said["qtc"]) == pytest.approx(number(said["qt"]) / rr_s ** (1 / 3), rel=1e-3)


@pytest.mark.parametrize("rate_bpm", [45, 120])
def test_qtc_outside_of_its_range_comes_with_a_caution(rate_bpm: int) -> None:
    assert "mislead" in measured(synthesize(Heart(rate_bpm=rate_bpm)))["qtc"].why


@pytest.mark.parametrize("axis", [-150, -90, -45, 0, 30, 60, 90, 135])
@pytest.mark.parametrize("unit", ["mV", "NU"])
def test_the_axis_is_the_angle_of_the_heart_vector(axis: int, unit: str) -> None:
    recording = synthesize()
    time = np.arange(recording.n_samples) / recording.rate_hz
    beats = 60 / 66 * (0.4 + np.arange(14))
    bump = np.exp(-0.5 * ((time - beats[:, None]) / 0.015) ** 2).sum(axis=0)
    angle = np.radians(axis)
    two = np.outer([np.cos(angle), np.cos(angle - np.pi / 3)], bump)  # I looks at 0, II at 60
    signal = recording.signal.copy()
    # A lead across the axis has no QRS, but it is neither flat nor noise: it has a T wave.
    two += 0.2 * np.exp(-0.5 * ((time - beats[:, None] - 0.28) / 0.05) ** 2).sum(axis=0)
    signal[:6] = LIMB_FROM_I_II @ two
    said = measured(Recording(signal, recording.rate_hz, unit))  # type: ignore[arg-type]
    assert number(said["axis"]) == pytest.approx(axis, abs=3)
    assert said["axis"].spread is not None


def test_amplitudes_are_those_of_the_samples() -> None:
    recording = synthesize()
    said = measured(recording)
    for row, lead in enumerate(LEADS):
        top, bottom = recording.signal[row].max(), recording.signal[row].min()
        if said[f"r_{lead}"].value == pytest.approx(top, abs=0.03):
            continue
        # Where T is taller than R, the samples' top is not R.
        assert lead in ("aVR", "V1", "V2", "V3"), lead
        assert number(said[f"s_{lead}"]) == pytest.approx(bottom, abs=0.05)


def test_st_follows_the_level_that_was_put_there() -> None:
    flat, raised = measured(synthesize()), measured(synthesize(Heart(st_mv=0.3)))
    assert abs(number(flat["st_V5"])) < 0.03
    assert number(raised["st_V5"]) > 0.1
    assert number(raised["st_aVR"]) < -0.05


def test_doubling_the_voltage_doubles_amplitudes_and_nothing_else() -> None:
    recording = synthesize()
    one = measured(recording)
    two = measured(replace(recording, signal=2 * recording.signal))
    for name in one:
        if name in NAMES:
            assert one[name].value == two[name].value
        else:
            assert number(two[name]) == pytest.approx(2 * number(one[name]), abs=0.003)


def test_normalised_recordings_get_no_voltages_and_one_sentence_why() -> None:
    said = measured(replace(synthesize(), unit="NU"))
    assert list(said) == [*NAMES, "amplitudes"]
    assert said["amplitudes"].value is None
    assert "NU" in said["amplitudes"].why


def test_fibrillation_has_no_pr() -> None:
    clean = synthesize(Heart(rate_bpm=90, jitter=0.6, p_wave=0))
    time = np.arange(clean.n_samples) / clean.rate_hz
    f_waves = 0.06 * np.sin(2 * np.pi * 6.1 * time + np.sin(1.3 * time))
    said = measured(replace(clean, signal=clean.signal + f_waves.astype(np.float32)))
    assert said["regularity"].value == "irregularly irregular"
    assert said["pr"].value is None
    assert "fibrillation" in said["pr"].why


def test_every_second_beat_early_is_irregular_but_not_without_order() -> None:
    recording = synthesize(Heart(rate_bpm=60), duration_s=12.0)
    beats = []
    for number_of, start in enumerate(range(200, 5200, 500)):
        length = 400 if number_of % 2 else 600
        padded = np.zeros((12, 600), np.float32)
        padded[:, : min(500, length)] = recording.signal[:, start : start + min(500, length)]
        beats.append(padded[:, :length])
    signal = np.concatenate(beats, axis=1)
    said = measured(Recording(signal, 500, "mV"))
    assert said["regularity"].value == "irregular"


def test_no_p_no_pr_and_no_t_no_qt() -> None:
    without_p = measured(synthesize(Heart(p_wave=0)))
    assert without_p["pr"].value is None
    assert number(without_p["qt"]) > 300
    without_t = measured(synthesize(Heart(t_wave=0)))
    assert without_t["qt"].value is None
    assert without_t["qtc"].value is None
    assert "QT" in without_t["qtc"].why
    assert number(without_t["pr"]) > 100


def test_one_beat_has_no_rate() -> None:
    recording = synthesize(Heart(rate_bpm=30), duration_s=2.6)
    said = measured(Recording(recording.signal[:, 250:1250], 500, "mV"))
    assert_honest(said)
    assert said["heart_rate"].value is None
    assert said["regularity"].value is None
    assert said["qtc"].value is None
    assert "one" in said["heart_rate"].why
    assert number(said["qrs"]) > 80


def test_asystole_and_silence_have_nothing() -> None:
    for level in (0.0, np.nan):
        said = measured(Recording(np.full((12, 5000), level, np.float32), 500, "mV"))
        assert_honest(said)
        assert all(one.value is None for one in said.values())


def test_noise_is_not_measured() -> None:
    noise = np.random.default_rng(0).normal(size=(12, 5000)).astype(np.float32)
    said = measured(Recording(noise, 500, "mV"))
    assert all(one.value is None for one in said.values())


def test_the_axis_needs_limb_leads_that_agree() -> None:
    signal = synthesize().signal.copy()
    signal[1] *= 1.8  # lead II alone
    assert "contradict" in measured(Recording(signal, 500, "mV"))["axis"].why
    signal[:6] = np.nan
    said = measured(Recording(signal, 500, "mV"))
    assert said["axis"].value is None
    assert number(said["qrs"]) > 80
    assert "r_II" not in said


@settings(max_examples=40)
@given(
    heart=st.builds(
        Heart,
        rate_bpm=st.floats(15, 250),
        jitter=st.floats(0, 1),
        p_wave=st.floats(0, 2),
        qrs_width=st.floats(0.5, 3),
        t_wave=st.floats(-1, 3),
    ),
    rate_hz=st.sampled_from([100.0, 257.0, 500.0, 1000.0]),
    duration_s=st.floats(0.1, 13),
    missing=st.sets(st.integers(0, 11), max_size=12),
    gap=st.tuples(st.floats(0, 10), st.floats(0, 8)),
    unit=st.sampled_from(["mV", "NU"]),
    noise_mv=st.floats(0, 0.3),
)
def test_whatever_comes_nothing_is_made_up_and_nothing_fails(
    heart: Heart,
    rate_hz: float,
    duration_s: float,
    missing: set[int],
    gap: tuple[float, float],
    unit: str,
    noise_mv: float,
) -> None:
    recording = synthesize(heart, rate_hz=rate_hz, duration_s=duration_s)
    noise = np.random.default_rng(0).normal(0, noise_mv, recording.signal.shape)
    signal = (recording.signal + noise).astype(np.float32)
    signal[sorted(missing)] = np.nan
    signal[4:10, int(gap[0] * rate_hz) : int(sum(gap) * rate_hz)] = np.nan
    said = measured(Recording(signal, rate_hz, unit))  # type: ignore[arg-type]
    assert_honest(said)
    if said["pr"].value is not None:
        assert 40 < number(said["pr"]) < 400
    if said["qt"].value is not None:
        assert 100 < number(said["qt"]) < 900


def test_intervals_of_ludb_agree_with_its_marks(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shared_data / "mixed-mv"
    if not (folder / "ludb_delineation.csv.gz").is_file():
        pytest.skip("LUDB is not there")
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "benchmarks"))
    from delineation import intervals
    from ludb import read_marks

    from ecgedge.formats import read

    records = range(2, 201, 6)  # even: none of these was tuned on
    recordings = {record: read(folder / f"LUDB_{record}.hea") for record in records}
    apart = intervals(read_marks(folder / "ludb_delineation.csv.gz"), recordings)
    print(apart)
    assert apart["heart_rate"]["median_absolute"] < 1
    for name, limit_ms in (("pr", 8), ("qrs", 12), ("qt", 15)):
        assert apart[name]["median_absolute"] < limit_ms
        assert apart[name]["unsaid_though_marked"] <= 2
    assert apart["pr"]["said_though_unmarked"] <= 1


def test_one_heart_in_mv_at_500_hz_and_normalised_at_100_hz_measures_alike(
    shared_data: Path,
) -> None:
    from ecgedge.formats import read

    compared = 0
    for raw in sorted((shared_data / "mixed-mv").glob("PTB-XL_HR*.hea")):
        number_of = int(raw.stem[-5:])
        folder = shared_data / "ptbxl" / "records100" / f"{number_of // 1000 * 1000:05d}"
        if not (folder / f"{number_of:05d}_lr.hea").is_file():
            continue
        one, other = measured(read(raw)), measured(read(folder / f"{number_of:05d}_lr.hea"))
        print(raw.stem, {name: (one[name].value, other[name].value) for name in NAMES})
        compared += 1
        assert number(one["heart_rate"]) == pytest.approx(number(other["heart_rate"]), abs=1)
        for name, ms in (("pr", 15), ("qrs", 12), ("qt", 25)):
            assert number(one[name]) == pytest.approx(number(other[name]), abs=ms), name
        turned = abs(number(one["axis"]) - number(other["axis"]))
        assert min(turned, 360 - turned) < 15
    if not compared:
        pytest.skip("no record is there in both forms")
