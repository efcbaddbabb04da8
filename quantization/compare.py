"""Every recipe beside fp32 on the same recordings, and the bundle of the one that is kept."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgedge.encoders import MODEL_NAME, SPEC_NAME, Encoder, EncoderSpec, load_bundle
from ecgedge.errors import ReleaseError
from ecgedge.imaging import ImageEncoding, get_encoding
from ecgedge.recording import FloatArray
from export.bundle import write_bundle
from quantization import parity
from quantization.material import Ecgs, Material
from quantization.parity import Row, Views
from quantization.quantizer import Quantizer
from quantization.recipes import Recipe

REPORT_NAME = "parity.json"
_TIMED_ROUNDS, _TIMED_A_TURN = 60, 4

Progress = Callable[[Iterable[Recipe], str], Iterable[Recipe]]


@dataclass(frozen=True)
class Comparison:
    """rows: "fp32" first, then every recipe that could be made; failed: those that could not.

    variants: recipe -> (model bytes, sidecar). facts: what it was measured on.
    """

    rows: Mapping[str, Row]
    failed: Mapping[str, str]
    variants: Mapping[str, tuple[bytes, EncoderSpec]]
    facts: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The parity report as plain data."""
        bounds = {
            "cosine_p1": parity.MIN_COSINE_P1,
            "top10_overlap": parity.MIN_TOP10_OVERLAP,
            "auc_change": parity.MAX_AUC_CHANGE,
        }
        rows = [row.to_dict() | {"failures": row.failures()} for row in self.rows.values()]
        return {
            "facts": dict(self.facts),
            "bounds": bounds,
            "rows": rows,
            "failed": dict(self.failed),
        }


def compare(
    bundle: Path, material: Material, recipes: Sequence[Recipe], progress: Progress
) -> Comparison:
    """Quantize `bundle` by every recipe and measure all variants side by side.

    Raises what `load_bundle` raises; a recipe ORT cannot apply is a `failed` entry.
    """
    reference = load_bundle(bundle)
    if reference.spec.quantization != "fp32":
        raise ReleaseError(f"{bundle} is {reference.spec.quantization} already, not fp32")
    encoding = get_encoding(reference.spec.imaging)
    model = (bundle / MODEL_NAME).read_bytes()
    failed: dict[str, str] = {}
    variants: dict[str, tuple[bytes, EncoderSpec]] = {}
    encoders: dict[str, Encoder] = {"fp32": reference}
    with tempfile.TemporaryDirectory(prefix="ecgedge-int8-") as folder:
        scratch = Path(folder)
        quantizer = Quantizer(model, material.calibration.images(encoding), scratch)
        for recipe in progress(recipes, "quantizing"):
            try:
                data = quantizer.apply(recipe)
                spec = reference.spec.with_model(
                    hashlib.sha256(data).hexdigest(), quantization=recipe.name
                )
                encoders[recipe.name] = _loaded(scratch / f"bundle-{recipe.name}", data, spec)
                variants[recipe.name] = data, spec
            except ReleaseError as error:
                failed[recipe.name] = str(error)
        rows = _measure(encoders, {"fp32": len(model)} | _sizes(variants), material, encoding)
    return Comparison(rows, failed, variants, _facts(material, reference.spec))


def write_chosen(comparison: Comparison, out: Path, recipe: str | None = None) -> str:
    """Write the chosen variant as bundle `out` with parity.json; returns its recipe's name.

    recipe: that one, provided it keeps the bounds; None picks by speed.

    Raises ReleaseError, naming the broken bounds, where nothing may be written.
    """
    candidates = {
        name: row
        for name, row in comparison.rows.items()
        if name in comparison.variants and recipe in (None, name)
    }
    chosen = parity.pick(candidates)
    if chosen is None:
        told = [f"{name}: {', '.join(row.failures())}" for name, row in candidates.items()]
        told += [f"{name}: {why}" for name, why in comparison.failed.items()]
        raise ReleaseError(f"no int8 recipe keeps the bounds ({'; '.join(told)})")
    data, spec = comparison.variants[chosen]
    report = comparison.to_dict() | {"chosen": chosen}
    # Timings stay out of the sidecar: the same weights must give the same bundle.
    row = comparison.rows[chosen].to_dict()
    del row["milliseconds"], row["speed"]
    metrics = dict(spec.metrics) | {"parity": row | {"facts": dict(comparison.facts)}}
    spec = spec.with_model(spec.sha256, metrics=metrics)
    files = {
        MODEL_NAME: data,
        SPEC_NAME: spec.to_json().encode(),
        REPORT_NAME: (json.dumps(report, indent=2, allow_nan=False) + "\n").encode(),
    }
    write_bundle(out, files)
    return chosen


def _loaded(folder: Path, data: bytes, spec: EncoderSpec) -> Encoder:
    """The variant as the cart would load it."""
    write_bundle(folder, {MODEL_NAME: data, SPEC_NAME: spec.to_json().encode()})
    try:
        return load_bundle(folder)
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
        cosine = parity.cosines(reference.queries, views.queries)
        auc = parity.retrieved_label_auc(views, *labels)
        rows[name] = Row(
            recipe=name,
            megabytes=sizes[name] / 1e6,
            milliseconds=seconds[name] * 1e3,
            speed=seconds["fp32"] / seconds[name],
            cosine_mean=float(cosine.mean()),
            cosine_p1=float(np.percentile(cosine, 1)),
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


def _facts(material: Material, spec: EncoderSpec) -> dict[str, Any]:
    import onnxruntime

    return {
        "reference": spec.id,
        "calibration_records": len(material.calibration),
        "gallery_records": len(material.gallery),
        "validation_records": len(material.validation),
        "unreadable": [*material.gallery.unreadable, *material.validation.unreadable],
        "neighbours": parity.NEIGHBOURS,
        "temperature": parity.TEMPERATURE,
        "timed_runs": _TIMED_ROUNDS * _TIMED_A_TURN,
        "machine": platform.machine(),
        "onnxruntime": onnxruntime.__version__,
    }
