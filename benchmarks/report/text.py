"""Numbers and tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def number(value: float | None, digits: int = 3) -> str:
    """Fixed digits; nothing for None; no minus before a zero."""
    if value is None:
        return ""
    told = f"{value:.{digits}f}"
    return told.lstrip("-") if float(told) == 0 else told


def signed(value: float | None, digits: int = 3) -> str:
    """As `number`, with the sign of a change."""
    if value is None:
        return ""
    told = number(value, digits)
    return told if told.startswith("-") or float(told) == 0 else f"+{told}"


def interval(told: Mapping[str, Any], digits: int = 3) -> str:
    """ "0.891 to 0.948", or nothing."""
    if told["lo"] is None:
        return ""
    return f"{number(told['lo'], digits)} to {number(told['hi'], digits)}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)
