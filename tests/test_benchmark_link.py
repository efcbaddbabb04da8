"""The benchmark of bad links runs for a stranger, and its page shows the results that are kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmark_pages import assert_shows_what_is_kept

ROOT = Path(__file__).resolve().parent.parent


def test_drops_cost_ecgedge_no_byte(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- figures: begin -->\n<!-- figures: end -->\nafter\n")
    command = [sys.executable, str(ROOT / "benchmarks" / "link.py"), "--length", "300000"]
    command += ["--drop", "120000", "--rate", "1e7", "--cut", "200000"]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "out.json"), "--page", str(page)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads((tmp_path / "out.json").read_text())
    ours = [row for row in told["rows"] if row["peer"] == "ecgedge"]
    assert [(row["completed"], row["sent_bytes"]) for row in ours] == [(True, 300_000)] * 2
    assert told["power"]["cuts"] >= 1
    assert "| ecgedge, one process | 1 | 3 | 0.3 | 0.00 % |" in page.read_text()


def test_the_page_shows_the_results_that_are_kept() -> None:
    assert_shows_what_is_kept("link")
