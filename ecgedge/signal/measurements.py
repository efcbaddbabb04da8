"""What a reader measures on an ECG: rate, regularity, intervals, axis, amplitudes.

Every interval is measured beat by beat from the first onset to the last offset that
the leads agree on, and given as the median over the beats, with their standard
deviation. What cannot be said is not said: the value is None and `why` is a sentence.
`why` beside a value is a caution.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ecgedge.answer import Measurement, Quality
from ecgedge.recording import LEADS, LIMB, FloatArray, Recording
from ecgedge.signal.amplitudes import amplitudes
from ecgedge.signal.beat_statistics import deviation, median, medians
from ecgedge.signal.calibration_pulse import without_pulses
from ecgedge.signal.conditioning import RATE_HZ, Conditioned, condition
from ecgedge.signal.delineation import Delineation, delineate
from ecgedge.signal.delineation_filters import windows
from ecgedge.signal.quality import WINDOW_S

#: A beat's QRS is wide from here on, ms.
WIDE_MS = 120.0
#: Heart rates for which a QTc may be compared with the usual limits, bpm.
QTC_RATES_BPM = (50.0, 110.0)

#: The eight leads that hold everything; the other four are made of I and II.
INDEPENDENT = (0, 1, 6, 7, 8, 9, 10, 11)
_IRREGULAR_MS = 120.0  # longest less shortest RR: sinus arrhythmia from here on
_IRREGULAR_SHARE = 0.15  # the same as a share of the mean RR, for fast hearts
# Median change from one RR to the next, and to the one after that, as shares of the mean.
_CHANGE, _PATTERN = 0.09, 0.05
_P_ALIKE = 0.30  # to measure PR; the more when the rhythm is irregularly irregular
_P_ALIKE_IRREGULAR = 0.55
# The leads agree on an end of T that is so much before the last that readers mark in LUDB's
# odd records; leaving fewer leads aside would let a single U wave make the QT.
_T_END_LATER_S = 0.009
_FEWEST_PR, _FEWEST_RR = 2, 3
_NET_SHARE = 0.1  # of the QRS area: less has no direction

_UNITS = {
    "heart_rate": "bpm",
    "regularity": "",
    "rr_variation": "ms",
    "pr": "ms",
    "qrs": "ms",
    "qt": "ms",
    "qtc": "ms",
    "axis": "deg",
}
_NU = "voltages were not recorded: the unit is NU, so amplitudes are unknown"


def measure(
    recording: Recording, quality: Quality, conditioned: Conditioned | None = None
) -> dict[str, Measurement]:
    """Everything that can be measured in the first 10 s, by name; the same names every time.

    quality: of this recording; leads it calls unusable are left out.
    conditioned: the recording's, if it has been made already. Raises nothing.

    Intervals in ms, rate in bpm, axis in degrees (-180 to 180), amplitudes in mV (only for
    recordings in mV; in NU the one name "amplitudes" says so).
    """
    leads = _usable(recording, quality)
    if not leads:
        return _nothing("no lead is good enough to measure", recording)
    conditioned = conditioned or condition(_window(recording, quality))
    marks = delineate(conditioned, leads)
    if not len(marks.beats):
        return _nothing("no heart beat was found", recording)
    intervals = marks.beats[1:] - marks.beats[:-1]
    rhythm = _rhythm(intervals)
    said = {**rhythm, "pr": _pr(marks, str(rhythm["regularity"].value))}
    said["qrs"] = _interval(
        marks.qrs.latest_offset - marks.qrs.earliest_onset, "no QRS was recorded as a whole"
    )
    said["qt"] = _qt(marks, said["qrs"])
    said["qtc"] = _qtc(said["qt"], intervals)
    said["axis"] = _axis(conditioned, marks, quality)
    return {**said, **_voltages(_window(recording, quality), marks)}


def _window(recording: Recording, quality: Quality) -> Recording:
    signal = without_pulses(recording, quality.cut_s)
    return replace(recording, signal=signal[:, : round(WINDOW_S * recording.rate_hz)])


def _usable(recording: Recording, quality: Quality) -> tuple[int, ...]:
    """The leads to look at: usable, and none that only repeats I and II."""
    held = recording.present.tolist()
    usable = [
        row
        for row, lead in enumerate(quality.per_lead)
        if held[row] and (lead.verdict != "refuse" or _only_gaps(lead.reasons))
    ]
    if 0 in usable and 1 in usable:
        usable = [row for row in usable if row in INDEPENDENT]
    return tuple(usable)


def _only_gaps(reasons: tuple[str, ...]) -> bool:
    """A lead with little in it may still hold a beat."""
    return bool(reasons) and set(reasons) <= {"gap"}


def _nothing(why: str, recording: Recording) -> dict[str, Measurement]:
    said = {name: Measurement(None, unit, why=why) for name, unit in _UNITS.items()}
    if recording.unit != "mV":
        said["amplitudes"] = Measurement(None, "mV", why=_NU)
    return said


def _rhythm(intervals: NDArray[np.float64]) -> dict[str, Measurement]:
    """Rate, regularity and RR variation from the RR intervals in seconds."""
    beats = len(intervals) + 1
    if not len(intervals):
        why = "a rate needs two beats and one was found"
        return {
            name: Measurement(None, _UNITS[name], beats, why=why)
            for name in ("heart_rate", "regularity", "rr_variation")
        }
    mean = float(intervals.mean())
    spread = round(float((60 / intervals).std()), 1) if len(intervals) > 1 else None
    rate = Measurement(round(60 / mean, 1), "bpm", beats, spread)
    if len(intervals) < _FEWEST_RR:
        why = f"regularity needs {_FEWEST_RR + 1} beats and {beats} were found"
        none = Measurement(None, "", beats, why=why)
        return {"heart_rate": rate, "regularity": none, "rr_variation": replace(none, unit="ms")}
    variation = Measurement(round(float(intervals.std()) * 1e3, 1), "ms", beats)
    word = Measurement(_regularity(intervals / mean, mean), "", beats)
    return {"heart_rate": rate, "regularity": word, "rr_variation": variation}


def _regularity(shares: NDArray[np.float64], mean_s: float) -> str:
    """One word for RR intervals given as shares of their mean.

    Irregular without any order is told from order (respiration, every second beat early)
    by how much one interval differs from the next and from the one after the next.
    """
    extent = float(shares.max() - shares.min())
    if extent < min(_IRREGULAR_SHARE, _IRREGULAR_MS / 1e3 / mean_s):
        return "regular"
    change = median(np.abs(shares[1:] - shares[:-1]).tolist())
    pattern = median(np.abs(shares[2:] - shares[:-2]).tolist())
    if len(shares) > _FEWEST_RR and change > _CHANGE and pattern > _PATTERN:
        return "irregularly irregular"
    return "irregular"


def _interval(seconds: NDArray[np.float64], why: str, fewest: int = 1) -> Measurement:
    """The median of (beats,) durations, NaN where one was not seen."""
    known = [duration * 1e3 for duration in seconds.tolist() if math.isfinite(duration)]
    if len(known) < fewest:
        return Measurement(None, "ms", why=why)
    spread = round(deviation(known), 1) if len(known) > 1 else None
    return Measurement(round(median(known), 1), "ms", len(known), spread)


def _pr(marks: Delineation, regularity: str) -> Measurement:
    """From the P wave's onset to that of QRS, where P waves belong to the beats."""
    alike = marks.p_likeness.overall
    disorder = regularity == "irregularly irregular"
    if np.isnan(alike):
        return Measurement(None, "ms", why="PR needs two whole beats to tell P waves from noise")
    if alike < (_P_ALIKE_IRREGULAR if disorder else _P_ALIKE):
        why = "no P wave comes before QRS the same way in every beat"
        if disorder:
            why = "irregularly irregular beats without a consistent P wave, as in fibrillation"
        return Measurement(None, "ms", why=why)
    seconds = marks.qrs.earliest_onset - marks.p.earliest_onset
    found = _interval(seconds, "no P wave was found before QRS", _FEWEST_PR)
    if found.value is not None and found.beats < len(marks.beats) / 2:
        return Measurement(None, "ms", why="a P wave was found before fewer than half of the beats")
    return found


