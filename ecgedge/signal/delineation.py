"""Where P waves, QRS complexes and T waves begin, peak and end, lead by lead.

Works on the conditioned signal, so mV and NU recordings of any rate come out alike;
crossings are interpolated, so marks are finer than its 10 ms.

QRS: slopes under a share of the beat's steepest begin and end it. It is then replaced
by a straight line, and what is left holds P and T only. Each is the strongest hump in
the stretch where it may lie, where the leads together say so; it peaks where its slope
changes sign and begins and ends where the slope falls under a share of its steepest
(the scheme of Martinez et al. 2004, IEEE TBME 51:570, with Gaussian scales).

Whether there are P waves at all is asked of the beats together: what comes before the
QRS must be alike from beat to beat. In atrial fibrillation it is not.

The constants were tuned on LUDB's records with odd numbers; see docs/measurements.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ecgedge.recording import FloatArray
from ecgedge.signal.arrays import bridged
from ecgedge.signal.beat_statistics import median, medians, outermost
from ecgedge.signal.beats import r_peaks
from ecgedge.signal.conditioning import RATE_HZ, Conditioned
from ecgedge.signal.delineation_filters import Filter, Samples, Spectrum
from ecgedge.signal.delineation_qrs import find_complexes, true_beats
from ecgedge.signal.delineation_waves import (
    Humps,
    Likeness,
    Seconds,
    Shape,
    Stretch,
    find_humps,
    likeness,
)

P_SHAPE = Shape(
    hump_s=0.022,
    slope_s=0.013,
    onset=0.42,
    offset=0.65,
    reach_s=0.09,
    together_s=0.05,
    shift_s=(-0.001, -0.003, 0.0),
)
T_SHAPE = Shape(
    hump_s=0.045,
    slope_s=0.018,
    onset=0.44,
    offset=0.50,
    reach_s=0.20,
    together_s=0.08,
    shift_s=(-0.005, 0.0, 0.003),
)
# P: from R and before QRS, in seconds.
_P_FROM_S, _P_GAP_S, _P_USUAL_S, _P_SPREAD_S = 0.32, 0.02, 0.15, 0.09
_T_TAIL_S = 0.08  # from T's peak to where the next P may begin
# T: from QRS on; after R in seconds times the root of RR in seconds, as QT goes with the rate.
_T_GAP_S, _T_LATEST_S, _T_USUAL_S, _T_SPREAD_S, _T_CLEAR_S = 0.04, 0.62, 0.30, 0.15, 0.06
_RR_RANGE_S = (0.3, 1.5)  # within which T moves with the rate
_ONLY_BEAT_RR_S = 0.8
# What is compared from beat to beat to tell whether there are P waves.
_ALIKE_SIGMA_S, _ALIKE_FROM_S, _ALIKE_TO_S = 0.015, 0.22, 0.03
_FILTERS: tuple[Filter, ...] = (*T_SHAPE.filters, *P_SHAPE.filters, ("slope", _ALIKE_SIGMA_S))
# Least likeness over the recording and of one beat; one lead alone says less.
_P_ALIKE, _P_ALIKE_1 = (0.20, 0.20), (0.05, -0.30)
# Least height against QRS: under it lies what filters leave of a flat line. Half of the
# least in LUDB.
_P_PROMINENCE, _T_PROMINENCE = 0.008, 0.02
_OVERLAP_S = 0.06  # of a P wave with the T wave before it, in a fast heart
_MARGIN_S = 0.02  # must be recorded on either side of a wave
_USUAL_QRS_S = 0.1
_QRS_LEFT_OUTSIDE = 0.15  # a share of leads, when QRS is taken out
#: The share of leads that may lie outside of a common onset or offset.
LEADS_OUTSIDE = 0.25


@dataclass(frozen=True)
class Waves:
    """onset, peak, offset: seconds from the start, (leads, beats), NaN where there is none."""

    onset: Seconds
    peak: Seconds
    offset: Seconds

    @cached_property
    def earliest_onset(self) -> Seconds:
        """Shape (beats,): the first onset that more than a stray lead agrees on."""
        return outermost(self.onset, LEADS_OUTSIDE)

    @cached_property
    def latest_offset(self) -> Seconds:
        """Shape (beats,): the last offset that more than a stray lead agrees on."""
        return -outermost(-self.offset, LEADS_OUTSIDE)


@dataclass(frozen=True)
class Delineation:
    """beats: (beats,) seconds of the R peaks of all leads together.

    leads: which of the twelve rows of the recording the rows of the waves are.
    p_likeness: how alike the stretches before QRS are; see `Likeness`.
    """

    leads: tuple[int, ...]
    beats: Seconds
    p: Waves
    qrs: Waves
    t: Waves
    p_likeness: Likeness


def delineate(conditioned: Conditioned, leads: tuple[int, ...] | None = None) -> Delineation:
    """Delineate the given leads (rows), by default all that were recorded.

    Pure; raises nothing: a recording without beats gives waves of shape (leads, 0).
    """
    observed = np.isfinite(conditioned.signal)
    if leads is None:
        leads = tuple(np.flatnonzero(observed.any(axis=1)).tolist())
    rows = list(leads)
    signal, observed = conditioned.signal[rows], observed[rows]
    if not observed.all():  # so that the edges of gaps are no waves
        signal = bridged(signal, observed)
    beats = r_peaks(conditioned) if rows else np.empty(0, np.intp)
    if not len(beats):
        empty = np.empty((len(rows), 0))
        none = Waves(empty, empty, empty)
        return Delineation(leads, np.empty(0), none, none, none, Likeness(np.nan, np.empty(0)))
    complexes = find_complexes(signal, beats)
    true = true_beats(complexes.steepness, beats)
    beats, complexes = beats[true], complexes.keep(true)
    held = _Held(observed)
    qrs = held.waves(complexes.onset, complexes.peak, complexes.offset)
    begin, end = _span(qrs, beats)
    spectrum = Spectrum(_without_qrs(signal, begin, end), RATE_HZ)
    seconds = beats / RATE_HZ
    filtered = spectrum.filtered(_FILTERS)
    t_stretch = _t_stretch(seconds, begin, end, signal.shape[1])
    t = find_humps(filtered[0], filtered[1], T_SHAPE, t_stretch)
    p = find_humps(filtered[2], filtered[3], P_SHAPE, _p_stretch(seconds, begin, t))
    alike = _alike(filtered[4], begin, held)
    steepness = complexes.steepness
    no_t = ~t.room | (_prominence(t, steepness) < _T_PROMINENCE)
    no_p = (
        ~p.room
        | p.edge
        | _inside_t(p, t)
        | (_prominence(p, steepness) < _P_PROMINENCE)
        | _unlike(alike, len(rows))
    )
    return Delineation(leads, seconds, _present(held, p, no_p), qrs, _present(held, t, no_t), alike)


def _prominence(humps: Humps, steepness: FloatArray) -> float:
    """The usual height of a recording's humps, all leads together, against that of its QRS."""
    heights, usual = (
        median(np.sqrt(np.einsum("lb,lb->b", rows, rows, dtype=np.float64)).tolist())
        for rows in (humps.height, steepness)
    )
    return heights / max(usual, 1e-9)


