"""The tables of the page, out of the evaluation's JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.report.text import interval, number, signed, table
from benchmarks.report.wording import POINTS, class_name, column, one_lead
from ecgedge.evaluation.published import SYSTEMS

Fold = Mapping[str, Any]

_HEAD = ["", "int8", "95 % interval", "fp32", "int8 - fp32", "chance", "ceiling", "n", ""]
_WIDTH = 3.92  # standard errors in a 95 % interval
_FINE = ("parity",)  # bars within .005 of 1 need a fourth digit


def about(fold: Fold) -> str:
    """What was measured on what."""
    data, release = fold["dataset"], fold["releases"]["int8"]
    folds = ", ".join(map(str, data["folds"]))
    lines = [
        f"Release `{release['release']}`, encoder `{release['encoder']}`, {release['cases']:,} "
        f"cases, {release['neighbours']} of which vote. {data['name']}, fold {folds}: "
        f"{data['rows']:,} rows, {data['evaluated']} of them with a signal, of "
        f"{data['patients']} patients."
    ]
    lines += [f"- {note}" for note in fold["notes"]]
    return "\n".join(lines)


def precision(fold: Fold) -> str:
    """How far chance alone moves two figures, read off their intervals."""
    told = {
        "superclass AUC": fold["metrics"]["int8"]["auc_super"],
        "R@10 on the abnormal gallery": fold["metrics"]["int8"]["report_r10_1269"],
    }
    errors = [
        f"of {words} about {number((one['hi'] - one['lo']) / _WIDTH)}"
        for words, one in told.items()
        if one["lo"] is not None
    ]
    return f"The standard error {', '.join(errors)}: do not read smaller differences."


def point(fold: Fold, title: str) -> str:
    """One point's table; figures that are null are told under it with their reason."""
    known = {name: words for name, words in POINTS[title].items() if not one_lead(name)}
    return figures(fold, known)


def figures(fold: Fold, known: Mapping[str, str]) -> str:
    """A table of these figures (name -> words), those that are null told below."""
    int8 = fold["metrics"]["int8"]
    there = {name: words for name, words in known.items() if name in int8}
    told = [name for name in there if int8[name]["value"] is not None]
    parts = []
    if told:
        parts.append(table(_HEAD, [_row(fold, name, there[name]) for name in told]))
    reasons: dict[str, list[str]] = {}
    for name in there:
        if name not in told:
            reasons.setdefault(int8[name].get("why", ""), []).append(there[name])
    parts += [f"Not computed ({why}): {'; '.join(words)}." for why, words in reasons.items()]
    return "\n\n".join(parts)


def _row(fold: Fold, name: str, words: str) -> list[str]:
    int8, fp32 = fold["metrics"]["int8"][name], fold["metrics"]["fp32"].get(name, {})
    digits = 4 if name.startswith(_FINE) else 3
    change = fold["difference"].get(name, {}).get("value")
    show = signed if name.startswith("robust") else number
    return [
        words,
        show(int8["value"], digits),
        interval(int8, digits),
        show(fp32.get("value"), digits),
        signed(change, 4),
        number(int8["chance"]),
        number(int8.get("ceiling")),
        str(int8["n"]),
        _facts(int8),
    ]


def _facts(told: Mapping[str, Any]) -> str:
    parts = []
    if "gallery" in told:
        parts.append(f"N = {told['gallery']:,}")
    if "lead" in told:
        parts.append(told["lead"])
    if "auc" in told:
        parts.append(f"to {number(told['auc'])}")
    if told.get("snr_db") == 0:  # another ratio is in the condition's name
        parts.append("as strong as the signal (0 dB)")
    if "by_luck" in told:
        parts.append(f"{number(told['by_luck'])} by luck alone")
    if told.get("refused_on_device"):
        parts.append(f"{told['refused_on_device']} would be refused")
    return "; ".join(parts)


