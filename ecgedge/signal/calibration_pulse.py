"""The 1 mV pulse that carts draw into every lead at once: found, to be cut as if not recorded.

No heart lifts all leads by the same millivolt within milliseconds and lets them down together:
I - II + III would be 1 mV, against Einthoven's law. Carts put it at the start or the end of a
recording (Philips Sierra files hold one in their last second), or where an operator pressed a
key. The line about it is often dead, and is no ECG either: it is cut with the pulse.

A pulse that a window cuts in two is known by the edge that it shows within a second of that
end. Found by its edges, lead by lead, so also where III and the augmented leads were derived and
Einthoven's law says nothing. A pulse in a recording whose amplitude is unknown (NU), one of
another height and one in single leads are not looked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecgedge.recording import FloatArray, Recording

#: Height in mV that an edge must have in every lead, and how far it may be off: filters take
#: some of an edge away.
PULSE_MV, TOLERANCE_MV = 1.0, 0.2
#: How far the leads may differ at an edge, mV: what the heart adds between its QRS complexes. At
#: 0.4 mV three of 1,624 PTB-XL recordings, scaled to mV, had such a QRS by chance; at 0.1 none.
ALIKE_MV = 0.1
#: An edge is over within this time, ms: a low pass at 40 Hz needs 10 ms. A QRS takes longer
#: for a millivolt or is not alike in all leads.
EDGE_MS = 10.0
#: Length of a pulse, s. Carts draw 200 ms; 100 and 500 are seen.
SHORTEST_S, LONGEST_S = 0.05, 1.0
#: Cut besides on either side, s: what a filter makes of an edge.
MARGIN_S = 0.02
#: Fewest leads, of the independent ones, that must show it: two could share a steep QRS.
FEWEST_LEADS = 4

_INDEPENDENT = (0, 1, 6, 7, 8, 9, 10, 11)


@dataclass(frozen=True)
class Pulse:
    """Samples `start` to before `stop` hold no ECG."""

    start: int
    stop: int


def find_pulses(signal: FloatArray, rate_hz: float) -> tuple[Pulse, ...]:
    """Calibration pulses in (12, n) samples in mV, in the order of time; pure, raises nothing."""
    lag = max(1, round(EDGE_MS * rate_hz / 1e3))
    if signal.shape[1] <= 2 * lag:
        return ()
    rows = _recorded(signal)
    if len(rows) < FEWEST_LEADS:
        return ()
    with np.errstate(over="ignore", invalid="ignore"):
        # Most recordings end here: nothing in one lead moves so by a millivolt.
        step = np.abs(signal[rows[0], lag:] - signal[rows[0], :-lag])
        near = np.flatnonzero(np.abs(step - PULSE_MV) <= TOLERANCE_MV)
        if not near.size:
            return ()
        leads = signal[rows]
        steps = leads[:, near + lag] - leads[:, near]
        alike = np.ptp(steps, axis=0) <= ALIKE_MV
        hold = round(SHORTEST_S / 2 * rate_hz)
        rises = _edges(near[alike & (steps[0] > 0)], lag)
        rises = [one for one in rises if _stays(leads, one[0], one[1] + hold)]
        falls = _edges(near[alike & (steps[0] < 0)], lag)
        falls = [one for one in falls if _stays(leads, one[1], one[0] - hold)]
    return tuple(_paired(signal, rises, falls, rate_hz))


def without_pulses(recording: Recording, cut_s: tuple[tuple[float, float], ...]) -> FloatArray:
    """The signal with NaN for these seconds; the very same array where there are none."""
    if not cut_s:
        return recording.signal
    signal = recording.signal.copy()
    for start_s, stop_s in cut_s:
        signal[:, round(start_s * recording.rate_hz) : round(stop_s * recording.rate_hz)] = np.nan
    return signal


def _recorded(signal: FloatArray) -> list[int]:
    """The independent leads that hold a sample."""
    begun = np.isfinite(signal[:, 0]).tolist()
    return [row for row in _INDEPENDENT if begun[row] or np.isfinite(signal[row]).any()]


def _edges(places: NDArray[np.intp], lag: int) -> list[tuple[int, int]]:
    """(first, last sample) of each run of places from which all leads step alike."""
    if not places.size:
        return []
    runs = np.split(places, np.flatnonzero(np.diff(places) > lag) + 1)
    return [(int(run[0]), int(run[-1]) + lag) for run in runs]


def _stays(leads: FloatArray, low: int, high: int) -> bool:
    """Whether most leads are a millivolt higher at sample `high`, inside of the pulse, than at
    `low`: a pacemaker's spike is not.
    """
    last = leads.shape[1] - 1
    rise = np.median(leads[:, min(max(high, 0), last)] - leads[:, min(low, last)])
    return bool(abs(rise - PULSE_MV) <= 2 * TOLERANCE_MV)


def _paired(
    signal: FloatArray, rises: list[tuple[int, int]], falls: list[tuple[int, int]], rate_hz: float
) -> list[Pulse]:
    """Each rise with the fall that follows; where one edge lies outside, up to the end."""
    n, margin = signal.shape[1], round(MARGIN_S * rate_hz)
    shortest, longest = SHORTEST_S * rate_hz, LONGEST_S * rate_hz
    spans = []
    for rise, _ in rises:
        fall, last = next((edge for edge in falls if edge[0] >= rise), (n, n))
        if (fall == n or fall - rise > shortest) and fall - rise <= longest:
            spans.append((rise - margin, last + margin))
    if falls and falls[0][1] <= longest and not any(rise < falls[0][0] for rise, _ in rises):
        spans.insert(0, (0, falls[0][1] + margin))
    pulses: list[Pulse] = []
    for span in spans:
        start, stop = _dead_about(signal, max(span[0], 0), min(span[1], n))
        if pulses and start <= pulses[-1].stop:
            start = pulses.pop().start
        pulses.append(Pulse(start, stop))
    return pulses


def _dead_about(signal: FloatArray, start: int, stop: int) -> tuple[int, int]:
    """Grown over the samples on either side at which no lead moves at all."""
    still = (signal[:, 1:] == signal[:, :-1]) | ~np.isfinite(signal[:, 1:])
    moving = np.flatnonzero(~still.all(axis=0)) + 1  # samples that differ from the one before
    before, after = moving[moving <= start], moving[moving >= stop]
    alive_until = int(before[-1]) if before.size else 0
    alive_from = int(after[0]) if after.size else signal.shape[1]
    return alive_until, alive_from
