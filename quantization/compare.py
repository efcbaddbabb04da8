"""Every recipe beside fp32 on the same recordings, and the bundle of the one that is kept."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ecgedge.encoders import BUNDLE_NAMES, TFLITE_NAME, Encoder, EncoderSpec, load_bundle
from ecgedge.errors import ReleaseError
from ecgedge.evaluation.parity import cosines, percentile_1
from ecgedge.imaging import ImageEncoding, get_encoding
from ecgedge.recording import FloatArray
from export.bundle import drop_tflite, write_bundle
from quantization import parity
from quantization.material import Ecgs, Material
from quantization.parity import Row, Views
from quantization.quantizer import Quantizer
from quantization.recipes import Recipe
from quantization.tflite import TfliteQuantizer, TfliteRecipe

AnyRecipe = Recipe | TfliteRecipe
REPORT_NAME = "parity.json"
_TIMED_ROUNDS, _TIMED_A_TURN = 60, 4

#: Names of the rows of the float32 models; the first is what all others are compared with.
REFERENCES = {"onnx": "fp32", "tflite": "tflite-fp32"}

Progress = Callable[[Iterable[AnyRecipe], str], Iterable[AnyRecipe]]


@dataclass(frozen=True)
class Comparison:
    """rows: REFERENCES first, then every recipe that could be made; failed: those that could not.

    variants: recipe -> (model bytes, sidecar). facts: what it was measured on.
    """

    rows: Mapping[str, Row]
    failed: Mapping[str, str]
    variants: Mapping[str, tuple[bytes, EncoderSpec]]
    facts: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The parity report as plain data."""
        bounds = asdict(parity.BOUNDS)
        rows = [row.to_dict() | {"failures": row.failures()} for row in self.rows.values()]
        return {
            "facts": dict(self.facts),
            "bounds": bounds,
            "rows": rows,
            "failed": dict(self.failed),
        }


def compare(
    bundle: Path, material: Material, recipes: Sequence[AnyRecipe], progress: Progress
) -> Comparison:
    """Quantize `bundle` by every recipe and measure all variants side by side.

    Raises what `load_bundle` raises; a recipe that cannot be applied is a `failed` entry.
    """
    formats = dict.fromkeys(("onnx", *(recipe.format for recipe in recipes)))
    references = {format: load_bundle(bundle, format=format) for format in formats}
    for reference in references.values():
        if reference.spec.quantization != "fp32":
            raise ReleaseError(f"{bundle} is {reference.spec.quantization} already, not fp32")
    encoding = get_encoding(references["onnx"].spec.imaging)
    models = {format: (bundle / BUNDLE_NAMES[format][0]).read_bytes() for format in formats}
    failed: dict[str, str] = {}
    variants: dict[str, tuple[bytes, EncoderSpec]] = {}
    encoders = {REFERENCES[format]: encoder for format, encoder in references.items()}
    with tempfile.TemporaryDirectory(prefix="ecgedge-int8-") as folder:
        scratch = Path(folder)
        apply = _quantizers(models, material.calibration.images(encoding), scratch)
        for recipe in progress(recipes, "quantizing"):
            try:
                data = apply[recipe.format](recipe)
                spec = references[recipe.format].spec.with_model(
                    hashlib.sha256(data).hexdigest(), quantization=recipe.name
                )
                encoders[recipe.name] = _loaded(scratch / f"bundle-{recipe.name}", data, spec)
                variants[recipe.name] = data, spec
            except ReleaseError as error:
                failed[recipe.name] = str(error)
        sizes = {REFERENCES[format]: len(data) for format, data in models.items()}
        rows = _measure(encoders, sizes | _sizes(variants), material, encoding)
    return Comparison(rows, failed, variants, _facts(material, references))


def _quantizers(
    models: Mapping[str, bytes], images: FloatArray, scratch: Path
) -> dict[str, Callable[[Any], bytes]]:
    """Format -> what applies a recipe of that format."""
    quantizers: dict[str, Callable[[Any], bytes]] = {
        "onnx": Quantizer(models["onnx"], images, scratch).apply
    }
    if "tflite" in models:
        quantizers["tflite"] = TfliteQuantizer(models["tflite"], images).apply
    return quantizers


def write_chosen(
    comparison: Comparison, out: Path, recipe: str | None = None, tflite: str | None = None
) -> dict[str, str]:
    """Write the chosen variant of each format as bundle `out` with parity.json.

    recipe, tflite: that one, provided it keeps the bounds; None picks by speed. A TFLite
    model that an earlier run left in `out` goes where none is written.

    Returns format -> recipe. Raises ReleaseError, naming the broken bounds, where nothing
    may be written.
    """
    wanted = {"onnx": recipe, "tflite": tflite}
    chosen = {
        format: _choose(comparison, format, wanted[format])
        for format, name in REFERENCES.items()
        if name in comparison.rows
    }
    report = comparison.to_dict() | {"chosen": chosen["onnx"], "chosen_tflite": None}
    if "tflite" in chosen:
        report["chosen_tflite"] = chosen["tflite"]
    files = {REPORT_NAME: (json.dumps(report, indent=2, allow_nan=False) + "\n").encode()}
    for format, name in chosen.items():
        files |= _files(format, *_with_parity(comparison, name))
    write_bundle(out, files)
    if TFLITE_NAME not in files:
        drop_tflite(out)
    return chosen


