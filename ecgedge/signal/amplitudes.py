"""R, S and ST amplitudes in mV, from the recorded samples at their own rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecgedge.answer import Measurement
from ecgedge.recording import FloatArray, Recording
from ecgedge.signal.beat_statistics import counts, deviations, medians
from ecgedge.signal.delineation import Delineation

#: ST is measured this long after the end of QRS (the J point), in seconds.
ST_AFTER_S = 0.06
WAVES = ("r", "s", "st")
_LEVEL_S = 0.012  # before QRS: what amplitudes are measured from
_MEAN_S = 0.02  # averaged for ST, a cycle of mains hum
_DERIVED = (2, 3, 4, 5)  # limb leads that need no delineation of their own


def amplitudes(recording: Recording, marks: Delineation) -> dict[int, dict[str, Measurement]]:
    """By lead (row of the recording), the median over the beats of

    r: the highest point of QRS, 0 or more; s: the lowest point after it, 0 or less;
    st: the level 60 ms after the end of QRS; all from the level just before QRS.

    recording: in mV. Leads without one wholly recorded beat are left out.
    """
    rows = set(marks.leads)
    if {0, 1} <= rows:
        rows.update(row for row in _DERIVED if recording.present[row])
    order = sorted(rows)
    signal = recording.signal if len(order) == len(recording.signal) else recording.signal[order]
    beats = _per_beat(signal, recording.rate_hz, marks)
    count = counts(beats[0]).tolist()
    middle = medians(beats).round(3).T.tolist()
    spread = deviations(beats).round(3).T.tolist()
    return {
        row: {
            wave: Measurement(middle[at][of], "mV", count[at], spread[at][of] if of_many else None)
            for of, wave in enumerate(WAVES)
        }
        for at, row in enumerate(order)
        if count[at]
        for of_many in [count[at] > 1]
    }


def _per_beat(signal: FloatArray, rate_hz: float, marks: Delineation) -> NDArray[np.float64]:
    """(3, leads, beats): r, s, st; NaN where a beat is not wholly recorded."""
    begin, end = marks.qrs.earliest_onset, marks.qrs.latest_offset
    whole = np.isfinite(begin) & np.isfinite(end)
    out = np.full((3, len(signal), len(begin)), np.nan)
    if not whole.any():
        return out
    begin, end = begin[whole], end[whole]
    level = _mean(signal, begin - _LEVEL_S, _LEVEL_S, rate_hz)
    start = np.rint(begin * rate_hz).astype(np.intp)
    length = np.rint((end - begin) * rate_hz).astype(np.intp)
    index = np.arange(int(length.max()) + 1)
    at = np.minimum(start[:, None] + np.minimum(index, length[:, None]), signal.shape[1] - 1)
    complexes = signal.take(at, axis=1)
    complexes -= level[..., None]
    top = complexes.argmax(axis=2)
    middle = end + ST_AFTER_S - _MEAN_S / 2
    together = np.empty((3, *top.shape), np.float32)
    np.maximum(complexes.max(axis=2), 0, out=together[0])
    complexes[index < top[..., None]] = np.inf  # S comes after R
    np.minimum(complexes.min(axis=2), 0, out=together[1])
    np.subtract(_mean(signal, middle, _MEAN_S, rate_hz), level, out=together[2])
    together[:, ~np.isfinite(together).all(axis=0)] = np.nan  # all three or none
    out[:, :, whole] = together
    return out


def _mean(
    signal: FloatArray, start_s: NDArray[np.float64], length_s: float, rate_hz: float
) -> FloatArray:
    """(leads, beats) means of stretches; NaN where one leaves the recording."""
    start = np.rint(start_s * rate_hz).astype(np.intp)
    length = max(1, round(length_s * rate_hz))
    at = start + np.arange(length)[:, None]
    means = signal.take(at, axis=1, mode="clip").sum(axis=1) / np.float32(length)
    means[:, (start < 0) | (start + length > signal.shape[1])] = np.nan
    return np.asarray(means)
