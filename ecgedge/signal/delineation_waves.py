"""The one hump, P or T, that lies in each beat's stretch of a signal without QRS complexes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ecgedge.recording import FloatArray
from ecgedge.signal.beat_statistics import medians
from ecgedge.signal.conditioning import RATE_HZ
from ecgedge.signal.delineation_filters import Filter, Samples, at, crossing, first, last, windows

Seconds = NDArray[np.float64]

_PEAK_STRAY_S = 0.06  # from the strongest curvature to where the slope changes sign


@dataclass(frozen=True)
class Shape:
    """What is looked for. Widths and distances in seconds, limits as shares of the steepest slope.

    hump_s, slope_s: Gaussian widths of the filters for place and for boundaries.
    onset, offset: share of the steepest slope under which the wave begins, ends.
    reach_s: no boundary's steepest slope is farther from the peak.
    together_s: no lead's peak is farther from where the leads together see it.
    shift_s: added to onset, peak and offset: where cardiologists put them on average.
    """

    hump_s: float
    slope_s: float
    onset: float
    offset: float
    reach_s: float
    together_s: float
    shift_s: tuple[float, float, float]

    @property
    def filters(self) -> tuple[Filter, Filter]:
        return ("hump", self.hump_s), ("slope", self.slope_s)


@dataclass(frozen=True)
class Stretch:
    """Where its peak may lie, (beats,) seconds each, and where it usually does (with a deviation).

    floor, ceiling: (beats,) seconds; it begins and ends between them.
    """

    start: Seconds
    end: Seconds
    usual: Seconds
    spread: Seconds
    floor: Seconds
    ceiling: Seconds


@dataclass(frozen=True)
class Humps:
    """onset, peak, offset: seconds, (leads, beats). height: of the hump filter, no unit.

    room: (beats,), False where the stretch is empty and the rest means nothing.
    edge: (beats,), True where most leads have it at the very start of the stretch: the end of
        the wave before rather than a wave.
    """

    onset: Seconds
    peak: Seconds
    offset: Seconds
    height: FloatArray
    room: NDArray[np.bool_]
    edge: NDArray[np.bool_]


def find_humps(hump: FloatArray, slope: FloatArray, shape: Shape, stretch: Stretch) -> Humps:
    """One hump a lead and beat.

    hump, slope: (leads, n) at 100 Hz, filtered by `shape.filters`.
    """
    room = stretch.end > stretch.start + 2 / RATE_HZ
    centre, strength = _strongest(hump, shape, stretch)
    sign = np.where(strength < 0, np.float32(-1), np.float32(1))
    first_sample = np.rint(stretch.start * RATE_HZ).astype(np.intp)
    edge = np.asarray((centre <= first_sample + 1).sum(axis=0) > len(centre) / 2)
    reach = round(shape.reach_s * RATE_HZ)
    around = reach + 8
    slope = windows(slope, centre - around, 2 * around + 1)
    slope *= sign[..., None]
    index = np.arange(2 * around + 1)
    peak = _peak(slope, around)
    begin = peak.astype(np.intp) - reach
    near = at(slope, begin[..., None] + index[: 2 * reach + 2])  # both sides of the peak
    steep = begin + near[..., : reach + 1].argmax(axis=-1)
    fall = begin + reach + 1 + near[..., reach + 1 :].argmin(axis=-1)
    onset_level, offset_level = shape.onset * at(slope, steep), shape.offset * at(slope, fall)
    onset = last((slope < onset_level[..., None]) & (index < steep[..., None]))
    offset = first((slope > offset_level[..., None]) & (index > fall[..., None]))
    marks = (
        crossing(slope, onset, onset_level),
        peak,
        crossing(slope, np.maximum(offset - 1, 0), offset_level),
    )
    start = centre - around
    onset_s, peak_s, offset_s = (
        (start + mark) / RATE_HZ + by for mark, by in zip(marks, shape.shift_s, strict=True)
    )
    onset_s = np.maximum(onset_s, stretch.floor)
    offset_s = np.minimum(offset_s, stretch.ceiling)
    return Humps(onset_s, peak_s, offset_s, np.abs(strength), room, edge)


def _strongest(hump: FloatArray, shape: Shape, stretch: Stretch) -> tuple[Samples, FloatArray]:
    """Sample and signed height of each lead's hump, near where all leads together have it."""
    start = np.rint(stretch.start * RATE_HZ).astype(np.intp)
    length = max(3, int(np.ceil((stretch.end - stretch.start).max() * RATE_HZ)) + 2)
    time = (start[:, None] + np.arange(length)) / RATE_HZ
    likely = np.exp(-0.5 * ((time - stretch.usual[:, None]) / stretch.spread[:, None]) ** 2)
    outside = (time > stretch.end[:, None]) | (time < 0) | (time >= hump.shape[1] / RATE_HZ)
    likely[outside] = 0
    rows = windows(hump, start, length)
    weighed = np.abs(rows)
    weighed *= likely.astype(np.float32)
    if len(hump) > 1:
        # Each lead has one voice, however tall it is.
        flat = weighed.reshape(len(hump), -1)
        voice = 1 / np.maximum(flat.max(axis=1), np.float32(1e-9))
        together = (voice @ flat).reshape(-1, length).argmax(axis=-1)
        weighed *= np.abs(np.arange(length) - together[:, None]) <= shape.together_s * RATE_HZ
    found = weighed.argmax(axis=-1)
    return start + found, at(rows, found)


