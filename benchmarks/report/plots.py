"""The plots of the page, as small SVG files. Needs matplotlib (extra `report`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.report.wording import POINTS

# The same results give the same bytes, and text stays text.
plt.rcParams.update(
    {
        "svg.hashsalt": "ecgedge",
        "svg.fonttype": "none",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)
_DEEPEST = -0.1
_INK, _SOFT, _BAR = "#1f4e79", "#9db4c9", "#b03a2e"


def roc(curves: Mapping[str, Any], fold: Mapping[str, Any], path: Path) -> None:
    """One ROC curve a superclass."""
    figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
    axes.plot([0, 1], [0, 1], color=_SOFT, linewidth=1, linestyle=":")
    for name, curve in curves.items():
        auc = fold["metrics"]["int8"][f"auc_{name}"]
        label = f"{name} {auc['value']:.2f} ({auc['positives']} positives)"
        axes.plot(curve["fpr"], curve["tpr"], linewidth=1.4, label=label)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    axes.legend(frameon=False, loc="lower right")
    _save(figure, path)


def reliability(points: Sequence[Mapping[str, float]], path: Path) -> None:
    """Support told against share that held; each bin has probability, observed and pairs."""
    figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
    axes.plot([0, 1], [0, 1], color=_SOFT, linewidth=1, linestyle=":")
    told = [point["probability"] for point in points]
    observed = [point["observed"] for point in points]
    most = max(point["pairs"] for point in points)
    sizes = [12 + 60 * point["pairs"] / most for point in points]
    axes.plot(told, observed, color=_INK, linewidth=1)
    axes.scatter(told, observed, s=sizes, color=_INK, alpha=0.6)
    axes.set(xlabel="support told", ylabel="share of recordings that hold it", aspect="equal")
    _save(figure, path)


def risk_coverage(told: Mapping[str, Any], path: Path) -> None:
    """What is wrong among those answered; told: curve and perhaps curve_by_doubt, of points
    with coverage and risk, and chance, the risk of refusing at random.
    """
    figure, axes = plt.subplots(figsize=(4.6, 3.2), layout="constrained")
    named = {"curve": ("by novelty", _INK), "curve_by_doubt": ("by doubt of the votes", _BAR)}
    for name, (words, colour) in named.items():
        coverage = [point["coverage"] for point in told.get(name, ())]
        risk = [point["risk"] for point in told.get(name, ())]
        if risk:
            axes.plot(coverage, risk, color=colour, linewidth=1.4, label=f"refusing {words}")
    axes.axhline(told["chance"], color=_SOFT, linewidth=1, linestyle=":", label="at random")
    axes.set(xlabel="share answered", ylabel="wrong hard labels", xlim=(0, 1))
    axes.set_ylim(0, 1.4 * max(told["chance"], *axes.get_ylim()))
    axes.legend(frameon=False, loc="upper left")
    _save(figure, path)


def robustness(fold: Mapping[str, Any], path: Path) -> None:
    """Change of superclass AUC under each condition, with its interval.

    What loses more than `_DEEPEST` runs out of the picture and is told as a number.
    """
    words = next(held for title, held in POINTS.items() if "Robustness" in title)
    told = {
        text: fold["metrics"]["int8"][name]
        for name, text in words.items()
        if fold["metrics"]["int8"].get(name, {}).get("value") is not None
    }
    figure, axes = plt.subplots(figsize=(6.4, 0.23 * len(told) + 0.8), layout="constrained")
    axes.axvline(0, color=_SOFT, linewidth=1)
    for row, one in enumerate(told.values()):
        axes.barh(row, one["value"], color=_INK, alpha=0.75, height=0.65)
        axes.plot([one["lo"], one["hi"]], [row, row], color=_BAR, linewidth=1.2)
        if one["value"] < _DEEPEST:
            text = f"{one['value']:.3f}"
            axes.text(_DEEPEST * 0.98, row, text, va="center", ha="left", color="white")
    highest = max(0.01, *(one["hi"] for one in told.values()))
    axes.set_xlim(max(_DEEPEST, 1.1 * min(one["lo"] for one in told.values())), 1.1 * highest)
    axes.set_yticks(range(len(told)), list(told))
    axes.set(xlabel="change of superclass AUC (line: 95 % interval)")
    axes.invert_yaxis()
    _save(figure, path)


def learning_curve(results: Mapping[str, Any], path: Path) -> None:
    """Every run, the mean of each size, and what the fitted law expects of more."""
    wanted = {"auc_super": "superclass AUC", "report_r10": "R@10, ECG to report"}
    figure, both = plt.subplots(1, 2, figsize=(7.6, 3.2), layout="constrained")
    for axes, (key, words) in zip(both, wanted.items(), strict=True):
        metric = results["metrics"][key]
        points = [(one["recordings"], one[key]) for one in results["points"] if one[key]]
        axes.scatter(*zip(*points, strict=True), s=12, color=_SOFT)
        axes.plot(results["sizes"], metric["mean"], color=_INK, marker="o", markersize=4)
        expected = metric.get("expected")
        if expected:
            axes.plot(
                [results["at"]] * 2, [expected["lo"], expected["hi"]], color=_BAR, linewidth=1.2
            )
            axes.scatter([results["at"]], [expected["value"]], color=_BAR, marker="D", s=22)
        axes.set(xscale="log", xlabel="training recordings", ylabel=words)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)
    # matplotlib ends lines with spaces, which no other file of the repository has.
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")