def _qt(marks: Delineation, qrs: Measurement) -> Measurement:
    seconds = marks.t.latest_offset + _T_END_LATER_S - marks.qrs.earliest_onset
    found = _interval(seconds, "no T wave was found as a whole")
    if found.value is not None and isinstance(qrs.value, float) and qrs.value >= WIDE_MS:
        return replace(found, why="QRS is wide, which lengthens QT by itself")
    return found


def _qtc(qt: Measurement, intervals: NDArray[np.float64]) -> Measurement:
    """Fridericia 1920: QT over the cube root of RR in seconds."""
    if not isinstance(qt.value, float):
        return Measurement(None, "ms", why=f"without QT: {qt.why}")
    if not len(intervals):
        return Measurement(None, "ms", qt.beats, why="QTc needs a rate, and one beat has none")
    rr_s = float(intervals.mean())
    factor = float(np.cbrt(rr_s))
    spread = None if qt.spread is None else round(qt.spread / factor, 1)
    low, high = QTC_RATES_BPM
    why = qt.why
    if not low <= 60 / rr_s <= high:
        why = f"corrections of QT mislead outside {low:g} to {high:g} bpm"
    return Measurement(round(qt.value / factor, 1), "ms", qt.beats, spread, why)


def _axis(conditioned: Conditioned, marks: Delineation, quality: Quality) -> Measurement:
    """Direction of the mean QRS area in the frontal plane, from leads I and II.

    The limb leads keep one common scale through conditioning, so NU does not matter.
    """
    if any(quality.per_lead[row].verdict == "refuse" for row in (0, 1)):
        return Measurement(None, "deg", why="the axis needs limb leads, which are not usable")
    if any("contradict" in reason for reason in quality.reasons):
        return Measurement(None, "deg", why="the limb leads contradict each other")
    begin, end = marks.qrs.earliest_onset, marks.qrs.latest_offset
    areas, sizes = _areas(conditioned.signal[LIMB][:2], begin, end)
    known = np.isfinite(areas).all(axis=0)
    count = int(known.sum())
    if not count:
        return Measurement(None, "deg", why="no beat was recorded in leads I and II together")
    lead_i, lead_ii = areas[:, known]
    # I points to 0 degrees, II to 60.
    down = (2 * lead_ii - lead_i) / np.sqrt(3)
    mean = complex(median(lead_i.tolist()), median(down.tolist()))
    if abs(mean) < _NET_SHARE * float(medians(sizes[:, known]).sum()):
        why = "QRS points nowhere in the frontal plane: indeterminate axis"
        return Measurement(None, "deg", count, why=why)
    turned = np.degrees(np.angle((lead_i + 1j * down) / mean)).tolist()
    spread = round(deviation(turned), 1) if count > 1 else None
    return Measurement(round(math.degrees(cmath.phase(mean)), 1), "deg", count, spread)


