"""What is measured on a recording's first seconds before it is judged; see quality.py.

Pure numpy over one coarse copy of the signal (100 to 200 Hz), so that all of it
together costs half a millisecond for 12 x 5000 samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ecgedge.recording import CHEST, LEADS, LIMB, FloatArray
from ecgedge.signal.arrays import bridged, row_medians

#: Langley's flat line, taken as 5 uV rms over a second (a few steps of a usual converter).
FLAT_MV = 0.005
#: The same in NU, as a share of the median lead. Measured: the smallest real lead has 0.1.
FLAT_SHARE = 0.01

_RELATIONS = np.array(  # rows that sum to zero: III, aVR, aVL, aVF from the others
    [
        [1, -1, 1, 0, 0, 0],
        [0.5, 0.5, 0, 1, 0, 0],
        [-0.5, 0, 0.5, 0, 1, 0],
        [0, -0.5, -0.5, 0, 0, 1],
    ],
    dtype=np.float32,
)
_OTHERS = ~np.eye(6, dtype=bool)
_SLOTS = 10  # tenths of a second in a second
_QUIET = 0.25  # a share of the tenths that no rhythm fills with QRS complexes
#: rms of hum over peak to peak from which it is taken out. Left in at a tenth of a lead's power
#: (0.05, as this was), it had 4 of 100 leads of LUDB refused as noise.
_LOUD_HUM = 0.02
_TINY = np.float32(1e-12)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Window:
    """The judged part of a recording, on a coarse clock.

    coarse: (12, seconds, 10, per), block means at 100 to 200 Hz, gaps bridged, hum taken
        out, centred and divided by span.
    held: (12, seconds, 10), which tenths of a second were mostly recorded.
    span: (12,) peak to peak. missing, at_extreme: (12,) shares of samples.
    hum: (12,) mean square of what was taken out at 50 or 60 Hz.
    """

    coarse: FloatArray
    held: NDArray[np.bool_]
    span: FloatArray
    missing: FloatArray
    at_extreme: FloatArray
    hum: FloatArray


def cut(signal: FloatArray, rate_hz: float) -> Window:
    """Prepare (12, n) samples, at least two seconds of them, for measuring."""
    low, high = signal.min(axis=1), signal.max(axis=1)
    observed = None
    if not np.isfinite(low + high).all():
        observed = np.isfinite(signal)
        signal = bridged(signal, observed)
        low, high = signal.min(axis=1), signal.max(axis=1)
    at_extreme = _share_at(signal, low, high)
    cleaned, hum = _without_hum(signal, rate_hz, high - low)
    if cleaned is not signal:
        signal, low, high = cleaned, cleaned.min(axis=1), cleaned.max(axis=1)
    factor = int(rate_hz // 100)
    per = round(rate_hz / factor / _SLOTS)
    seconds = signal.shape[1] // (factor * per * _SLOTS)
    length = seconds * _SLOTS * per * factor
    total = signal[:, 0:length:factor].copy()
    for phase in range(1, factor):
        total += signal[:, phase:length:factor]
    span = np.where(high > low, high - low, np.float32(1))
    coarse = (total / factor - ((high + low) / 2)[:, None]) / span[:, None]
    shape = (len(LEADS), seconds, _SLOTS)
    held, missing = np.ones(shape, dtype=bool), np.zeros(len(LEADS), dtype=np.float32)
    if observed is not None:
        held = observed[:, :length].reshape(*shape, -1).mean(axis=3) > 0.5
        missing = 1 - observed.mean(axis=1, dtype=np.float32)
    return Window(coarse.reshape(*shape, per), held, high - low, missing, at_extreme, hum)


@dataclass(frozen=True)
class Steady:
    """A window freed of its base line, second by second.

    means, drift: (12, seconds), of each second the mean and the mean square of its linear
        drift. level: (12, seconds, samples), the rest. All in shares of `Window.span`.
    """

    means: FloatArray
    drift: FloatArray
    level: FloatArray


def steady(window: Window) -> Steady:
    """Take the base line out of a window."""
    return Steady(*_detrend(window.coarse.reshape(*window.coarse.shape[:2], -1)))


def products(window: Window, rest: Steady) -> Floats:
    """Shape (12, 12): mean product of each two leads without their base line, in the
    recording's unit squared.
    """
    flat = rest.level.reshape(len(LEADS), -1)
    span = window.span.astype(np.float64)
    return np.asarray((flat @ flat.T).astype(np.float64) / flat.shape[1] * np.outer(span, span))


def measure(window: Window, rest: Steady, *, in_mv: bool) -> dict[str, FloatArray]:
    """Every per-lead measure by name, shape (12,) each; more is worse."""
    held = window.held.mean(axis=2) > 0.5
    n_held = np.maximum(held.sum(axis=1), 1)
    means, drift, level = rest.means, rest.drift, rest.level
    energy = np.einsum("lst,lst->ls", level, level) / np.float32(level.shape[2])
    inner = (energy * held).sum(axis=1) / n_held
    centre = (means * held).sum(axis=1) / n_held
    outer = (((means - centre[:, None]) ** 2 + drift) * held).sum(axis=1) / n_held
    whole = level.reshape(len(level), -1)
    highest, lowest = whole.max(axis=1), whole.min(axis=1)
    peak = np.maximum(highest, -lowest)
    floor = FLAT_MV if in_mv else FLAT_SHARE * np.median(window.span * np.sqrt(inner))
    still = (np.sqrt(energy) * window.span[:, None] <= floor) & held
    slope = _slopes(level)
    evenness, restlessness = _slope_measures(slope, window.held)
    return {
        "gap": window.missing,
        "flat": still.sum(axis=1) / n_held,
        "saturated": window.at_extreme,
        "boxiness": np.sqrt(inner) / np.maximum(peak, _TINY),
        "evenness": evenness,
        "restlessness": restlessness,
        "tremor": _tremor(slope, window.held) / np.maximum(highest - lowest, _TINY),
        "hum": _ratio(window.hum, inner * window.span**2),
        "wander": np.sqrt(_ratio(outer, inner)),
        "amplitude": 2 * peak * window.span * np.float32(in_mv),
    }


def _detrend(seconds: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of each second (12, s, samples): mean, mean square of its linear drift, and the rest."""
    samples = seconds.shape[2]
    ramp = _ramp(samples)
    means = seconds.mean(axis=2)
    tilt = seconds @ ramp / np.float32(samples)
    level = seconds - means[:, :, None]
    level -= tilt[:, :, None] * ramp
    return means, tilt**2, level


