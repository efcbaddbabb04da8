"""Search at scale: every row against HNSW, ours beside faiss, hnswlib and numpy, one thread.

    pip install -e '.[bench]'
    python benchmarks/search.py -o benchmarks/results/search.json --document docs/search.md

Files are built once, on one thread, into --cache (an hour and 4 GB for all of them at a
million) and only measured after that; --built-only leaves out what is not there. Each engine is
measured in a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

for _library in ("OMP", "OPENBLAS"):  # one thread also for what numpy and faiss multiply with
    os.environ[f"{_library}_NUM_THREADS"] = "1"
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import numpy as np  # noqa: E402
import search_memory  # noqa: E402
import search_page  # noqa: E402
from page import publish  # noqa: E402
from search_engines import ENGINES  # noqa: E402
from search_recall import AT, exact_types, recall, truth  # noqa: E402
from search_vectors import (  # noqa: E402
    Floats,
    release_embeddings,
    resembling,
    structure,
    white,
)

from ecgedge.atomic import replacing  # noqa: E402
from ecgedge.casebase import vectors  # noqa: E402
from ecgedge.casebase.release import builtin_store  # noqa: E402

SIZES = (20_000, 200_000, 1_000_000)
#: What `Engine.query` asks of the case base.
VOTERS = 150
QUERIES = {"graph": 1_000, "scan": 300}
BARS = {"recall_at_10": 0.99, "p99_ms": 5.0}


def known_to(cache: Path) -> Floats:
    """What the vectors are drawn around: the built-in release when the cache was begun."""
    held = cache / "embeddings.npy"
    if not held.exists():
        np.save(held, release_embeddings())
        (cache / "release").write_text(builtin_store().current_id())
    known: Floats = np.load(held)
    return known


def queries(cache: Path) -> Floats:
    return resembling(known_to(cache), max(QUERIES.values()), seed=1)


def path_of(cache: Path, name: str, count: int) -> Path:
    """Where an engine's file of so many rows lies; its name holds what it was built with."""
    engine = ENGINES[name]
    links = f"-M{vectors.CONNECTIVITY}-A{vectors.EXPANSION_ADD}"
    return cache / f"{engine.file or name}-{count}{links if engine.graph or engine.file else ''}"


def prepare(cache: Path, names: Sequence[str], count: int, *, build: bool) -> dict[str, Any]:
    """Make the files that are missing; what each vector type loses, and the rows' structure."""
    rows, asked = resembling(known_to(cache), count, seed=2), queries(cache)
    right = truth(rows, asked)
    np.save(cache / f"rows-{count}.npy", rows)
    np.save(cache / f"truth-{count}.npy", right)
    for name in names:
        path, engine = path_of(cache, name, count), ENGINES[name]
        if engine.build and build and not path.exists():
            print(f"building {path.name} ...", file=sys.stderr, flush=True)
            begun, wall = time.process_time(), time.perf_counter()
            with replacing(path) as temporary:
                engine.build(rows, temporary)
            taken = {"cpu_s": time.process_time() - begun, "wall_s": time.perf_counter() - wall}
            path.with_suffix(".json").write_text(json.dumps(taken))
    return exact_types(rows, asked[: QUERIES["scan"]], right)


def installed(name: str) -> bool:
    """Whether what this engine needs can be imported (hnswlib is built from source: no wheels)."""
    packages = (module.partition(".")[0] for module in ENGINES[name].needs)
    return all(importlib.util.find_spec(package) for package in packages)


