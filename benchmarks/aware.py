"""Does quantization-aware tuning pay? `python benchmarks/aware.py CORPUS CHECKPOINT -o OUT`.

Tunes the image tower on the training folds (`benchmarks/tuning.py`), quantizes it and the
untuned one by the same recipe, and compares both with the untuned float network.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import ecgedge  # noqa: E402, F401  # before onnxruntime: see its first lines
from benchmarks.tuning import tune  # noqa: E402
from ecgedge.cli.base import progress  # noqa: E402
from ecgedge.corpora.ptbxl import Corpus, load_corpus, parse_folds  # noqa: E402
from ecgedge.encoders.onnx import open_session  # noqa: E402
from ecgedge.evaluation.parity import cosines, percentile_1  # noqa: E402
from ecgedge.imaging import get_encoding  # noqa: E402
from ecgedge.training.checkpoint import load  # noqa: E402
from export.bundle import image_model  # noqa: E402
from quantization import parity  # noqa: E402
from quantization.material import Ecgs, Material, load_material  # noqa: E402
from quantization.parity import Views  # noqa: E402
from quantization.quantizer import Quantizer  # noqa: E402
from quantization.recipes import choose_recipes  # noqa: E402


def usual_material(corpus: Corpus) -> Material:
    """What `python -m quantization` calibrates and compares on unless told otherwise."""
    return load_material(
        corpus,
        parse_folds("1-8"),
        parse_folds("9"),
        calibration_records=256,
        most_records=2000,
        progress=lambda records, label: progress(records, label),
    )


def views(model: bytes, material: Material, imaging: str) -> Views:
    """A model's embeddings of the validation records and of the gallery."""
    import numpy as np

    session, encoding = open_session(model, 1), get_encoding(imaging)

    def embed(ecgs: Ecgs) -> Any:
        images = (image for batch in ecgs.batches(encoding) for image in batch)
        return np.concatenate([session.run(None, {"image": one[None]})[0] for one in images])

    return Views(embed(material.validation), embed(material.gallery))


def compare(model: bytes, reference: Views, material: Material, imaging: str) -> dict[str, Any]:
    """One line: how much of the untuned float network's retrieval a model keeps."""
    found = views(model, material, imaging)
    labels = material.validation.labels, material.gallery.labels
    cosine = cosines(reference.queries, found.queries)
    return {
        "cosine_mean": float(cosine.mean()),
        "cosine_p1": percentile_1(cosine),
        "top10_overlap": parity.top_overlap(reference, found),
        "auc_super": parity.retrieved_label_auc(found, *labels),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--recipe", default="int8-fused")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=3e-5)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    corpus, towers = load_corpus(options.corpus), load(options.checkpoint)
    material = usual_material(corpus)
    encoding = get_encoding(towers.imaging)
    begun = time.process_time()
    tuned = tune(
        towers.image_tower,
        material.gallery.images(encoding),
        steps=options.steps,
        batch=options.batch,
        rate=options.rate,
        seed=0,
        progress=lambda steps, label: progress(steps, label, options.steps),
    )
    tuning_s = time.process_time() - begun
    (recipe,) = choose_recipes(options.recipe)
    float_model, _ = image_model(towers)
    reference = views(float_model, material, towers.imaging)
    rows = {"fp32": compare(float_model, reference, material, towers.imaging)}
    for name, one in (("untuned", towers), ("tuned", replace(towers, image_tower=tuned))):
        with tempfile.TemporaryDirectory(prefix="ecgedge-aware-") as folder:
            model, _ = image_model(one)
            images = material.calibration.images(encoding)
            made = Quantizer(model, images, Path(folder)).apply(recipe)
        rows[name] = compare(made, reference, material, towers.imaging)
    told = {"recipe": recipe.name, "steps": options.steps, "batch": options.batch}
    told |= {"rate": options.rate, "cpu_s": round(tuning_s, 1), "rows": rows}
    if options.output:
        options.output.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
