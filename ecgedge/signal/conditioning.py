"""Conditioning `cond-1`: the one function between a recording and any encoder.

Training, export and the cart all call `condition`. In one pass through the
frequency domain it band-passes 0.5-40 Hz without phase shift and resamples to
100 Hz, then normalises so that mV and NU recordings of one heart come out alike.

The band is the squared magnitude of analogue Butterworth filters (what running
one forward and backward gives): high-pass order 2 at 0.5 Hz, low-pass order 4
at 40 Hz. Being analogue it does not depend on the input rate.

Normalisation: the limb leads share one scale (they are combinations of two, so
scaling them apart would break Einthoven's law); each chest lead has its own.
That loses the amplitude on purpose: NU recordings never had it.

Output lies on a grid of 1/1024 in [-16, 16], which absorbs the last-bit
differences between FFT builds: the golden vectors in tests/ are exact. Any
change of output is a new id.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgedge.recording import LIMB, FloatArray, Recording
from ecgedge.signal.arrays import bridged

ID = "cond-1"
RATE_HZ = 100
BAND_HZ = (0.5, 40.0)
GRID = 1024
LIMIT = 16.0

_PAD_S = 2.0
_MIN_SCALE = 1e-6  # under this a lead is a constant and stays zero


@dataclass(frozen=True)
class Conditioned:
    """signal: float32, shape (12, n) at 100 Hz, no unit, NaN where nothing was recorded."""

    signal: FloatArray

    rate_hz: float = RATE_HZ

    @property
    def n_samples(self) -> int:
        return int(self.signal.shape[1])


def condition(recording: Recording) -> Conditioned:
    """Apply cond-1. Pure; a recording with no finite sample gives all NaN."""
    signal = recording.signal
    observed = np.isfinite(signal)
    n_out = max(1, round(signal.shape[1] * RATE_HZ / recording.rate_hz))
    if observed.all():
        filtered = _band_and_resample(signal, recording.rate_hz, n_out)
        return Conditioned(_normalise(filtered, None))
    # The input sample nearest in time to each output sample decides its mask.
    nearest = np.minimum(
        np.round(np.arange(n_out) * recording.rate_hz / RATE_HZ).astype(int), signal.shape[1] - 1
    )
    whole = bridged(signal.astype(np.float64), observed)
    filtered = _band_and_resample(whole, recording.rate_hz, n_out)
    return Conditioned(_normalise(filtered, ~observed[:, nearest]))


def _band_and_resample(signal: NDArray[Any], rate_hz: float, n_out: int) -> NDArray[np.float64]:
    """(12, n) at rate_hz -> (12, n_out) at 100 Hz, zero phase."""
    n_in = signal.shape[1]
    pad = min(n_in - 1, round(_PAD_S * rate_hz))
    tail = pad + _whole_output_samples(n_in + 2 * pad, rate_hz)
    # Even reflection: a window often starts or ends inside a QRS, and the odd reflection
    # that filtfilt prefers turns about that sample, which shifts the base line for seconds.
    n_padded = pad + n_in + tail
    padded = np.empty((len(signal), n_padded))
    padded[:, :pad] = signal[:, pad:0:-1]
    padded[:, pad : pad + n_in] = signal
    if pad:
        padded[:, pad + n_in : n_padded - tail + pad] = signal[:, -2 : -pad - 2 : -1]
    padded[:, n_padded - tail + pad :] = signal[:, -1 - pad, None]
    n_resampled = max(2, round(n_padded * RATE_HZ / rate_hz))
    spectrum = np.fft.rfft(padded, axis=1)
    bins = min(spectrum.shape[1], n_resampled // 2 + 1)
    spectrum = spectrum[:, :bins] * _response(bins, rate_hz / n_padded)
    resampled = np.fft.irfft(spectrum, n=n_resampled, axis=1)
    start = round(pad * RATE_HZ / rate_hz)
    return np.asarray(resampled[:, start : start + n_out] * (n_resampled / n_padded))


@lru_cache(maxsize=32)
def _whole_output_samples(n_padded: int, rate_hz: float) -> int:
    """Extra samples (< 1 s) that bring n_padded closest to a whole number at 100 Hz."""
    extra = np.arange(int(rate_hz))
    exact = (n_padded + extra) * RATE_HZ / rate_hz
    return int(np.argmin(np.round(np.abs(exact - np.round(exact)), 9)))


@lru_cache(maxsize=32)
def _response(bins: int, bin_hz: float) -> NDArray[np.float64]:
    """Zero-phase gain of the band at frequencies 0, bin_hz, ...; shape (bins,)."""
    f = np.arange(bins) * bin_hz
    low, high = BAND_HZ
    with np.errstate(divide="ignore"):
        return 1 / (1 + (low / f) ** 4) / (1 + (f / high) ** 8)


def _normalise(signal: NDArray[np.float64], gaps: NDArray[np.bool_] | None) -> FloatArray:
    """Unit variance: one scale for the limb leads, one for each chest lead.

    gaps: (12, n), where nothing was recorded; None for nowhere. Alters the signal.
    """
    count = np.full(len(signal), signal.shape[1])
    if gaps is not None:
        count -= gaps.sum(axis=1)
        signal[gaps] = 0.0
    held, count = count > 0, np.maximum(count, 1)
    signal -= (signal.sum(axis=1) / count)[:, None]
    if gaps is not None:
        signal[gaps] = 0.0
    variance = np.einsum("ln,ln->l", signal, signal) / count
    scale = np.sqrt(variance)
    if held[LIMB].any():
        scale[LIMB] = np.sqrt(variance[LIMB][held[LIMB]].mean())
    scale[scale < _MIN_SCALE] = np.inf
    signal /= scale[:, None]
    np.maximum(np.minimum(signal, LIMIT, out=signal), -LIMIT, out=signal)
    signal *= GRID  # whole numbers up to 2^14, which float32 holds and divides exactly
    levels = np.rint(signal, out=signal).astype(np.float32)
    levels /= np.float32(GRID)
    if gaps is not None:
        levels[gaps] = np.nan
    return levels
