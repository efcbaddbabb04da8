"""The delineation benchmark's results as text and as the tables of docs/measurements.md.

python benchmarks/delineation_table.py benchmarks/results/delineation.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

POINTS = ("onset", "peak", "offset")
WAVES = ("P", "QRS", "T")
FIGURES = ("sensitivity", "ppv", "mean_ms", "sd_ms")
#: ECG-DelNet (arXiv 2005.05236), five-fold on QTDB: recall and precision, per cent.
PUBLISHED = {"P": (98.73, 90.12), "QRS": (99.94, 99.14), "T": (99.88, 98.25)}


def behind(figures: Mapping[str, Any], other: str) -> list[str]:
    """The figures of P and T in which ours, one lead at a time, is not ahead of another system."""
    worse = []
    for wave in ("P", "T"):
        for point in POINTS:
            mine, theirs = (figures[name][wave][point] for name in ("ours, alone", other))
            for figure in FIGURES:
                one, two = mine[figure], theirs[figure]
                larger_wins = figure in ("sensitivity", "ppv")
                if not (one > two if larger_wins else abs(one) < abs(two)):
                    worse.append(f"{wave} {point} {figure} {one:.2f} to {two:.2f}")
    return worse


def table(results: Mapping[str, Any]) -> str:
    """The results for a person."""
    lines = []
    for title, part in results["figures"].items():
        lines += ["", f"{title}   (Se %, PPV %, error mean and SD in ms, n)"]
        names = list(part)
        lines.append(f"  {'':<11}" + "".join(f"{name:^36}" for name in names))
        for wave in WAVES:
            for point in POINTS:
                row = f"  {wave:<4}{point:<7}"
                for name in names:
                    it = part[name][wave][point]
                    numbers = f"{it['sensitivity']:7.2f}{it['ppv']:7.2f}{it['mean_ms']:7.1f}"
                    row += f"{numbers}{it['sd_ms']:6.1f}{it['n']:7d}  "
                lines.append(row)
        for name in names:
            if name.startswith("neurokit2"):
                worse = results["behind"][title][name]
                lines.append(f"  P and T: ours, alone, ahead of {name} in {24 - len(worse)} of 24")
                lines += [f"    not in {one}" for one in worse]
    lines += ["", "intervals of a query less those of the marks, one a record"]
    for name, it in results["intervals"].items():
        lines.append(
            f"  {name:<11} n {it['n']:3d}, mean {it['mean']:6.1f}, SD {it['sd']:5.1f}, median "
            f"absolute {it['median_absolute']:4.1f}; not said though marked "
            f"{it['unsaid_though_marked']}, said though not marked {it['said_though_unmarked']}"
        )
    lines += ["", "published on another set (ECG-DelNet, QTDB): recall and precision %"]
    lines += [
        f"  {wave:<4} {recall} {precision}" for wave, (recall, precision) in PUBLISHED.items()
    ]
    failed = ", ".join(f"{name} {count}" for name, count in results["failed_leads"].items())
    return "\n".join([*lines, "", f"leads without an answer: {failed}"])


def markdown(results: Mapping[str, Any]) -> str:
    """One table a group of records and leads, ours and neurokit2's default; then the intervals.

    Without the records tuned on: those are for whoever looks into the JSON.
    """
    lines = []
    for title, part in results["figures"].items():
        if "tuned" in title:
            continue
        names = [name for name in part if name != "neurokit2 cwt"]
        lines += [
            f"{title}:",
            "",
            "| | " + " | ".join(names) + " |",
            "|---" * (1 + len(names)) + "|",
        ]
        for wave in WAVES:
            for point in POINTS:
                cells = [f"{wave} {point}", *(_cell(part[name][wave][point]) for name in names)]
                lines.append("| " + " | ".join(cells) + " |")
        for name, worse in results["behind"][title].items():
            told = f"P and T: ours, alone, ahead of {name} in {24 - len(worse)} of 24"
            lines += ["", "; not in ".join([told, *worse]) + "."]
        lines.append("")
    head = "| | n | mean | SD | median absolute | marked, not said | said, not marked |"
    lines += ["Intervals:", "", head, "|---" * 7 + "|"]
    for name, it in results["intervals"].items():
        numbers = f"{it['mean']:.1f} | {it['sd']:.1f} | {it['median_absolute']:.1f}"
        unsaid = f"{it['unsaid_though_marked']} | {it['said_though_unmarked']}"
        lines.append(f"| `{name}` | {it['n']} | {numbers} | {unsaid} |")
    return "\n".join(lines)


def _cell(it: Mapping[str, float]) -> str:
    rates = f"{it['sensitivity']:.2f} / {it['ppv']:.2f}"
    return f"{rates}, {it['mean_ms']:.1f} ± {it['sd_ms']:.1f}"


if __name__ == "__main__":
    print(markdown(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
