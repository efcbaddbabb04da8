"""A trained checkpoint as an encoder bundle, compared with torch before it is written."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ecgedge.atomic import write_atomic
from ecgedge.encoders import (
    BUNDLE_NAMES,
    MODEL_NAME,
    SPEC_NAME,
    TFLITE_NAME,
    TFLITE_SPEC_NAME,
    load_bundle,
)
from ecgedge.encoders.spec import EncoderSpec, encoder_id
from ecgedge.encoders.text import (
    TEXT_MODEL_NAME,
    TEXT_SPEC_NAME,
    TOKENIZER,
    TextSpec,
    load_text,
    pad_ids,
)
from ecgedge.errors import MismatchError, ReleaseError, UsageError
from ecgedge.imaging import get_encoding
from ecgedge.recording import FloatArray
from ecgedge.signal.conditioning import ID as CONDITIONING
from ecgedge.signal.conditioning import condition
from ecgedge.signal.synthetic import Heart, synthesize
from export.graph import to_onnx
from export.tflite import to_tflite

if TYPE_CHECKING:
    import torch

#: Largest difference of any embedding component that float32 arithmetic explains.
MAX_DIFFERENCE = 1e-4

_INPUT = "image"
#: Not "embedding": the exporter names inner values after torch's operators.
_OUTPUT = "unit_vector"
_SENTENCES = (
    "sinusrhythmus normales ekg",
    "atrial fibrillation with rapid ventricular response",
    "linkstyp, linksschenkelblock, kein st",
)


class Towers(Protocol):
    """What export needs of a checkpoint; `ecgedge.training.checkpoint.load` gives it."""

    @property
    def imaging(self) -> str: ...
    @property
    def image_tower(self) -> torch.nn.Module: ...
    @property
    def text_tower(self) -> torch.nn.Module | None: ...
    @property
    def training(self) -> Mapping[str, Any]: ...
    @property
    def learnt(self) -> str: ...


@dataclass(frozen=True)
class ExportReport:
    """What was written, and the largest |torch - engine| of any component.

    The engine is ONNX Runtime, and LiteRT for `difference_tflite` (of random images and
    synthetic ECGs together); None for what was not exported.
    """

    encoder_id: str
    model_bytes: int
    text_bytes: int | None
    difference_random: float
    difference_synthetic: float
    difference_text: float | None
    tflite_bytes: int | None = None
    difference_tflite: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def export_bundle(towers: Towers, out: Path, *, tflite: bool = False) -> ExportReport:
    """Write the bundle folder `out`; nothing is written unless every check passes.

    tflite: also as TFLite, which needs the converter. Without it a TFLite model that an
    earlier export left in `out` is removed: it may be another network's.

    Raises ReleaseError where an engine does not reproduce torch within MAX_DIFFERENCE or
    the converter is missing, MismatchError where the network's shape is not its encoding's.
    """
    model, spec = image_model(towers)
    files = {MODEL_NAME: model, SPEC_NAME: spec.to_json().encode()}
    text = small = None
    if towers.text_tower is not None:
        text, text_spec = text_model(towers.text_tower, towers.learnt)
        files |= {TEXT_MODEL_NAME: text, TEXT_SPEC_NAME: text_spec.to_json().encode()}
    if tflite:
        small, small_spec = tflite_model(towers, spec)
        files |= {TFLITE_NAME: small, TFLITE_SPEC_NAME: small_spec.to_json().encode()}
    random, synthetic, words, lite = _differences(towers, files, spec.imaging)
    write_bundle(out, files)
    if not tflite:
        drop_tflite(out)
    return ExportReport(
        encoder_id=spec.id,
        model_bytes=len(model),
        text_bytes=None if text is None else len(text),
        difference_random=random,
        difference_synthetic=synthetic,
        difference_text=words,
        tflite_bytes=None if small is None else len(small),
        difference_tflite=lite,
    )


def _differences(
    towers: Towers, files: Mapping[str, bytes], imaging: str
) -> tuple[float, float, float | None, float | None]:
    """Largest |torch - engine|: ONNX on random images and synthetic ECGs, text, TFLite.

    Raises ReleaseError where one is more than MAX_DIFFERENCE.
    """
    random, synthetic = random_images(imaging), synthetic_images(imaging)
    tower = towers.image_tower
    words = lite = None
    with tempfile.TemporaryDirectory(prefix="ecgedge-export-") as folder:
        trial = Path(folder)
        write_bundle(trial, files)
        onnx = [_image_difference(tower, trial, "onnx", images) for images in (random, synthetic)]
        if TFLITE_NAME in files:
            lite = max(
                _image_difference(tower, trial, "tflite", images) for images in (random, synthetic)
            )
        if towers.text_tower is not None:
            words = _text_difference(towers.text_tower, trial)
    for engine, worst in (("ONNX Runtime", max(*onnx, words or 0.0)), ("LiteRT", lite or 0.0)):
        if not worst <= MAX_DIFFERENCE:
            raise ReleaseError(
                f"{engine} differs from torch by {worst:.2g}, more than {MAX_DIFFERENCE:g}"
            )
    return onnx[0], onnx[1], words, lite


def image_model(towers: Towers) -> tuple[bytes, EncoderSpec]:
    """The image tower as ONNX bytes and its sidecar; the batch is free.

    Raises MismatchError for a network that does not take its encoding's images.
    """
    import torch

    shape = get_encoding(towers.imaging).shape
    example = torch.zeros(2, *shape)
    try:
        with torch.no_grad():
            dim = int(towers.image_tower(example).shape[1])
    except (RuntimeError, ValueError):
        raise MismatchError(
            f"the network does not take the images of {towers.imaging}, of shape {shape}"
        ) from None
    model = to_onnx(
        towers.image_tower,
        example,
        input_name=_INPUT,
        output_name=_OUTPUT,
        free_axes={0: "batch"},
    )
    sha256 = hashlib.sha256(model).hexdigest()
    training = dict(towers.training)
    validation = training.pop("validation", None)
    spec = EncoderSpec(
        id=encoder_id(towers.imaging, "fp32", sha256),
        format="onnx",
        sha256=sha256,
        input_name=_INPUT,
        input_shape=shape,
        input_dtype="float32",
        embedding_dim=dim,
        conditioning=CONDITIONING,
        imaging=towers.imaging,
        quantization="fp32",
        training=training,
        metrics={} if validation is None else {"validation": validation},
    )
    return model, spec


def tflite_model(towers: Towers, spec: EncoderSpec) -> tuple[bytes, EncoderSpec]:
    """The image tower as TFLite bytes, batch 1, and its sidecar; spec: the ONNX model's."""
    import torch

    example = torch.zeros(1, *spec.input_shape)
    model = to_tflite(towers.image_tower, example, input_name=_INPUT, output_name=_OUTPUT)
    sha256 = hashlib.sha256(model).hexdigest()
    return model, replace(spec, format="tflite").with_model(sha256)