@lru_cache(maxsize=8)
def _ramp(samples: int) -> FloatArray:
    """A straight line from below to above zero with a mean square of 1."""
    ramp = np.linspace(-1, 1, samples, dtype=np.float32)
    ramp /= np.sqrt((ramp**2).mean())
    return ramp


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.asarray(part / np.maximum(whole, _TINY), dtype=np.float32)


def _share_at(signal: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Share of samples exactly at the lowest or the highest value, whichever is more."""
    # Counting bits is three times faster than counting lead by lead, and that than an axis.
    bits = [np.packbits(signal == edge[:, None], axis=1) for edge in (low, high)]
    counts = [np.bitwise_count(one).sum(axis=1, dtype=np.intp) for one in bits]
    return np.asarray(np.maximum(*counts) / signal.shape[1], dtype=np.float32)


@lru_cache(maxsize=8)
def _mains(rate_hz: float) -> tuple[FloatArray, FloatArray]:
    """Waves of 50 and 60 Hz over a fifth of a second, and what finds them in a signal.

    (samples, 2 x visible frequencies) both; the second is the least-squares fit of the
    first beside a level and a slope. Frequencies too near half the rate are left out.
    """
    samples = round(rate_hz / 5)
    visible = [hz for hz in (50.0, 60.0) if hz < 0.45 * rate_hz]
    angles = 2 * np.pi * np.outer(np.arange(samples) / rate_hz, visible)
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    trend = np.stack([np.ones(samples), np.linspace(-1, 1, samples)], axis=1)
    fit = np.linalg.pinv(np.concatenate([waves, trend], axis=1))[: waves.shape[1]].T
    return waves.astype(np.float32), np.ascontiguousarray(fit, dtype=np.float32)


def _without_hum(
    signal: FloatArray, rate_hz: float, span: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The signal less its mains hum, if that is worth removing, and the hum's mean square.

    span: (12,) peak to peak. The same array comes back where nothing is removed. Fitted in
    fifths of a second, so that a mains frequency a little off is still caught; the median
    fifth counts, because QRS complexes are strong there but rare.
    """
    waves, fit = _mains(rate_hz)
    samples, n_waves = waves.shape
    if not n_waves:
        return signal, np.zeros(len(signal), dtype=np.float32)
    length = signal.shape[1] // samples * samples
    blocks = np.ascontiguousarray(signal[:, :length]).reshape(-1, samples)
    weights = blocks @ fit
    power = np.einsum("bw,bw->b", weights, weights).reshape(len(signal), -1) / 2
    hum = row_medians(power)
    loud = hum > (_LOUD_HUM * span) ** 2
    if loud.any():
        signal = signal.copy()
        signal[loud, :length] -= (weights @ waves.T).reshape(len(signal), length)[loud]
    return signal, hum


def _slopes(level: FloatArray) -> FloatArray:
    """Each sample less the one before, as `level`; 0 for the first of a second."""
    slope = np.empty_like(level)
    np.subtract(level[:, :, 1:], level[:, :, :-1], out=slope[:, :, 1:])
    slope[:, :, 0] = 0
    return slope


def _tremor(slope: FloatArray, held: NDArray[np.bool_]) -> FloatArray:
    """(12,) rms of the change of slope in the quiet tenths of a second, between the beats.

    A second difference grows with the square of frequency: muscles (over 20 Hz) stand out,
    P and T waves and fibrillating atria (under 10 Hz) vanish. slope: (12, seconds, samples).
    """
    leads, seconds, samples = slope.shape
    bend = np.zeros_like(slope)
    np.subtract(slope[:, :, 2:], slope[:, :, 1:-1], out=bend[:, :, 2:])
    bend *= bend
    tenths = bend.reshape(leads, seconds * _SLOTS, -1)
    energy = tenths @ np.full(tenths.shape[2], _SLOTS / samples, np.float32)
    held = held.reshape(leads, -1)
    energy[~held] = np.inf
    energy.sort(axis=1)
    quiet = energy[np.arange(leads), (held.sum(axis=1) * _QUIET).astype(int)]
    return np.sqrt(np.where(np.isfinite(quiet), quiet, 0))


def _slope_measures(slope: FloatArray, held: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """3 / kurtosis of the slope, and the energy of quiet tenths over busy ones; (12,) each.

    slope: (12, seconds, samples). held: (12, seconds, 10).
    """
    leads, seconds, _ = slope.shape
    square = np.square(slope)
    tenths = square.reshape(leads, seconds * _SLOTS, -1)
    held = held.reshape(leads, -1)
    ones = np.ones(tenths.shape[2], np.float32)  # as matmul, sums this short take a fifth
    energy = tenths @ ones
    second = (energy * held).sum(axis=1)
    fourth = (np.square(tenths) @ ones * held).sum(axis=1)
    n_held = np.maximum(held.sum(axis=1), 1)
    energy[~held] = np.inf
    energy.sort(axis=1)
    rows = np.arange(leads)
    quiet = energy[rows, (n_held * 0.40).astype(int)]
    busy = energy[rows, (n_held * 0.95).astype(int)]
    evenness = 3 * _ratio(second**2, fourth * (n_held * tenths.shape[2]))
    return evenness, _ratio(np.where(np.isfinite(busy), quiet, 0), busy)


def einthoven_residual(window: Window) -> float:
    """rms of what Einthoven and Goldberger say cancels, over rms of the limb leads.

    Only where all six limb leads were recorded; 0 if they never were at once. Each tenth
    of a second is centred, since leads filtered apart may drift apart.
    """
    coarse, held = window.coarse[LIMB], window.held[LIMB].all(axis=0)
    limb = coarse.reshape(6, -1, coarse.shape[3]) if held.all() else coarse[:, held]
    if not limb.size:
        return 0.0
    centred = limb - np.einsum("lsp->ls", limb)[:, :, None] / np.float32(limb.shape[2])
    centred *= window.span[LIMB, None, None]
    residual = (_RELATIONS @ centred.reshape(6, -1)).ravel()
    power = np.vdot(centred, centred) / centred.size
    return float(np.sqrt(np.vdot(residual, residual) / residual.size / max(power, _TINY)))


def copies(window: Window, correlation: float) -> NDArray[np.bool_]:
    """Shape (12,): chest leads that correlate this closely with another chest lead."""
    chest = window.coarse[CHEST].reshape(6, -1)
    chest = chest - chest.mean(axis=1, keepdims=True)
    gram = chest @ chest.T
    power = gram.diagonal()
    bound = correlation * np.sqrt(power[:, None] * power)
    same = (gram >= bound) & (bound > 0) & _OTHERS
    found = np.zeros(len(LEADS), dtype=bool)
    found[CHEST] = same.any(axis=1)
    return found
