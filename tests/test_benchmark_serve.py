"""The serve benchmark runs for a stranger; how fast is not judged here."""

import json
import subprocess
import sys
from pathlib import Path

from benchmark_pages import assert_shows_what_is_kept

ROOT = Path(__file__).resolve().parent.parent


def test_the_serve_benchmark_measures_in_turns_and_fills_its_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- figures: begin -->\n<!-- figures: end -->\nafter\n")
    command = [sys.executable, str(ROOT / "benchmarks" / "serve.py")]
    command += ["--cases", "300", "--runs", "1", "--requests", "3"]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "out.json"), "--page", str(page)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads((tmp_path / "out.json").read_text())
    assert told["cases"] == 300
    assert len(told["processes"]) == 4
    assert all(ratio > 0 for ratio in told["ratios"].values())
    assert 0 < told["warm"]["reading_and_engine_p50_ms"] < told["warm"]["p50_ms"]
    assert "| ecgedge query, served |" in page.read_text()


def test_the_page_shows_the_results_that_are_kept() -> None:
    assert_shows_what_is_kept("serve")
