"""GELU against ReLU once int8: `python benchmarks/activations.py CORPUS RUN... -o OUT`.

Each RUN is a folder of `ecgedge train --activation ...`. Exports and quantizes every one by the
same recipes and prints speed and parity; benchmarks/changes.py compares what the float
networks know, with intervals.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import ecgedge  # noqa: E402, F401  # before onnxruntime: see its first lines
from benchmarks.aware import usual_material  # noqa: E402
from ecgedge.cli.base import progress  # noqa: E402
from ecgedge.corpora.ptbxl import load_corpus  # noqa: E402
from ecgedge.encoders import MODEL_NAME, SPEC_NAME, load_bundle  # noqa: E402
from ecgedge.imaging import get_encoding  # noqa: E402
from ecgedge.training.checkpoint import load  # noqa: E402
from export.bundle import export_bundle, write_bundle  # noqa: E402
from quantization.compare import compare, interleaved_seconds  # noqa: E402
from quantization.recipes import choose_recipes  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--recipe", default="int8-fused")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    material = usual_material(load_corpus(options.corpus))
    rows: dict[str, Any] = {}
    encoders = {}
    with tempfile.TemporaryDirectory(prefix="ecgedge-activations-") as folder:
        for run in options.runs:
            towers = load(run / "best.pt")
            bundle, small = Path(folder) / run.name, Path(folder) / f"{run.name}-int8"
            export_bundle(towers, bundle)
            recipes = choose_recipes(options.recipe)
            made = compare(bundle, material, recipes, lambda items, label: progress(items, label))
            rows[run.name] = made.to_dict()["rows"]
            model, spec = made.variants[options.recipe]
            write_bundle(small, {MODEL_NAME: model, SPEC_NAME: spec.to_json().encode()})
            encoders[f"{run.name} fp32"] = load_bundle(bundle)
            encoders[f"{run.name} {options.recipe}"] = load_bundle(small)
    imaging = next(iter(encoders.values())).spec.imaging
    image = material.validation.images(get_encoding(imaging), slice(1))
    seconds = interleaved_seconds(encoders, image, 200)
    base = next(iter(seconds.values()))
    speed = {name: base / taken for name, taken in seconds.items()}
    told = {"recipe": options.recipe, "rows": rows, "speed": speed}
    if options.output:
        options.output.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    for name, times in speed.items():
        print(f"{name}: {times:.2f}x the first network in fp32")


if __name__ == "__main__":
    main()
