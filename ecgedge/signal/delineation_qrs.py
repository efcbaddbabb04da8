"""Onset, peak and offset of QRS complexes in each lead, around known beats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecgedge.recording import FloatArray
from ecgedge.signal.conditioning import RATE_HZ
from ecgedge.signal.delineation_filters import Samples, Spectrum, at, crossing, first, last, windows

_SIGMA_S = 0.0075
_UPSAMPLED = 2  # the slopes are looked at every 5 ms
_BEFORE_S, _AFTER_S = 0.13, 0.18  # searched for where the slope calms down
_CORE_BEFORE_S, _CORE_AFTER_S = 0.08, 0.11  # searched for steep parts
_STEEP, _CALM = 0.30, 0.07  # of the beat's steepest slope
# Cardiologists mark the first and the last movement, which is a little outside.
_ONSET_SHIFT_S, _OFFSET_SHIFT_S = -0.009, 0.005
_R_SHARE = 0.3  # of the depth of the lowest point: a peak so high is the R wave
_BLUNT, _BLUNT_S = 0.55, 0.36  # a "beat" so much less steep, so soon: the T wave before it


@dataclass(frozen=True)
class Complexes:
    """onset, peak, offset: seconds, (leads, beats). steepness: (leads, beats), no unit."""

    onset: NDArray[np.float64]
    peak: NDArray[np.float64]
    offset: NDArray[np.float64]
    steepness: FloatArray

    def keep(self, beats: NDArray[np.bool_]) -> Complexes:
        """Only these beats."""
        if beats.all():
            return self
        return Complexes(
            self.onset[:, beats],
            self.peak[:, beats],
            self.offset[:, beats],
            self.steepness[:, beats],
        )


def find_complexes(signal: FloatArray, beats: Samples) -> Complexes:
    """signal: (leads, n) at 100 Hz without NaN; beats: (beats,) samples."""
    rate = RATE_HZ * _UPSAMPLED
    (slope,) = np.abs(Spectrum(signal, RATE_HZ).filtered((("slope", _SIGMA_S),), _UPSAMPLED))
    before, after = round(_BEFORE_S * rate), round(_AFTER_S * rate)
    start = beats * _UPSAMPLED - before
    rows = windows(slope, start, before + after + 1)
    core = slice(before - round(_CORE_BEFORE_S * rate), before + round(_CORE_AFTER_S * rate))
    steepest = rows[..., core].max(axis=-1)
    steep = rows[..., core] > (_STEEP * steepest)[..., None]
    index = np.arange(rows.shape[-1])
    calm_level = _CALM * steepest
    calm = rows < calm_level[..., None]
    begins = core.start + first(steep.copy())
    ends = core.start + last(steep)
    onset = last(calm & (index < begins[..., None]))
    offset = first(calm & (index > ends[..., None]))
    exact_onset = crossing(rows, onset, calm_level)
    exact_offset = crossing(rows, np.maximum(offset - 1, 0), calm_level)
    return Complexes(
        (start + exact_onset) / rate + _ONSET_SHIFT_S,
        _peak_s(signal, (start + onset) / rate, (start + offset) / rate),
        (start + exact_offset) / rate + _OFFSET_SHIFT_S,
        steepest,
    )


def _peak_s(
    signal: FloatArray, onset: NDArray[np.float64], offset: NDArray[np.float64]
) -> NDArray[np.float64]:
    """R where there is one worth the name, else the lowest point; seconds, (leads, beats)."""
    start = np.rint(onset * RATE_HZ).astype(np.intp)
    rows = windows(signal, start, round((_BEFORE_S + _AFTER_S) * RATE_HZ) + 1)
    index = np.arange(rows.shape[-1])
    inside = index <= (offset * RATE_HZ - start)[..., None]
    away = np.where(inside, rows - rows[..., :1], np.float32(0))
    up, down = away.argmax(axis=-1), away.argmin(axis=-1)
    is_r = at(away, up) > -_R_SHARE * at(away, down)
    return np.asarray((start + np.where(is_r, up, down)) / RATE_HZ)


def true_beats(steepness: FloatArray, beats: Samples) -> NDArray[np.bool_]:
    """Shape (beats,): False for T waves that were taken for beats, as a single lead may suggest."""
    true = np.ones(len(beats), dtype=bool)
    soon = beats[1:] - beats[:-1] < _BLUNT_S * RATE_HZ
    if soon.any():
        together = np.sqrt(np.square(steepness).sum(axis=0))
        usual = np.sort(together)[int(0.7 * len(beats))]
        true[1:] = ~(soon & (together[1:] < _BLUNT * usual))
    return true