def text_model(tower: torch.nn.Module, learnt: str = "") -> tuple[bytes, TextSpec]:
    """The text tower as ONNX bytes (input ids, int64 (B, L)) and its sidecar.

    learnt: the words it saw, see `TextSpec`.
    """
    import torch

    buckets = int(getattr(tower, "buckets", 0))
    example = torch.from_numpy(pad_ids(_SENTENCES, buckets))
    with torch.no_grad():
        dim = int(tower(example).shape[1])
    model = to_onnx(
        tower,
        example,
        input_name="ids",
        output_name=_OUTPUT,
        free_axes={0: "batch", 1: "grams"},
    )
    spec = TextSpec(
        format="onnx",
        sha256=hashlib.sha256(model).hexdigest(),
        tokenizer=TOKENIZER,
        buckets=buckets,
        embedding_dim=dim,
        learnt=learnt,
    )
    return model, spec


def random_images(imaging: str, count: int = 8) -> FloatArray:
    """(count, C, H, W) of unit noise: nothing the network was trained on."""
    shape = get_encoding(imaging).shape
    return np.random.default_rng(0).standard_normal((count, *shape)).astype(np.float32)


def synthetic_images(imaging: str) -> FloatArray:
    """(n, C, H, W): a few synthetic hearts through conditioning and encoding."""
    encoding = get_encoding(imaging)
    hearts = (
        Heart(),
        Heart(rate_bpm=128, t_wave=0.4),
        Heart(rate_bpm=95, jitter=0.6, p_wave=0),
        Heart(rate_bpm=52, qrs_width=2.2, st_mv=0.2),
    )
    return np.stack([encoding.encode(condition(synthesize(heart))) for heart in hearts])


def write_bundle(directory: Path, files: Mapping[str, bytes]) -> None:
    """Put files into a folder, each whole or not at all, sidecars after their models.

    Raises UsageError where the folder cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{directory} cannot be written: {error.strerror}") from None
    for name in sorted(files, key=lambda name: name.endswith(".json")):
        write_atomic(directory / name, files[name])


def drop_tflite(directory: Path) -> None:
    """Remove the TFLite model of a bundle that has just been written without one."""
    for name in BUNDLE_NAMES["tflite"]:
        (directory / name).unlink(missing_ok=True)


def _image_difference(
    tower: torch.nn.Module, bundle: Path, format: str, images: FloatArray
) -> float:
    """Largest |torch - engine|, in one batch and one by one: the free axis must be free."""
    import torch

    encoder = load_bundle(bundle, format=format)
    with torch.no_grad():
        expected = tower(torch.from_numpy(images)).numpy()
    together = encoder.encode(images)
    apart = np.concatenate([encoder.encode(image[None]) for image in images])
    return _largest(expected, (together, apart))


def _text_difference(tower: torch.nn.Module, bundle: Path) -> float:
    import torch

    encoder = load_text(bundle / TEXT_MODEL_NAME, bundle / TEXT_SPEC_NAME)
    ids = pad_ids(_SENTENCES, encoder.spec.buckets)
    with torch.no_grad():
        expected = tower(torch.from_numpy(ids)).numpy()
    return _largest(expected, (encoder.encode(_SENTENCES), encoder.encode(_SENTENCES[::-1])[::-1]))


def _largest(expected: FloatArray, found: Sequence[FloatArray]) -> float:
    return max(float(np.abs(expected - other).max()) for other in found)
