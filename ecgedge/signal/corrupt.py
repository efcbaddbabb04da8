"""What goes wrong between a heart and a file, as pure functions of a Recording.

For robustness figures, for what novelty must notice, and for tests. Each returns a new
Recording in the same unit and leaves its input alone; randomness comes from a seed, so that
the same call gives the same samples. Gaps (NaN) stay gaps.

A signal-to-noise ratio is 10 log10 of the variance of the clean signal over that of what is
added: over all limb leads together (they share their electrodes), and lead by lead on the
chest. Noise enters at the electrodes, so limb leads keep to Einthoven's law.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgedge.errors import UsageError
from ecgedge.recording import CHEST, LEADS, LIMB, LIMB_FROM_I_II, Recording, check_rate
from ecgedge.signal.arrays import bridged
from ecgedge.signal.swaps import LIMB_SWAPS

Floats = NDArray[np.float64]

#: Muscle noise is flat over this band. What it has above is taken out by every ECG filter and
#: by low sampling rates: without it one SNR means the same at every rate.
EMG_BAND_HZ = (5.0, 45.0)
#: A usual 3x4 print: columns of three leads, a quarter of the time each.
PRINT_COLUMNS = (
    ("I", "II", "III"),
    ("aVR", "aVL", "aVF"),
    ("V1", "V2", "V3"),
    ("V4", "V5", "V6"),
)
_PAD_S = 1.0


# --- electrodes ----------------------------------------------------------------------


def swap_limb(recording: Recording, electrodes: str) -> Recording:
    """Two limb electrodes exchanged: "LA/RA", "RA/LL" or "LA/LL".

    Chest leads stay as they are: Wilson's terminal is the mean of all three. Raises
    UsageError for another pair.
    """
    if electrodes not in LIMB_SWAPS:
        raise UsageError(f"limb electrodes {electrodes!r} are none of {', '.join(LIMB_SWAPS)}")
    signal = recording.signal.copy()
    for row, (lead, sign) in enumerate(LIMB_SWAPS[electrodes]):
        signal[row] = sign * recording.signal[LEADS.index(lead)]
    return replace(recording, signal=signal)


def swap_chest(recording: Recording, first: str, second: str) -> Recording:
    """Two chest electrodes exchanged, for example V1 and V2. Raises UsageError."""
    rows = [row_of(first), row_of(second)]
    if min(rows) < CHEST.start:
        raise UsageError(f"{first} and {second} are not both chest leads")
    signal = recording.signal.copy()
    signal[rows] = recording.signal[rows[::-1]]
    return replace(recording, signal=signal)


def reverse_chest(recording: Recording) -> Recording:
    """V1 to V6 attached in the opposite order."""
    signal = recording.signal.copy()
    signal[CHEST] = recording.signal[CHEST][::-1]
    return replace(recording, signal=signal)


def drop_leads(recording: Recording, leads: Sequence[str]) -> Recording:
    """These leads were not recorded. Raises UsageError for an unknown name."""
    signal = recording.signal.copy()
    signal[[row_of(lead) for lead in leads]] = np.nan
    return replace(recording, signal=signal)


def keep_leads(recording: Recording, leads: Sequence[str]) -> Recording:
    """Only these leads were recorded. Raises UsageError for an unknown name."""
    kept = {row_of(lead) for lead in leads}
    return drop_leads(recording, [lead for row, lead in enumerate(LEADS) if row not in kept])


def row_of(lead: str) -> int:
    """The lead's row of a recording. Raises UsageError for an unknown name."""
    if lead not in LEADS:
        raise UsageError(f"{lead!r} is none of the leads {', '.join(LEADS)}")
    return LEADS.index(lead)


# --- what is added --------------------------------------------------------------------


def hum(recording: Recording, hz: float, snr_db: float, seed: int = 0) -> Recording:
    """Mains hum of one frequency, its phase differing between electrodes.

    Raises UsageError at or above half the sampling rate, where it would turn into
    another frequency: `resample` first.
    """
    if not 0 < hz < recording.rate_hz / 2:
        raise UsageError(
            f"hum of {hz:g} Hz cannot be held at {recording.rate_hz:g} samples a second"
        )
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, (8, 1))
    return _add(recording, np.sin(2 * np.pi * hz * _time_s(recording) + phase), snr_db)


def wander(recording: Recording, snr_db: float, seed: int = 0, hz: float = 0.25) -> Recording:
    """Base line wander as breathing makes it: a sine and half as much of half its frequency."""
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, (2, 8, 1))
    angle = 2 * np.pi * hz * _time_s(recording)
    return _add(recording, np.sin(angle + phase[0]) + 0.5 * np.sin(angle / 2 + phase[1]), snr_db)


