"""The query benchmark runs for a stranger as its README says; how fast is not judged here."""

import json
import subprocess
import sys
from pathlib import Path

from small_release import build_release

ROOT = Path(__file__).resolve().parent.parent


def test_the_query_benchmark_measures_every_stage_and_leaves_the_store_alone(
    tmp_path: Path,
) -> None:
    store = build_release(tmp_path / "store").root
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    command = [sys.executable, str(ROOT / "benchmarks" / "query.py"), "--store", str(store)]
    command += ["--cases", "300", "--rounds", "4", "--runs", "1", "--json"]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "out.json")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told == json.loads((tmp_path / "out.json").read_text())
    assert told["warm"]["cases"] == 300
    stages = {"quality", "condition", "image", "encode", "search", "novelty"}
    stages |= {"measure", "answer", "total"}
    assert set(told["warm"]["stages"]) == {*stages, "encoder alone", "total, two threads"}
    assert set(told["cold"]) == {
        "import numpy, onnxruntime",
        "ecgedge query, release as it is",
        "ecgedge query, 300 cases",
    }
    assert all(10 < one["peak_mib"] < 1000 for one in told["cold"].values())
    assert set(told["bars"]) == {"total_over_encoder", "cold_over_imports", "cold_mib"}
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before
