"""The decoder's benchmark runs for a stranger and counts what it measured; not how fast."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_decoder_benchmark_fills_its_page_and_reports_its_faults(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n<!-- figures: begin -->\n<!-- figures: end -->\n")
    command = [sys.executable, str(ROOT / "benchmarks" / "decoder.py"), "--seconds", "20"]
    command += ["--rounds", "1", "-o", str(tmp_path / "out.json"), "--page", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    results = json.loads((tmp_path / "out.json").read_text())["results"]
    clean = results["WireDecoder, 10 samples a frame, clean"]
    faulty = results["WireDecoder, 10 samples a frame, 1 % faulty"]
    assert (clean["frames"], clean["lost"], clean["damaged"]) == (1000, 0, 0)
    assert faulty["lost"] == 10 * (1000 - faulty["frames"]) > 0
    assert "| WireDecoder, 5 samples a frame, clean |" in page.read_text()
