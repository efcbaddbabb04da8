"""When merging segments pays: what each segment costs a search, and each merge the carts.

    python benchmarks/segments.py -o benchmarks/results/segments.json --page docs/segments.md

50,000 cases in 1 to 64 segments are searched in turn, query by query in one run on one thread,
as a query asks: 150 neighbours and their codes. Times are the processor's own, which a machine
busy with other work does not lengthen. Then a year of weekly additions of 1 % is played
through the merge rule with several fan-outs.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

for _library in ("OMP", "OPENBLAS"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import numpy as np  # noqa: E402
from page import publish  # noqa: E402
from search_vectors import Floats, release_embeddings, resembling  # noqa: E402
from sync_release import Drawn, draw  # noqa: E402

from ecgedge.casebase.release import Store, builtin_store  # noqa: E402
from ecgedge.casebase.search import CaseBase  # noqa: E402
from ecgedge.casebase.voting import vote_weights  # noqa: E402
from ecgedge.central.tiers import FANOUT, merges  # noqa: E402
from ecgedge.engine import Engine  # noqa: E402
from ecgedge.recording import Recording  # noqa: E402
from ecgedge.signal.synthetic import Heart, synthesize  # noqa: E402

CASES, VOTERS, QUERIES, WHOLE_QUERIES, WARM = 50_000, 150, 300, 40, 5
COUNTS = (1, 2, 4, 8, 16, 32, 64)
#: A year: additions of 1 % of what there was at its beginning.
WEEKS, WEEKLY = 52, 0.01
FANOUTS: tuple[int | None, ...] = (2, 4, 8, 16, None)


def write_store(root: Path, drawn: Drawn, count: int) -> Store:
    """The cases in so many segments of one size, as a release of the built-in models."""
    store, original = Store(root), builtin_store()
    before = original.manifest()
    for name in before.blobs():
        store.put_blob(original.blob(name))
    refs = []
    for part in np.array_split(np.arange(len(drawn.cases)), count):
        cases = [drawn.cases[row] for row in part]
        texts = replace(drawn.texts, vectors=drawn.texts.vectors[part])
        piece = Drawn(drawn.embeddings[part], cases, texts)
        refs.append(piece.write(store.blobs, before.encoder.id))
    store.activate(store.add_release(replace(before, segments=tuple(refs), probes=())))
    return store


def search_times(bases: Sequence[CaseBase], asked: Floats) -> list[float]:
    """Median ms of a search in each base, asked in turn."""
    taken: list[list[float]] = [[] for _ in bases]
    for query in asked:
        for times, base in zip(taken, bases, strict=True):
            begun = time.thread_time()
            found = base.search(query, VOTERS)
            found.tally(vote_weights(found.similarities, 0.08))
            times.append((time.thread_time() - begun) * 1e3)
    return [float(np.median(times[WARM:])) for times in taken]


def query_times(engines: Sequence[Engine], recording: Recording) -> list[float]:
    """Median ms of a whole query of each engine, asked in turn."""
    taken: list[list[float]] = [[] for _ in engines]
    for _ in range(WHOLE_QUERIES):
        for times, engine in zip(taken, engines, strict=True):
            begun = time.thread_time()
            engine.query(recording, k=5)
            times.append((time.thread_time() - begun) * 1e3)
    return [float(np.median(times[WARM:])) for times in taken]


def measure(cases: int, scratch: Path) -> dict[str, Any]:
    """Everything."""
    drawn, stores = draw(cases, 0), []
    for count in COUNTS:
        print(f"writing {count} segments ...", file=sys.stderr, flush=True)
        stores.append(write_store(scratch / str(count), drawn, count))
    bases = [store.casebase(store.manifest()) for store in stores]
    searches = search_times(bases, resembling(release_embeddings(), QUERIES, seed=1))
    engines = [Engine.open(store.root) for store in stores]
    queries = query_times(engines, synthesize(Heart()))
    sizes = [
        sum((store.blobs / name).stat().st_size for ref in store.manifest().segments
            for name in (ref.vectors, ref.cases))
        for store in stores
    ]  # fmt: skip
    each = np.polyfit(COUNTS, searches, 1)[0] / searches[0]
    return {
        "cases": cases,
        "fanout": FANOUT,
        "segments": [
            {"count": count, "search_ms": search, "query_ms": query, "bytes": size}
            for count, search, query, size in zip(COUNTS, searches, queries, sizes, strict=True)
        ],
        "each_segment_costs": float(each),
        "year": [year(cases, fanout, float(each)) for fanout in FANOUTS],
    }


def year(cases: int, fanout: int | None, each: float) -> dict[str, Any]:
    """Weekly additions under one fan-out, None for no merge at all.

    each: what a further segment adds to a search, of a search in one. fetched: cases that a
    cart fetches in the year over those that are new.
    """
    counts, weekly, held, fetched = [cases], round(WEEKLY * cases), [], 0
    for _ in range(WEEKS):
        counts.append(weekly)
        groups = merges(counts, fanout) if fanout else ()
        places = {place for group in groups for place in group}
        fetched += sum(counts[place] for place in places)
        fetched += 0 if len(counts) - 1 in places else weekly
        merged = [sum(counts[place] for place in group) for group in groups]
        counts = [count for place, count in enumerate(counts) if place not in places] + merged
        held.append(len(counts))
    return {
        "fanout": fanout,
        "most_segments": max(held),
        "mean_segments": float(np.mean(held)),
        "mean_search": 1 + each * (float(np.mean(held)) - 1),
        "worst_search": 1 + each * (max(held) - 1),
        "fetched": fetched / (weekly * WEEKS),
    }


def tables(results: dict[str, Any]) -> str:
    """The page's tables."""
    first = results["segments"][0]
    lines = [
        f"| segments of {results['cases']:,} cases | a search takes | a whole query takes | files "
        "together |",
        "|---|---|---|---|",
    ]
    for one in results["segments"]:
        lines.append(
            f"| {one['count']} | {one['search_ms'] / first['search_ms']:.2f} | "
            f"{one['query_ms'] / first['query_ms']:.2f} | {one['bytes'] / first['bytes']:.2f} |"
        )
    lines += [
        "",
        f"Times are those of one segment; each further one adds {results['each_segment_costs']:.1%}"
        " to a search. A year of weekly additions of 1 %, by the rule with several fan-outs:",
        "",
        "| merged once there are | segments, mean (most) | a search takes, mean (worst) | a cart "
        "fetches each new case |",
        "|---|---|---|---|",
    ]
    for one in results["year"]:
        name = f"{one['fanout']} of a tier" if one["fanout"] else "never"
        chosen = "**" if one["fanout"] == results["fanout"] else ""
        lines.append(
            f"| {chosen}{name}{chosen} | {one['mean_segments']:.1f} ({one['most_segments']}) | "
            f"{one['mean_search']:.2f} ({one['worst_search']:.2f}) | {one['fetched']:.2f} times |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON here")
    parser.add_argument("--page", type=Path, help="renew the tables of this page")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        publish(lambda: measure(options.cases, Path(scratch)), tables, options.output, options.page)


if __name__ == "__main__":
    main()
