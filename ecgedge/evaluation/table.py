"""The evaluation as text for a person, published figures beside ours."""

from __future__ import annotations

from ecgedge.evaluation.figures import Figure
from ecgedge.evaluation.protocol import Evaluation
from ecgedge.evaluation.published import beside

#: Facts of a figure that its row tells.
_FACTS = {"lead": "{}", "auc": "to {:.3f}", "snr_db": "{} dB"}

_HEAD = (
    f"{'figure':26}{'n':>6}  {'fp32':>6} {'int8':>6} {'95 % interval':>16} "
    f"{'int8-fp32':>10} {'chance':>7} {'ceiling':>8}  published"
)


def render(evaluation: Evaluation) -> str:
    """The whole text: what was evaluated, the table, what is missing and why."""
    data = evaluation.dataset
    folds = ", ".join(str(fold) for fold in data["folds"])
    lines = [
        f"{data['path']}, folds {folds}: {data['rows']} rows, {data['with_signal']} with a "
        f"signal, {data['evaluated']} evaluated, {data['patients']} patients",
    ]
    for role, facts in evaluation.releases.items():
        told = (
            f"release {facts['release']}, encoder {facts['encoder']}, {facts['cases']} cases, "
            f"{facts['neighbours']} neighbours"
            if facts["release"]
            else f"none ({facts['why']})"
        )
        lines.append(f"{role:>8}: {told}")
    lines += ["", _HEAD]
    int8, fp32 = evaluation.metrics["int8"], evaluation.metrics["fp32"]
    for name, figure in int8.items():
        if figure.value is not None:
            lines.append(_row(name, figure, fp32[name], evaluation.differences.get(name)))
    return "\n".join([*lines, "", *_remarks(evaluation)])


def _row(name: str, int8: Figure, fp32: Figure, difference: Figure | None) -> str:
    digits = 4 if name.startswith("parity") else 3  # its bars are within .005 of 1
    low, high = int8.interval
    interval = "" if low is None else f"[{low:.{digits}f}, {high:.{digits}f}]"
    change = "" if difference is None or difference.value is None else f"{difference.value:+.4f}"
    return (
        f"{name:26}{int8.n:>6}  {_number(fp32.value, digits):>6} {_number(int8.value, digits):>6} "
        f"{interval:>16} {change:>10} {_number(int8.chance):>7} {_number(int8.ceiling):>8}  "
        f"{_beside(name, int8)}"
    ).rstrip()


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _beside(name: str, figure: Figure) -> str:
    """The published figure; the size of the gallery, or how many records hold the class."""
    told = []
    published = beside(name)
    if published is not None:
        value, system = published
        told.append(f"{value:.3f} {system}")
    if "gallery" in figure.facts:
        told.append(f"N = {figure.facts['gallery']}")
    for fact, words in _FACTS.items():
        if fact in figure.facts:
            told.append(words.format(figure.facts[fact]))
    if "positives" in figure.facts:
        told.append(f"{figure.facts['positives']} positives")
    return "; ".join(told)


def _remarks(evaluation: Evaluation) -> list[str]:
    """Reasons for missing figures, classes left out, unreadable signals, notes."""
    lines = []
    reasons: dict[str, list[str]] = {}
    few = {name for names in evaluation.left_out.values() for name in names}
    for name, figure in evaluation.metrics["int8"].items():
        if figure.value is None and name.removeprefix("auc_") not in few:
            reasons.setdefault(figure.why, []).append(name)
    lines += [f"not computed ({why}): {' '.join(names)}" for why, names in reasons.items()]
    lines += [
        f"left out of {task}, fewer than 3 positives or no negative: {' '.join(names)}"
        for task, names in evaluation.left_out.items()
        if names
    ]
    lines += [f"unreadable {it['record']}: {it['why']}" for it in evaluation.dataset["unreadable"]]
    lines += [f"note: {note}" for note in evaluation.notes]
    lines.append(
        "Intervals: 1,000 bootstrap draws over patients. Published figures are others', on other "
        "records and mostly with 17,000 or more training records: for orientation, not comparison."
    )
    return lines
