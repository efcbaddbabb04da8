"""R peaks of a conditioned recording.

After Pan and Tompkins 1985: slope energy, a moving integral, a threshold between
running signal and noise levels, a search back where a beat seems to be missing.
Unlike theirs the energy is that of all leads together, so that one bad or small
lead does not matter, and the levels run on its square root, so that one tall
ectopic beat does not hide the small ones after it.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ecgedge.recording import FloatArray
from ecgedge.signal.arrays import row_medians
from ecgedge.signal.beat_statistics import median
from ecgedge.signal.conditioning import RATE_HZ, Conditioned

#: No two beats are closer. Under the usual 0.25 s, because the energy's maxima
#: stray a little from the R peaks, and at 220 a minute the beats are 0.27 s apart.
REFRACTORY_S = 0.22

_SLOPE_SIGMA_S = 0.015  # derivative of a Gaussian: most sensitive at 10.6 Hz, where QRS is
_INTEGRAL_S = 0.09
_REFINE_S = 0.06
_BESIDE_S = 0.05
_THRESHOLD = 0.35  # of the way from the noise level to the signal level
_SEARCH_BACK = 1.66  # a gap this many times the usual interval is looked at again
_T_WAVE_S, _T_WAVE_SHARE = 0.36, 0.6  # so soon and so much lower than a beat: its T wave
_SEARCH_BACK_SHARE = 0.75  # of the threshold, in such a second look
_STRETCH_S = 2.5
_LEVEL_MEMORY = 0.125  # weight of the newest peak in a running level
_FLAT = 1e-3
_BLOCK = 50  # samples whose slopes are computed together


def r_peaks(conditioned: Conditioned) -> NDArray[np.intp]:
    """Sample indices at 100 Hz of the R peaks, ascending; empty where there are none."""
    signal = conditioned.signal
    if not np.isfinite(signal).all():
        signal = np.nan_to_num(signal)
    energy = _slope_energy(signal)
    candidates = _local_maxima(energy, round(REFRACTORY_S * RATE_HZ))
    beats = _accept(candidates, energy)
    return _refine(beats, signal)


def _slope_energy(signal: FloatArray) -> NDArray[np.float64]:
    """Root of the integrated squared slope, all leads together; shape (n,)."""
    reach = round(4 * _SLOPE_SIGMA_S * RATE_HZ)
    leads, n = signal.shape
    blocks = -(-n // _BLOCK)
    # A step where recording starts or stops is no slope: repeat the end samples.
    padded = _edges_repeated(signal, reach, reach + blocks * _BLOCK - n)
    # One multiplication of all stretches with a band matrix takes a tenth of what
    # convolving lead by lead does.
    step, along = padded.strides
    stretches = np.lib.stride_tricks.as_strided(
        padded, (leads, blocks, _BLOCK + 2 * reach), (step, _BLOCK * along, along)
    )
    slopes = stretches.reshape(leads * blocks, -1) @ _slope_matrix(reach)
    power = np.square(slopes, out=slopes).reshape(leads, -1).sum(axis=0)[:n]
    width = round(_INTEGRAL_S * RATE_HZ)
    integral = np.convolve(power, np.full(width, 1 / width), mode="full")
    return np.sqrt(integral[width // 2 : width // 2 + n])


@lru_cache(maxsize=1)
def _slope_matrix(reach: int) -> FloatArray:
    """(_BLOCK + 2 reach, _BLOCK): samples -> the slope at all but the outermost `reach`."""
    t = np.arange(-reach, reach + 1) / RATE_HZ
    kernel = -t * np.exp(-0.5 * (t / _SLOPE_SIGMA_S) ** 2)
    kernel /= np.abs(kernel).sum()
    matrix = np.zeros((_BLOCK + 2 * reach, _BLOCK), np.float32)
    for column in range(_BLOCK):
        matrix[column : column + len(kernel), column] = kernel[::-1]
    return matrix


def _local_maxima(energy: NDArray[np.float64], apart: int) -> NDArray[np.intp]:
    """Indices that are the first largest within `apart` samples to either side."""
    n = len(energy)
    highest = np.full(n + 2 * apart, -1.0)  # from each place on, over `width` places
    highest[apart : apart + n] = energy
    width = 1
    while width < apart:  # a window of twice the width is two windows
        step = min(width, apart - width)
        highest = np.maximum(highest[:-step], highest[step:])
        width += step
    before, after = highest[:n], highest[apart + 1 : apart + 1 + n]
    return np.flatnonzero((energy > before) & (energy >= after) & (energy > _FLAT))


def _accept(candidates: NDArray[np.intp], energy: NDArray[np.float64]) -> NDArray[np.intp]:
    """The candidates that are beats, by running signal and noise levels."""
    if not len(candidates):
        return candidates
    signal_level = _usual_height(candidates, energy[candidates])
    noise_level = float(row_medians(energy[None])[0])
    # Plain numbers from here on: beat by beat, looking into arrays took most of the time.
    times, heights = candidates.tolist(), energy[candidates].tolist()
    accepted: list[int] = []  # positions in `candidates`
    for now, height in enumerate(heights):
        threshold = noise_level + _THRESHOLD * (signal_level - noise_level)
        if height > threshold and not _is_t_wave(accepted, now, times, heights):
            missed = _missed(accepted, now, times, heights, _SEARCH_BACK_SHARE * threshold)
            accepted += [missed, now] if missed is not None else [now]
            # An ectopic or a spike may not lift the level out of the reach of normal beats.
            height = min(height, 2 * signal_level)
            signal_level += _LEVEL_MEMORY * (height - signal_level)
        else:
            noise_level += _LEVEL_MEMORY * (height - noise_level)
    return candidates[accepted]


def _is_t_wave(accepted: list[int], now: int, times: list[int], heights: list[float]) -> bool:
    if not accepted:
        return False
    last = accepted[-1]
    soon = times[now] - times[last] < _T_WAVE_S * RATE_HZ
    return soon and heights[now] < _T_WAVE_SHARE * heights[last]


def _usual_height(candidates: NDArray[np.intp], heights: NDArray[np.float64]) -> float:
    """Median, over stretches long enough to hold a slow heart's beat, of the tallest in each."""
    stretch = candidates // round(_STRETCH_S * RATE_HZ)
    starts = np.concatenate([[0], np.flatnonzero(stretch[1:] != stretch[:-1]) + 1])
    return median(np.maximum.reduceat(heights, starts).tolist())


