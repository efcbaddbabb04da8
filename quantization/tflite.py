"""fp32 TFLite bytes and calibration images -> int8 TFLite bytes, one recipe at a time.

What the names mean. "dynamic": weights are int8 with a scale per output channel, and the
range of a layer's input is worked out for every image, so nothing is calibrated.
"static": ranges come from the calibration images, inputs and outputs of the layer are int8.

Traps of ai-edge-quantizer 0.10, met and measured (docs/quantization.md): it calibrates by
a moving average, so ranges depend on the order of the images and forget the widest: ours
keep the true minimum and maximum ("average" is its own way, for comparison); its 16-bit
activations (`static_wi8_ai16`) are silently garbage, so no recipe has them; with every
operator chosen it makes the model's input int8 as well, unless told not to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np

from ecgedge.encoders.chatter import without_chatter
from ecgedge.errors import ReleaseError, UsageError
from ecgedge.recording import FloatArray
from export.graph import quiet
from export.tflite import read_flatbuffer

Layers = Literal["linear", "convs", "all"]
Calibration = Literal["minmax", "average"]

_BITS = 8


@dataclass(frozen=True)
class TfliteRecipe:
    """One way to int8.

    layers: "linear" the fully connected layers; "convs" these and the convolutions of
        the stem; "all" every operator the quantizer can.
    calibration: how ranges are merged over the images; None works them out at run time.
    """

    format: ClassVar[str] = "tflite"

    name: str
    layers: Layers
    calibration: Calibration | None = None


TFLITE_RECIPES = (
    TfliteRecipe("tflite-dynamic", "linear"),
    TfliteRecipe("tflite-dynamic-convs", "convs"),
    TfliteRecipe("tflite-dynamic-all", "all"),
    TfliteRecipe("tflite-static", "linear", "minmax"),
    TfliteRecipe("tflite-static-average", "linear", "average"),
    TfliteRecipe("tflite-static-convs", "convs", "minmax"),
    TfliteRecipe("tflite-static-all", "all", "average"),
)


def choose_tflite_recipes(name: str) -> tuple[TfliteRecipe, ...]:
    """All recipes for "auto", else the one of that name; raises UsageError."""
    chosen = tuple(recipe for recipe in TFLITE_RECIPES if name in ("auto", recipe.name))
    if not chosen:
        known = ", ".join(recipe.name for recipe in TFLITE_RECIPES)
        raise UsageError(f"TFLite recipe {name!r} is neither auto nor one of {known}")
    return chosen


class TfliteQuantizer:
    """Makes variants of one model; ranges are measured once a calibration method.

    model: fp32 TFLite bytes, batch 1. images: float32 (n, C, H, W).

    Raises ReleaseError where ai-edge-quantizer is not installed.
    """

    def __init__(self, model: bytes, images: FloatArray) -> None:
        if not len(images):
            raise ReleaseError("there is no recording to calibrate with")
        self._model = model
        self._images = images
        self._linear, self._convs = quantizable_tensors(model)
        self._ranges: dict[str, dict[str, Any]] = {}
        try:
            with quiet(), without_chatter():
                import ai_edge_quantizer.quantizer  # noqa: F401
        except ImportError as error:
            raise ReleaseError(
                f"int8 TFLite needs ai-edge-quantizer, which is not installed ({error}): "
                "scripts/setup with the extra convert, or --no-tflite to do without"
            ) from None

    def apply(self, recipe: TfliteRecipe) -> bytes:
        """The int8 model as bytes; the same bytes for the same model and images.

        Raises ReleaseError on failure.
        """
        try:
            with quiet(), without_chatter():
                return self._quantized(recipe)
        except ReleaseError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise ReleaseError(f"recipe {recipe.name} failed: {reason}") from error

    def _quantized(self, recipe: TfliteRecipe) -> bytes:
        from ai_edge_quantizer.qtyping import TFLOperationName as Operation
        from ai_edge_quantizer.quantizer import AlgorithmName, Quantizer

        quantizer = Quantizer(bytearray(self._model))
        add = partial(quantizer.add_dynamic_config, num_bits=_BITS)
        if recipe.calibration is not None:
            add = partial(
                quantizer.add_static_config, activation_num_bits=_BITS, weight_num_bits=_BITS
            )
        if recipe.layers == "all":
            add(".*", Operation.ALL_SUPPORTED)
            for end in (Operation.INPUT, Operation.OUTPUT):
                quantizer.update_quantization_recipe(
                    ".*", end, algorithm_key=AlgorithmName.NO_QUANTIZE
                )
        else:
            add(_scope(self._linear), Operation.FULLY_CONNECTED)
            if recipe.layers == "convs":
                if not self._convs:
                    raise ReleaseError("the network has no such convolution")
                add(_scope(self._convs), Operation.CONV_2D)
        ranges = recipe.calibration and self._calibrated(recipe.calibration)
        made = quantizer.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
        return bytes(made.quantized_model)

    def _calibrated(self, method: Calibration) -> dict[str, Any]:
        """Range of every tensor by its name, {"min": array, "max": array}."""
        from ai_edge_quantizer.calibrator import Calibrator
        from ai_edge_quantizer.qtyping import TFLOperationName as Operation
        from ai_edge_quantizer.recipe_manager import RecipeManager

        if method not in self._ranges:
            everything = RecipeManager()
            everything.add_static_config(".*", Operation.ALL_SUPPORTED, _BITS, _BITS)
            options = {"qsv_update_func": _widest} if method == "minmax" else {}
            calibrator = Calibrator(self._model, num_threads=1, **options)
            ((signature, ends),) = calibrator.get_signature_list().items()
            feed = [{ends["inputs"][0]: image[None]} for image in self._images]
            calibrator.calibrate({signature: feed}, everything)
            self._ranges[method] = calibrator.get_model_qsvs()
        return self._ranges[method]


def quantizable_tensors(data: bytes) -> tuple[list[str], list[str]]:
    """Names of what the fully connected layers and the stem's convolutions put out.

    A layer counts by its kind and its constant weights. A convolution that runs over
    several rows with the same weights (each lead through one filter bank) looks at the
    signal itself, spikes and all; it has few weights to save and stays in float32.
    """
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    model = read_flatbuffer(data)
    graph = model.subgraphs[0]
    linear, convs = [], []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        kind = max(code.builtinCode, code.deprecatedBuiltinCode)
        if kind not in (BuiltinOperator.FULLY_CONNECTED, BuiltinOperator.CONV_2D):
            continue
        weights, made = graph.tensors[operator.inputs[1]], graph.tensors[operator.outputs[0]]
        if model.buffers[weights.buffer].data is None:
            continue
        if kind == BuiltinOperator.FULLY_CONNECTED:
            linear.append(made.name.decode())
        elif made.shape[0] * made.shape[1] == 1:  # (batch, rows, columns, channels)
            convs.append(made.name.decode())
    return linear, convs


def _scope(names: list[str]) -> str:
    """The quantizer's pattern for layers that put out exactly these tensors."""
    return rf"^(?:{'|'.join(map(re.escape, names))})(?:;|$)"


def _widest(known: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {
        "min": np.minimum(known["min"], new["min"]),
        "max": np.maximum(known["max"], new["max"]),
    }
