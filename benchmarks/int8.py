"""The tables of docs/quantization.md from the parity report of the shipped encoder.

    python benchmarks/int8.py            # benchmarks/results/int8.json -> docs/quantization.md

`scripts/release` runs it after `python -m quantization`, which measures and writes the report.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.page import fill  # noqa: E402

TASKS = ("sub", "form", "rhythm")
HEAD = (
    "| recipe | MB | ms | speed | cosine mean | cosine p1 | top-10 | super AUC | change | "
    "sub | form | rhythm | bounds |"
)


def tables(report: Mapping[str, Any]) -> str:
    """ONNX, then TFLite; what ships is in bold, speed is relative to ONNX fp32 in both."""
    lite = [row for row in report["rows"] if row["recipe"].startswith("tflite")]
    onnx = [row for row in report["rows"] if row not in lite]
    shipped = {report["chosen"], report.get("chosen_tflite")}
    parts = ["ONNX Runtime:", _table(onnx, shipped)]
    if lite:
        parts += ["TFLite in LiteRT, same run, same queries:", _table(lite, shipped)]
    return "\n\n".join([*parts, _facts(report)])


def _table(rows: Sequence[Mapping[str, Any]], shipped: set[str | None]) -> str:
    return "\n".join(
        [HEAD, "|" + "---|" * HEAD.count(" |"), *(_line(row, shipped) for row in rows)]
    )


def _line(row: Mapping[str, Any], shipped: set[str | None]) -> str:
    name = f"`{row['recipe']}`"
    change = row["auc_change"]
    cells = [
        f"**{name}**" if row["recipe"] in shipped else name,
        f"{row['megabytes']:.2f}",
        f"{row['milliseconds']:.2f}",
        f"{row['speed']:.2f}x",
        f"{row['cosine_mean']:.5f}",
        f"{row['cosine_p1']:.4f}",
        f"{row['top10_overlap']:.3f}",
        _auc(row["auc_super"]),
        "-" if change is None else f"{change:+.4f}",
        *(_auc(row["auc_further"].get(task)) for task in TASKS),
        "fails" if row["failures"] else "keeps",
    ]
    return f"| {' | '.join(cells)} |"


def _auc(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _facts(report: Mapping[str, Any]) -> str:
    facts = report["facts"]
    engines = ", ".join(
        f"{name} {facts[name]}" for name in ("onnxruntime", "ai-edge-litert") if name in facts
    )
    return (
        f"{facts['validation_records']} queries, a gallery of {facts['gallery_records']:,}, "
        f"ranges from {facts['calibration_records']} records; one thread, {facts['machine']}, "
        f"{engines}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "report", nargs="?", type=Path, default=ROOT / "benchmarks/results/int8.json"
    )
    parser.add_argument("--page", type=Path, default=ROOT / "docs/quantization.md")
    given = parser.parse_args()
    fill(given.page, tables(json.loads(given.report.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