def emg_noise(recording: Recording, snr_db: float, seed: int = 0) -> Recording:
    """Muscle noise: Gaussian, flat over `EMG_BAND_HZ`, one source an electrode."""
    n = recording.n_samples
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal((8, n)), axis=1)
    frequency = np.fft.rfftfreq(n, 1 / recording.rate_hz)
    low, high = EMG_BAND_HZ
    spectrum[:, (frequency < low) | (frequency > high)] = 0
    return _add(recording, np.fft.irfft(spectrum, n=n, axis=1), snr_db)


def _add(recording: Recording, sources: Floats, snr_db: float) -> Recording:
    """sources: (8, n) for I, II and V1 to V6, of any size; each group is scaled to the SNR."""
    noise = np.vstack([LIMB_FROM_I_II @ sources[:2], sources[2:]])
    power, unscaled = _variance(recording.signal), _variance(noise)
    for rows in (LIMB, *(slice(row, row + 1) for row in range(CHEST.start, CHEST.stop))):
        # Leads never recorded have no variance and take no part in the mean.
        held = recording.present[rows]
        wanted = power[rows][held].mean() / 10 ** (snr_db / 10) if held.any() else 0.0
        there = unscaled[rows].mean()
        noise[rows] *= np.sqrt(wanted / there) if there > 0 else 0.0
    return replace(recording, signal=(recording.signal + noise).astype(np.float32))


def _variance(signal: NDArray[Any]) -> Floats:
    """(12,) variance of the samples there are; 0 where there is none."""
    held = np.isfinite(signal)
    count = np.maximum(held.sum(axis=1), 1)
    filled = np.where(held, signal, 0.0).astype(np.float64)
    centred = np.where(held, filled - (filled.sum(axis=1) / count)[:, None], 0.0)
    return np.asarray((centred**2).sum(axis=1) / count)


def _time_s(recording: Recording) -> Floats:
    return np.arange(recording.n_samples) / recording.rate_hz


# --- time -----------------------------------------------------------------------------


def crop(recording: Recording, seconds: float) -> Recording:
    """The first seconds only; a shorter recording comes back whole. Raises UsageError."""
    kept = round(seconds * recording.rate_hz)
    if kept < 1:
        raise UsageError(f"{seconds:g} s hold no sample")
    return replace(recording, signal=recording.signal[:, :kept].copy())


def print_3x4(recording: Recording, *, rhythm: str | None = "II") -> Recording:
    """What a 3x4 print shows: each lead for a quarter of the time, `rhythm` for all of it.

    rhythm: the lead of the strip at the bottom, or None. Raises UsageError.
    """
    signal = np.full_like(recording.signal, np.nan)
    edges = np.linspace(0, recording.n_samples, len(PRINT_COLUMNS) + 1).round().astype(int)
    for leads, first, last in zip(PRINT_COLUMNS, edges, edges[1:], strict=False):
        for row in map(row_of, leads):
            signal[row, first:last] = recording.signal[row, first:last]
    if rhythm is not None:
        signal[row_of(rhythm)] = recording.signal[row_of(rhythm)]
    return replace(recording, signal=signal)


def reverse_time(recording: Recording) -> Recording:
    """Played backwards: every amplitude and spectrum as before, no heart does it."""
    return replace(recording, signal=recording.signal[:, ::-1].copy())


def resample(recording: Recording, rate_hz: float) -> Recording:
    """The same signal at another rate, band-limited (by Fourier), gaps kept.

    Ends are mirrored first so that they do not meet. Raises InputError for a rate outside
    those a Recording may have.
    """
    check_rate(rate_hz)
    ratio = rate_hz / recording.rate_hz
    n_in = recording.n_samples
    if n_in == 0 or ratio == 1:
        return replace(recording, rate_hz=float(rate_hz))
    n_out = max(1, round(n_in * ratio))
    held = np.isfinite(recording.signal)
    left, right = _padding(n_in, recording.rate_hz, ratio)
    whole = bridged(recording.signal.astype(np.float64), held)
    padded = np.pad(whole, ((0, 0), (left, right)), mode="symmetric")
    total = round(padded.shape[1] * ratio)
    spectrum = np.fft.rfft(padded, axis=1)[:, : total // 2 + 1]
    signal = np.fft.irfft(spectrum, n=total, axis=1) * (total / padded.shape[1])
    start = round(left * ratio)
    signal = signal[:, start : start + n_out]
    nearest = np.minimum(np.round(np.arange(n_out) / ratio).astype(int), n_in - 1)
    signal[~held[:, nearest]] = np.nan
    return replace(recording, signal=signal.astype(np.float32), rate_hz=float(rate_hz))


def _padding(n_in: int, rate_hz: float, ratio: float) -> tuple[int, int]:
    """Samples to mirror before and after: at least a second, whole numbers at both rates."""
    counts = np.arange(round(_PAD_S * rate_hz), round(2 * _PAD_S * rate_hz))

    def most_whole(lengths: NDArray[Any]) -> int:
        exact = lengths * ratio
        return int(np.argmin(np.round(np.abs(exact - np.round(exact)), 9)))

    left = int(counts[most_whole(counts)])
    return left, int(counts[most_whole(counts + left + n_in)])
