"""The comparison as a table for people."""

from __future__ import annotations

from ecgedge.corpora.ptbxl import TASKS
from quantization.compare import Comparison
from quantization.parity import Row

_HEAD = (
    f"{'recipe':<22}{'MB':>7}{'ms':>8}{'speed':>8}{'cos mean':>10}{'cos p1':>9}"
    f"{'top-10':>8}{'super':>8}{'change':>9}{'sub':>8}{'form':>8}{'rhythm':>8}  bounds"
)
_FURTHER = TASKS[1:]


def table(comparison: Comparison) -> str:
    """One line a recipe, fp32 first; failed recipes below with their reason."""
    facts = comparison.facts
    lines = [
        f"{facts['validation_records']} validation records, gallery of "
        f"{facts['gallery_records']}, ranges from {facts['calibration_records']}; "
        f"one thread, interleaved",
        _HEAD,
    ]
    lines += [_line(row) for row in comparison.rows.values()]
    lines += [f"{name:<22}{why}" for name, why in comparison.failed.items()]
    if facts["unreadable"]:
        lines.append(f"not readable and left out: {', '.join(facts['unreadable'])}")
    return "\n".join(lines)


def _line(row: Row) -> str:
    auc = _auc(row.auc_super)
    further = "".join(f"{_auc(row.auc_further.get(task)):>8}" for task in _FURTHER)
    change = "-" if row.auc_change is None else f"{row.auc_change:+.4f}"
    verdict = "fails" if row.failures() else "keeps"
    return (
        f"{row.recipe:<22}{row.megabytes:>7.2f}{row.milliseconds:>8.3f}{row.speed:>7.2f}x"
        f"{row.cosine_mean:>10.5f}{row.cosine_p1:>9.4f}{row.top10_overlap:>8.3f}"
        f"{auc:>8}{change:>9}{further}  {verdict}"
    )


def _auc(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
