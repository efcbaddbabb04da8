"""A recording: 12 leads in one fixed order, and the algebra that ties them.

The six limb leads are linear combinations of two (Einthoven 1912, Goldberger
1942), so a cart that stores I and II only has lost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ecgedge.errors import InputError

FloatArray = NDArray[np.float32]
Unit = Literal["mV", "NU"]

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
LIMB = slice(0, 6)
CHEST = slice(6, 12)

MIN_RATE_HZ, MAX_RATE_HZ = 100.0, 2000.0
#: One day at 500 Hz would be 2 GB; a longer file is not a resting ECG.
MAX_SAMPLES = 3_600 * 2_000

# Each limb lead as a combination of I and II, in LEADS order.
LIMB_FROM_I_II = np.array(
    [[1, 0], [0, 1], [-1, 1], [-0.5, -0.5], [1, -0.5], [-0.5, 1]], dtype=np.float64
)

_SPELLINGS = {lead.upper(): lead for lead in LEADS} | {f"C{i}": f"V{i}" for i in range(1, 7)}
_SPELLINGS |= {"MLI": "I", "MLII": "II", "MLIII": "III"}


@dataclass(frozen=True)
class Recording:
    """One 12-lead ECG.

    signal: float32, shape (12, n), leads in `LEADS` order, in `unit`; NaN where
        nothing was recorded or printed.
    rate_hz: samples per second, 100 to 2000.
    unit: "mV", or "NU" (normalised, amplitude unknown).
    source: where it came from, for messages and answers; never a patient's name.
    meta: bare facts the file states, such as age (years) and sex.
    """

    signal: FloatArray
    rate_hz: float
    unit: Unit
    source: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_rate(self.rate_hz)
        if self.unit not in ("mV", "NU"):
            raise InputError(f"unit {self.unit!r} is neither mV nor NU")
        if self.signal.ndim != 2 or self.signal.shape[0] != len(LEADS):
            raise InputError(f"a recording has shape (12, n), not {self.signal.shape}")
        if self.signal.dtype != np.float32:
            object.__setattr__(self, "signal", self.signal.astype(np.float32))

    @property
    def n_samples(self) -> int:
        return int(self.signal.shape[1])

    @property
    def duration_s(self) -> float:
        return self.n_samples / self.rate_hz

    @property
    def present(self) -> NDArray[np.bool_]:
        """Shape (12,): which leads hold at least one sample."""
        begun = np.isfinite(self.signal[:, :1]).any(axis=1)
        # Looking at every sample takes longer than reading a rate off them.
        there = begun if begun.all() else np.isfinite(self.signal).any(axis=1)
        return np.asarray(there)


def check_rate(rate_hz: float) -> None:
    """Raise InputError unless rate_hz is one an ECG front end uses."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise InputError(
            f"sampling rate {rate_hz:g} Hz is outside {MIN_RATE_HZ:g} to {MAX_RATE_HZ:g} Hz"
        )


def parse_lead(name: str) -> tuple[str, float] | None:
    """Standard lead name and sign for one spelling, or None if it is no ECG lead.

    Knows any case, "Lead II", "ECG V1", C1..C6, MLII and the Cabrera "-aVR".
    """
    text = name.strip().upper().replace("_", " ").replace("(", " ").replace(")", " ")
    sign = 1.0
    words = [word for word in text.split() if word not in ("LEAD", "ECG", "EKG", "MDC", "DERIVED")]
    text = "".join(words)
    if text.startswith("-"):
        text, sign = text[1:], -1.0
    lead = _SPELLINGS.get(text)
    return None if lead is None else (lead, sign)


def complete_limb_leads(signal: FloatArray) -> FloatArray:
    """Fill limb leads that hold no sample from any two that do; shape (12, n) kept.

    Gaps stay gaps: a derived sample is NaN wherever either parent is.
    """
    present = np.flatnonzero(np.isfinite(signal[LIMB]).any(axis=1))
    absent = [lead for lead in range(6) if lead not in present]
    if len(present) < 2 or not absent:
        return signal
    pair = present[:2]
    basis = LIMB_FROM_I_II[absent] @ np.linalg.inv(LIMB_FROM_I_II[pair])
    parents = signal[pair].astype(np.float64)
    completed = signal.copy()
    completed[absent] = (basis[:, :1] * parents[0] + basis[:, 1:] * parents[1]).astype(np.float32)
    return completed


def assemble(
    names: Sequence[str],
    columns: NDArray[Any],
    *,
    rate_hz: float,
    unit: Unit,
    source: str = "",
    meta: Mapping[str, Any] | None = None,
) -> Recording:
    """A Recording from leads in any order and spelling.

    names: one a channel; channels that are no ECG lead are left out.
    columns: shape (len(names), n) in `unit`, NaN where missing; infinities count as missing.

    Raises InputError for a repeated lead, no lead at all, or too many samples.
    """
    check_rate(rate_hz)
    if columns.ndim != 2 or columns.shape[0] != len(names):
        raise InputError(f"{len(names)} lead names for data of shape {columns.shape}")
    if not 0 < columns.shape[1] <= MAX_SAMPLES:
        raise InputError(f"{columns.shape[1]} samples a lead is no resting ECG")
    signal = np.full((len(LEADS), columns.shape[1]), np.nan, dtype=np.float32)
    seen: set[str] = set()
    for name, column in zip(names, columns, strict=True):
        parsed = parse_lead(name)
        if parsed is None:
            continue
        lead, sign = parsed
        if lead in seen:
            raise InputError(f"lead {lead} appears twice")
        seen.add(lead)
        with np.errstate(over="ignore"):  # beyond float32 is as good as infinite
            values = sign * np.asarray(column, dtype=np.float32)
        signal[LEADS.index(lead)] = np.where(np.isfinite(values), values, np.nan)
    if not seen:
        raise InputError(f"none of the channels {', '.join(names) or '(none)'} is an ECG lead")
    return Recording(complete_limb_leads(signal), float(rate_hz), unit, source, dict(meta or {}))
