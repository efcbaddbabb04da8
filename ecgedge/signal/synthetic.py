"""A synthetic 12-lead ECG, for probes and tests: exact, seedless, owned by nobody.

Each wave is a Gaussian bump in time on a heart vector of three components
(after McSharry et al. 2003); the eight independent leads are projections of it.
It is not meant to fool anyone: it only has to be the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgedge.recording import LEADS, LIMB_FROM_I_II, Recording

# (delay after R in s, width in s, amplitude in mV along x left, y foot, z back)
_WAVES = {
    "P": (-0.16, 0.025, (0.08, 0.12, -0.02)),
    "Q": (-0.028, 0.010, (-0.10, -0.08, -0.15)),
    "R": (0.0, 0.012, (0.90, 0.95, 0.30)),
    "S": (0.028, 0.012, (-0.15, -0.20, 0.55)),
    "T": (0.28, 0.050, (0.28, 0.25, -0.12)),
}
# Directions the leads I, II and V1..V6 look from, in the same axes.
_VIEWS = np.array(
    [
        [1.0, 0.0, 0.0],
        [0.5, 0.87, 0.0],
        [0.0, 0.1, -1.2],
        [0.3, 0.2, -1.4],
        [0.7, 0.3, -1.0],
        [1.1, 0.4, -0.5],
        [1.1, 0.4, 0.0],
        [0.9, 0.4, 0.2],
    ]
)


@dataclass(frozen=True)
class Heart:
    """Parameters of a synthetic ECG; the defaults are an unremarkable sinus rhythm.

    rate_bpm: beats a minute. jitter: 0 to 1, how irregular the intervals are.
    p_wave: 1 present, 0 absent. qrs_width: factor on the QRS durations.
    st_mv: level added between QRS and T along the direction of T.
    """

    rate_bpm: float = 66.0
    jitter: float = 0.0
    p_wave: float = 1.0
    qrs_width: float = 1.0
    t_wave: float = 1.0
    st_mv: float = 0.0


def synthesize(
    heart: Heart | None = None, *, rate_hz: float = 500.0, duration_s: float = 10.0
) -> Recording:
    """A noise-free Recording in mV; the same parameters give the same samples."""
    heart = heart or Heart()
    time = np.arange(round(rate_hz * duration_s)) / rate_hz
    vector = np.zeros((3, time.size))
    for beat_s in _beat_times(heart, duration_s):
        for name, (delay, width, amplitude) in _WAVES.items():
            gain = {"P": heart.p_wave, "T": heart.t_wave}.get(name, 1.0)
            stretch = heart.qrs_width if name in "QRS" else 1.0
            bump = np.exp(-0.5 * ((time - beat_s - delay * stretch) / (width * stretch)) ** 2)
            vector += gain * np.outer(amplitude, bump)
        st = np.exp(-0.5 * ((time - beat_s - 0.12) / 0.04) ** 2)
        vector += heart.st_mv * np.outer([0.6, 0.6, -0.5], st)
    independent = _VIEWS @ vector
    limb = LIMB_FROM_I_II @ independent[:2]
    signal = np.vstack([limb, independent[2:]]).astype(np.float32)
    assert signal.shape[0] == len(LEADS)
    return Recording(signal, rate_hz, "mV", "synthetic")


def _beat_times(heart: Heart, duration_s: float) -> list[float]:
    """R-peak times in seconds; irregularity from the golden ratio, not from a seed."""
    mean_rr = 60.0 / heart.rate_bpm
    times, now, step = [], 0.4 * mean_rr, 0
    while now < duration_s + 1:
        times.append(now)
        wobble = (step * 0.6180339887498949) % 1.0 - 0.5
        now += mean_rr * (1 + heart.jitter * wobble)
        step += 1
    return times
