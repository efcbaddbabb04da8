"""fp32 ONNX bytes and calibration images -> int8 ONNX bytes, one recipe at a time."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from ecgedge.errors import ReleaseError
from ecgedge.recording import FloatArray
from export.graph import quiet, strip
from quantization.fusion import fuse, settle
from quantization.recipes import PERCENTILE, Recipe

_METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}
_TYPES = {"u8": QuantType.QUInt8, "s8": QuantType.QInt8}
#: Images run before their activations are folded into histograms; bounds the memory.
_CHUNK = 16
_LAYER_OPS = ["Conv", "MatMul"]


class Quantizer:
    """Makes variants of one model; ranges are measured once a calibration method.

    model: fp32 ONNX bytes. images: float32 (n, C, H, W). folder: scratch space.
    """

    def __init__(self, model: bytes, images: FloatArray, folder: Path) -> None:
        if not len(images):
            raise ReleaseError("there is no recording to calibrate with")
        self._path = folder / "fp32.onnx"
        self._path.write_bytes(model)
        self._folder = folder
        self._images = images
        graph = onnx.load_model_from_string(model).graph
        self._input = graph.input[0].name
        self._linear, self._convs = quantizable_layers(graph)

    @cached_property
    def _fused(self) -> Path:
        """The model in fused operators, made when the first recipe asks for it."""
        path = self._folder / "fused.onnx"
        path.write_bytes(fuse(self._path.read_bytes()))
        return path

    def apply(self, recipe: Recipe) -> bytes:
        """The int8 model as bytes, without local paths; raises ReleaseError on failure."""
        out = self._folder / f"{recipe.name}.onnx"
        try:
            with quiet():
                if recipe.dynamic:
                    self._dynamic(recipe, out)
                else:
                    self._static(recipe, out)
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise ReleaseError(f"recipe {recipe.name} failed: {reason}") from error
        made = out.read_bytes()
        return strip(onnx.load_model_from_string(settle(made) if recipe.fused else made))

    def _dynamic(self, recipe: Recipe, out: Path) -> None:
        if recipe.fused:
            out.write_bytes(self._fused.read_bytes())
            return
        quantize_dynamic(
            self._path,
            out,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=self._linear,
            per_channel=recipe.per_channel,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )

    def _static(self, recipe: Recipe, out: Path) -> None:
        assert recipe.calibration is not None
        everything = recipe.layers == "all"
        options: dict[str, Any] = {
            # ORT's default for Percentile mirrors the range around zero, which wastes
            # half of it after a ReLU.
            "CalibTensorRangeSymmetric": False,
            "CalibPercentile": PERCENTILE,
            "CalibStridedMinMax": _CHUNK,
        }
        if not everything:
            # A linear layer hands its float32 sums on; it does not round them again.
            options["OpTypesToExcludeOutputQuantization"] = ["MatMul"]
        scope = "all" if everything else "fused" if recipe.fused else "layers"
        quantize_static(
            self._fused if recipe.fused else self._path,
            out,
            _Reader(self._input, self._images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=None if everything else _LAYER_OPS,
            # QDQ does not know MatMulConstBOnly: naming the layers is what keeps the
            # products inside attention in float32.
            nodes_to_quantize=None if everything else self._nodes(recipe),
            per_channel=recipe.per_channel,
            reduce_range=recipe.seven_bit_weights,
            activation_type=_TYPES[recipe.activations],
            weight_type=QuantType.QInt8,
            calibrate_method=_METHODS[recipe.calibration],
            extra_options=options,
            calibration_cache_path=self._folder / f"{scope}-{recipe.calibration}.json",
        )

    def _nodes(self, recipe: Recipe) -> list[str]:
        linear = [] if recipe.fused else self._linear
        if recipe.layers == "linear":
            return linear
        convs = self._convs if recipe.layers == "convs" else self._convs[1:-1]
        if not convs:
            raise ReleaseError("the network has no such convolution")
        return linear + convs


def quantizable_layers(graph: Any) -> tuple[list[str], list[str]]:
    """Names of the linear layers and of the convolutions of an onnx graph, in order.

    A linear layer is a MatMul with a constant second operand; the products inside
    attention have none.
    """
    constants = {tensor.name for tensor in graph.initializer}
    linear = [n.name for n in graph.node if n.op_type == "MatMul" and n.input[1] in constants]
    return linear, [n.name for n in graph.node if n.op_type == "Conv"]


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Feeds calibration images one by one; ORT asks for ranges of _CHUNK of them."""

    def __init__(self, name: str, images: FloatArray) -> None:
        self._name = name
        # ORT wants a whole number of chunks; the first images come round again.
        short = -len(images) % _CHUNK
        self._order = np.resize(np.arange(len(images)), len(images) + short)
        self._images = images
        self._left = iter(self._order)

    def __len__(self) -> int:
        return len(self._order)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._left = iter(self._order[start_index:end_index])

    def get_next(self) -> dict[str, FloatArray] | None:
        row = next(self._left, None)
        return None if row is None else {self._name: self._images[row : row + 1]}
