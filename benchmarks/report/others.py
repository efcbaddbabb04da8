"""What other benchmarks left in benchmarks/results: told where the file is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.report.text import interval, number, table

Results = Mapping[str, Any]

_OURS = "ours, together"
#: Figures on records that our constants were tuned on are kinder than those on the others.
_HELD_OUT = "held out"
#: Those in which no encoder has seen what is asked.
_SETTINGS = {"validation": "fold 9", "crossfit": "every other fold"}


def learning_curve(results: Results) -> str:
    """Means by size and what the fit expects of the full download."""
    metrics = results["metrics"]
    names = {"auc_super": "super AUC", "report_r10": "R@10"}
    seeds = len({point["seed"] for point in results["points"]})
    rows = [
        [f"{size:,.0f}", *(number(metrics[name]["mean"][place]) for name in names)]
        for place, size in enumerate(results["sizes"])
    ]
    expected = [_expected(metrics[name]) for name in names]
    rows.append([f"{results['at']:,}, extrapolated", *expected])
    head = [f"training recordings (mean of {seeds} seeds)", *names.values()]
    return f"{table(head, rows)}\n\nThe runs and the fit: [learning_curve.md](learning_curve.md)."


def _expected(metric: Mapping[str, Any]) -> str:
    told = metric.get("expected")
    return _with_interval(told) if told else str(metric.get("why", ""))


def rhythm(results: Results) -> str:
    """Four rhythms by retrieval: each model, setting and rule, beside the published figure."""
    rows = []
    for model, held in results["models"].items():
        for setting, words in _SETTINGS.items():
            for rule, one in held.get(setting, {}).items():
                cells = [_with_interval(one[name]) for name in ("accuracy", "balanced_accuracy")]
                rows.append([model, f"{words}, {rule} votes", *cells, str(one["accuracy"]["n"])])
    published = "fine-tuned net, ten images an ECG; whether split by patient is not stated"
    rows.append(
        [
            "stacked scalograms (arXiv 2312.09426)",
            published,
            "about .98",
            "",
            "45,152, one hospital",
        ]
    )
    head = ["", "setting", "accuracy", "balanced accuracy", "n"]
    return (
        f"{table(head, rows)}\n\nConfusions, recalls, what was asked with: [rhythm.md](rhythm.md)."
    )


def _with_interval(told: Mapping[str, Any]) -> str:
    return f"{number(told['value'])} ({interval(told)})" if told["value"] is not None else ""


def delineation(results: Results) -> str:
    """Every wave's onset, peak and offset of the held-out records, each system."""
    title = _group(results)
    part = results["figures"][title]
    head = ["", *(f"{name}: Se, PPV %; error ms" for name in part)]
    rows = []
    for wave, points in part[_OURS].items():
        for point in points:
            cells = [_marks(system[wave][point]) for system in part.values()]
            rows.append([f"{wave} {point}", *cells])
    lines = [f"LUDB, {title} (error: mean, standard deviation):", "", table(head, rows), ""]
    lines.append(
        "Published on another set (QTDB, five-fold): ECG-DelNet, recall and precision P 98.7 and "
        "90.1, QRS 99.9 and 99.1, T 99.9 and 98.3 %. More: [measurements.md](measurements.md)."
    )
    return "\n".join(lines)


def _marks(told: Mapping[str, Any]) -> str:
    found = f"{told['sensitivity']:.2f}, {told['ppv']:.2f}"
    return f"{found}; {told['mean_ms']:.1f}, {told['sd_ms']:.1f}"


def _group(results: Results) -> str:
    """The group of records whose figures stand for themselves, with the most leads."""
    titles = [title for title in results["figures"] if _HELD_OUT in title]
    return str((titles or list(results["figures"]))[-1])


def delineation_figure(results: Results | None, wave: str, part: str) -> dict[str, Any] | None:
    """Our sensitivity or ppv (0 to 1) of a wave's peaks; None where it was not measured."""
    if results is None:
        return None
    title = _group(results)
    told = results["figures"][title][_OURS][wave]["peak"]
    value = {"value": told[part] / 100, "lo": None, "hi": None, "n": told["n"]}
    return {**value, "about": f"LUDB, {title}"}


def words(results: Results) -> str:
    """Precision@10 of search by meaning and by keywords."""
    rows = []
    for name, told in results["precision"].items():
        cells = [_with_interval(told[way]) for way in ("meaning", "keywords", "difference")]
        meaning = told["meaning"]
        rows.append([name, *cells, number(meaning["chance"]), str(meaning["n"])])
    head = ["queries", "by meaning", "by keywords", "difference", "chance", "n"]
    about = f"Precision@10, {results['cases']:,} cases; {results['in_domain']}."
    return f"{about}\n\n{table(head, rows)}"


#: File in benchmarks/results -> its title on the page and what tells it.
SECTIONS: Mapping[str, tuple[str, Callable[[Results], str]]] = {
    "delineation": ("Measurements", delineation),
    "rhythm": ("Four rhythms", rhythm),
    "words": ("Search by words", words),
}
