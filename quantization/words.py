"""The text tower as int8: the hash table and both linear layers, quantised dynamically.

Its table is nine tenths of its size and is only looked up, so 8 bits cost
nothing in speed and a quarter of the space.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from ecgedge.encoders.text import TEXT_MODEL_NAME, TEXT_SPEC_NAME, TextSpec, load_text
from ecgedge.errors import ReleaseError
from export.bundle import write_bundle
from export.graph import quiet, strip

#: The same bound as for the image tower.
MIN_COSINE_P1 = 0.995
_OPERATORS = ["Gather", "MatMul", "Gemm"]


@dataclass(frozen=True)
class TextParity:
    """int8 against fp32 over some reports: cosine of the embeddings, and size."""

    cosine_mean: float
    cosine_p1: float
    reports: int
    bytes_fp32: int
    bytes_int8: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def write_text(bundle: Path, out: Path, reports: Sequence[str]) -> TextParity | None:
    """Write bundle's text tower as int8 into `out`; None where the bundle has none.

    Raises ReleaseError where the embeddings of `reports` move too far.
    """
    model, spec = bundle / TEXT_MODEL_NAME, bundle / TEXT_SPEC_NAME
    if not model.is_file():
        return None
    small = _quantized(model)
    told = TextSpec.from_json(spec.read_text(encoding="utf-8"))
    new_spec = replace(told, sha256=hashlib.sha256(small).hexdigest())
    files = {TEXT_MODEL_NAME: small, TEXT_SPEC_NAME: new_spec.to_json().encode()}
    with tempfile.TemporaryDirectory(prefix="ecgedge-words-") as folder:
        trial = Path(folder)
        write_bundle(trial, files)
        ours = load_text(trial / TEXT_MODEL_NAME, trial / TEXT_SPEC_NAME).encode(reports)
    cosine = (ours * load_text(model, spec).encode(reports)).sum(axis=1)
    parity = TextParity(
        float(cosine.mean()),
        float(np.quantile(cosine, 0.01)),
        len(reports),
        model.stat().st_size,
        len(small),
    )
    if not parity.cosine_p1 >= MIN_COSINE_P1:
        raise ReleaseError(
            f"the int8 text tower keeps a cosine of {parity.cosine_p1:.4f} (1st percentile), "
            f"less than {MIN_COSINE_P1}"
        )
    write_bundle(out, files)
    return parity


def _quantized(model: Path) -> bytes:
    with tempfile.TemporaryDirectory(prefix="ecgedge-words-") as folder:
        out = Path(folder) / TEXT_MODEL_NAME
        with quiet():
            quantize_dynamic(
                model, out, weight_type=QuantType.QInt8, op_types_to_quantize=_OPERATORS
            )
        return strip(onnx.load(out))
