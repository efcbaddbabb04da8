"""A hundred million cases on a hundred thousand carts: what goes over the wire, and when.

    python benchmarks/scale_sync.py -o benchmarks/results/scale_sync.json --page docs/scale.md

Sizes of files are measured on files that it writes and signs itself, times come from the
committed results of search and query, and how carts live is assumed (`scale_model.Carts`, all of
it in the JSON). The simulation is then compared with real syncs. Some minutes, no network.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from page import publish
from scale_check import compare
from scale_model import (
    Carts,
    Policy,
    Region,
    costs,
    herd,
    history,
    hours_to,
    into_one,
    never,
    simulate,
    tiered,
)
from scale_page import tables
from scale_sizes import Sizes, measure, result, search_by_segments

from ecgedge.casebase.vectors import EXACT_BELOW

SEED = 20261122
FLEET_CASES, FLEET_CARTS, REGIONS = 100_000_000, 100_000, 100
#: A tenth more cases a year.
GROWTH_A_YEAR = 0.1
POLICIES: dict[str, Policy] = {
    "never": never,
    "8 of a size": tiered(8),
    "4 of a size": tiered(4),
    "into one file": into_one,
}
EVERY_DAYS = (1, 7, 30)
CHECK_HOURS = (1.0, 4.0, 12.0, 24.0)
#: Share of the time without a link, in spells of 14 days: 0, 10 and 20 % of carts miss a week.
OFFLINE = {"0 %": 0.0, "10 %": 0.165, "20 %": 0.33}
REGION_CASES = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
SEARCHED_SEGMENTS, SEARCHED_CASES = (1, 8, 16, 50), 10_000
SEGMENT_CASES = (1_000_000, 200_000, 50_000, 10_000)
WINDOWS_S = (0, 60, 600, 3600, 7200)
NOTHING_NEW, WITH_RELEASE = 2, 7  # requests of a sync: root, timestamp; and listing, two files
BOOT_S = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--carts", type=int, default=1000, help="simulated ones of a region")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--no-check", action="store_true", help="do not run real syncs")
    options = parser.parse_args()
    publish(
        lambda: sweep(options.carts, options.days, check=not options.no_check),
        tables,
        options.output,
        options.page,
    )


def sweep(carts: int, days: int, *, check: bool = True) -> dict[str, Any]:
    """Every table's figures."""
    sizes, plain = measure(), measure(reports=False)
    cases = FLEET_CASES // REGIONS
    region = Region(cases, cases * GROWTH_A_YEAR / 365, 7, tiered(8))
    lives = Carts(carts, check_hours=24.0)
    return {
        "seed": SEED,
        "fleet": {"cases": FLEET_CASES, "carts": FLEET_CARTS, "regions": REGIONS, "days": days},
        "region": {"cases": cases, "added_a_day": round(region.added_a_day, 1)},
        "carts": asdict(lives),
        "sizes": sizes.to_dict(),
        "sizes_without_reports": asdict(plain.segment),
        "capacity": [capacity(count, sizes) for count in REGION_CASES],
        "segment_sizes": [segment_size(cases, count, sizes) for count in SEGMENT_CASES],
        "search_ms_by_segments": search_by_segments(SEARCHED_SEGMENTS, SEARCHED_CASES),
        "searched_cases": SEARCHED_CASES,
        "merging": merging(region, lives, sizes, days),
        "checking": checking(region, lives, sizes, days),
        "herd": herds(),
        "centre": centre(region, sizes),
        "check": compare(sizes) if check else None,
    }


def capacity(cases: int, sizes: Sizes) -> dict[str, Any]:
    """What a region of this many cases asks of a cart: disk, first fetch, memory, time."""
    first = sizes.segment_bytes(cases) + sizes.models
    measured = {one["count"]: one for one in result("search", "queries")}.get(cases)
    return {
        "cases": cases,
        "regions": FLEET_CASES // cases,
        "carts_a_region": FLEET_CARTS * cases // FLEET_CASES,
        "disk_bytes": round(first),
        "disk_bytes_while_all_is_new": round(2 * first),
        "first_fetch_hours": {
            str(int(speed)): round(first * 8 / speed / 3600, 2)
            for speed in (Carts.slow_bits_s, Carts.fast_bits_s)
        },
        "search_ms": measured and measured["search_ms"],
        "peak_mib": measured and round(measured["peak_mib"]),
    }