def _missed(
    accepted: list[int], now: int, times: list[int], heights: list[float], threshold: float
) -> int | None:
    """The tallest candidate between the last beat and `now`, if the gap asks for one."""
    if len(accepted) < 3 or not accepted[-1] + 1 < now:
        return None
    tallest = max(range(accepted[-1] + 1, now), key=heights.__getitem__)
    if not heights[tallest] > threshold:
        return None
    recent = [times[position] for position in accepted[-9:]]
    usual = median([after - before for before, after in itertools.pairwise(recent)])
    return tallest if times[now] - recent[-1] >= _SEARCH_BACK * usual else None


def _refine(beats: NDArray[np.intp], signal: FloatArray) -> NDArray[np.intp]:
    """Move each beat to where the leads together stand out most from both sides.

    From both sides and not from a base line, because that can jump in the middle of
    a QRS near an end of the recording.
    """
    if not len(beats):
        return beats
    beside = round(_BESIDE_S * RATE_HZ)
    padded = _edges_repeated(signal, beside, beside)
    sides = (padded[:, : -2 * beside] + padded[:, 2 * beside :]) / 2
    sides -= signal
    reach = round(_REFINE_S * RATE_HZ)
    outstanding = np.full(signal.shape[1] + 2 * reach, -1.0)  # nothing outside the recording does
    outstanding[reach:-reach] = np.square(sides, out=sides).sum(axis=0)
    around = outstanding[beats[:, None] + np.arange(2 * reach + 1)]
    return np.asarray(beats + around.argmax(axis=1) - reach, np.intp)


def _edges_repeated(signal: FloatArray, before: int, after: int) -> FloatArray:
    """As np.pad's mode "edge", whose care for other cases takes longer than the work."""
    n = signal.shape[1]
    padded = np.empty((signal.shape[0], before + n + after), signal.dtype)
    padded[:, :before] = signal[:, :1]
    padded[:, before : before + n] = signal
    padded[:, before + n :] = signal[:, -1:]
    return padded
