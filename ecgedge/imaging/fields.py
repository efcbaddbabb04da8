"""`fields-1`: one beat as three fields of every pair of its samples (Qiu et al. 2023).

Three channels, each with the 12 leads in a grid of 3 rows by 4 columns, in
`LEADS` order row by row. For one second around one R peak, 35 samples before it
and 64 after, scaled to a largest absolute value of 1 in each lead:

- Gramian angular summation field: cos(phi_i + phi_j) where cos(phi) is the beat
  (Wang and Oates 2015);
- recurrence plot without threshold: |x_i - x_j|;
- Markov transition field: the chance, counted in this beat, of going from the
  amplitude quartile of sample i to that of sample j in one step.

Every 100 x 100 field is averaged down to 50 x 50. A lead of which the beat lacks
a sample is zero in all three.

Unlike the paper: the beat is the one nearest the median beat, not one at random,
so that the same recording always gives the same image; the low-pass stays at the
40 Hz of cond-1 instead of 15 Hz; fields stay numbers instead of 8-bit pictures
resized to 224 x 224. Without an R peak the middle second is shown.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecgedge.imaging.base import ImageEncoding, snap, window
from ecgedge.recording import FloatArray
from ecgedge.signal.beats import r_peaks
from ecgedge.signal.conditioning import Conditioned

BEFORE, AFTER = 35, 65
BEAT = BEFORE + AFTER
BINS = 4
ROWS, COLUMNS = 3, 4

_SIDE = BEAT // 2


def encode(conditioned: Conditioned) -> FloatArray:
    """float32 (3, 150, 200): angular in [-1, 1], recurrence in [0, 2], transition in [0, 1]."""
    signal = window(conditioned)
    beat = typical_beat(signal, r_peaks(Conditioned(signal))).astype(np.float64)
    whole = ~np.isnan(beat).any(axis=1, keepdims=True)
    beat = np.where(whole, beat, 0.0)
    peak = np.abs(beat).max(axis=1, keepdims=True)
    beat = beat / np.where(peak > 0, peak, 1)
    fields = np.stack([_angular(beat), _recurrence(beat), _transition(beat)])
    fields *= whole.reshape(-1, 1, 1)
    grid = fields.reshape(3, ROWS, COLUMNS, _SIDE, _SIDE).transpose(0, 1, 3, 2, 4)
    return snap(grid.reshape(3, ROWS * _SIDE, COLUMNS * _SIDE))


def typical_beat(signal: FloatArray, peaks: NDArray[np.intp]) -> FloatArray:
    """(12, 100): of the beats wholly inside (12, n) the one nearest their median.

    Without a whole beat, the first one with zeros past the ends, as in the paper;
    without any beat, the middle second.
    """
    if not len(peaks):
        peaks = np.array([signal.shape[1] // 2 - BEAT // 2 + BEFORE])
    inside = peaks[(peaks >= BEFORE) & (peaks + AFTER <= signal.shape[1])]
    if not len(inside):
        padded = np.pad(signal, ((0, 0), (BEFORE, AFTER)))
        return padded[:, peaks[0] : peaks[0] + BEAT]
    beats = signal[:, inside[:, None] + np.arange(-BEFORE, AFTER)].transpose(1, 0, 2)
    # cond-1 values are whole multiples of 1/1024, so in double precision this is exact.
    known = np.nan_to_num(beats).astype(np.float64)
    distance = np.square(known - np.median(known, axis=0)).sum(axis=(1, 2))
    return np.asarray(beats[np.argmin(distance)], np.float32)


def _angular(beat: NDArray[np.float64]) -> NDArray[np.float64]:
    """(12, 100) -> (12, 50, 50); the mean of a product of two axes is that of their means."""
    cosine, sine = _pair_means(beat), _pair_means(np.sqrt(1 - beat**2))
    return np.asarray(_outer(cosine) - _outer(sine))


def _recurrence(beat: NDArray[np.float64]) -> NDArray[np.float64]:
    """(12, 100) -> (12, 50, 50)."""
    even, odd = beat[:, 0::2], beat[:, 1::2]
    pairs = [(a, b) for a in (even, odd) for b in (even, odd)]
    return np.asarray(sum(np.abs(a[:, :, None] - b[:, None, :]) for a, b in pairs) / len(pairs))


def _transition(beat: NDArray[np.float64]) -> NDArray[np.float64]:
    """(12, 100) -> (12, 50, 50); by one-hot states, so that means can be taken first."""
    edges = np.quantile(beat, np.arange(1, BINS) / BINS, axis=1)
    state = (beat[None] > edges[:, :, None]).sum(axis=0)
    one_hot = np.eye(BINS)[state]
    steps = np.einsum("lta,ltb->lab", one_hot[:, :-1], one_hot[:, 1:])
    left = steps.sum(axis=2, keepdims=True)
    chance = steps / np.where(left > 0, left, 1)
    share = (one_hot[:, 0::2] + one_hot[:, 1::2]) / 2
    return np.asarray(share @ chance @ share.transpose(0, 2, 1))


def _pair_means(series: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((series[:, 0::2] + series[:, 1::2]) / 2)


def _outer(series: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(series[:, :, None] * series[:, None, :])


def picture(image: FloatArray) -> NDArray[np.uint8]:
    """Red angular, green recurrence, blue transition, grey missing, doubled; (300, 400, 3)."""
    angular, recurrence, transition = image
    level = np.stack([(angular + 1) / 2, recurrence / 2, transition], axis=-1)
    rgb = np.asarray(np.round(np.clip(level, 0, 1) * 255), np.uint8)
    rgb[~image.any(axis=0)] = 153
    return rgb.repeat(2, axis=0).repeat(2, axis=1)


FIELDS_1 = ImageEncoding(
    id="fields-1",
    shape=(3, ROWS * _SIDE, COLUMNS * _SIDE),
    patch=(25, 25),
    encode=encode,
    picture=picture,
)