def _choose(comparison: Comparison, format: str, recipe: str | None) -> str:
    candidates = {
        name: comparison.rows[name]
        for name, (_, spec) in comparison.variants.items()
        if spec.format == format and recipe in (None, name)
    }
    chosen = parity.pick(candidates)
    if chosen is None:
        told = [f"{name}: {', '.join(row.failures())}" for name, row in candidates.items()]
        told += [f"{name}: {why}" for name, why in comparison.failed.items()]
        kind = "int8" if format == "onnx" else "TFLite"
        raise ReleaseError(f"no {kind} recipe keeps the bounds ({'; '.join(told)})")
    return chosen


def _with_parity(comparison: Comparison, name: str) -> tuple[bytes, EncoderSpec]:
    """A variant with its figures in the sidecar, without timings: the same weights must give
    the same bundle.
    """
    data, spec = comparison.variants[name]
    row = comparison.rows[name].to_dict()
    del row["milliseconds"], row["speed"]
    metrics = dict(spec.metrics) | {"parity": row | {"facts": dict(comparison.facts)}}
    return data, spec.with_model(spec.sha256, metrics=metrics)


def _files(format: str, data: bytes, spec: EncoderSpec) -> dict[str, bytes]:
    model, sidecar = BUNDLE_NAMES[format]
    return {model: data, sidecar: spec.to_json().encode()}


def _loaded(folder: Path, data: bytes, spec: EncoderSpec) -> Encoder:
    """The variant as the cart would load it."""
    write_bundle(folder, _files(spec.format, data, spec))
    try:
        return load_bundle(folder, format=spec.format)
    finally:
        shutil.rmtree(folder)


def _measure(
    encoders: Mapping[str, Encoder],
    sizes: Mapping[str, int],
    material: Material,
    encoding: ImageEncoding,
) -> dict[str, Row]:
    queries = _embed(encoders, material.validation, encoding)
    gallery = _embed(encoders, material.gallery, encoding)
    seconds = interleaved_seconds(encoders, material.validation.images(encoding, slice(1)))
    reference = Views(queries["fp32"], gallery["fp32"])
    labels = material.validation.labels, material.gallery.labels
    reference_auc = parity.retrieved_label_auc(reference, *labels)
    rows = {}
    for name in encoders:
        views = Views(queries[name], gallery[name])
        cosine = cosines(reference.queries, views.queries)
        auc = parity.retrieved_label_auc(views, *labels)
        rows[name] = Row(
            recipe=name,
            megabytes=sizes[name] / 1e6,
            milliseconds=seconds[name] * 1e3,
            speed=seconds["fp32"] / seconds[name],
            cosine_mean=float(cosine.mean()),
            cosine_p1=percentile_1(cosine),
            top10_overlap=parity.top_overlap(reference, views),
            auc_super=auc,
            auc_change=None if auc is None or reference_auc is None else auc - reference_auc,
            auc_further={
                task: parity.retrieved_label_auc(views, held, material.gallery.further[task])
                for task, held in material.validation.further.items()
            },
        )
    return rows


def _embed(
    encoders: Mapping[str, Encoder], ecgs: Ecgs, encoding: ImageEncoding
) -> dict[str, FloatArray]:
    """Every encoder's embeddings; images are made once and shared."""
    parts: dict[str, list[FloatArray]] = {name: [] for name in encoders}
    for images in ecgs.batches(encoding):
        for name, encoder in encoders.items():
            parts[name].append(encoder.encode(images))
    return {name: np.concatenate(rows) for name, rows in parts.items()}


def interleaved_seconds(
    encoders: Mapping[str, Encoder], image: FloatArray, rounds: int = _TIMED_ROUNDS
) -> dict[str, float]:
    """Median CPU seconds of one image on one thread, each encoder in turn.

    The encoders run on the calling thread, so its CPU clock leaves out the time other
    programs took; the order is drawn anew each round so that none always runs last.
    In each turn an encoder first runs untimed, to bring its weights back into the cache.
    """
    taken: dict[str, list[float]] = {name: [] for name in encoders}
    rng = np.random.default_rng(0)
    for _ in range(rounds):
        for name in rng.permutation(list(encoders)):
            encoders[name].encode(image)
            for _ in range(_TIMED_A_TURN):
                start = time.thread_time()
                encoders[name].encode(image)
                taken[name].append(time.thread_time() - start)
    return {name: float(np.median(times)) for name, times in taken.items()}


def _sizes(variants: Mapping[str, tuple[bytes, EncoderSpec]]) -> dict[str, int]:
    return {name: len(data) for name, (data, _) in variants.items()}


def _facts(material: Material, references: Mapping[str, Encoder]) -> dict[str, Any]:
    engines = {"onnx": "onnxruntime", "tflite": "ai-edge-litert"}
    return {
        "reference": references["onnx"].spec.id,
        "calibration_records": len(material.calibration),
        "gallery_records": len(material.gallery),
        "validation_records": len(material.validation),
        "unreadable": [*material.gallery.unreadable, *material.validation.unreadable],
        "neighbours": parity.NEIGHBOURS,
        "temperature": parity.TEMPERATURE,
        "timed_runs": _TIMED_ROUNDS * _TIMED_A_TURN,
        "machine": platform.machine(),
    } | {engines[format]: version(engines[format]) for format in references}
