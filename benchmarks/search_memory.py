"""What one whole query costs in memory and in opening, over case bases of several sizes.

Each store is the built-in release with a segment around a vector file of benchmarks/search.py:
the records are the release's own, repeated. A query runs in a process of its own, with and
without the notes of `casebase.remembered`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ecgedge.atomic import sha256_of

CHILD = """
import json, sys, time
from pathlib import Path
from ecgedge.signal.synthetic import Heart, synthesize
begun = time.perf_counter()
from ecgedge.engine import Engine
imported = time.perf_counter()
engine = Engine.open(sys.argv[1])
opened = time.perf_counter()
recording = synthesize(Heart(rate_bpm=70))
first = engine.query(recording).timings_ms["search"]
laps = sorted(engine.query(recording).timings_ms["search"] for _ in range(30))
def fields(path, names):
    lines = [line.split() for line in Path(path).read_text().splitlines()]
    return {line[0]: int(line[1]) / 1024 for line in lines if line[0] in names}
now = fields("/proc/self/smaps_rollup", ("Rss:", "Anonymous:"))
print(json.dumps({
    "open_ms": (opened - imported) * 1e3, "first_search_ms": first, "search_ms": laps[15],
    "peak_mib": fields("/proc/self/status", ("VmHWM:",))["VmHWM:"],
    "anonymous_mib": now["Anonymous:"], "file_mib": now["Rss:"] - now["Anonymous:"],
}))
"""


def measure(files: dict[int, Path], cache: Path) -> list[dict[str, Any]]:
    """One row for each size: files maps a number of cases to its vector file."""
    found = []
    for count, vectors in sorted(files.items()):
        root = store_of(vectors, count, cache)
        with tempfile.TemporaryDirectory() as notes:
            hashed = _ask(root, None)
            _ask(root, notes)
            remembered = _ask(root, notes)
        row = {"count": count, "vector_bytes": vectors.stat().st_size, **remembered}
        found.append({**row, "open_hashing_ms": hashed["open_ms"]})
    return found


def bars(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The house's bars on memory: (measured, allowed, at how many cases)."""
    small, large = found[0], found[-1]
    held = {f"peak_mib_{small['count']}": (small["peak_mib"], 120.0, small["count"])}
    mapped = (large["vector_bytes"] - small["vector_bytes"]) / (1 << 20)
    if mapped:
        grown = (large["peak_mib"] - small["peak_mib"]) / mapped
        held["growth_over_mapped"] = (grown, 1.1, large["count"])
    return held


def store_of(vectors: Path, count: int, cache: Path) -> Path:
    """A store whose only segment has this vector file; kept in the cache for the next run."""
    from ecgedge.casebase.release import Store, builtin_store
    from ecgedge.casebase.segment import SegmentRef
    from ecgedge.casebase.writing import write_cases

    source = builtin_store()
    manifest = source.manifest()
    root = cache / f"store-{vectors.name}-{manifest.id}"
    if (root / "current").exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(source.root, root)
    (root / "current").unlink()
    store = Store(root)
    known = [case for one in source.segments(manifest) for case in one.all_records().values()]
    records = [
        replace(known[number % len(known)], case_id=f"bench/{number}", group=f"person{number}")
        for number in range(count)
    ]
    dim = manifest.segments[0].dim
    meta = {"schema": "1", "encoder_id": manifest.encoder.id, "dim": str(dim), "count": str(count)}
    temporary = root / "cases.tmp"
    write_cases(temporary, records, meta, None, (), None)
    cases = sha256_of(temporary)
    temporary.rename(store.blobs / cases)
    name = sha256_of(vectors)
    os.link(vectors, store.blobs / name)
    grown = replace(
        manifest, segments=(SegmentRef(name, cases, count, dim),), withdrawn=(), probes=()
    )
    store.activate(store.add_release(grown))
    return root


def _ask(root: Path, notes: str | None) -> dict[str, float]:
    environment = {k: v for k, v in os.environ.items() if k != "XDG_RUNTIME_DIR"}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parent.parent)
    if notes:
        environment["XDG_RUNTIME_DIR"] = notes
    told = subprocess.run(
        [sys.executable, "-c", CHILD, str(root)], capture_output=True, text=True, env=environment
    )
    if told.returncode:
        sys.exit(f"a query over {root.name} failed:\n{told.stderr}")
    result: dict[str, float] = json.loads(told.stdout)
    return result
