"""The page of int8 figures is made from parity.json alone."""

import json
import subprocess
import sys
from pathlib import Path

from test_quantization import row

from benchmarks.int8 import tables
from benchmarks.page import BEGIN, END

ROOT = Path(__file__).resolve().parent.parent
FACTS = {
    "validation_records": 3,
    "gallery_records": 1400,
    "calibration_records": 2,
    "machine": "x86_64",
    "onnxruntime": "1.0",
}


def report(*rows: dict, **changes: object) -> dict:
    facts = FACTS | changes.pop("facts", {})
    return {"facts": facts, "rows": list(rows), "chosen": "int8-a", "chosen_tflite": None} | changes


def line(name: str, **changes: object) -> dict:
    return row(name, **changes).to_dict() | {"failures": []}


def test_each_format_has_its_table_and_what_ships_is_bold():
    rows = [line("fp32"), line("tflite-fp32"), line("int8-a"), line("tflite-b")]
    shown = tables(report(*rows, chosen_tflite="tflite-b", facts={"ai-edge-litert": "2.0"}))
    onnx, lite = shown.split("TFLite in LiteRT")
    assert "**`int8-a`**" in onnx
    assert "tflite" not in onnx
    assert "**`tflite-b`**" in lite
    assert "| `tflite-fp32` |" in lite
    assert "ai-edge-litert 2.0" in lite


def test_a_report_without_tflite_gives_one_table():
    shown = tables(report(line("fp32"), line("int8-a", auc_super=None, auc_change=None)))
    assert "LiteRT" not in shown
    assert shown.count("| recipe |") == 1
    assert shown.splitlines()[5].count("| - ") == 5, "no AUC is a dash, not a guess"


def test_the_command_fills_the_page_from_the_shipped_report(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    command = [sys.executable, str(ROOT / "benchmarks" / "int8.py"), "--page", str(page)]
    subprocess.run(command, check=True)
    shipped = json.loads((ROOT / "benchmarks" / "results" / "int8.json").read_text())
    text = page.read_text()
    assert f"**`{shipped['chosen']}`**" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
