"""Puts generated tables into a page between two marks, so that no figure is typed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ecgedge.atomic import write_atomic
from ecgedge.errors import EcgedgeError, UsageError
from ecgedge.evaluation.output import check_writable

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def publish(
    measure: Callable[[], dict[str, Any]],
    tables: Callable[[dict[str, Any]], str],
    output: Path | None,
    page: Path | None,
) -> None:
    """Measure, then write the JSON, fill the page and print the tables; exits as ecgedge does.

    What could not be written later is refused before anything is measured.
    """
    try:
        for path in (output, page):
            if path:
                check_writable(path)
        results = measure()
    except EcgedgeError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    if output:
        write_atomic(output, (json.dumps(results, indent=1) + "\n").encode())
    if page:
        fill(page, tables(results))
    print(tables(results))


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
