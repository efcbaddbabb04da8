"""Twelve leads from what a device measured: linear algebra over electrodes.

A channel is the difference of two electrodes; so is a lead (Einthoven 1912), or of an electrode
and a mean of others (Wilson 1934: V1..V6 against the mean of RA, LA and LL; Goldberger 1942: aVR,
aVL, aVF against the mean of the other two). A lead can be had exactly when it is a linear
combination of channels, whatever the device's wiring. Where several combinations give it, the one
of fewest channels is taken, so that a lead that was measured is that channel and an electrode that
falls off takes as few leads with it as it can; then the least amplified noise; then the device's
channel order.

A common reference (REF) is an electrode like any other, at a place nobody knows: a combination in
which it does not cancel is no lead.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ecgedge.recording import LEADS, complete_limb_leads
from firmware_bridge.events import ELECTRODES, Channel, Configuration, Electrode

#: What the chip or Wilson's definition makes WCT of.
LIMB_ELECTRODES: tuple[Electrode, ...] = ("RA", "LA", "LL")
#: Electrodes whose potentials are independent of each other.
_BASIS: tuple[Electrode, ...] = ("RA", "LA", "LL", "C1", "C2", "C3", "C4", "C5", "C6", "REF")
_NEGATIVE_BIT = 8  # lead-off bits of negative inputs begin here
_RESIDUAL = 1e-9


def _potential(electrode: Electrode) -> NDArray[np.float64]:
    """One electrode over the basis: shape (10,)."""
    parts = LIMB_ELECTRODES if electrode == "WCT" else (electrode,)
    return np.array([(one in parts) / len(parts) for one in _BASIS])


def _definitions() -> NDArray[np.float64]:
    """The twelve leads over the basis: shape (12, 10)."""
    ra, la, ll = (_potential(one) for one in LIMB_ELECTRODES)
    limb = [la - ra, ll - ra, ll - la]
    augmented = [ra - (la + ll) / 2, la - (ra + ll) / 2, ll - (ra + la) / 2]
    chest = [_potential(ELECTRODES[4 + i]) - _potential("WCT") for i in range(6)]
    return np.array(limb + augmented + chest)


_LEADS_OVER_BASIS = _definitions()


def _usable(channel: Channel) -> bool:
    return "NC" not in (channel.positive, channel.negative) and channel.gain > 0


def _touched(channel: Channel) -> frozenset[Electrode]:
    """Electrodes whose loss spoils the channel: with WCT, those that it is the mean of too."""
    inputs = {channel.positive, channel.negative}
    return frozenset(inputs | set(LIMB_ELECTRODES) if "WCT" in inputs else inputs)


def _weights(channels: tuple[Channel, ...]) -> NDArray[np.float64]:
    """The twelve leads over the channels: shape (12, channels); NaN rows where there is none."""
    over_basis = np.array([_potential(c.positive) - _potential(c.negative) for c in channels])
    candidates = [number for number, channel in enumerate(channels) if _usable(channel)]
    weights = np.full((len(LEADS), len(channels)), np.nan)
    noise = np.full(len(LEADS), np.inf)
    for size in range(1, len(candidates) + 1):
        open_leads = np.isnan(weights[:, 0])
        for chosen in combinations(candidates, size):
            parts = over_basis[list(chosen)].T
            if np.linalg.matrix_rank(parts) < size:
                continue
            solved, *_ = np.linalg.lstsq(parts, _LEADS_OVER_BASIS.T, rcond=None)
            misfit = np.abs(parts @ solved - _LEADS_OVER_BASIS.T).max(axis=0)
            amplified = (solved**2).sum(axis=0)
            better = open_leads & (misfit < _RESIDUAL) & (amplified < noise - _RESIDUAL)
            weights[better] = 0
            weights[np.ix_(better, list(chosen))] = np.round(solved.T[better], 12)
            noise[better] = amplified[better]
    return weights


@dataclass(frozen=True)
class LeadMap:
    """How one configuration's counts become twelve leads.

    weights: (12, channels), leads over channels in mV, zero rows for leads in `missing`.
    missing: leads no frame of this configuration can give, in `LEADS` order.
    """

    configuration: Configuration
    weights: NDArray[np.float64]
    missing: tuple[str, ...]

    def derive(self, counts: NDArray[np.int32]) -> NDArray[np.float32]:
        """Counts (n, channels) as leads: float32, (12, n), mV; NaN rows for `missing`.

        In NU where the configuration's amplitude is not known. Lead-off is not looked at: a lead
        that `off` calls lost is the caller's to blank.
        """
        zero, mv_per_count = _scale(self.configuration)
        leads = (self.weights * mv_per_count) @ (counts - zero).T
        for lead in self.missing:
            leads[LEADS.index(lead)] = np.nan
        return leads.astype(np.float32)

    def off(self, off: int, off_valid: int) -> tuple[frozenset[str], NDArray[np.bool_]]:
        """Electrodes that lead-off bits name, and which leads are lost by it: shape (12,).

        A lead is lost when any channel it is made of touches such an electrode, through WCT
        too: RA off takes every chest lead that is measured against Wilson's terminal. Bits
        outside `off_valid`, of unused channels and of channels that do not exist mean nothing.
        """
        channels = self.configuration.channels
        told = off & off_valid
        electrodes = set[Electrode]()
        for number, channel in enumerate(channels):
            if told >> number & 1:
                electrodes.add(channel.positive)
            if told >> (_NEGATIVE_BIT + number) & 1:
                electrodes.add(channel.negative)
        electrodes.discard("NC")
        spoiled = [not electrodes.isdisjoint(_touched(channel)) for channel in channels]
        lost = (self.weights[:, np.array(spoiled, dtype=bool)] != 0).any(axis=1)
        return frozenset(electrodes), lost


@lru_cache(maxsize=16)
def lead_map(configuration: Configuration) -> LeadMap:
    """The way from this configuration's counts to leads; computed once for each."""
    weights = _weights(configuration.channels)
    if configuration.full_scale <= 0 or not configuration.reference_mv > 0:
        weights[:] = np.nan  # counts that are worth nothing give no lead
    missing = tuple(
        lead for lead, row in zip(LEADS, weights, strict=True) if not row.size or np.isnan(row[0])
    )
    weights[np.isnan(weights)] = 0
    weights.setflags(write=False)
    return LeadMap(configuration, weights, missing)