def segment_size(cases: int, each: int, sizes: Sizes) -> dict[str, Any]:
    """A region built in segments of this many cases: search, and what erasing one case costs.

    Search by the sum of the measured times of each segment (the graph from EXACT_BELOW cases on,
    every row below), for 10 cases.
    """
    count = cases // each
    p50 = {
        (one["engine"], one["count"]): one["k10"]["p50_ms"] for one in result("search", "engines")
    }
    graph = p50.get(("ours-graph", each)) if each >= EXACT_BELOW else None
    search = count * graph if graph else p50["ours-scan", cases]
    return {
        "cases_a_segment": each,
        "segments": count,
        "erase_one_bytes": round(sizes.segment_bytes(each)),
        "search_ms": round(search, 2),
        "all_bytes": round(count * sizes.segment_bytes(each)),
        "targets_bytes": round(sizes.targets.at(2 * count + sizes.model_files + 1)),
    }


def merging(region: Region, carts: Carts, sizes: Sizes, days: int) -> list[dict[str, Any]]:
    """Bytes and segments by how often is published and what is merged."""
    rows = []
    for every in EVERY_DAYS:
        for name, policy in POLICIES.items():
            one = replace(region, publish_days=every, policy=policy)
            releases = history(one, days)
            outcome = simulate(one, carts, sizes, days=days, seed=SEED)
            counts = [len(release.segments) for release in releases]
            rows.append(
                {
                    "publish_days": every,
                    "merged": name,
                    "segments_most": max(counts),
                    "targets_bytes_most": round(costs(releases, one, sizes).targets.max()),
                    "listings_a_day": round(outcome.listings / days),
                    "blobs_a_day": round(outcome.blobs / days),
                    "all_a_day": round(outcome.total / days),
                    "new_bytes_a_day": round(region.added_a_day * sizes.segment.each),
                }
            )
    return rows


def checking(region: Region, carts: Carts, sizes: Sizes, days: int) -> list[dict[str, Any]]:
    """Bytes of checks, load of the timestamp, and how soon a release reaches carts."""
    rows = []
    releases = history(region, days)
    for told, share in OFFLINE.items():
        for hours in CHECK_HOURS:
            lives = replace(carts, check_hours=hours, offline_share=share)
            outcome = simulate(region, lives, sizes, days=days, seed=SEED)
            before = (days - min(90, days / 2)) * 24  # later ones have no time to arrive
            rows.append(
                {
                    "miss_a_week": told,
                    "check_hours": hours,
                    "checks_a_day": round(outcome.checks / days, 2),
                    "timestamps_a_day": round(outcome.timestamps / days),
                    "headers_a_day": round(outcome.headers / days),
                    "all_a_day": round(outcome.total / days),
                    "fleet_requests_s": round(outcome.requests / days / 86400 * FLEET_CARTS, 1),
                    "fleet_gb_a_day": round(outcome.total / days * FLEET_CARTS / 1e9, 1),
                    "hours_to": {
                        str(part): _hours(hours_to(outcome, part, before, releases))
                        for part in (0.5, 0.9, 0.99)
                    },
                }
            )
    return rows


def _hours(value: float) -> float | None:
    return round(value, 1) if np.isfinite(value) else None


def herds() -> list[dict[str, Any]]:
    """Most requests a second when every cart starts at once, by how long they wait at random."""
    return [
        {
            "window_s": window,
            "carts": carts,
            "nothing_new": herd(carts, window, NOTHING_NEW, BOOT_S, SEED),
            "new_release": herd(carts, window, WITH_RELEASE, BOOT_S, SEED),
        }
        for carts in (FLEET_CARTS // REGIONS, FLEET_CARTS)
        for window in WINDOWS_S
    ]


def centre(region: Region, sizes: Sizes) -> dict[str, Any]:
    """What building and keeping everything takes, from measured times of one thread."""
    stages = result("query", "warm", "stages")
    ms = sum(stages[name]["p50_ms"] for name in ("condition", "image", "encode"))
    encode_hours = FLEET_CASES * ms / 1000 / 3600
    (graph,) = [
        one["build"]["cpu_s"]
        for one in result("search", "engines")
        if one["engine"] == "ours-graph" and one["count"] == 1_000_000
    ]
    year = history(region, 365)
    seen = {number: cases for release in year for number, cases in release.segments}
    kept = sum(map(sizes.segment_bytes, seen.values()))
    one = sizes.segment_bytes(region.cases)
    return {
        "encode_ms": round(ms, 3),
        "encode_core_hours": round(encode_hours),
        "graph_s_a_million": round(graph, 1),
        "graph_core_hours": round(FLEET_CASES / 1e6 * graph / 3600, 1),
        "bytes": round(one * REGIONS),
        "all_carts_fetch_all_bytes": round(one * FLEET_CARTS),
        "bytes_after_a_year_unpruned": round(kept * REGIONS),
        "releases_a_year": len(year) - 1,
    }


if __name__ == "__main__":
    main()
