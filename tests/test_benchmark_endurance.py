"""The endurance benchmark runs for a stranger; a few minutes of it already hold its bars."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RESULTS, PAGE = ROOT / "benchmarks" / "results", ROOT / "docs"


def test_minutes_of_a_faulty_stream_answer_as_files_do_and_fill_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- figures: begin -->\n<!-- figures: end -->\nafter\n")
    command = [sys.executable, str(ROOT / "benchmarks" / "endurance.py"), "--hours", "0.05"]
    command += ["--data", str(tmp_path), "-o", str(tmp_path / "out.json"), "--page", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "out.json").read_text())
    assert told["recordings"] == "12 synthetic recordings"
    assert all(one["reported"] == one["injected"] for one in told["counters"].values())
    assert told["counters"]["lost"]["injected"] > 0
    assert told["windows"]["windows"] == 18
    assert told["compared"]["clean_as_saved"] == told["compared"]["clean"]
    assert told["compared"]["other_samples"] == 0
    assert "| losses reported equal losses injected |" in page.read_text()


@pytest.mark.parametrize(
    ("name", "shown_on"),
    [("endurance", "endurance.md"), ("holes", "adr/0015-windows-on-the-sample-clock.md")],
)
def test_pages_show_the_results_that_are_kept(name: str, shown_on: str) -> None:
    sys.path.insert(0, str(ROOT))
    try:
        from benchmarks import endurance, holes, page
    finally:
        sys.path.remove(str(ROOT))
    results = json.loads((RESULTS / f"{name}.json").read_text())
    _, shown, _ = page.between((PAGE / shown_on).read_text(encoding="utf-8"))
    tables = {"endurance": endurance.tables, "holes": holes.tables}[name]
    assert shown.strip() == tables(results).strip()
