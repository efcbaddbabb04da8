"""How long a query takes, warm and cold, and what it needs: `python benchmarks/query.py`.

Everything that is compared is measured in one run, taking turns, so that a busy machine
slows both sides alike: trust the ratios more than the milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
for _library in ("OMP", "OPENBLAS", "MKL"):  # one thread, also in numpy's linear algebra
    os.environ[f"{_library}_NUM_THREADS"] = "1"

import ecgedge  # noqa: E402, F401  # before onnxruntime: see its first lines
from ecgedge.bench.process import Finished, launch  # noqa: E402
from ecgedge.bench.worker import recordings  # noqa: E402

#: Most that is allowed: the whole query over the encoder alone, a new process over its two big
#: imports, its peak memory (120 MB), the wheel.
BARS = {"total_over_encoder": 1.3, "cold_over_imports": 2.5, "cold_mib": 114.4, "wheel_mb": 12.0}
TWO = "total, two threads"
IMPORTS = "import numpy, onnxruntime"
EXAMPLE = ROOT / "examples" / "synthetic.csv"


def grow_store(source: Any, target: Path, cases: int) -> Any:
    """A copy of a store whose active release knows `cases` cases.

    The embeddings are random directions and the records are the release's own, repeated:
    as much work as a real case base of that size, and no answer worth reading.
    """
    import numpy as np

    from ecgedge.casebase.release import Store
    from ecgedge.casebase.writing import write_segment

    manifest, store = source.manifest(), Store(target)
    shutil.copytree(source.root, target)
    known = [case for one in source.segments(manifest) for case in one.all_records().values()]
    records = [
        replace(known[number % len(known)], case_id=f"bench/{number}", group=f"person{number}")
        for number in range(cases)
    ]
    dim = manifest.segments[0].dim
    embeddings = np.random.default_rng(0).normal(size=(cases, dim)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    segment = write_segment(store.blobs, embeddings, records, encoder_id=manifest.encoder.id)
    grown = replace(manifest, segments=(segment,), withdrawn=(), probes=())
    store.activate(store.add_release(grown))
    return store


def warm(store: Any, rounds: int) -> dict[str, Any]:
    """Milliseconds of each stage, of the whole query and of the encoder alone, in turns."""
    import numpy as np

    from ecgedge.engine import Engine
    from ecgedge.imaging import get_encoding
    from ecgedge.signal.conditioning import condition

    engine = Engine.open(store.root)
    asked = recordings()
    encoding = get_encoding(engine.encoder.spec.imaging)
    images = [encoding.encode(condition(recording))[None] for recording in asked]
    laps: dict[str, list[float]] = {"encoder alone": [], TWO: []}
    for number in range(rounds + len(asked)):
        at = number % len(asked)
        timings = engine.query(asked[at]).timings_ms
        timings = {**timings, TWO: engine.query(asked[at], threads=2).timings_ms["total"]}
        begun = time.perf_counter()
        engine.encoder.encode(images[at])
        taken = (time.perf_counter() - begun) * 1e3
        if number >= len(asked):  # the first of each warms caches and is not counted
            for stage, value in {**timings, "encoder alone": taken}.items():
                laps.setdefault(stage, []).append(value)
    stages = {
        stage: {"p50_ms": float(np.median(values)), "p95_ms": float(np.percentile(values, 95))}
        for stage, values in laps.items()
    }
    total, alone = np.array(laps["total"]), np.array(laps["encoder alone"])
    line = total - np.array(laps["quality"])  # conditioning to answer
    searched = line - np.array(laps["measure"])  # the same without the measurements
    return {
        "cases": len(engine.casebase),
        "rounds": rounds,
        "encoder": engine.encoder.spec.id,
        "stages": stages,
        "total_over_encoder": float(np.median(total) / np.median(alone)),
        "total_in_two_threads_over_encoder": float(np.median(laps[TWO]) / np.median(alone)),
        "condition_to_answer_over_encoder": float(np.median(line) / np.median(alone)),
        "without_measuring_over_encoder": float(np.median(searched) / np.median(alone)),
    }


def cold(stores: Mapping[str, Path], runs: int) -> dict[str, Any]:
    """Seconds and peak MiB of `ecgedge query` in a new process, beside its two big imports."""
    commands = {IMPORTS: ["-c", IMPORTS]}
    for name, root in stores.items():
        words = ["-m", "ecgedge", "query", "--json", "--store", str(root), str(EXAMPLE)]
        commands[f"ecgedge query, {name}"] = words
    measured: dict[str, list[Finished]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as folder:
        environment = as_installed(folder) | {"PYTHONPATH": str(ROOT)}
        for number in range(runs + 1):
            for name, words in commands.items():
                result = run_new([sys.executable, *words], environment)
                if number:  # the first fills the disk cache and is not counted
                    measured[name].append(result)
    return {
        name: {
            "median_s": sorted(one.seconds for one in results)[runs // 2],
            "worst_s": max(one.seconds for one in results),
            "peak_mib": max(one.peak_mib for one in results),
        }
        for name, results in measured.items()
    }


def as_installed(folder: str) -> dict[str, str]:
    """The environment of programs that find their bytecode, as where ecgedge is installed.

    folder: where the first of them leaves it; a checkout may be read by who must not write.
    """
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def run_new(command: Sequence[str], environment: Mapping[str, str]) -> Finished:
    """A command in a new process; exits where it fails."""
    done = launch(command, environment=environment)
    if done.code:
        sys.exit(f"{' '.join(command)} ended with {done.code}: {done.complaint.strip()}")
    return done


def machine() -> dict[str, Any]:
    """What it ran on; the load says how busy the machine was with other work."""
    import numpy as np
    import onnxruntime

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
    }


def verdicts(results: Mapping[str, Any], cold_store: str) -> dict[str, tuple[float, float]]:
    """Each bar of the house: (measured, allowed)."""
    query = results["cold"][f"ecgedge query, {cold_store}"]
    found = {
        "total_over_encoder": results["warm"]["total_over_encoder"],
        "cold_over_imports": query["median_s"] / results["cold"][IMPORTS]["median_s"],
        "cold_mib": query["peak_mib"],
    }
    if results["wheel_mb"] is not None:
        found["wheel_mb"] = results["wheel_mb"]
    return {name: (round(value, 3), BARS[name]) for name, value in found.items()}


def table(results: Mapping[str, Any]) -> str:
    """The results for a person."""
    it = results["warm"]
    lines = [f"warm query, one thread, {it['cases']} cases, {it['rounds']} rounds, {it['encoder']}"]
    lines += [f"  {'':<20}{'p50 ms':>9}{'p95 ms':>9}"]
    for stage, value in it["stages"].items():
        lines.append(f"  {stage:<20}{value['p50_ms']:>9.3f}{value['p95_ms']:>9.3f}")
    lines += [
        f"  over the encoder alone, p50: conditioning to answer "
        f"{it['condition_to_answer_over_encoder']:.2f}, without the measurements "
        f"{it['without_measuring_over_encoder']:.2f}, with the quality gate "
        f"{it['total_over_encoder']:.2f}, that measuring in a second thread "
        f"{it['total_in_two_threads_over_encoder']:.2f}"
    ]
    lines += ["", "new process", f"  {'':<36}{'median s':>9}{'worst s':>9}{'peak MiB':>10}"]
    for name, value in results["cold"].items():
        row = f"{value['median_s']:>9.3f}{value['worst_s']:>9.3f}{value['peak_mib']:>10.1f}"
        lines.append(f"  {name:<36}{row}")
    lines += ["", f"  {'bar':<34}{'measured':>9}{'allowed':>9}"]
    for name, (value, allowed) in results["bars"].items():
        verdict = "ok" if value < allowed else "MISSED"
        lines.append(f"  {name:<34}{value:>9.3f}{allowed:>9.3f}  {verdict}")
    facts = ", ".join(f"{name} {value}" for name, value in results["machine"].items())
    return "\n".join([*lines, "", facts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, help="release store [the built-in one]")
    parser.add_argument("--cases", type=int, default=20_000, help="size of the case base [20000]")
    parser.add_argument("--rounds", type=int, default=400, help="warm queries [400]")
    parser.add_argument("--runs", type=int, default=7, help="new processes of each kind [7]")
    parser.add_argument("--dist", type=Path, help="folder with the wheel, to weigh it too")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("-o", "--output", type=Path, help="also write the JSON to this file")
    options = parser.parse_args()

    from ecgedge.casebase.release import open_store

    source = open_store(options.store)
    wheels = sorted(options.dist.glob("ecgedge-*.whl")) if options.dist else []
    results: dict[str, Any] = {"release": source.manifest().id, "machine": machine()}
    with tempfile.TemporaryDirectory() as folder:
        grown = grow_store(source, Path(folder) / "store", options.cases)
        name = f"{options.cases} cases"
        results["warm"] = warm(grown, options.rounds)
        results["cold"] = cold({"release as it is": source.root, name: grown.root}, options.runs)
    results["wheel_mb"] = wheels[-1].stat().st_size / 1e6 if wheels else None
    results["bars"] = verdicts(results, name)
    text = json.dumps(results, indent=1)
    if options.output:
        options.output.write_text(text + "\n")
    print(text if options.json else table(results))


if __name__ == "__main__":
    main()
