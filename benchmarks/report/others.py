"""What other benchmarks left in benchmarks/results: told where the file is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.report.text import interval, number, table

Results = Mapping[str, Any]


def learning_curve(results: Results) -> str:
    """Means by size and what the fit expects at the full download."""
    metrics = results["metrics"]
    names = {"auc_super": "super AUC", "report_r10": "R@10"}
    rows = []
    for place, size in enumerate(results["sizes"]):
        cells = [number(metrics[name]["mean"][place]) for name in names]
        rows.append([f"{size:,.0f}", *cells])
    expected = [_expected(metrics[name]) for name in names]
    rows.append([f"{results['at']:,}, extrapolated", *expected])
    return table(["training recordings", *names.values()], rows)


def _expected(metric: Mapping[str, Any]) -> str:
    told = metric.get("expected")
    return f"{number(told['value'])} ({interval(told)})" if told else metric.get("why", "")


def rhythm(results: Results) -> str:
    """Four rhythms by retrieval: each model, setting and rule, beside the published figure."""
    rows = []
    for model, held in results["models"].items():
        for setting, words in _SETTINGS.items():
            for rule, one in held.get(setting, {}).items():
                cells = [_with_interval(one[name]) for name in ("accuracy", "balanced_accuracy")]
                rows.append([model, f"{words}, {rule} votes", *cells, str(one["accuracy"]["n"])])
    rows.append(
        [
            "stacked scalograms (arXiv 2312.09426)",
            "fine-tuned net; ten images an ECG, a split by patient is not stated",
            "about .98",
            "",
            "45,152 recordings of one hospital",
        ]
    )
    return table(["", "setting", "accuracy", "balanced accuracy", "n"], rows)


_SETTINGS = {
    "validation": "fold 9",
    "crossfit": "every other fold",
    "seen": "one patient left out, encoder trained on most (optimistic)",
}


def _with_interval(told: Mapping[str, Any]) -> str:
    return f"{number(told['value'])} ({interval(told)})" if told["value"] is not None else ""


def delineation_figure(results: Results | None, wave: str, part: str) -> dict[str, Any] | None:
    """Sensitivity or ppv of a wave by our delineation, or None where it was not measured."""
    return None
