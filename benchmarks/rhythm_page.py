"""The tables of docs/rhythm.md, from benchmarks/results/rhythm.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.rhythm_task import GROUPS, NAMES

SETTINGS = {
    "validation": "Fold {valid}: encoder, case base and settings from the training folds",
    "crossfit": "Every other fold: encoder, case base and settings from the other half "
    "({epochs} epochs)",
    "seen": "One patient left out of the case base, all folds; **the encoders were trained on "
    "most of these recordings: optimistic**",
}
_SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "accuracy_published_mix")


def tables(results: Mapping[str, Any]) -> str:
    """Markdown: counts, one table a setting, recalls and confusion of the first model."""
    models = results["models"]
    valid = ", ".join(map(str, results["folds"]["validation"]))
    parts = [_counts(results["counts"])]
    for setting, title in SETTINGS.items():
        held = {name: model[setting] for name, model in models.items() if setting in model}
        if setting == "crossfit" and results["crossfit_epochs"] is None:
            continue
        parts.append(f"### {title.format(valid=valid, epochs=results['crossfit_epochs'])}")
        parts += [_scores(held), _recalls(held)]
        if setting != "seen":
            first = next(iter(held))
            parts.append(_confusion(first, held[first]["weighed"]))
            parts.append(_difference(results["difference"], setting))
    return "\n\n".join(part for part in parts if part)


def _counts(counts: Mapping[str, Any]) -> str:
    lines = [
        "| group | SCP codes (recordings) | training | asked |",
        "|---|---|---|---|",
    ]
    for name in NAMES:
        codes = ", ".join(f"{code} ({counts['codes'][code]})" for code in sorted(GROUPS[name]))
        row = f"{counts['training'][name]} | {counts['validation'][name]}"
        lines.append(f"| {name} | {codes} | {row} |")
    rest = counts["without_one_group"]
    lines.append(f"\n{rest} further recordings with none, two or a pacemaker's are left out.")
    return "\n".join(lines)


def _scores(held: Mapping[str, Any]) -> str:
    lines = [
        "| | votes | k, T | accuracy | balanced accuracy | macro F1 | accuracy at Zheng's mix |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rules in held.items():
        for rule, one in rules.items():
            settings = "; ".join(f"{it['k']}, {it['temperature']}" for it in one["settings"])
            cells = " | ".join(_figure(one[score]) for score in _SCORES)
            lines.append(f"| {name} | {rule} | {settings} | {cells} |")
    any_one = next(iter(next(iter(held.values())).values()))
    chance = " | ".join(_number(one["chance"]) for one in map(any_one.get, _SCORES))
    lines.append(f"| always the most frequent | | | {chance} |")
    return "\n".join(lines)


def _recalls(held: Mapping[str, Any]) -> str:
    sizes = next(iter(held.values()))["weighed"]["groups"]
    head = " | ".join(f"{name}, n = {sizes[name]['n']}" for name in NAMES)
    lines = [f"| recall and AUC, weighed votes | {head} |", "|---|" + "---|" * len(NAMES)]
    for name, rules in held.items():
        groups = rules["weighed"]["groups"]
        cells = " | ".join(_recall(groups[group]) for group in NAMES)
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def _recall(group: Mapping[str, Any]) -> str:
    if not group["n"]:
        return "none"
    return f"{_figure(group['recall'])}; {_number(group['auc']['value'])}"


def _confusion(name: str, one: Mapping[str, Any]) -> str:
    lines = [
        f"| {name}, weighed votes: truth, answered | {' | '.join(NAMES)} |",
        "|---|" + "---|" * len(NAMES),
    ]
    for truth in NAMES:
        lines.append(f"| {truth} | {' | '.join(map(str, one['confusion'][truth]))} |")
    return "\n".join(lines)


def _difference(difference: Mapping[str, Any], setting: str) -> str:
    gaps = [f"{_signed(gap)} than {other}" for other, gap in difference.get(setting, {}).items()]
    if not gaps:
        return ""
    return f"Balanced accuracy of {difference['less']}, weighed votes, paired: {'; '.join(gaps)}."


def _signed(gap: Mapping[str, Any]) -> str:
    if gap["value"] is None:
        return "not comparable"
    return f"{gap['value']:+.3f} [{gap['lo']:+.3f}, {gap['hi']:+.3f}]"


def _figure(figure: Mapping[str, Any]) -> str:
    if figure["value"] is None:
        return f"none ({figure['why']})"
    return f"{figure['value']:.3f} [{_number(figure['lo'])}, {_number(figure['hi'])}]"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
