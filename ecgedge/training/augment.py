"""Augmentations that leave the diagnosis alone, on conditioned signals.

Each imitates something that happens between two recordings of the same heart:
another start time, another electrode gain, wander and muscle noise, a lead off, a
printed 3x4 page that shows 2.5 s of each lead. None mirrors time or swaps leads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from ecgedge.recording import CHEST, LIMB, FloatArray
from ecgedge.signal.conditioning import RATE_HZ


@dataclass(frozen=True)
class AugmentConfig:
    """Probabilities are per recording; sizes in the units of cond-1 or seconds."""

    shift_s: float = 2.0
    stretch: float = 0.06
    gain: float = 0.2
    wander: float = 0.3
    noise: float = 0.15
    p_lead_off: float = 0.3
    p_limb_only: float = 0.03
    p_print: float = 0.05


def augment(signal: FloatArray, config: AugmentConfig, rng: Generator) -> FloatArray:
    """(12, n) at 100 Hz -> (12, n), NaN where masked; the input is not changed."""
    out = _shift_and_stretch(signal, config, rng)
    gain = np.exp(config.gain * rng.standard_normal((12, 1)))
    gain[LIMB] = gain[0]
    gain[CHEST] *= gain[0]
    out = out * (gain / gain[0]).astype(np.float32)
    time = np.arange(out.shape[1]) / RATE_HZ
    frequency, phase = rng.uniform(0.1, 0.5), rng.uniform(0, 2 * np.pi, (12, 1))
    size = config.wander * rng.random() * rng.random((12, 1))
    out = out + (size * np.sin(2 * np.pi * frequency * time + phase)).astype(np.float32)
    out += (config.noise * rng.random() * rng.standard_normal(out.shape)).astype(np.float32)
    return _mask(out, config, rng)


def _shift_and_stretch(signal: FloatArray, config: AugmentConfig, rng: Generator) -> FloatArray:
    """Resample the time axis by a few percent and start somewhere else; edges become NaN."""
    n = signal.shape[1]
    step = 1 + config.stretch * rng.uniform(-1, 1)
    start = config.shift_s * RATE_HZ * rng.uniform(-1, 1) * rng.random()
    position = start + step * np.arange(n)
    left = np.clip(np.floor(position).astype(int), 0, n - 2)
    part = (position - left).astype(np.float32)
    out = signal[:, left] * (1 - part) + signal[:, left + 1] * part
    out[:, (position < 0) | (position > n - 1)] = np.nan
    return np.asarray(out, dtype=np.float32)


def _mask(signal: FloatArray, config: AugmentConfig, rng: Generator) -> FloatArray:
    if rng.random() < config.p_lead_off:
        off = rng.choice(12, size=rng.integers(1, 4), replace=False)
        signal[off] = np.nan
    if rng.random() < config.p_limb_only:
        signal[CHEST] = np.nan
    if rng.random() < config.p_print:
        quarter = signal.shape[1] // 4
        rhythm = signal[1].copy()
        for column in range(4):
            hidden = np.ones(signal.shape[1], dtype=bool)
            hidden[column * quarter : (column + 1) * quarter] = False
            signal[3 * column : 3 * column + 3, hidden] = np.nan
        signal[1] = rhythm
    return signal