def classes(fold: Fold) -> str:
    """One row a class that was scored, then those left out."""
    named = {name for point in POINTS.values() for name in point}
    known = {
        name: class_name(name.removeprefix("auc_"))
        for name, told in fold["metrics"]["int8"].items()
        if name.startswith("auc_") and name not in named and told["value"] is not None
    }
    head = ["class", "int8", "95 % interval", "fp32", "positives"]
    rows = []
    for name, words in known.items():
        int8, fp32 = fold["metrics"]["int8"][name], fold["metrics"]["fp32"][name]
        cells = [words, number(int8["value"]), interval(int8), number(fp32["value"])]
        rows.append([*cells, str(int8["positives"])])
    out = [f"{task}: {', '.join(names)}" for task, names in fold["left_out"].items() if names]
    left = f"\n\nLeft out, fewer than 3 positives or no negative: {'; '.join(out)}." if out else ""
    return table(head, rows) + left


def strangers(novelty: Mapping[str, Any]) -> str:
    """How well each kind of recording unlike the corpus is noticed; nothing where not told."""
    kinds = {**novelty.get("kinds", {}), **novelty.get("populations", {})}
    head = ["recordings", "AUROC", "95 % interval", "warned or refused", "n"]
    rows = [
        [
            name,
            number(told["value"]),
            interval(told),
            f"{told['warned_or_refused']:.0%}",
            str(told["n"]),
        ]
        for name, told in kinds.items()
    ]
    own = novelty.get("split", {}).get("warned_or_refused")
    if own is not None:
        rows.append(["the split itself", "", "", f"{own:.0%}", str(novelty["n"])])
    return table(head, rows) if rows else ""


def beside(fold: Fold) -> str:
    """Published systems beside ours, group by group of figures."""
    int8 = fold["metrics"]["int8"]
    trained = f"in-domain; {fold['releases']['int8']['cases']:,} cases in the base"
    parts = []
    for names in _groups():
        head = ["", *map(column, names), "trained", "tested on", "mind"]
        ours = [_bold(int8.get(name, {}).get("value")) for name in names]
        rows = [["**ours, int8**", *ours, trained, *_own_test(fold, names)]]
        for system in SYSTEMS:
            if set(system.values) & set(names):
                cells = [number(system.values.get(name)) for name in names]
                rows.append([system.system, *cells, system.trained, system.tested, system.caution])
        parts.append(f"### {_title(names)}\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def _title(names: Sequence[str]) -> str:
    """What a group of figures is about."""
    if names[0].endswith("_1269"):
        return "Exact pair, abnormal gallery"
    if names[0].startswith("report"):
        return "Exact pair, whole gallery"
    title = next(title for title, held in POINTS.items() if names[0] in held)
    return title.partition(". ")[2].partition(" (")[0].partition(":")[0]


def _groups() -> list[tuple[str, ...]]:
    """Names that systems report together: those of a point's table, in its order."""
    known = [name for held in POINTS.values() for name in held]
    groups: list[set[str]] = []
    for system in SYSTEMS:
        group = next((one for one in groups if one & set(system.values)), None)
        if group is None:
            groups.append(set(system.values))
        else:
            group.update(system.values)
    return [tuple(name for name in known if name in group) for group in groups]


def _bold(value: float | None) -> str:
    return "" if value is None else f"**{number(value)}**"


def _own_test(fold: Fold, names: Iterable[str]) -> tuple[str, str]:
    """What ours was tested on, and what makes that easier or harder than it looks."""
    held = fold["metrics"]["int8"]
    told = {name: held[name] for name in names if held.get(name, {}).get("value") is not None}
    if not told:
        return "not computed", ""
    sizes = " and ".join(sorted({str(one["n"]) for one in told.values()}))
    galleries = {name.partition("_")[0]: one.get("gallery") for name, one in told.items()}
    report, ecg = galleries.get("report"), galleries.get("ecg")
    if not report or not ecg:
        return f"n = {sizes}", ""
    mind = "a smaller gallery is easier" if ecg < report else ""
    return f"n = {sizes}; N = {report:,} reports, {ecg:,} ECGs", mind
