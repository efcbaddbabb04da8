"""The JSON sidecar of an encoder: what goes in, what comes out, how it was made.

Reading is strict: a missing, additional or oddly typed field is refused, because
a sidecar that is not understood in full must not decide what the cart answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from ecgedge.errors import DamagedError, MismatchError

FORMAT_VERSION = 1
#: Engines this code has a backend for.
FORMATS = ("onnx", "tflite")

#: What this release of ecgedge can put in front of an encoder: conditioning ids,
#: and image shapes (channels, height, width) by imaging id. The rooms do not know
#: each other, so it is said again here; tests/test_encoders.py holds it equal to
#: the registry of `imaging` and the id of `signal.conditioning`.
CONDITIONINGS = ("cond-1",)
IMAGE_SHAPES: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        "fields-1": (3, 150, 200),
        "leads-1": (2, 12, 1000),
        "scalogram-1": (12, 24, 250),
        "trace-1": (1, 288, 512),
    }
)

_MAX_CHARACTERS = 1 << 20
_MAX_SIDE = 1 << 16
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class EncoderSpec:
    """One image encoder.

    id: "<imaging>-<quantization>-<first 12 of sha256>"; see `encoder_id`.
    format: what engine runs it, one of FORMATS. sha256: of the model file.
    input_shape: (channels, height, width) of one ECG image; the batch is free.
    conditioning, imaging: ids of what must run before it.
    quantization: "fp32" or the name of the int8 recipe.
    training, metrics: facts for people and reports; the engine ignores them.
    """

    id: str
    format: str
    sha256: str
    input_name: str
    input_shape: tuple[int, int, int]
    input_dtype: str
    embedding_dim: int
    conditioning: str
    imaging: str
    quantization: str
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Deterministic text that `from_json` reads back; ends with a newline."""
        payload = {"format_version": FORMAT_VERSION} | {
            name: getattr(self, name) for name in _FIELDS
        }
        return json.dumps(payload, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @staticmethod
    def from_json(text: str) -> EncoderSpec:
        """Read a sidecar.

        Raises DamagedError for text that is no such sidecar, MismatchError for one
        of a later format or of an engine this version does not have.
        """
        payload = _load_object(text)
        version = payload.pop("format_version", None)
        if version != FORMAT_VERSION or isinstance(version, bool):
            raise MismatchError(
                f"the encoder's sidecar has format version {version!r}; "
                f"this ecgedge reads version {FORMAT_VERSION}"
            )
        if set(payload) != set(_FIELDS):
            odd = ", ".join(sorted(set(payload) ^ set(_FIELDS)))
            raise DamagedError(f"the encoder's sidecar lacks or adds the fields: {odd}")
        spec = EncoderSpec(**payload | {"input_shape": _shape(payload["input_shape"])})
        _check(spec)
        return spec

    def with_model(self, sha256: str, **changes: Any) -> EncoderSpec:
        """This sidecar for another model file, with its id worked out anew."""
        spec = replace(self, sha256=sha256, **changes)
        return replace(spec, id=encoder_id(spec.imaging, spec.quantization, sha256))


def encoder_id(imaging: str, quantization: str, sha256: str) -> str:
    """The name by which case bases remember which encoder made their vectors."""
    return f"{imaging}-{quantization}-{sha256[:12]}"


def check_fits(spec: EncoderSpec) -> None:
    """Raise MismatchError unless this code can make exactly the images spec asks for."""
    if spec.conditioning not in CONDITIONINGS:
        raise MismatchError(
            f"encoder {spec.id} needs conditioning {spec.conditioning!r}, "
            f"which this ecgedge does not have"
        )
    shape = IMAGE_SHAPES.get(spec.imaging)
    if shape is None:
        raise MismatchError(
            f"encoder {spec.id} needs image encoding {spec.imaging!r}, "
            f"which this ecgedge does not have"
        )
    if shape != spec.input_shape:
        raise MismatchError(
            f"encoder {spec.id} takes images of shape {spec.input_shape}, "
            f"but {spec.imaging} makes {shape}"
        )


_FIELDS = tuple(name for name in EncoderSpec.__dataclass_fields__)


def _load_object(text: str) -> dict[str, Any]:
    if len(text) > _MAX_CHARACTERS:
        raise DamagedError("the encoder's sidecar is longer than any sidecar is")
    try:
        payload = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise DamagedError("the encoder's sidecar is not valid JSON") from None
    if not isinstance(payload, dict):
        raise DamagedError("the encoder's sidecar is not a JSON object")
    return payload


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("repeated key")
    return dict(pairs)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MAX_SIDE


def _shape(value: Any) -> tuple[int, int, int]:
    if not isinstance(value, list) or len(value) != 3 or not all(map(_is_count, value)):
        raise DamagedError("the encoder's input_shape is not three positive whole numbers")
    return (value[0], value[1], value[2])


def _check(spec: EncoderSpec) -> None:
    """Types and spellings of every field; raises DamagedError or MismatchError."""
    for name in ("format", "input_dtype", "conditioning", "imaging", "quantization"):
        value = getattr(spec, name)
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise DamagedError(f"the encoder's {name} is not a plain lower-case name")
    if not isinstance(spec.input_name, str) or not 0 < len(spec.input_name) <= 64:
        raise DamagedError("the encoder's input_name is not a short text")
    if not isinstance(spec.sha256, str) or not _SHA256.fullmatch(spec.sha256):
        raise DamagedError("the encoder's sha256 is not 64 hexadecimal digits")
    if not _is_count(spec.embedding_dim):
        raise DamagedError("the encoder's embedding_dim is not a positive whole number")
    if not isinstance(spec.training, dict) or not isinstance(spec.metrics, dict):
        raise DamagedError("the encoder's training and metrics are not JSON objects")
    if spec.id != encoder_id(spec.imaging, spec.quantization, spec.sha256):
        raise DamagedError(f"the encoder's id {spec.id!r} does not follow from its other fields")
    if spec.format not in FORMATS:
        raise MismatchError(
            f"encoder {spec.id} is of format {spec.format!r}, not one of {', '.join(FORMATS)}"
        )
    if spec.input_dtype != "float32":
        raise MismatchError(f"encoder {spec.id} takes {spec.input_dtype} images, not float32")