def _unlike(alike: Likeness, n_leads: int) -> NDArray[np.bool_]:
    """Shape (beats,): before which beats nothing lies that lies before the others too."""
    overall, each = _P_ALIKE if n_leads > 1 else _P_ALIKE_1
    if alike.overall < overall:
        return np.ones(alike.beats.shape, dtype=bool)
    return np.asarray(alike.beats < each)


def _inside_t(p: Humps, t: Humps) -> NDArray[np.bool_]:
    """Shape (beats,): whose P would begin well before the T wave of the beat before ends."""
    gap = medians(p.onset.T)[1:] - medians(t.offset.T)[:-1]
    return np.concatenate([[False], gap < -_OVERLAP_S])


class _Held:
    """Which stretches of which leads were recorded without a gap."""

    def __init__(self, observed: NDArray[np.bool_]) -> None:
        self._leads, self._n = observed.shape
        self._whole = bool(observed.all())
        self._missing = np.zeros((self._leads, self._n + 1), np.intp)
        if not self._whole:
            np.cumsum(~observed, axis=1, out=self._missing[:, 1:])

    def complete(self, start: Seconds, end: Seconds) -> NDArray[np.bool_]:
        """Whether each stretch, (leads or 1, beats) seconds, lies in the recording.

        Shape (leads, beats), or that of the stretches where no lead has a gap. NaN is in no
        recording.
        """
        inside = (start >= 0) & (end <= (self._n - 1) / RATE_HZ)
        if self._whole:
            return np.asarray(inside)
        low, high = np.where(inside, start, 0), np.where(inside, end, 0)
        first = np.floor(low * RATE_HZ).astype(np.intp)
        last = np.minimum(np.ceil(high * RATE_HZ).astype(np.intp) + 1, self._n)
        rows = np.arange(self._leads)[:, None]
        return np.asarray(inside & (self._missing[rows, first] == self._missing[rows, last]))

    def waves(self, onset: Seconds, peak: Seconds, offset: Seconds) -> Waves:
        """Waves, NaN where they are not wholly recorded."""
        held = self.complete(onset - _MARGIN_S, offset + _MARGIN_S) & (onset < offset)
        return Waves(*(np.where(held, marks, np.nan) for marks in (onset, peak, offset)))


