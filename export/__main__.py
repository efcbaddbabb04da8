"""`python -m export CHECKPOINT -o BUNDLE [--no-tflite] [--json]`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ecgedge.cli.base import emit, guarded, run


@click.command("export")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Bundle folder.")
@click.option("--control", is_flag=True, help="Same architecture, random weights, no text tower.")
@click.option("--no-tflite", is_flag=True, help="ONNX only: needs no TFLite converter.")
@guarded("export")
def command(checkpoint: Path, out: Path, control: bool, no_tflite: bool, as_json: bool) -> None:
    """Write CHECKPOINT's encoder as ONNX and TFLite, each if its engine agrees with torch."""
    from ecgedge.training.checkpoint import load, untrained
    from export.bundle import export_bundle

    towers = load(checkpoint)
    chosen = untrained(towers.config) if control else towers
    report = export_bundle(chosen, out, tflite=not no_tflite)
    lines = [
        f"{report.encoder_id}: {report.model_bytes / 1e6:.2f} MB in {out}",
        f"torch against ONNX Runtime, largest difference: random images "
        f"{report.difference_random:.1e}, synthetic ECGs {report.difference_synthetic:.1e}",
    ]
    if report.tflite_bytes is not None:
        lines.append(
            f"TFLite: {report.tflite_bytes / 1e6:.2f} MB, torch against LiteRT, "
            f"largest difference {report.difference_tflite:.1e}"
        )
    if report.text_bytes is not None:
        lines.append(
            f"text tower: {report.text_bytes / 1e6:.2f} MB, "
            f"largest difference {report.difference_text:.1e}"
        )
    emit("export", {"bundle": out, **report.to_dict()}, as_json, "\n".join(lines))


if __name__ == "__main__":
    sys.exit(run(lambda: command.main(standalone_mode=False), sys.argv[1:]))
