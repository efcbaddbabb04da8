"""What befalls electrodes: they hang loose, have potentials of their own, pick up the mains."""

from __future__ import annotations

import random
from collections.abc import Set

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.events import ELECTRODES, Configuration, Electrode
from firmware_bridge.leads import counts_at, electrode_potentials

#: Electrodes on the body; the common reference is one more that does not move here.
BODY: tuple[Electrode, ...] = ELECTRODES[1:10]
MAINS_HZ = 50.0
#: What a loose electrode picks up: mV of mains beside the rail it is pulled to.
_LOOSE_HUM_MV = 20.0
_NEGATIVE_BIT = 8


class Skin:
    """Twelve leads -> counts and lead-off bits, with what electrodes add.

    offset_mv: each electrode has a constant potential of up to that, drawn by seed.
    common_mode_mv: amplitude of the mains on the whole body; a lead does not see it, a channel
    against the common reference does.
    """

    def __init__(self, offset_mv: float, common_mode_mv: float, seed: int) -> None:
        draw = random.Random(f"electrodes {seed}")
        self._constant = {one: draw.uniform(-offset_mv, offset_mv) for one in BODY}
        self._common_mode_mv = common_mode_mv
        self._rows = np.array([ELECTRODES.index(one) for one in BODY])

    def counts(
        self,
        configuration: Configuration,
        leads: NDArray[np.float32],
        t_s: NDArray[np.float64],
        loose: Set[Electrode],
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Counts (n, channels) and, for each sample, its lead-off bits, shape (n,).

        A loose electrode is pulled to the converter's rail, as lead-off detection does, and
        hums. What the recording does not hold (NaN) is sent as an electrode that is off: at
        the rail, its bit set.
        """
        potentials = electrode_potentials(leads)
        mains = np.sin(2 * np.pi * MAINS_HZ * t_s)
        potentials[self._rows] += np.array([[self._constant[one]] for one in BODY])
        if self._common_mode_mv:
            potentials[self._rows] += self._common_mode_mv * mains
        for one in loose:
            rail = configuration.reference_mv / min(c.gain for c in configuration.channels)
            potentials[ELECTRODES.index(one)] = rail + _LOOSE_HUM_MV * mains
        limb = [ELECTRODES.index(one) for one in ("RA", "LA", "LL")]
        potentials[ELECTRODES.index("WCT")] = potentials[limb].mean(axis=0)
        return counts_at(configuration, potentials), self._off(configuration, potentials, loose)

    def _off(
        self,
        configuration: Configuration,
        potentials: NDArray[np.float64],
        loose: Set[Electrode],
    ) -> NDArray[np.int64]:
        bits = np.zeros(potentials.shape[1], dtype=np.int64)
        for bit, electrode in _inputs(configuration):
            bits |= np.isnan(potentials[ELECTRODES.index(electrode)]).astype(np.int64) << bit
            if electrode in loose:
                bits |= 1 << bit
        return bits


def off_valid(configuration: Configuration) -> int:
    """Which lead-off bits the device senses: inputs that one electrode of the body is tied to."""
    return sum(1 << bit for bit, _ in _inputs(configuration))


def _inputs(configuration: Configuration) -> list[tuple[int, Electrode]]:
    """Lead-off bit and electrode of every sensed input."""
    found = []
    for number, channel in enumerate(configuration.channels):
        if "NC" in (channel.positive, channel.negative):
            continue
        if channel.positive in BODY:
            found.append((number, channel.positive))
        if channel.negative in BODY:
            found.append((_NEGATIVE_BIT + number, channel.negative))
    return found
