"""Can this recording carry an answer? Per lead and as a whole: ok, poor or refuse.

Rules in the manner of Langley et al. (CinC 2011: flat, saturated, drifting,
steep), which reach 86-91 % on that challenge's set and cost under a millisecond.
Only the first 10 s are judged, since only they are searched with. Every measure
grows with trouble; all but the flat limit are ratios, so that mV and NU
recordings meet the same rules.

What the rules cannot tell: a rhythm without QRS complexes (ventricular flutter looks
like a sine and is refused as "noise"). Exchanged electrodes are a warning, see reversal.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ecgedge.answer import LeadQuality, Quality, QualityWarning, Verdict
from ecgedge.recording import CHEST, LEADS, LIMB, FloatArray, Recording
from ecgedge.signal import reversal
from ecgedge.signal.calibration_pulse import find_pulses
from ecgedge.signal.measures import (
    Steady,
    Window,
    copies,
    cut,
    einthoven_residual,
    measure,
    products,
    steady,
)

#: The window an answer is made from, in seconds.
WINDOW_S = 10.0


@dataclass(frozen=True)
class Limit:
    """A lead is poor above `poor` and unusable above `refuse`; reason is what is said."""

    measure: str
    reason: str
    poor: float
    refuse: float


# "Measured": leads of 237 recordings in mV (LUDB, PTB, PTB-XL raw, Brugada; 500 Hz) and 550
# in NU (PTB-XL, 100 and 500 Hz), 9,444 in all, none of them meant to be refused. Noise,
# sines and square waves were generated. "Ours": no source but judgement.
LIMITS = (
    # Share of the window without samples; ours. A 3x4 paper print shows a quarter of it.
    Limit("gap", "gap", 0.05, 0.90),
    # Share of seconds that move less than FLAT_MV (or FLAT_SHARE of the median lead).
    # Measured: 99 % of leads 0, worst 0.4.
    Limit("flat", "flat", 0.15, 0.60),
    # Share of samples exactly at the highest or lowest value. Measured: worst 0.028.
    Limit("saturated", "saturated", 0.05, 0.20),
    # rms over peak, second by second: 1 for a square wave, 0.71 for a sine, 0.58 for a
    # triangle. Measured: median 0.16, worst 0.39.
    Limit("boxiness", "noise", 0.45, 0.55),
    # 3 / kurtosis of the slope: 1 for Gaussian noise, 2 for a sine. Measured: median 0.12,
    # 99 % under 0.36, 99.9 % under 0.68, worst 0.91.
    Limit("evenness", "noise", 0.50, 0.83),
    # Slope energy of quiet tenths of a second over that of the busiest: 0.37 for noise, which
    # has no quiet between beats. Measured: median 0.002, 99.9 % under 0.20, worst 0.32.
    Limit("restlessness", "noise", 0.15, 0.30),
    # rms bend (second difference at 100 Hz) between the beats over the size of the largest one.
    # Measured: 98.9 % of leads of PTB-XL's folds 1 to 8 and 99.4 % of those in mV under 0.04.
    # Never costs a lead: what is between the beats says little about those.
    Limit("tremor", "muscle noise", 0.04, np.inf),
    # Power at 50 or 60 Hz over the power of the rest. Measured: worst 0.07. cond-1 lets 2 % of
    # it through at 50 Hz, so only an ECG buried in hum is lost.
    Limit("hum", "hum", 0.20, 20.0),
    # Spread of the 1-s means and drifts over the spread of the rest. cond-1 removes it, so it
    # never costs a lead. Measured: 99 % under 1.8, 99.9 % under 4.1, worst 11.5.
    Limit("wander", "wander", 4.0, np.inf),
    # Twice the peak in mV (nothing in NU): more than any heart makes, so a wrong gain or
    # unit. Measured: 99.9 % under 7.2, worst 14.1.
    Limit("amplitude", "amplitude", 20.0, np.inf),
)
#: Einthoven and Goldberger: rms of what should cancel over rms of the limb leads. Measured:
#: worst 0.027; leads scaled one by one or a calibration pulse exceed 0.1.
EINTHOVEN_POOR = 0.10
#: Correlation above which two chest leads are one lead twice. Measured: highest 0.9999.
COPY_CORRELATION = 0.99999
#: Seconds recorded in any lead; ours: one short RR series at 40 bpm needs about 5 s.
SHORT_POOR_S, SHORT_REFUSE_S = 9.0, 5.0
#: Usable independent leads (of I, II, V1..V6) below which an answer is refused: half.
INDEPENDENT_NEEDED = 4
#: So many poor leads make the whole recording poor; one unusable lead always does.
POOR_LEADS = 3

_POOR = np.array([[limit.poor] for limit in LIMITS], dtype=np.float32)
_REFUSE = np.array([[limit.refuse] for limit in LIMITS], dtype=np.float32)
_EVERY = np.ones(len(LEADS), dtype=bool)
_ALL_OK = tuple(LeadQuality(lead, "ok") for lead in LEADS)
_REASONS = ("off", *dict.fromkeys(limit.reason for limit in LIMITS), "copy")


# Absurd values may overflow; _grade holds a measure that comes out NaN against the lead.
@np.errstate(over="ignore", invalid="ignore")
def assess(recording: Recording) -> Quality:
    """Judge the first 10 s. Pure; raises nothing, also for an empty recording."""
    signal = np.ascontiguousarray(recording.signal[:, : round(WINDOW_S * recording.rate_hz)])
    pulses = find_pulses(signal, recording.rate_hz) if recording.unit == "mV" else ()
    if pulses:
        signal = signal.copy()
        for pulse in pulses:
            signal[:, pulse.start : pulse.stop] = np.nan
    quality = _judged(signal, recording)
    if not pulses:
        return quality
    rate = recording.rate_hz
    cut_s = tuple((round(one.start / rate, 4), round(one.stop / rate, 4)) for one in pulses)
    return replace(quality, cut_s=cut_s)


def _judged(signal: FloatArray, recording: Recording) -> Quality:
    """signal: the window of the recording, without calibration pulses."""
    recorded_s = _recorded_s(signal, recording.rate_hz)
    if recorded_s < SHORT_REFUSE_S / 2:
        # Too little to measure anything on; say only what is certain.
        present = recording.present.tolist()
        per_lead = tuple(
            LeadQuality(lead, "ok") if held else LeadQuality(lead, "refuse", ("off",))
            for lead, held in zip(LEADS, present, strict=True)
        )
        return Quality("refuse", (_too_short(recorded_s),), per_lead)
    window = cut(signal, recording.rate_hz)
    rest = steady(window)
    measures = measure(window, rest, in_mv=recording.unit == "mV")
    per_lead = _grade(measures, copies(window, COPY_CORRELATION))
    whole = _whole(per_lead, recorded_s, einthoven_residual(window))
    warnings = _warnings(window, rest, per_lead)
    return replace(whole, warnings=warnings) if warnings else whole


def _warnings(
    window: Window, rest: Steady, per_lead: tuple[LeadQuality, ...]
) -> tuple[QualityWarning, ...]:
    """What looks exchanged, judged on leads that are whole and no noise."""
    if per_lead is _ALL_OK:
        whole = there = _EVERY
    else:
        verdicts = [lead.verdict for lead in per_lead]
        whole = np.array([not {"gap", "off"} & set(lead.reasons) for lead in per_lead])
        there = whole & np.array([verdict != "refuse" for verdict in verdicts])
    return reversal.warnings(products(window, rest), whole, there)


def unusable(quality: Quality) -> NDArray[np.bool_]:
    """Shape (12,): the leads to hide from the encoder.

    All False when nothing would be left: an answer forced from such a recording
    is made from what there is.
    """
    mask = np.array([lead.verdict == "refuse" for lead in quality.per_lead])
    return mask if not mask.all() else np.zeros_like(mask)


def _recorded_s(signal: FloatArray, rate_hz: float) -> float:
    """Seconds in which at least one lead has a sample."""
    if np.isfinite(signal[0].sum()):
        return float(signal.shape[1] / rate_hz)
    return float(np.count_nonzero(np.isfinite(signal).any(axis=0)) / rate_hz)


def _grade(measures: dict[str, FloatArray], copied: NDArray[np.bool_]) -> tuple[LeadQuality, ...]:
    """Hold every measure against LIMITS; "off" and "flat" hide what else follows from them."""
    values = np.array([measures[limit.measure] for limit in LIMITS])
    # Not `values > limit`: that comparison would let NaN through.
    poor = np.logical_not(values <= _POOR)
    refuse = np.logical_not(values <= _REFUSE)
    if not poor.any() and not copied.any():
        return _ALL_OK  # an "off" lead has a poor gap
    # Plain lists: looking into arrays element by element took longer than measuring.
    refused = np.logical_or.reduce(refuse, axis=0).tolist()
    is_copy = copied.tolist()
    gaps = measures["gap"].tolist()
    graded = []
    for number, (lead, hits) in enumerate(zip(LEADS, poor.T.tolist(), strict=True)):
        if gaps[number] >= 1:
            graded.append(LeadQuality(lead, "refuse", ("off",)))
            continue
        reasons = [limit.reason for limit, hit in zip(LIMITS, hits, strict=True) if hit]
        if is_copy[number]:
            reasons.append("copy")
        verdict: Verdict = "poor" if reasons else "ok"
        if refused[number]:
            verdict = "refuse"
        if "flat" in reasons and verdict == "refuse":
            reasons = ["flat"]
        elif "muscle noise" in reasons and "noise" in reasons:
            # One trouble, one name: noise that costs the lead is no ECG, the rest trembles.
            reasons.remove("muscle noise" if verdict == "refuse" else "noise")
        graded.append(LeadQuality(lead, verdict, tuple(dict.fromkeys(reasons))))
    return tuple(graded)


def _whole(per_lead: tuple[LeadQuality, ...], recorded_s: float, residual: float) -> Quality:
    if per_lead is _ALL_OK and residual <= EINTHOVEN_POOR and recorded_s >= SHORT_POOR_S:
        return Quality("ok", (), per_lead)
    reasons = [
        f"{reason} in {_listed(leads)}"
        for reason in _REASONS
        if (leads := [lead.lead for lead in per_lead if reason in lead.reasons])
    ]
    # A lost limb lead contradicts the others as a matter of course.
    contradiction = residual > EINTHOVEN_POOR and all(
        lead.verdict != "refuse" for lead in per_lead[LIMB]
    )
    if contradiction:
        reasons.insert(0, "limb leads contradict each other")
    lost = sum(lead.verdict == "refuse" for lead in per_lead)
    doubtful = sum(lead.verdict == "poor" for lead in per_lead)
    verdict: Verdict = "ok"
    if lost or doubtful >= POOR_LEADS or contradiction:
        verdict = "poor"
    if recorded_s < SHORT_POOR_S:
        verdict = "poor"
        reasons.insert(0, f"short: {recorded_s:.1f} s of {WINDOW_S:g} s")
    independent = _independent(per_lead)
    if independent < INDEPENDENT_NEEDED:
        verdict = "refuse"
        reasons.insert(
            0, f"{independent} of 8 independent leads usable, {INDEPENDENT_NEEDED} needed"
        )
    if recorded_s < SHORT_REFUSE_S:
        verdict = "refuse"
        reasons[0:1] = [_too_short(recorded_s)]
    return Quality(verdict, tuple(reasons), per_lead)


def _listed(leads: list[str]) -> str:
    return "all leads" if len(leads) == len(LEADS) else ", ".join(leads)


def _independent(per_lead: tuple[LeadQuality, ...]) -> int:
    """How many independent usable leads: two of the six limb leads, and chest leads once each."""
    usable = np.array([lead.verdict != "refuse" for lead in per_lead])
    copies = np.array(["copy" in lead.reasons for lead in per_lead])
    chest = (usable & ~copies)[CHEST].sum() + bool((usable & copies)[CHEST].any())
    return int(min(2, usable[LIMB].sum()) + chest)


def _too_short(recorded_s: float) -> str:
    return f"too short: {recorded_s:.1f} s, {SHORT_REFUSE_S:g} s needed"
