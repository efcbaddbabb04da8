"""Puts generated tables into a page between two marks, so that no figure is typed."""

from __future__ import annotations

from pathlib import Path

from ecgedge.atomic import write_atomic
from ecgedge.errors import UsageError

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def between(text: str) -> tuple[str, str, str]:
    """(before, inside, after) the marks; raises UsageError where they are not there once each."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise UsageError(f"the page needs the lines {BEGIN} and {END} once each, in this order")
    before, _, rest = text.partition(BEGIN)
    inside, _, after = rest.partition(END)
    return before, inside, after


def fill(path: Path, tables: str) -> None:
    """Replace what stands between the marks of the page at `path`."""
    before, _, after = between(path.read_text(encoding="utf-8"))
    write_atomic(path, f"{before}{BEGIN}\n\n{tables.strip()}\n\n{END}{after}".encode())
