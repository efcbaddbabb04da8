"""What every engine's backend does alike: verified bytes, image checks, rows of length 1."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from ecgedge.encoders.spec import EncoderSpec
from ecgedge.errors import DamagedError, InputError, MismatchError, UsageError
from ecgedge.recording import FloatArray

_MIN_LENGTH = 1e-6


def verified_bytes(model: Path, sha256: str) -> bytes:
    """The file's bytes, once they are those of `sha256`; an engine gets these very bytes.

    Raises DamagedError for a file that cannot be read or holds others.
    """
    try:
        data = model.read_bytes()
    except OSError as error:
        raise DamagedError(f"{model} cannot be read: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DamagedError(f"{model} is not the model its sidecar names: the SHA-256 differs")
    return data


def check_images(images: Any, spec: EncoderSpec) -> None:
    """Raise UsageError for another shape or dtype than spec's, InputError for NaN and inf."""
    if not isinstance(images, np.ndarray) or images.dtype != np.float32:
        kind = getattr(images, "dtype", type(images).__name__)
        raise UsageError(f"the encoder takes a float32 array of images, not {kind}")
    if images.ndim != 4 or images.shape[1:] != spec.input_shape:
        raise UsageError(
            f"the encoder takes images of shape (n, C, H, W) with (C, H, W) = "
            f"{spec.input_shape}, not {images.shape}"
        )
    if not np.isfinite(images).all():
        raise InputError("the ECG image holds values that are not finite numbers")


def unit_rows(raw: Any, count: int, spec: EncoderSpec) -> FloatArray:
    """A model's output as float32 (count, embedding_dim), rows scaled to length 1.

    Raises MismatchError for another shape, DamagedError for a row without a direction.
    """
    if raw.shape != (count, spec.embedding_dim):
        raise MismatchError(
            f"encoder {spec.id} gave shape {raw.shape} instead of ({count}, {spec.embedding_dim})"
        )
    length = np.linalg.norm(raw.astype(np.float64), axis=1, keepdims=True)
    # Not `length < minimum`: that comparison would let NaN through.
    if not (np.isfinite(length) & (length > _MIN_LENGTH)).all():
        raise DamagedError(f"encoder {spec.id} gave an embedding without a direction")
    unit: FloatArray = (raw / length).astype(np.float32)
    return unit


def first_line(error: BaseException) -> str:
    """What an engine's exception says, cut to one line that fits into a sentence."""
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
