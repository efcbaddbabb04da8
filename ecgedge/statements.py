"""What the SCP-ECG statement codes of PTB-XL mean, in our own words.

The wording and the flags live in statements.json: one row a code with the
English name, the German name (`de`), other terms that clinicians look for it
by (`also`), the kinds of statement it is (diagnostic, form, rhythm), the
diagnostic superclass, and `voltage` for findings that rest on absolute
amplitude, which a recording without a known amplitude (NU) cannot carry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True)
class Statement:
    """One SCP code. superclass: NORM, MI, STTC, CD, HYP, or None for non-diagnostic codes.

    name: English. german: the same. also: further terms, both languages, with commas.
    """

    code: str
    name: str
    german: str
    also: str
    kinds: tuple[str, ...]
    superclass: str | None
    voltage: bool


@lru_cache(maxsize=1)
def statements() -> Mapping[str, Statement]:
    """Every known code, in the file's order; read once, on first use."""
    text = Path(__file__).with_name("statements.json").read_text(encoding="utf-8")
    return MappingProxyType(
        {
            code: Statement(
                code,
                row["name"],
                row["de"],
                row["also"],
                tuple(row["kinds"]),
                row.get("superclass"),
                "voltage" in row,
            )
            for code, row in json.loads(text).items()
        }
    )


def statement_name(code: str) -> str:
    """English wording of a code; the code itself where it is unknown."""
    known = statements().get(code)
    return code if known is None else known.name


def statement_terms(code: str) -> str:
    """Every wording of a code, for a search by keywords: code, English, German, other terms."""
    known = statements().get(code)
    return code if known is None else f"{code}, {known.name}, {known.german}, {known.also}"


def needs_voltage(code: str) -> bool:
    """Whether the finding rests on absolute amplitude; False for unknown codes."""
    known = statements().get(code)
    return known is not None and known.voltage