def _peak(slope: FloatArray, centre: int) -> NDArray[np.float64]:
    """Index at which the slope turns from up to down nearest to the centre."""
    reach = int(_PEAK_STRAY_S * RATE_HZ + 0.5)  # a turn lies half a sample after its index
    up = slope[..., centre - reach : centre + reach + 1] > 0
    turns = up[..., :-1] > up[..., 1:]
    order = _nearest_first(reach)
    found = turns[..., order].argmax(axis=-1)
    nearest = order[found] + centre - reach
    exact = crossing(slope, nearest, np.float64(0))
    exact[~turns.any(axis=-1)] = centre
    return exact


@lru_cache(maxsize=4)
def _nearest_first(reach: int) -> Samples:
    """Places of the 2 reach gaps between 2 reach + 1 samples, from the middle outwards."""
    places = np.arange(2 * reach)
    return np.argsort(np.abs(places + 0.5 - reach), kind="stable")


@dataclass(frozen=True)
class Likeness:
    """How alike a stretch is from beat to beat.

    overall: -1 to 1, mean cosine between beats; about 0 for what is unrelated to the beat.
    beats: (beats,) the mean cosine of each with the others; NaN where it was not recorded.
    """

    overall: float
    beats: NDArray[np.float64]


def likeness(
    slope: FloatArray, starts: Samples, length: int, recorded: NDArray[np.bool_]
) -> Likeness:
    """Compare the slopes of `length` samples from `starts` (beats,) in all leads together.

    slope: (leads, n) at 100 Hz.

    recorded: (leads, beats), which may be looked at. Every beat counts alike, so one
    large ectopic beat does not speak for the rest.
    """
    rows = windows(slope, starts, length)
    rows *= recorded[..., None]
    power = np.einsum("lbt,lbt->lb", rows, rows)
    energy = np.sqrt(power.sum(axis=0))
    known = energy > 0
    if known.sum() < 2:
        return Likeness(float("nan"), np.full(len(starts), np.nan))
    scale = 1 / np.maximum(energy, np.float32(0.3 * float(medians(energy[known]))))
    rows *= scale[:, None]
    size = np.sqrt(power) * scale
    whole = rows.sum(axis=1)
    others = np.einsum("lbt,lt->b", rows, whole) - np.square(size).sum(axis=0)
    possible = (size * (size.sum(axis=1, keepdims=True) - size)).sum(axis=0)
    alike = np.where(possible > 0, others, 0)  # nothing but rounding where there are no others
    overall = float(alike.sum() / max(possible.sum(), 1e-12))
    beats = np.where(possible > 0, alike / np.maximum(possible, 1e-12), np.nan)
    return Likeness(overall, beats)
