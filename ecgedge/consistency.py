"""What an ECG report must not say together, and what a measurement says against a statement.

The limits are those of the AHA/ACCF/HRS recommendations for the interpretation of
the electrocardiogram: conduction and axis from part III (Surawicz et al. 2009), the
QT interval from part IV (Rautaharju et al. 2009); 60 and 100 bpm bound the resting rate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ecgedge.answer import Measurement

#: One ECG has one of each group, whatever else it has.
_ONE_OF = (
    frozenset({"SR", "AFIB", "AFLT", "SVTAC", "PSVT", "SVARR"}),  # what drives the atria
    frozenset({"STACH", "SBRAD", "AFIB", "AFLT", "SVTAC", "PSVT"}),
    frozenset({"SARRH", "AFIB", "AFLT", "SVTAC", "PSVT"}),
    frozenset({"BIGU", "TRIGU"}),
    frozenset({"1AVB", "2AVB", "3AVB"}),
    frozenset({"CLBBB", "CRBBB", "ILBBB", "IRBBB", "WPW"}),
    frozenset({"CLBBB", "LAFB", "LPFB"}),  # a left bundle branch block is both hemiblocks
    frozenset({"CLBBB", "IVCD"}),
    frozenset({"CRBBB", "IVCD"}),
    frozenset({"HVOLT", "LVOLT"}),
    frozenset({"VCLVH", "LVOLT"}),
)
#: Fibrillating or fluttering atria have no P wave: nothing can be said that needs one.
_WITHOUT_P = frozenset({"AFIB", "AFLT"})
_NEEDS_P = frozenset({"1AVB", "2AVB", "LPR", "PAC", "LAO/LAE", "RAO/RAE"})
#: Sinus rhythm at any rate goes with an otherwise normal ECG, and nothing else does.
SINUS = frozenset({"SR", "SARRH", "SBRAD", "STACH"})


def exclude_each_other(one: str, other: str) -> bool:
    """Whether two SCP codes cannot both be true of one ECG; symmetric, never of itself."""
    if one == other:
        return False
    pair = {one, other}
    if "NORM" in pair:
        return not pair - {"NORM"} <= SINUS
    if any(pair <= group for group in _ONE_OF):
        return True
    return bool(pair & _WITHOUT_P) and bool(pair & _NEEDS_P)


@dataclass(frozen=True)
class _Needs:
    """A statement of `codes` is at odds with a measured value outside [low, high)."""

    codes: frozenset[str]
    key: str
    low: float = -math.inf
    high: float = math.inf


#: Words for the keys of `Answer.measurements`.
NAMES = {
    "heart_rate": "heart rate", "regularity": "regularity", "rr_variation": "RR variation",
    "pr": "PR interval", "qrs": "QRS duration", "qt": "QT interval", "qtc": "QTc",
    "axis": "QRS axis",
}  # fmt: skip
_NEEDED = (
    _Needs(frozenset({"STACH", "SVTAC", "PSVT"}), "heart_rate", low=100),
    _Needs(frozenset({"SBRAD"}), "heart_rate", high=60),
    _Needs(frozenset({"NORM"}), "heart_rate", high=101),
    _Needs(frozenset({"1AVB", "LPR"}), "pr", low=200),
    _Needs(frozenset({"NORM"}), "pr", high=201),
    _Needs(frozenset({"CLBBB", "CRBBB"}), "qrs", low=120),
    _Needs(frozenset({"ILBBB", "IRBBB", "NORM"}), "qrs", high=120),
    _Needs(frozenset({"LNGQT"}), "qtc", low=450),
    _Needs(frozenset({"NORM"}), "qtc", high=461),
    _Needs(frozenset({"LAFB"}), "axis", high=-30),
    _Needs(frozenset({"LPFB"}), "axis", low=90),
    _Needs(frozenset({"NORM"}), "axis", low=-30, high=91),
)
_REGULARITY = (
    (frozenset({"AFIB"}), "regular"),
    (frozenset({"SR", "SBRAD", "STACH", "NORM"}), "irregularly irregular"),
)


def number(measurement: Measurement | None) -> float | None:
    """The measured number, or None where there is none."""
    value = None if measurement is None else measurement.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def speaks_against(code: str, measurements: Mapping[str, Measurement]) -> dict[str, str]:
    """Keys of the measurements at odds with a statement, each with what was measured in words."""
    found = {}
    for rule in _NEEDED:
        value = number(measurements.get(rule.key))
        if code in rule.codes and value is not None and not rule.low <= round(value) < rule.high:
            found[rule.key] = f"{NAMES[rule.key]} {value:.0f} {measurements[rule.key].unit}"
    rhythm = measurements.get("regularity")
    for codes, word in _REGULARITY:
        if code in codes and rhythm is not None and rhythm.value == word:
            found["regularity"] = f"{word} beats"
    return found