def _scale(configuration: Configuration) -> tuple[float, NDArray[np.float64]]:
    """The count of 0 V, and mV a count for each channel (0 for one that is not used).

    TI SBAS459 (ADS129x): V = count * VREF / (gain * (2^23 - 1)). TI SNAS602 (ADS1293):
    V = (count / ADCMAX - 1/2) * 2 * VREF / gain.
    """
    full = configuration.full_scale
    zero, half = (full / 2, full / 2) if configuration.encoding == "offset" else (0.0, float(full))
    gains = np.array([channel.gain for channel in configuration.channels], dtype=np.float64)
    worth = np.zeros(len(gains))
    if half > 0:
        np.divide(configuration.reference_mv / half, gains, out=worth, where=gains > 0)
    return zero, worth


def electrode_potentials(leads: NDArray[np.floating]) -> NDArray[np.float64]:
    """Potentials in mV that give these leads: (12, n) to (12, n), rows in `ELECTRODES` order.

    Only differences are known, so Wilson's terminal and the reference are put at 0; the row of
    NC is 0. Limb leads that are missing are completed from any two there are.
    """
    whole = complete_limb_leads(np.asarray(leads, dtype=np.float32)).astype(np.float64)
    one, two = whole[0], whole[1]
    potentials = np.zeros((len(ELECTRODES), leads.shape[1]))
    potentials[1:4] = -(one + two) / 3, (2 * one - two) / 3, (2 * two - one) / 3
    potentials[4:10] = whole[6:12]
    potentials[10] = potentials[1:4].mean(axis=0)
    return potentials


def counts_of(configuration: Configuration, leads: NDArray[np.floating]) -> NDArray[np.int32]:
    """What the device would have sent for these leads: (12, n) in mV to int32 (n, channels).

    Clips as the converter does; a channel without a value (NaN) sits at its positive rail, as
    an open input does. A channel that is not used, or has no gain, is at 0 V. The inverse of
    `LeadMap.derive` to half a count, for every lead the wiring gives.
    """
    return counts_at(configuration, electrode_potentials(leads))


def counts_at(configuration: Configuration, potentials: NDArray[np.float64]) -> NDArray[np.int32]:
    """The same for potentials in mV: (12, n), rows in `ELECTRODES` order."""
    zero, worth = _scale(configuration)
    full = configuration.full_scale
    lowest = 0 if configuration.encoding == "offset" else -full - 1
    counts = np.empty((potentials.shape[1], len(configuration.channels)), dtype=np.int32)
    for number, channel in enumerate(configuration.channels):
        if not _usable(channel) or worth[number] == 0:
            counts[:, number] = round(zero)
            continue
        positive, negative = (ELECTRODES.index(e) for e in (channel.positive, channel.negative))
        mv = potentials[positive] - potentials[negative]
        railed = np.where(np.isfinite(mv), np.rint(mv / worth[number] + zero), full)
        counts[:, number] = np.clip(railed, lowest, full)
    return counts