def memory() -> dict[str, float]:
    """MiB of this process now: anonymous and mapped from files."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    kib = {line.split()[0]: int(line.split()[1]) for line in lines}
    return {
        "anonymous_mib": kib["Anonymous:"] / 1024,
        "file_mib": (kib["Rss:"] - kib["Anonymous:"]) / 1024,
    }


def measure_one(cache: Path, name: str, count: int) -> dict[str, Any]:
    """One engine in this process: time, recall and memory."""
    engine, path = ENGINES[name], path_of(cache, name, count)
    asked = queries(cache)[: QUERIES["graph" if engine.graph else "scan"]]
    right = np.load(cache / f"truth-{count}.npy")[: len(asked)]
    rows = cache / f"rows-{count}.npy"
    for module in engine.needs:
        importlib.import_module(module)  # is not the index's memory
    before, begun = memory(), time.perf_counter()
    ask = engine.open(path, rows, count, asked.shape[1])
    opened = time.perf_counter() - begun
    result: dict[str, Any] = {"engine": name, "count": count, "open_ms": opened * 1e3}
    for k in (AT, VOTERS):
        taken, worked, found = [], [], []
        for query in asked:
            wall, own = time.perf_counter(), time.thread_time()
            keys = ask(query, k)
            worked.append((time.thread_time() - own) * 1e3)
            taken.append((time.perf_counter() - wall) * 1e3)
            found.append(keys)
        result[f"k{k}"] = {
            "first_ms": taken[0],
            "p50_ms": float(np.median(taken[20:])),
            "p99_ms": float(np.percentile(taken[20:], 99)),
            # What a machine busy with other work does not lengthen.
            "cpu_p50_ms": float(np.median(worked[20:])),
            "cpu_p99_ms": float(np.percentile(worked[20:], 99)),
            "recall_at_10": recall(found, right),
        }
    grown = {name: value - before[name] for name, value in memory().items()}
    held = path if engine.build else rows
    built = path.with_suffix(".json")
    result |= {"bytes": held.stat().st_size, **grown}
    return result | {"build": json.loads(built.read_text()) if built.exists() else None}


def measure(cache: Path, sizes: Sequence[int], names: Sequence[str], *, build: bool) -> Any:
    """Everything: build what is missing, then one process an engine and size."""
    cache.mkdir(parents=True, exist_ok=True)
    known = known_to(cache)
    results: dict[str, Any] = {
        "release": (cache / "release").read_text(),
        "machine": machine(),
        "structure": {
            "release": structure(known),
            "drawn": structure(resembling(known, len(known), seed=3)),
            "white noise": structure(white(len(known), known.shape[1], seed=3)),
        },
        "parameters": {
            "connectivity": vectors.CONNECTIVITY,
            "expansion_add": vectors.EXPANSION_ADD,
            "expansion_search": vectors.EXPANSION,
            "exact_below": vectors.EXACT_BELOW,
        },
        "types": {},
        "engines": [],
    }
    for count in sizes:
        results["types"][str(count)] = prepare(cache, names, count, build=build)
        for name in names:
            if ENGINES[name].build and not path_of(cache, name, count).exists():
                continue
            print(f"{name}, {count:,} rows ...", file=sys.stderr, flush=True)
            command = [sys.executable, __file__, "--one", name, str(count), "--cache", str(cache)]
            told = subprocess.run(command, capture_output=True, text=True, check=False)
            if told.returncode:
                sys.exit(f"{name} at {count:,} rows failed:\n{told.stderr}")
            results["engines"].append(json.loads(told.stdout))
        (cache / f"rows-{count}.npy").unlink()
    files = {count: path_of(cache, "ours-graph", count) for count in sizes}
    built = {count: path for count, path in files.items() if path.exists()}
    results["crossover"] = crossover(results["engines"])
    results["queries"] = search_memory.measure(built, cache)
    results["bars"] = bars(results)
    return results


def crossover(measured: Sequence[Any]) -> int | None:
    """Rows from which a warm graph answers faster than a scan, 150 wanted; None if it never does.

    Medians of the processor's time, on straight lines between the sizes that were measured.
    """
    times = {
        name: {
            one["count"]: one[f"k{VOTERS}"]["cpu_p50_ms"]
            for one in measured
            if one["engine"] == name
        }
        for name in ("ours-scan", "ours-graph")
    }
    sizes = sorted(times["ours-scan"].keys() & times["ours-graph"].keys())
    ahead = [times["ours-scan"][n] - times["ours-graph"][n] for n in sizes]
    if ahead and ahead[0] > 0:
        return sizes[0]
    for place in range(1, len(sizes)):
        if ahead[place] > 0:
            return round(
                float(np.interp(0, ahead[place - 1 : place + 1], sizes[place - 1 : place + 1]))
            )
    return None


def bars(results: Any) -> dict[str, Any]:
    """The house's bars: (measured, allowed), for the largest size that was measured."""
    ours = [one for one in results["engines"] if one["engine"] == "ours-graph"]
    largest = max(ours, key=lambda one: one["count"])
    found = {
        name: (largest[f"k{AT}"][name], allowed, largest["count"]) for name, allowed in BARS.items()
    }
    return {**found, **search_memory.bars(results["queries"])}


def machine() -> dict[str, Any]:
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, Any] = {"load_1min": round(os.getloadavg()[0], 2)}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            found["cpu"] = line.partition(":")[2].strip()
    for package in ("numpy", "usearch", "simsimd", "faiss-cpu", "hnswlib", "onnxruntime"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="rows, with commas")
    parser.add_argument("--engines", default=",".join(ENGINES), help=f"of {', '.join(ENGINES)}")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "search-bench")
    parser.add_argument("--built-only", action="store_true", help="build nothing")
    parser.add_argument("--one", nargs=2, metavar=("ENGINE", "ROWS"), help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON here")
    parser.add_argument("--document", type=Path, help="renew the tables of this page")
    options = parser.parse_args()
    if options.one:
        name, count = options.one
        print(json.dumps(measure_one(options.cache, name, int(count))))
        return
    sizes, names = [int(n) for n in options.sizes.split(",")], options.engines.split(",")
    for name in [name for name in names if not installed(name)]:
        print(f"{name} is left out: {', '.join(ENGINES[name].needs)} is missing", file=sys.stderr)
        names.remove(name)
    publish(
        lambda: measure(options.cache, sizes, names, build=not options.built_only),
        search_page.render,
        options.output,
        options.document,
    )


if __name__ == "__main__":
    main()
