"""What goes wrong at one lead or one electrode, as pure functions of a Recording.

For figures and tests of quality.py, reversal.py and calibration_pulse.py; what spoils a whole
recording is in corrupt.py. Each returns a new Recording in the same unit and leaves its input
alone; randomness comes from a seed. Leads are named as in `LEADS`; an unknown name raises
UsageError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ecgedge.errors import UsageError
from ecgedge.recording import CHEST, LIMB, LIMB_FROM_I_II, FloatArray, Recording
from ecgedge.signal.corrupt import row_of

#: Cables in the wrong place -> the potentials that RA, LA and LL then record, as rows over
#: (I, II) with RA at zero. The right leg lies at the left leg's potential: between the legs
#: is no heart. After Krasteva et al., Sensors 2019, 19(13):2920.
RIGHT_LEG = {
    "RA/RL": ((0, 1), (1, 0), (0, 1)),
    "LA/RL": ((0, 0), (0, 1), (0, 1)),
    "LA/LL+RA/RL": ((0, 1), (0, 1), (1, 0)),
}


def only(recording: Recording, worse: Recording, leads: Sequence[str]) -> Recording:
    """The recording with these leads taken from a worse one of the same size."""
    rows = [row_of(lead) for lead in leads]
    signal = recording.signal.copy()
    signal[rows] = worse.signal[rows]
    return replace(recording, signal=signal)


def flatten(recording: Recording, lead: str, share: float = 1.0) -> Recording:
    """The lead stands still for the first `share` of the time."""
    signal, row = recording.signal.copy(), row_of(lead)
    stop = round(share * recording.n_samples)
    signal[row, :stop] = signal[row, min(stop, recording.n_samples - 1)]
    return replace(recording, signal=signal)


def saturate(recording: Recording, lead: str, share: float) -> Recording:
    """The lead cut off at an upper rail that `share` of its samples reach."""
    signal, row = recording.signal.copy(), row_of(lead)
    samples = signal[row]
    held = np.isfinite(samples)
    if held.any():
        rail = np.quantile(samples[held], 1 - share, method="lower")
        signal[row] = np.minimum(samples, rail)  # NaN stays NaN
    return replace(recording, signal=signal)


def gap(recording: Recording, lead: str, share: float, seed: int = 0) -> Recording:
    """`share` of the time, in one piece, was not recorded in this lead."""
    signal = recording.signal.copy()
    length = round(share * recording.n_samples)
    start = int(np.random.default_rng(seed).integers(recording.n_samples - length + 1))
    signal[row_of(lead), start : start + length] = np.nan
    return replace(recording, signal=signal)


def loosen(recording: Recording, lead: str, seed: int = 0) -> Recording:
    """An electrode that hangs in the air: no heart, but hum, noise and drift, each larger than
    the heart was.
    """
    rng = np.random.default_rng(seed)
    signal, row = recording.signal.copy(), row_of(lead)
    n = recording.n_samples
    time = np.arange(n) / recording.rate_hz
    drift = np.sin(2 * np.pi * rng.uniform(0.1, 0.4) * time + rng.uniform(0, 6))
    mains = np.sin(2 * np.pi * 50 * time + rng.uniform(0, 6)) if recording.rate_hz > 110 else 0.0
    held = np.isfinite(signal[row])
    size = float(signal[row][held].std()) if held.any() else 1.0
    loose = 3 * size * (drift + mains + rng.standard_normal(n))
    signal[row] = np.where(held, loose, np.nan)
    return replace(recording, signal=signal)


def scale(recording: Recording, lead: str, factor: float) -> Recording:
    """One lead with a wrong gain, or upside down."""
    signal = recording.signal.copy()
    signal[row_of(lead)] *= np.float32(factor)
    return replace(recording, signal=signal)


def copy(recording: Recording, lead: str, of: str) -> Recording:
    """One lead recorded twice, under two names."""
    signal = recording.signal.copy()
    signal[row_of(lead)] = signal[row_of(of)]
    return replace(recording, signal=signal)


def swap_right_leg(recording: Recording, electrodes: str) -> Recording:
    """An arm cable on the right leg, by `RIGHT_LEG`.

    Wilson's terminal moves with the limb cables, and with it the chest leads; in NU each of
    those has its own unknown gain, so there they stay as they are. Raises UsageError for
    another exchange.
    """
    if electrodes not in RIGHT_LEG:
        raise UsageError(f"electrodes {electrodes!r} are none of {', '.join(RIGHT_LEG)}")
    right, left, foot = np.array(RIGHT_LEG[electrodes], dtype=np.float64)
    signal = recording.signal.copy()
    independent = recording.signal[:2].astype(np.float64)
    signal[LIMB] = LIMB_FROM_I_II @ (np.stack([left - right, foot - right]) @ independent)
    if recording.unit == "mV":
        usual = np.array([1 / 3, 1 / 3])  # the terminal over RA: (0 + I + II) / 3
        moved = (right + left + foot) / 3
        signal[CHEST] -= ((moved - usual) @ independent).astype(np.float32)
    return replace(recording, signal=signal)


def calibrate(
    recording: Recording, start_s: float, length_s: float = 0.2, *, dead_s: float | None = 0.1
) -> Recording:
    """A pulse of 1 mV in every lead, in place of the heart or on top of it.

    dead_s: in place of the heart, with so many seconds of dead line before and after, as carts
    that switch their inputs write it; None: on top.
    """
    signal: FloatArray = recording.signal.copy()
    held = np.isfinite(signal)
    start, stop = (round(at * recording.rate_hz) for at in (start_s, start_s + length_s))
    if dead_s is None:
        signal[:, start:stop] += 1
    else:
        dead = round(dead_s * recording.rate_hz)
        signal[:, max(start - dead, 0) : stop + dead] = 0
        signal[:, start:stop] = 1
    signal[~held] = np.nan
    return replace(recording, signal=signal)
