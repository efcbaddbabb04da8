"""The tables of docs/search.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_engines import ENGINES


def render(results: Mapping[str, Any]) -> str:
    """All tables, from what benchmarks/search.py measured."""
    parts = [_engines(results), _types(results), _structure(results), _queries(results)]
    return "\n\n".join([*parts, _crossover(results), _bars(results), _machine(results)])


def _crossover(results: Mapping[str, Any]) -> str:
    at = results["crossover"]
    where = f"from about {at:,} rows" if at else "at none of these sizes"
    return (
        f"Warm and with 150 wanted, the graph is faster than comparing every row {where}; every "
        f"row is compared below {results['parameters']['exact_below']:,}."
    )


def _engines(results: Mapping[str, Any]) -> str:
    lines = [
        "| rows | search | p50 ms | p99 ms (processor's) | recall@10 | p50, 150 wanted "
        "| MB on disk | memory, MiB: own + mapped | opens in ms | built in s |",
        "|---" * 10 + "|",
    ]
    for one in results["engines"]:
        ten, voters = one["k10"], one["k150"]
        built = f"{one['build']['cpu_s']:.0f}" if one["build"] else "-"
        title, tail = ENGINES[one["engine"]].title, f"{ten['p99_ms']:.2f} ({ten['cpu_p99_ms']:.2f})"
        lines.append(
            f"| {one['count']:,} | {title} | {ten['p50_ms']:.2f} | {tail} "
            f"| {ten['recall_at_10']:.4f} | {voters['p50_ms']:.2f} "
            f"| {one['bytes'] / 1e6:.1f} | {one['anonymous_mib']:.0f} + {one['file_mib']:.0f} "
            f"| {one['open_ms']:.0f} | {built} |"
        )
    return "\n".join(lines)


def _types(results: Mapping[str, Any]) -> str:
    sizes = list(results["types"])
    heads = " | ".join(f"{int(size):,}" for size in sizes)
    lines = [f"| recall@10 of comparing with every row | {heads} |"]
    lines.append("|---" * (1 + len(sizes)) + "|")
    for name in results["types"][sizes[0]]:
        cells = " | ".join(f"{results['types'][size][name]:.4f}" for size in sizes)
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def _structure(results: Mapping[str, Any]) -> str:
    lines = [
        "| vectors | cosine of the nearest, p10 / p50 / p90 | local dimension, p10 / p50 / p90 |",
        "|---|---|---|",
    ]
    for name, one in results["structure"].items():
        cosines = " / ".join(f"{value:.2f}" for value in one["nearest_cosine_p10_p50_p90"])
        local = " / ".join(f"{value:.1f}" for value in one["local_dimension_p10_p50_p90"])
        lines.append(f"| {name} | {cosines} | {local} |")
    return "\n".join(lines)


def _queries(results: Mapping[str, Any]) -> str:
    lines = [
        "| whole query over | peak MiB | own + mapped MiB | vector file MB | opens in ms, "
        "hashing / remembered | search, first / p50 ms |",
        "|---" * 6 + "|",
    ]
    for one in results["queries"]:
        lines.append(
            f"| {one['count']:,} | {one['peak_mib']:.0f} | {one['anonymous_mib']:.0f} + "
            f"{one['file_mib']:.0f} | {one['vector_bytes'] / 1e6:.1f} | "
            f"{one['open_hashing_ms']:.0f} / {one['open_ms']:.0f} | "
            f"{one['first_search_ms']:.2f} / {one['search_ms']:.2f} |"
        )
    return "\n".join(lines)


def _bars(results: Mapping[str, Any]) -> str:
    lines = ["| bar | measured | allowed | at |", "|---|---|---|---|"]
    for name, (value, allowed, count) in results["bars"].items():
        least = name.startswith("recall")
        held = value >= allowed if least else value <= allowed
        sign = "at least" if least else "at most"
        verdict = "" if held else " **missed**"
        lines.append(f"| {name} | {value:.4g}{verdict} | {sign} {allowed:g} | {count:,} |")
    return "\n".join(lines)


def _machine(results: Mapping[str, Any]) -> str:
    facts = {**results["machine"], **results["parameters"], "drawn around": results["release"]}
    return ", ".join(f"{name} {value}" for name, value in facts.items())