def _span(qrs: Waves, beats: Samples) -> tuple[Seconds, Seconds]:
    """Begin and end of QRS in all leads together; a usual one where no lead shows it whole."""
    seconds = beats / RATE_HZ
    begin = outermost(qrs.onset, _QRS_LEFT_OUTSIDE)
    end = -outermost(-qrs.offset, _QRS_LEFT_OUTSIDE)
    begin = np.where(np.isfinite(begin), begin, seconds - _USUAL_QRS_S / 2)
    return begin, np.where(np.isfinite(end), end, seconds + _USUAL_QRS_S / 2)


def _without_qrs(signal: FloatArray, begin: Seconds, end: Seconds) -> FloatArray:
    """A copy with a straight line in the place of each QRS."""
    out, n = signal.copy(), signal.shape[1]
    starts = np.clip(np.floor(begin * RATE_HZ).astype(np.intp) - 1, 0, n - 1)
    ends = np.clip(np.ceil(end * RATE_HZ).astype(np.intp) + 1, 0, n - 1)
    gaps = np.maximum(ends - starts, 0)
    # Every sample of every complex: which beat's it is, and how far along its line.
    beat = np.repeat(np.arange(len(gaps)), gaps)
    along = np.arange(len(beat)) - (np.cumsum(gaps) - gaps)[beat]
    share = along.astype(np.float32) / gaps.astype(np.float32)[beat]
    left = signal.take(starts, axis=1)
    rise = signal.take(ends, axis=1) - left
    out[:, starts[beat] + along] = left.take(beat, axis=1) + rise.take(beat, axis=1) * share
    return out


def _t_stretch(beats: Seconds, begin: Seconds, end: Seconds, n: int) -> Stretch:
    """From the end of QRS to before the next beat; the usual place goes with the rate."""
    least, most = _RR_RANGE_S
    intervals = np.empty(len(beats))
    np.subtract(beats[1:], beats[:-1], out=intervals[:-1])
    intervals[-1] = median(intervals[:-1].tolist()) if len(beats) > 1 else _ONLY_BEAT_RR_S
    root = np.sqrt(np.minimum(np.maximum(intervals, least), most))
    following = np.concatenate([begin[1:], [np.inf]])
    start = end + _T_GAP_S
    latest = np.minimum(np.minimum(beats + _T_LATEST_S * root, following - _T_CLEAR_S), n / RATE_HZ)
    latest = np.maximum(latest, start)
    return Stretch(start, latest, beats + _T_USUAL_S * root, _T_SPREAD_S * root, end, following)


def _p_stretch(beats: Seconds, begin: Seconds, t: Humps) -> Stretch:
    """From the end of the T wave before, at most _P_FROM_S, to the begin of QRS."""
    start = np.maximum(beats - _P_FROM_S, 0)
    start[1:] = np.maximum(start[1:], medians(t.peak.T)[:-1] + _T_TAIL_S)
    end = np.maximum(begin - _P_GAP_S, start)
    spread = np.full(len(beats), _P_SPREAD_S)
    before = np.concatenate([[-np.inf], beats[:-1]])
    return Stretch(start, end, beats - _P_USUAL_S, spread, before, begin)


def _alike(slope: FloatArray, begin: Seconds, held: _Held) -> Likeness:
    starts, ends = begin - _ALIKE_FROM_S, begin - _ALIKE_TO_S
    return likeness(
        slope,
        np.rint(starts * RATE_HZ).astype(np.intp),
        round((_ALIKE_FROM_S - _ALIKE_TO_S) * RATE_HZ),
        held.complete(starts[None], ends[None]),
    )


def _present(held: _Held, humps: Humps, absent: NDArray[np.bool_]) -> Waves:
    """The humps as waves, NaN in the beats where the wave is absent."""
    onset = np.where(absent, np.nan, humps.onset)
    return held.waves(onset, humps.peak, humps.offset)