def _areas(
    rows: FloatArray, begin: NDArray[np.float64], end: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Net and absolute area of each QRS over the line from its begin to its end; (rows, beats)."""
    whole = np.isfinite(begin) & np.isfinite(end)
    start = np.rint(np.where(whole, begin, 0) * RATE_HZ).astype(np.intp)
    length = np.rint(np.where(whole, end - begin, 0) * RATE_HZ).astype(np.intp)
    index = np.arange(max(1, int(length.max()))) + 0.0
    samples = windows(rows, start, len(index) + 1)
    share = index / np.maximum(length, 1)[:, None]
    first, last = samples[..., :1], samples[:, np.arange(len(length)), length]
    over = samples[..., :-1] - first - (last[..., None] - first) * share
    over = np.where(index < length[:, None], over, 0.0)
    net = over.sum(axis=-1)
    net[:, ~whole] = np.nan
    return net, np.abs(over).sum(axis=-1)


def _voltages(recording: Recording, marks: Delineation) -> Mapping[str, Measurement]:
    if recording.unit != "mV":
        return {"amplitudes": Measurement(None, "mV", why=_NU)}
    return {
        f"{wave}_{LEADS[row]}": one
        for row, waves in amplitudes(recording, marks).items()
        for wave, one in waves.items()
    }
