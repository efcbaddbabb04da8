"""The tables of docs/learning_curve.md, from benchmarks/results/learning_curve.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

METRICS = {
    "auc_super": "super AUC",
    "report_r10": "R@10",
    "auc_super_all_cases": "super AUC, case base of all",
}


def line(point: Mapping[str, Any]) -> str:
    """One finished run, for the terminal."""
    told = ", ".join(f"{name} {_number(point[key])}" for key, name in METRICS.items())
    return (
        f"seed {point['seed']}, {point['recordings']} recordings of {point['patients']} patients, "
        f"{point['epochs']} epochs, {point['steps']} steps: {told}"
    )


def tables(results: Mapping[str, Any]) -> str:
    """Markdown: mean and spread by size, then what the fitted law expects."""
    metrics = results["metrics"]
    seeds = len({point["seed"] for point in results["points"]})
    asked = results["points"][0]["asked"]
    head = " | ".join(METRICS.values())
    lines = [
        f"Mean (standard deviation) over {seeds} seeds, {asked} recordings asked:",
        "",
        f"| recordings | epochs | steps | {head} |",
        "|---|---|---|" + "---|" * len(METRICS),
    ]
    for place, n in enumerate(results["sizes"]):
        point = _of_size(results["points"], place)
        cells = " | ".join(_spread(metrics[key], place) for key in METRICS)
        lines.append(f"| {n:.0f} | {point['epochs']} | {point['steps']} | {cells} |")
    lines += ["", _expected(results)]
    return "\n".join(lines)


def _of_size(points: list[Mapping[str, Any]], place: int) -> Mapping[str, Any]:
    size = sorted({point["size"] for point in points})[place]
    return next(point for point in points if point["size"] == size)


def _spread(metric: Mapping[str, Any], place: int) -> str:
    sd = metric["sd"][place]
    return _number(metric["mean"][place]) + ("" if sd is None else f" ({sd:.3f})")


def _expected(results: Mapping[str, Any]) -> str:
    lines = [
        f"| expected of {results['at']:,} recordings | saturating law | interval over the runs "
        "| without a floor | floor of the error | exponent |",
        "|---|---|---|---|---|---|",
    ]
    for key, name in METRICS.items():
        metric = results["metrics"][key]
        if metric["fit"] is None:
            lines.append(f"| {name} | not fitted: {metric['why']} | | | | |")
            continue
        fit, expected = metric["fit"], metric["expected"]
        lines.append(
            f"| {name} | {expected['value']:.3f} | {expected['lo']:.3f} to {expected['hi']:.3f} "
            f"| {metric['without_floor']:.3f} | {fit['floor']:.3f} | {fit['exponent']:.2f} |"
        )
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
