"""Whether a page shows the results that are kept of its benchmark."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

from benchmarks import page

ROOT = Path(__file__).resolve().parent.parent


def assert_shows_what_is_kept(benchmark: str, name: str = "") -> None:
    """benchmark: its name, also of its results. name: of the page in docs/, by default the same."""
    kept = json.loads((ROOT / "benchmarks" / "results" / f"{benchmark}.json").read_text())
    tables = importlib.import_module(f"benchmarks.{benchmark}").tables(kept)
    text = (ROOT / "docs" / f"{name or benchmark}.md").read_text(encoding="utf-8")
    assert page.between(text)[1].strip() == tables.strip()
