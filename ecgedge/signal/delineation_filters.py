"""Gaussian filters of all leads at once, in the frequency domain, and windows around beats.

A Gaussian derivative answers to slopes, its second derivative (a Mexican hat) to humps;
both as wide as their sigma says, without phase shift, and blind to a level; the hat is
blind to a drift too. Together they do what the scales of a wavelet delineator do
(Martinez et al. 2004), at whichever width suits a wave.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgedge.recording import FloatArray

_PAD = 50  # samples repeated at either end: no slope where recording starts or stops

Samples = NDArray[np.intp]


class Spectrum:
    """The spectrum of (leads, n) samples at rate_hz, filtered as often as one likes."""

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

    def slope(self, sigma_s: float, upsampled: int = 1) -> FloatArray:
        """Sigma times the slope of the smoothed signal, (leads, upsampled * n)."""
        return self._filtered("slope", sigma_s, upsampled)

    def hump(self, sigma_s: float) -> FloatArray:
        """Minus sigma squared times the curvature of the smoothed signal, (leads, n)."""
        return self._filtered("hump", sigma_s, 1)

    def _filtered(self, kind: str, sigma_s: float, upsampled: int) -> FloatArray:
        bins = self._bins * _response(self._length, self.rate_hz, kind, sigma_s)
        if upsampled > 1:
            bins *= upsampled
        out = np.fft.irfft(bins, n=self._length * upsampled, axis=1)
        return np.asarray(out[:, _PAD * upsampled : (_PAD + self.n) * upsampled])


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
def _response(n: int, rate_hz: int, kind: str, sigma_s: float) -> NDArray[np.complex64]:
    turn = 2 * np.pi * np.fft.rfftfreq(n, 1 / rate_hz) * sigma_s
    gain = np.exp(-0.5 * turn**2)
    return np.asarray(gain * (1j * turn if kind == "slope" else turn**2), np.complex64)


def windows(signal: FloatArray, starts: Samples, length: int) -> FloatArray:
    """(leads, beats, length) samples from `starts`, (leads or 1, beats); ends are repeated."""
    leads, n = signal.shape
    at = starts[..., None] + np.arange(length)
    # Not np.clip: on arrays this small its checks take longer than the work.
    at = np.minimum(np.maximum(at, 0, out=at), n - 1, out=at)
    at = at + (np.arange(leads) * n)[:, None, None]
    return np.asarray(signal.ravel()[at])


def at(rows: NDArray[Any], index: Samples) -> NDArray[Any]:
    """The sample of each row (last axis) at its own index."""
    flat = rows.reshape(-1, rows.shape[-1])
    return np.asarray(flat[np.arange(len(flat)), index.ravel()].reshape(index.shape))


def first(mask: NDArray[np.bool_]) -> Samples:
    """Index of the first True of each row; the last index where there is none."""
    found = mask.argmax(axis=-1)
    return np.asarray(np.where(at(mask, found), found, mask.shape[-1] - 1))


def last(mask: NDArray[np.bool_]) -> Samples:
    """Index of the last True of each row; 0 where there is none."""
    return np.asarray(mask.shape[-1] - 1 - first(mask[..., ::-1]))


def crossing(rows: FloatArray, before: Samples, level: NDArray[Any]) -> NDArray[Any]:
    """Where between `before` and the next sample a straight line meets the level; index."""
    after = np.minimum(before + 1, rows.shape[-1] - 1)
    low, high = at(rows, before), at(rows, after)
    rise = high - low
    rise = np.where(np.abs(rise) < 1e-12, 1e-12, rise)
    return np.asarray(before + np.minimum(np.maximum((level - low) / rise, 0), 1))
