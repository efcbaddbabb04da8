"""ECG image -> unit vector, behind one protocol.

`load_encoder` is the only door: whatever it returns has been checked against its
sidecar, and its sidecar against what this version of ecgedge can feed it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ecgedge.encoders.spec import EncoderSpec, check_fits
from ecgedge.encoders.threads import check_threads
from ecgedge.errors import DamagedError, UsageError
from ecgedge.recording import FloatArray

MODEL_NAME, SPEC_NAME = "model.onnx", "model.json"


class Encoder(Protocol):
    """A loaded image encoder."""

    @property
    def spec(self) -> EncoderSpec: ...

    def encode(self, images: FloatArray) -> FloatArray:
        """float32 (n, C, H, W) -> float32 (n, embedding_dim), rows of length 1.

        Raises UsageError for another shape or dtype, InputError for images that
        are not finite, DamagedError where the model gives no finite direction.
        """
        ...


def load_encoder(model: Path, spec: Path, *, threads: int = 1) -> Encoder:
    """The encoder of one model file and its sidecar, verified.

    threads: how many cores one `encode` may use.

    Raises DamagedError where a file is missing, is not what its sidecar promises or
    cannot be run; MismatchError where it needs a conditioning, an image encoding,
    an image shape or an engine this version does not have; UsageError for threads,
    OutOfMemory for more than can be started.
    """
    if threads < 1:
        raise UsageError(f"an encoder cannot run on {threads} threads")
    parsed = read_spec(spec)
    check_fits(parsed)
    check_threads(threads)
    from ecgedge.encoders.onnx import load_onnx

    return load_onnx(Path(model), parsed, threads)


def load_bundle(directory: Path, *, threads: int = 1) -> Encoder:
    """`load_encoder` on the bundle folder that export and quantization write."""
    directory = Path(directory)
    return load_encoder(directory / MODEL_NAME, directory / SPEC_NAME, threads=threads)


def read_spec(path: Path) -> EncoderSpec:
    """The sidecar alone, without opening the model; raises as `EncoderSpec.from_json`."""
    path = Path(path)
    try:
        return EncoderSpec.from_json(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise DamagedError(f"{path} is not text, so it is no encoder's sidecar") from None
    except OSError as error:
        raise DamagedError(f"{path} cannot be read: {error.strerror}") from None


__all__ = [
    "MODEL_NAME",
    "SPEC_NAME",
    "Encoder",
    "EncoderSpec",
    "load_bundle",
    "load_encoder",
    "read_spec",
]
