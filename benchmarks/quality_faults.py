"""The faults that benchmarks/quality.py injects, at stated strengths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ecgedge.recording import CHEST, LEADS, LIMB, Recording
from ecgedge.signal import corrupt, faults

Inject = Callable[[Recording, str, int], Recording]


@dataclass(frozen=True)
class Fault:
    """One fault in one lead.

    reason: the word that should be said of the lead. strength: in words. caught: whether the
    limits mean to catch it at this strength. inject: (recording, lead, seed) -> recording.
    leads: those it may strike; one is drawn for each recording. mv_only: needs an amplitude.
    """

    reason: str
    strength: str
    inject: Inject
    caught: bool = True
    leads: tuple[str, ...] = LEADS
    mv_only: bool = False


def _one_lead(noise: Callable[[Recording, int], Recording]) -> Inject:
    """Noise of a whole recording, kept in one lead."""
    return lambda it, lead, seed: faults.only(it, noise(it, seed), [lead])


def _hum(hz: float, snr_db: float) -> Inject:
    return _one_lead(lambda it, seed: corrupt.hum(it, hz, snr_db, seed))


def _wander(snr_db: float) -> Inject:
    return _one_lead(lambda it, seed: corrupt.wander(it, snr_db, seed))


def _muscle(snr_db: float) -> Inject:
    return _one_lead(lambda it, seed: corrupt.emg_noise(it, snr_db, seed))


def _share(change: Callable[[Recording, str, float], Recording], share: float) -> Inject:
    return lambda it, lead, _: change(it, lead, share)


def _no_heart(shape: str) -> Inject:
    """A lead that holds test waves or white noise as large as the heart was."""

    def inject(recording: Recording, lead: str, seed: int) -> Recording:
        rng = np.random.default_rng(seed)
        signal, row = recording.signal.copy(), LEADS.index(lead)
        time = np.arange(recording.n_samples) / recording.rate_hz
        wave = {
            "noise": lambda: rng.standard_normal(time.size),
            "sine": lambda: 1.4 * np.sin(2 * np.pi * rng.uniform(1, 10) * time),
        }[shape]()
        signal[row] = np.nanstd(signal[row]) * wave
        return Recording(signal, recording.rate_hz, recording.unit)

    return inject


_CHEST = LEADS[CHEST]
FAULTS = (
    Fault("off", "no sample", lambda it, lead, _: corrupt.drop_leads(it, [lead])),
    Fault("flat", "all of the time", _share(faults.flatten, 1.0)),
    Fault("flat", "half of the time", _share(faults.flatten, 0.5)),
    Fault("saturated", "30 % of samples at a rail", _share(faults.saturate, 0.3)),
    Fault("saturated", "10 %", _share(faults.saturate, 0.1)),
    Fault("saturated", "2 %", _share(faults.saturate, 0.02), caught=False),
    Fault("noise", "white noise, no heart", _no_heart("noise")),
    Fault("noise", "a sine of 1-10 Hz, no heart", _no_heart("sine")),
    Fault("noise", "electrode in the air: noise, hum and drift", faults.loosen),
    *(
        Fault("hum", f"{hz} Hz, SNR {snr} dB", _hum(hz, snr), snr <= 5, _CHEST)
        for hz in (50, 60)
        for snr in (-10, 0, 5, 10)
    ),
    Fault("hum", "50.4 Hz, SNR 0 dB", _hum(50.4, 0), leads=_CHEST),
    *(
        Fault("wander", f"SNR {snr} dB", _wander(snr), snr <= -15, _CHEST)
        for snr in (-20, -15, -10, 0)
    ),
    *(
        Fault("muscle noise", f"SNR {snr} dB", _muscle(snr), snr <= 10, _CHEST)
        for snr in (0, 5, 10, 15, 20)
    ),
    *(
        Fault("gap", f"{share:.0%} of the time", _gap, share > 0.05)
        for share in (0.95, 0.5, 0.1, 0.03)
        for _gap in [lambda it, lead, seed, share=share: faults.gap(it, lead, share, seed)]
    ),
    Fault("amplitude", "gain 50 times too high", _share(faults.scale, 50.0), mv_only=True),
    Fault(
        "copy", "V4 recorded as V5", lambda it, _, __: faults.copy(it, "V5", "V4"), leads=("V5",)
    ),
)

#: Contradictions of Einthoven's law, told of the whole recording: (strength, factor).
EINTHOVEN = (("one limb lead upside down", -1.0), ("one twice too large", 2.0),
             ("one 20 % too large", 1.2), ("one 5 % too large", 1.05))  # fmt: skip
LIMB_LEADS = LEADS[LIMB]

#: Exchanges: name as the warning has it -> how a recording gets it.
EXCHANGES: dict[str, Callable[[Recording], Recording]] = {
    "LA/RA": partial(corrupt.swap_limb, electrodes="LA/RA"),
    "RA/LL": partial(corrupt.swap_limb, electrodes="RA/LL"),
    "LA/LL": partial(corrupt.swap_limb, electrodes="LA/LL"),
    "RA/LL/LA": lambda it: corrupt.swap_limb(corrupt.swap_limb(it, "LA/RA"), "LA/LL"),
    "RA/LA/LL": lambda it: corrupt.swap_limb(corrupt.swap_limb(it, "LA/LL"), "LA/RA"),
    **{name: partial(faults.swap_right_leg, electrodes=name) for name in faults.RIGHT_LEG},
    **{
        f"{one}/{other}": partial(corrupt.swap_chest, first=one, second=other)
        for one, other in (
            ("V1", "V2"), ("V2", "V3"), ("V3", "V4"), ("V4", "V5"), ("V5", "V6"),
            ("V1", "V3"), ("V1", "V6"),
        )
    },
    "V1-V6": corrupt.reverse_chest,
}  # fmt: skip

#: Pulses of 1 mV and 0.2 s: (where, start in s of a recording of 10 s, dead line about it or on
#: top of the heart).
PULSES = (("at the start", 0.1, 0.1), ("in the middle, in place of the heart", 4.7, 0.1),
          ("in the middle, on top of the heart", 4.7, None), ("at the end", 9.7, 0.1),
          ("cut in two by the end", 9.9, 0.1))  # fmt: skip
