"""Gaussian filters of all leads at once, in the frequency domain, and windows around beats.

A Gaussian derivative answers to slopes, its second derivative (a Mexican hat) to humps;
both as wide as their sigma says, without phase shift, and blind to a level; the hat is
blind to a drift too. Together they do what the scales of a wavelet delineator do
(Martinez et al. 2004), at whichever width suits a wave.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ecgedge.recording import FloatArray

_PAD = 50  # samples repeated at either end: no slope where recording starts or stops

Samples = NDArray[np.intp]
#: What is looked for, and with which sigma in seconds.
Filter = tuple[Literal["slope", "hump"], float]


class Spectrum:
    """The spectrum of (leads, n) samples at rate_hz, to be filtered in several ways at once.

    slope: sigma times the slope of the smoothed signal. hump: minus sigma squared times the
    curvature of the smoothed signal.
    """

    def __init__(self, signal: FloatArray, rate_hz: int) -> None:
        """signal: float32, without NaN."""
        self.rate_hz = rate_hz
        self.n = signal.shape[1]
        self._length = _fast_length(self.n + 2 * _PAD)
        padded = np.empty((len(signal), self._length), np.float32)
        padded[:, :_PAD] = signal[:, :1]
        padded[:, _PAD : _PAD + self.n] = signal
        padded[:, _PAD + self.n :] = signal[:, -1:]
        self._bins = np.fft.rfft(padded, axis=1)

    def filtered(self, filters: tuple[Filter, ...], upsampled: int = 1) -> FloatArray:
        """By each of the filters, (filters, leads, upsampled * n)."""
        response = _responses(self._length, self.rate_hz, filters, upsampled)
        out = np.fft.irfft(self._bins * response, n=self._length * upsampled, axis=2)
        return np.asarray(out[..., _PAD * upsampled : (_PAD + self.n) * upsampled])


@lru_cache(maxsize=64)
def _fast_length(least: int) -> int:
    """The smallest 2^a 3^b 5^c that is not below `least`: quick to transform."""
    best = 1 << (least - 1).bit_length()
    fives = 1
    while fives < best:
        threes = fives
        while threes < best:
            length = threes
            while length < least:
                length *= 2
            best = min(best, length)
            threes *= 3
        fives *= 5
    return best


@lru_cache(maxsize=64)
def _responses(
    n: int, rate_hz: int, filters: tuple[Filter, ...], gain: int
) -> NDArray[np.complex64]:
    """(filters, 1, bins)"""
    responses = []
    for kind, sigma_s in filters:
        turn = 2 * np.pi * np.fft.rfftfreq(n, 1 / rate_hz) * sigma_s
        smooth = gain * np.exp(-0.5 * turn**2)
        responses.append(smooth * (1j * turn if kind == "slope" else turn**2))
    return np.array(responses, np.complex64)[:, None]


def windows(signal: FloatArray, starts: Samples, length: int) -> FloatArray:
    """(leads, beats, length) samples from `starts`, (beats,) or (leads, beats); ends repeated."""
    leads, n = signal.shape
    at = starts[..., None] + _counting(length)
    if starts.ndim == 1:
        return np.asarray(signal.take(at, axis=1, mode="clip"))
    # Not np.clip: on arrays this small its checks take longer than the work.
    at = np.minimum(np.maximum(at, 0, out=at), n - 1, out=at)
    at += _counting(leads * n, n)[:, None, None]
    return np.asarray(signal.reshape(-1).take(at))


def at(rows: NDArray[Any], index: Samples) -> NDArray[Any]:
    """The sample of each row (last axis) at its own index, or at each of its indices.

    index: of the shape of rows without the last axis, or with more axes after those.
    """
    starts = _counting(rows.size, rows.shape[-1])
    own = starts.reshape(*rows.shape[:-1], *[1] * (index.ndim - rows.ndim + 1))
    return np.asarray(rows.reshape(-1).take(index + own))


@lru_cache(maxsize=256)
def _counting(end: int, step: int = 1) -> Samples:
    numbers = np.arange(0, end, step)
    numbers.setflags(write=False)  # everyone gets the same array
    return numbers


def first(mask: NDArray[np.bool_]) -> Samples:
    """Index of the first True of each row; the last index where there is none. Alters the mask."""
    mask[..., -1] = True
    return np.asarray(mask.argmax(axis=-1))


def last(mask: NDArray[np.bool_]) -> Samples:
    """Index of the last True of each row; 0 where there is none. Alters the mask."""
    mask[..., 0] = True
    return np.asarray(mask.shape[-1] - 1 - mask[..., ::-1].argmax(axis=-1))


def crossing(rows: FloatArray, before: Samples, level: NDArray[Any] | float) -> NDArray[Any]:
    """Where between `before` and the next sample a straight line meets the level; index.

    before: of the shape of rows without the last axis, never the last index.
    """
    flat = rows.reshape(-1)
    index = before + _counting(rows.size, rows.shape[-1]).reshape(before.shape)
    low = flat.take(index)
    rise = flat.take(index + 1) - low
    rise[np.abs(rise) < 1e-12] = 1e-12
    share = (level - low) / rise
    return np.asarray(before + np.minimum(np.maximum(share, 0, out=share), 1, out=share))
