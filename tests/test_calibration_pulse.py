"""Calibration pulses are found and cut, and nothing else is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ecgedge.answer import Quality
from ecgedge.recording import LEADS, LIMB_FROM_I_II, Recording
from ecgedge.sight import condition_visible
from ecgedge.signal.calibration_pulse import Pulse, find_pulses, without_pulses
from ecgedge.signal.corrupt import drop_leads, resample
from ecgedge.signal.faults import calibrate
from ecgedge.signal.quality import assess
from ecgedge.signal.synthetic import synthesize

RATES = [100, 250, 500, 1000]


def _seconds(pulses: tuple[Pulse, ...], rate_hz: float) -> list[tuple[float, float]]:
    return [(one.start / rate_hz, one.stop / rate_hz) for one in pulses]


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("start_s", [0.1, 4.72, 9.6])
def test_a_pulse_is_found_with_the_dead_line_about_it(rate_hz: float, start_s: float) -> None:
    pulsed = calibrate(synthesize(rate_hz=rate_hz), start_s)
    ((start, stop),) = _seconds(find_pulses(pulsed.signal, rate_hz), rate_hz)
    assert start == pytest.approx(start_s - 0.1, abs=0.03)
    assert stop == pytest.approx(start_s + 0.3, abs=0.03)


@pytest.mark.parametrize("length_s", [0.1, 0.2, 0.4])
def test_a_pulse_on_top_of_the_heart_is_cut_with_its_margin_only(length_s: float) -> None:
    pulsed = calibrate(synthesize(), 4.4, length_s, dead_s=None)
    ((start, stop),) = _seconds(find_pulses(pulsed.signal, 500), 500)
    assert 4.35 < start < 4.4
    assert 4.4 + length_s < stop < 4.4 + length_s + 0.05


@pytest.mark.parametrize("shown_s", [0.02, 0.1, 0.19])
def test_a_pulse_that_the_window_cuts_in_two_is_known_by_one_edge(shown_s: float) -> None:
    pulsed = calibrate(synthesize(duration_s=20), 9.8).signal
    shown = round(shown_s * 500)
    at_end = find_pulses(pulsed[:, : 4900 + shown], 500)
    assert [one.stop for one in at_end] == [4900 + shown]
    at_start = find_pulses(pulsed[:, 5000 - shown :], 500)
    assert [one.start for one in at_start] == [0]


def test_two_pulses_are_two_cuts() -> None:
    pulsed = calibrate(calibrate(synthesize(), 2.0), 6.0)
    assert len(find_pulses(pulsed.signal, 500)) == 2


def test_a_pulse_shows_without_einthovens_law_where_limb_leads_were_derived() -> None:
    pulsed = calibrate(synthesize(), 4.7).signal.copy()
    pulsed[:6] = (LIMB_FROM_I_II @ pulsed[:2]).astype(np.float32)
    assert np.abs(pulsed[0] - pulsed[1] + pulsed[2]).max() < 1e-3
    assert len(find_pulses(pulsed, 500)) == 1


def test_leads_that_are_off_do_not_hide_a_pulse_until_few_are_left() -> None:
    pulsed = calibrate(synthesize(), 4.7)
    assert find_pulses(drop_leads(pulsed, ["I", "V3"]).signal, 500)
    assert not find_pulses(drop_leads(pulsed, LEADS[2:]).signal, 500)


@pytest.mark.parametrize("height", [0.5, 2.0, -1.0])
def test_steps_of_another_height_are_no_pulse(height: float) -> None:
    signal = synthesize().signal.copy()
    signal[:, 2360:2460] += height
    found = find_pulses(signal, 500)
    assert all(not one.start <= 2410 < one.stop for one in found)


def test_a_pulse_in_single_leads_is_no_calibration() -> None:
    signal = synthesize().signal.copy()
    signal[:3, 2360:2460] += 1
    assert find_pulses(signal, 500) == ()


def test_a_pacemakers_spikes_are_no_pulse() -> None:
    signal = synthesize().signal.copy()
    for beat in range(200, 5000, 450):
        signal[:, beat : beat + 2] += 1
    assert find_pulses(signal, 500) == ()


def test_a_recording_without_a_pulse_is_the_very_same_array() -> None:
    recording = synthesize()
    assert assess(recording).cut_s == ()
    assert without_pulses(recording, ()) is recording.signal


def test_a_recording_of_unknown_amplitude_is_not_searched() -> None:
    assert assess(replace(calibrate(synthesize(), 4.7), unit="NU")).cut_s == ()


def test_the_encoder_sees_a_gap_where_the_pulse_was_and_the_answer_the_seconds() -> None:
    pulsed = calibrate(synthesize(), 4.7)
    quality = assess(pulsed)
    assert quality.verdict == "ok"
    ((start, stop),) = quality.cut_s
    seen = condition_visible(pulsed, quality).signal
    assert np.isnan(seen[:, round(start * 100) + 1 : round(stop * 100) - 1]).all()
    assert np.isfinite(seen[:, : round(start * 100) - 1]).all()
    assert "Einthoven" not in str(quality.reasons)
    assert "contradict" not in str(quality.reasons)


@given(
    independent=st.integers(0, 600).flatmap(
        lambda n: arrays(np.float32, (8, n), elements=st.floats(width=32), fill=st.floats(width=32))
    ),
    rate_hz=st.sampled_from(RATES),
)
@settings(max_examples=60, deadline=None)
def test_any_samples_give_ascending_pulses_within_them(
    independent: NDArray[np.float32], rate_hz: float
) -> None:
    with np.errstate(all="ignore"):
        limb = (LIMB_FROM_I_II @ independent[:2]).astype(np.float32)
    signal = np.vstack([limb, independent[2:]])
    before = signal.copy()
    found = find_pulses(signal, rate_hz)
    np.testing.assert_array_equal(signal, before)
    edges = [edge for one in found for edge in (one.start, one.stop)]
    assert edges == sorted(edges)
    assert all(0 <= edge <= signal.shape[1] for edge in edges)


def test_no_real_recording_is_cut(shared_data: Path) -> None:
    from ecgedge.formats import read

    for path in sorted((shared_data / "mixed-mv").glob("*.hea")):
        recording = read(path)
        assert find_pulses(recording.signal, recording.rate_hz) == ()
    # Without a unit they are never searched; taken for mV at several gains they hold none.
    for path in sorted((shared_data / "ptbxl" / "records500").rglob("*.hea"))[::10]:
        signal = read(path).signal
        assert all(find_pulses(signal * np.float32(gain), 500) == () for gain in (0.3, 1, 2))


@pytest.mark.parametrize("name", ["sierra_1_03.xml", "sierra_1_04.xml"])
def test_the_pulse_of_a_philips_cart_is_cut(shared_data: Path, name: str) -> None:
    """Read by an independent reader: our formats refuse Sierra XML by its name."""
    sierraecg = pytest.importorskip("sierraecg")
    file = sierraecg.read_file(str(shared_data / "cart-files" / name))
    assert tuple(lead.label for lead in file.leads) == LEADS
    signal = np.array([lead.samples for lead in file.leads], dtype=np.float32) / 200
    assert (signal[:, 5350:5450] == 1).all()
    (pulse,) = find_pulses(signal, 500)
    assert 5200 < pulse.start < 5350
    assert pulse.stop == 5500
    assert (signal[:, pulse.start + 1 : 5350] == 0).all()
    for first in (450, 500):  # a stream's windows meet it anywhere
        window = Recording(signal[:, first : first + 5000].copy(), 500, "mV")
        assert _cut(assess(window), 5350 - first)


def _cut(quality: Quality, sample: int) -> bool:
    return any(start < (sample + 1) / 500 < stop + 1e-6 for start, stop in quality.cut_s)


def test_resampling_does_not_hide_a_pulse() -> None:
    pulsed = calibrate(synthesize(rate_hz=1000), 4.7)
    assert len(find_pulses(resample(pulsed, 250).signal, 250)) == 1
