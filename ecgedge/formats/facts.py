"""What a file states beside its samples, what the user adds, and whether the two agree.

A rate, a unit or lead names are taken from the file where it states them and
from the caller where it does not; a contradiction is refused, never resolved.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgedge.errors import InputError, UsageError
from ecgedge.recording import Unit, check_rate, parse_lead

#: Multiplying by this gives millivolts.
_VOLTS = {"v": 1e3, "mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "nv": 1e-6}
_NORMALISED = ("nu", "normalised", "normalized")
#: A thousand volts: no electrode sees it, so the unit or the bytes must be wrong.
_MAX_AMPLITUDE = 1e6

# Plain strings: `re` compiles them when they are first needed, which most files never do.
_AGE = r"\b(?:age|alter)\b[\s:=>\"']*(\d{1,3})(?![\d.]*\s*(?:mo|we|wk|da|h))"
_SEX = (
    r"\b(?:sex|gender|geschlecht)\b[\s:=>\"']*"
    r"(male|female|m|f|man|woman|männlich|weiblich|w)\b"
)
OLDEST = 120


def parse_unit(text: str) -> tuple[Unit, float]:
    """The house unit and the factor into it: "uV" -> ("mV", 0.001). Raises InputError."""
    word = text.strip().lower()
    if word in _NORMALISED:
        return "NU", 1.0
    if word in _VOLTS:
        return "mV", _VOLTS[word]
    raise InputError(f"the unit {text.strip()[:20]!r} is none of V, mV, uV or NU")


def given_unit(text: str) -> tuple[Unit, float]:
    """`parse_unit` for what the user typed. Raises UsageError."""
    try:
        return parse_unit(text)
    except InputError as error:
        raise UsageError(str(error)) from None


def common_unit(units: Iterable[Unit]) -> Unit:
    """The one unit of all leads. Raises InputError where mV and NU meet in a file."""
    found = sorted(set(units))
    if len(found) != 1:
        raise InputError("some leads are in mV and some in NU, so they cannot be read together")
    return found[0]


def settle_unit(stated: Unit, given: str | None) -> Unit:
    """The file's own unit, provided that the caller does not claim another."""
    if given is not None and given_unit(given)[0] != stated:
        raise UsageError(f"the file states {stated}, which contradicts --unit {given}")
    return stated


def settle_rate(stated: float | None, given: float | None) -> float:
    """The sampling rate in Hz, from the file or else from the caller."""
    if stated is None and given is None:
        raise UsageError("the file does not state its sampling rate: add it, as in --rate-hz 500")
    rate_hz = stated if stated is not None else given
    assert rate_hz is not None
    if stated is not None and given is not None and not math.isclose(stated, given, rel_tol=1e-6):
        raise UsageError(f"the file states {stated:g} Hz, which contradicts --rate-hz {given:g}")
    check_rate(rate_hz)
    return rate_hz


def settle_leads(stated: Sequence[str], given: Sequence[str] | None) -> list[str]:
    """Channel names; the caller may name those that the file leaves unnamed."""
    if given is None:
        return list(stated)
    if len(given) != len(stated):
        raise UsageError(f"--leads names {len(given)} channels but the file has {len(stated)}")
    for own, other in zip(stated, given, strict=True):
        known = parse_lead(own)
        if known is not None and known != parse_lead(other):
            raise UsageError(f"the file calls a channel {known[0]}, which --leads calls {other}")
    return list(given)


def ecg_channels(names: Sequence[str]) -> list[int]:
    """Which channels are ECG leads. Raises InputError when none is."""
    found = [index for index, name in enumerate(names) if parse_lead(name) is not None]
    if not found:
        raise InputError(f"none of its {len(names)} channels is named as an ECG lead")
    return found


def check_amplitude(columns: NDArray[Any]) -> None:
    """Raise InputError for finite samples no electrode can have seen."""
    peak = float(np.nanmax(np.abs(columns), initial=0.0, where=np.isfinite(columns)))
    if peak > _MAX_AMPLITUDE:
        raise InputError(f"samples as large as {peak:.3g} are no ECG; is the unit right?")


def person(text: str) -> dict[str, Any]:
    """Age in years and sex from free comments; nothing else is ever taken from them.

    Knows "# Age: 56", "#Sex: F", "<age>: 51 <sex>: M", "gender = Female" and their like.
    """
    facts: dict[str, Any] = {}
    age, sex = re.search(_AGE, text, re.I), re.search(_SEX, text, re.I)
    if age and int(age[1]) <= OLDEST:
        facts["age"] = int(age[1])
    if sex:
        facts["sex"] = "F" if sex[1].lower() in ("f", "female", "woman", "w", "weiblich") else "M"
    return facts
