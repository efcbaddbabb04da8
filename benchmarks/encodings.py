"""The four image encodings side by side: `python benchmarks/encodings.py RUN [RUN ...]`.

Each RUN is a folder that `ecgedge train` wrote, one an encoding, all with the same budget.
Prints a table for docs/encodings.md: the validation figures of each run's chosen checkpoint
beside what making the image and encoding it cost on one thread, all timed in turns in this
one run. Needs the extra `train`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402

from ecgedge.encoders import load_bundle  # noqa: E402
from ecgedge.imaging import get_encoding  # noqa: E402
from ecgedge.signal.conditioning import condition  # noqa: E402
from ecgedge.signal.synthetic import synthesize  # noqa: E402
from ecgedge.training.checkpoint import load  # noqa: E402
from export.bundle import export_bundle  # noqa: E402
from quantization.compare import interleaved_seconds  # noqa: E402
from quantization.quantizer import Quantizer  # noqa: E402
from quantization.recipes import choose_recipes  # noqa: E402

FIGURES = ("auc_super", "auc_sub", "auc_form", "auc_rhythm", "auc_AFIB", "report_r10", "score")


def image_ms(encoding_id: str, rounds: int = 60) -> float:
    """Median CPU milliseconds of making one image."""
    conditioned, encode = condition(synthesize()), get_encoding(encoding_id).encode
    taken = []
    for _ in range(rounds):
        start = time.thread_time()
        encode(conditioned)
        taken.append(time.thread_time() - start)
    return float(np.median(taken)) * 1e3


def measure(run: Path, folder: Path) -> dict[str, Any]:
    """One run's figures and, timed in turns, its encoder in fp32 and as dynamic int8."""
    checkpoint = load(run / "best.pt")
    bundle = folder / run.name
    export_bundle(checkpoint, bundle)
    fp32 = load_bundle(bundle)
    image = get_encoding(checkpoint.imaging).encode(condition(synthesize()))[None]
    (recipe,) = choose_recipes("int8-dynamic")
    small = Quantizer((bundle / "model.onnx").read_bytes(), image, folder).apply(recipe)
    (bundle / "model.onnx").write_bytes(small)
    spec = fp32.spec.with_model(hashlib.sha256(small).hexdigest(), metrics={})
    (bundle / "model.json").write_text(spec.to_json(), encoding="utf-8")
    seconds = interleaved_seconds({"fp32": fp32, "int8": load_bundle(bundle)}, image)
    log = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return {
        "encoding": checkpoint.imaging,
        "parameters": sum(p.numel() for p in checkpoint.image_tower.parameters()),
        "epochs": json.loads(log[-1])["epoch"],
        "train_seconds": json.loads(log[-1])["seconds"],
        **{name: checkpoint.training["validation"][name] for name in FIGURES},
        "image_ms": image_ms(checkpoint.imaging),
        "fp32_ms": seconds["fp32"] * 1e3,
        "int8_ms": seconds["int8"] * 1e3,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown, the best mean figure first."""
    lines = [
        "| encoding | super | sub | form | rhythm | AFIB | R@10 | mean of four | image, ms "
        "| encoder fp32 / int8, ms | parameters | trained, min |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: -row["score"]):
        figures = " | ".join(f"{row[name]:.3f}" for name in FIGURES)
        lines.append(
            f"| `{row['encoding']}` | {figures} | {row['image_ms']:.2f} | {row['fp32_ms']:.2f} / "
            f"{row['int8_ms']:.2f} | {row['parameters'] / 1e6:.2f} M "
            f"| {row['train_seconds'] / 60:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, help="Write the rows as JSON here.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(run, Path(folder)) for run in options.runs]
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
