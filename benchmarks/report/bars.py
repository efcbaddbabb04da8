"""What was aimed at, and whether it was reached: computed, never typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.report.others import delineation_figure
from benchmarks.report.text import interval, number, table

#: One figure as JSON holds it: value, lo, hi, n, perhaps why.
Told = Mapping[str, Any]
Results = Mapping[str, Any]


@dataclass(frozen=True)
class Bar:
    """One row. find: results -> the figure, or None where it was not measured.

    bar, reach: to be met, and hoped for. smaller: less is better. note: what to know.
    """

    label: str
    find: Callable[[Results], Told | None]
    bar: float
    reach: float | None = None
    smaller: bool = False
    note: str = ""

    def missed_by(self, value: float) -> float:
        """How far value is short of the bar; 0 or less where it is met."""
        return value - self.bar if self.smaller else self.bar - value


def of_fold(name: str) -> Callable[[Results], Told | None]:
    """The int8 release's figure of this name."""
    return lambda results: results["fold9"]["metrics"]["int8"].get(name)


def loss(name: str) -> Callable[[Results], Told | None]:
    """A change of AUC as a loss, above 0 where something is lost."""

    def find(results: Results) -> Told | None:
        told = of_fold(name)(results)
        if told is None or told["value"] is None:
            return told
        return {**told, "value": -told["value"], "lo": -told["hi"], "hi": -told["lo"]}

    return find


def over_chance(name: str) -> Callable[[Results], Told | None]:
    """A figure as a multiple of its chance level."""

    def find(results: Results) -> Told | None:
        told = of_fold(name)(results)
        if told is None or told["value"] is None or not told["chance"]:
            return told
        parts = {part: told[part] / told["chance"] for part in ("value", "lo", "hi")}
        return {**told, **parts}

    return find


def _delineation(wave: str, part: str) -> Callable[[Results], Told | None]:
    """Our delineation's sensitivity or ppv of a wave."""
    return lambda results: delineation_figure(results.get("delineation"), wave, part)


BARS: tuple[Bar, ...] = (
    Bar("super AUC of supports", of_fold("auc_super"), 0.90, 0.93),
    Bar("rhythm AUC", of_fold("auc_rhythm"), 0.90, 0.957),
    Bar("form AUC", of_fold("auc_form"), 0.76, 0.90),
    Bar("sub AUC", of_fold("auc_sub"), 0.84, 0.93),
    Bar("ECG to report, abnormal, R@1", of_fold("report_r1_1269"), 0.02, 0.055),
    Bar("ECG to report, abnormal, R@5", of_fold("report_r5_1269"), 0.08, 0.17),
    Bar("ECG to report, abnormal, R@10", of_fold("report_r10_1269"), 0.14, 0.26),
    Bar("cases, precision@5, superclass", of_fold("case_p5_diagnostic"), 0.72, 0.85),
    Bar(
        "cases, nDCG@10 over a random order's",
        over_chance("case_ndcg10_diagnostic"),
        1.4,
        note="multiple",
    ),
    Bar("zero-shot AUC, mean of the four", of_fold("zeroshot_mean"), 0.75, 0.80, note="in-domain"),
    Bar("hard labels, F1", of_fold("hard_f1"), 0.65, 0.748),
    Bar("hard labels, Hamming loss", of_fold("hard_hamming"), 0.14, 0.110, smaller=True),
    Bar(
        "calibration error of supports",
        of_fold("ece"),
        0.05,
        0.02,
        smaller=True,
        note="rare statements that nobody supports make it small",
    ),
    Bar("the same, supports of at least .05", of_fold("ece_p05"), 0.05, 0.02, smaller=True),
    Bar(
        "loss of super AUC, one lead off, mean",
        loss("robust_lead_off"),
        0.01,
        smaller=True,
    ),
    Bar(
        "loss of super AUC, one lead off, worst",
        loss("robust_lead_off_worst"),
        0.01,
        smaller=True,
        note="the lead that costs most",
    ),
    Bar(
        "loss of super AUC, 3x4 print",
        loss("robust_print_3x4"),
        0.03,
        smaller=True,
        note="2.5 s a lead, no strip",
    ),
    Bar("QRS sensitivity on LUDB", _delineation("QRS", "sensitivity"), 0.995),
    Bar("QRS PPV on LUDB", _delineation("QRS", "ppv"), 0.995),
)


def section(results: Results, bars: Sequence[Bar] = BARS) -> str:
    """The table of bars; a bar whose figure is not there says why, or that it is not there."""
    rows = []
    for bar in bars:
        told = bar.find(results)
        reach = "" if bar.reach is None else number(bar.reach)
        row = [bar.label, number(bar.bar), reach]
        if told is None:
            continue
        if told["value"] is None:
            rows.append([*row, "none", "", "", f"not computed: {told.get('why', '')}", bar.note])
            continue
        note = "; ".join(part for part in (bar.note, _about(told)) if part)
        rows.append(
            [
                *row,
                f"**{number(told['value'])}**",
                interval(told),
                str(told["n"]),
                verdict(bar, told),
                note,
            ]
        )
    head = ["", "bar", "reach", "ours, int8", "95 % interval", "n", "", "note"]
    return table(head, rows)


def verdict(bar: Bar, told: Told) -> str:
    """Met, reached, or missed and by how much; and whether the interval spans the bar."""
    value = told["value"]
    short = bar.missed_by(value)
    spans = told["lo"] is not None and told["lo"] < bar.bar < told["hi"]
    unsure = " (interval spans the bar)" if spans else ""
    if short > 0:
        return f"**missed by {number(short)}**{unsure}"
    reached = bar.reach is not None and (value <= bar.reach if bar.smaller else value >= bar.reach)
    return ("met, reach too" if reached else "met") + unsure


def _about(told: Told) -> str:
    """The gallery, the lead, or the records that the figure is about."""
    gallery = f"N = {told['gallery']:,}" if "gallery" in told else ""
    return gallery or told.get("lead", "") or told.get("about", "")
