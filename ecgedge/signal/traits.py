"""Traits of a recording that any 12-lead ECG has whatever the heart does: for novelty.

Two kinds, both on the conditioned signal and both NaN where too little was recorded:

relations: how each pair of leads correlates. Twelve leads look at one heart vector, so the
    pairs are tied to each other, and electrodes put elsewhere untie them.
shape: where the spectrum lies, how spiky waves and slopes are, how quiet it is between beats,
    whether beats repeat, and whether the slow waves follow the steep ones (T after QRS).

No beat is looked for: that would cost ten times as much and fail on what is no ECG.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ecgedge.recording import LEADS, FloatArray
from ecgedge.signal.arrays import row_medians
from ecgedge.signal.beat_statistics import deviations
from ecgedge.signal.conditioning import RATE_HZ, Conditioned

Floats = NDArray[np.float64]

#: Any change of what is measured is a new id; a novelty model names the id it was fitted on.
ID = "traits-1"
#: Row and column of each lead pair, the order of `Traits.relations`.
PAIRS = np.triu_indices(len(LEADS), 1)
N_PAIRS = len(PAIRS[0])
_FLAT_PAIRS = np.ravel_multi_index(PAIRS, (len(LEADS), len(LEADS)))
#: Edges in Hz of the spectrum's bands.
BANDS_HZ = (0.5, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0)
SHAPE = (
    *(f"power {low:g}-{high:g} Hz" for low, high in pairwise(BANDS_HZ)),
    "spread of power between leads",
    "spikiness of slopes",
    "spikiness of waves",
    "restlessness between beats",
    "repetition",
    "slow waves after steep ones",
)

_OVERLAP_S = 1.0  # two leads recorded together for less say nothing about each other
_SHORTEST_S = 3.0  # and a recording shorter than this has no shape
_WHOLE = 0.95  # a lead this complete is used for shape; the gaps count as base line
_BLOCK = 4  # samples: 40 ms, about half a QRS
_REPEAT_S = (0.28, 1.6)  # 37 to 214 beats a minute
_AFTER_S, _BEFORE_S = (0.16, 0.44), (0.12, 0.32)  # where T and P lie, seen from the QRS
_TINY = 1e-9
_HIGHEST = 0.999  # correlations closer to 1 are equal for our purpose


@dataclass(frozen=True)
class Traits:
    """relations: (66,) Fisher z of the correlations, order `PAIRS`. shape: (13,), order `SHAPE`."""

    relations: Floats
    shape: Floats


def measure(conditioned: Conditioned) -> Traits:
    """The traits of one recording; pure, raises nothing, NaN where nothing can be said."""
    held = np.isfinite(conditioned.signal)
    gaps = None if held.all() else held
    return Traits(_relations(conditioned.signal, gaps), _shape(conditioned.signal, gaps))


def _relations(signal: FloatArray, held: NDArray[np.bool_] | None) -> Floats:
    """held: which samples are there, None for all of them."""
    with np.errstate(invalid="ignore", divide="ignore"):
        if held is None:
            centred = signal - signal.mean(axis=1, keepdims=True)
            gram = (centred @ centred.T).astype(np.float64)
            scale = np.sqrt(np.diag(gram))
            correlation = gram / (scale[:, None] * scale)
        else:
            correlation = _pairwise(signal, held)
        pairs = correlation.take(_FLAT_PAIRS)
    return np.asarray(np.arctanh(np.minimum(np.maximum(pairs, -_HIGHEST), _HIGHEST)))


def _pairwise(signal: FloatArray, held: NDArray[np.bool_]) -> Floats:
    """(12, 12) correlations, each over the samples that both leads have."""
    values, there = np.where(held, signal, 0).astype(np.float64), held.astype(np.float64)
    count = there @ there.T
    mean = (values @ there.T) / count  # of the row's lead where the column's was recorded too
    square = (values**2 @ there.T) / count
    variance = square - mean**2
    correlation = ((values @ values.T) / count - mean * mean.T) / np.sqrt(variance * variance.T)
    correlation[count < _OVERLAP_S * RATE_HZ] = np.nan
    return np.asarray(correlation)


def _shape(signal: FloatArray, held: NDArray[np.bool_] | None) -> Floats:
    leads = signal
    if held is not None:
        leads = np.where(held, signal, 0)[held.mean(axis=1) >= _WHOLE]
    moving = leads.max(axis=1) > leads.min(axis=1)
    if not moving.all():
        leads = leads[moving]
    if not len(leads) or leads.shape[1] < _SHORTEST_S * RATE_HZ:
        return np.full(len(SHAPE), np.nan)
    power = np.log(_band_shares(leads) + 1e-6)
    spread = np.log(deviations(power.T).mean() + 1e-4) if len(leads) > 1 else np.nan
    slope = leads[:, 1:] - leads[:, :-1]
    slope *= slope
    waves = np.square(leads)
    spikes = row_medians(np.log([_kurtosis(slope), _kurtosis(waves)]))
    steep = _blocks(slope)
    return np.array(
        [
            *row_medians(power.T),
            spread,
            *spikes,
            _restlessness(steep**2),
            _repetition(steep),
            _asymmetry(steep**2, _blocks(waves)[: len(steep)]),
        ]
    )


def _band_shares(leads: FloatArray) -> Floats:
    """(leads, bands) share of each lead's power."""
    spectrum = np.fft.rfft(leads, axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    bands = np.add.reduceat(power, _band_starts(leads.shape[1]), axis=1)[:, :-1]
    return np.asarray(bands / np.maximum(bands.sum(axis=1, keepdims=True), _TINY))


@lru_cache(maxsize=8)
def _band_starts(samples: int) -> NDArray[np.intp]:
    return np.searchsorted(np.fft.rfftfreq(samples, 1 / RATE_HZ), BANDS_HZ)


def _kurtosis(square: FloatArray) -> Floats:
    """(leads,) fourth moment over the squared second, about zero, of squared waves; at least 1."""
    second, fourth = square.mean(axis=1), np.einsum("ln,ln->l", square, square)
    return np.asarray(fourth / square.shape[1] / np.maximum(second, _TINY) ** 2 + _TINY)


def _blocks(square: FloatArray) -> Floats:
    """(n // 4,) root of the energy of all leads, of squared waves, in blocks of 40 ms."""
    whole = square.shape[1] // _BLOCK * _BLOCK
    energy = square.sum(axis=0)[:whole].astype(np.float64)
    return np.asarray(np.sqrt(energy.reshape(-1, _BLOCK).sum(axis=1)))


def _restlessness(energy: Floats) -> float:
    """log of a quiet block's slope energy over a busy one's."""
    ordered = np.sort(energy)
    quiet, busy = ordered[int(0.4 * len(ordered))], ordered[int(0.95 * len(ordered))]
    return float(np.log(quiet / (busy + _TINY) + 1e-4))


def _repetition(steep: Floats) -> float:
    """Highest autocorrelation of the steepness at any interval a heart may beat with."""
    centred = steep - steep.mean()
    spectrum = np.fft.rfft(centred, 2 * len(centred))
    correlation = np.fft.irfft(np.square(spectrum.real) + np.square(spectrum.imag))
    first, last = _in_blocks(_REPEAT_S)
    return float(correlation[first:last].max() / (correlation[0] + _TINY))


def _asymmetry(steepness: Floats, waves: Floats) -> float:
    """log of the wave size that follows steep slopes over the size that precedes them."""

    n = len(waves)
    index, summed = np.arange(n), np.zeros(n + 1)
    np.cumsum(waves, out=summed[1:])  # waves[a:b] sum to the gap between summed[a] and summed[b]
    first, last = _in_blocks(_AFTER_S)
    after = summed[np.minimum(index + last, n)] - summed[np.minimum(index + first, n)]
    nearest, farthest = _in_blocks(_BEFORE_S)
    before = (
        summed[np.maximum(index - nearest + 1, 0)] - summed[np.maximum(index - farthest + 1, 0)]
    )
    follows = float(steepness @ after) / (last - first)
    precedes = float(steepness @ before) / (farthest - nearest)
    return float(np.log((follows + _TINY) / (precedes + _TINY)))


def _in_blocks(span_s: tuple[float, float]) -> tuple[int, int]:
    return round(span_s[0] * RATE_HZ / _BLOCK), round(span_s[1] * RATE_HZ / _BLOCK)
