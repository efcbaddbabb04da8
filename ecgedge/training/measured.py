"""Targets measured on the signals themselves: no label is needed, and none can be wrong.

A net this small is slow to find intervals and beat shapes by itself from a thousand
recordings; told to predict them, its embedding keeps what a reader would measure.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ecgedge.recording import FloatArray
from ecgedge.signal.beats import r_peaks
from ecgedge.signal.conditioning import RATE_HZ, Conditioned

_BEFORE_S, _AFTER_S = 0.24, 0.48
_PAIR = 2  # samples averaged: 50 values a second
SAMPLES = 12 * round((_BEFORE_S + _AFTER_S) * RATE_HZ) // _PAIR


def rhythm_targets(signals: FloatArray) -> FloatArray:
    """float32 (n, 3), standardised: log mean RR, log mean and log median RR-to-RR change.

    The changes are relative to the mean RR. NaN where fewer than four beats are found.
    """
    return _standardised(np.array([_rhythm(peaks) for peaks in _all_peaks(signals)]), 1e-6, 3)


def beat_targets(signals: FloatArray) -> FloatArray:
    """float32 (n, SAMPLES), standardised: the median beat of each lead around its R peak.

    From 0.24 s before to 0.48 s after. NaN where a lead is missing or no beat is whole.
    """
    beats = zip(signals, _all_peaks(signals), strict=True)
    return _standardised(np.array([_beat(signal, peaks) for signal, peaks in beats]), 0.1, 4)


def _all_peaks(signals: FloatArray) -> Iterator[NDArray[np.intp]]:
    return (r_peaks(Conditioned(signal)) for signal in signals)


def _rhythm(peaks: NDArray[np.intp]) -> list[float]:
    rr_s = np.diff(peaks) / RATE_HZ
    if len(rr_s) < 3:
        return [np.nan] * 3
    change = np.abs(np.diff(rr_s)) / rr_s.mean()
    return list(np.log([rr_s.mean(), 0.01 + change.mean(), 0.01 + np.median(change)]))


def _beat(signal: FloatArray, peaks: NDArray[np.intp]) -> FloatArray:
    before, after = round(_BEFORE_S * RATE_HZ), round(_AFTER_S * RATE_HZ)
    whole = [p for p in peaks if before <= p <= signal.shape[1] - after]
    if not whole:
        return np.full(SAMPLES, np.nan, dtype=np.float32)
    beat = np.median([signal[:, p - before : p + after] for p in whole], axis=0)
    return np.asarray(beat.reshape(12, -1, _PAIR).mean(axis=2).ravel(), dtype=np.float32)


def _standardised(table: FloatArray, least_spread: float, limit: float) -> FloatArray:
    """Each column to mean 0 and spread 1, clipped; NaN stays, a column of NaN too."""
    known = np.isfinite(table)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, table, 0).sum(axis=0) / count
    spread = np.sqrt((np.where(known, table - mean, 0) ** 2).sum(axis=0) / count)
    scaled = np.clip((table - mean) / np.maximum(spread, least_spread), -limit, limit)
    return np.asarray(scaled, dtype=np.float32)
