"""fp32 TFLite bytes and calibration images -> int8 TFLite bytes, one recipe at a time.

What the names mean. "dynamic": weights are int8 with a scale per output channel, and the
range of a layer's input is worked out for every image, so nothing is calibrated.
"static": ranges come from the calibration images, inputs and outputs of the layer are int8.

Traps of ai-edge-quantizer 0.10, met and measured (docs/quantization.md): it calibrates by
a moving average, so ranges depend on the order of the images and forget the widest: ours
keep the true minimum and maximum ("average" is its way, for comparison); its 16-bit
activations (`static_wi8_ai16`) are silently garbage, so no recipe has them; with every
operator chosen it makes the model's input int8 as well, unless told not to.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
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
    """Makes variants of one model; ranges are measured once.

    model: fp32 TFLite bytes, batch 1. images: float32 (n, C, H, W).

    Raises ReleaseError where ai-edge-quantizer is not installed.
    """

    def __init__(self, model: bytes, images: FloatArray) -> None:
        if not len(images):
            raise ReleaseError("there is no recording to calibrate with")
        self._model = model
        self._images = images
        self._linear, self._convs = quantizable_tensors(model)
        self._extremes: Extremes | None = None
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
            with quiet(), without_chatter(), contextlib.redirect_stderr(io.StringIO()):
                return self._quantized(recipe)  # it draws progress bars of its own
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
        ranges = recipe.calibration and self._ranges(recipe.calibration)
        made = quantizer.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
        return bytes(made.quantized_model)

    def _ranges(self, method: Calibration) -> dict[str, Any]:
        """Range of every tensor by its name, as the quantizer wants them."""
        if self._extremes is None:
            self._extremes = measured_extremes(self._model, self._images)
        merge = _widest if method == "minmax" else _moving_average
        ranges = {}
        for name, (shape, extremes) in self._extremes.items():
            low, high = merge(extremes)
            ranges[name] = {"min": np.full(shape, low), "max": np.full(shape, high)}
        return ranges


#: Tensor name -> (a shape of ones, [minimum, maximum] for every image, (n, 2)).
Extremes = dict[str, tuple[tuple[int, ...], FloatArray]]


def measured_extremes(model: bytes, images: FloatArray) -> Extremes:
    """Smallest and largest value of every float32 tensor, for each image by itself."""
    from ai_edge_litert.interpreter import Interpreter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the memory that preserved tensors take
        interpreter = Interpreter(
            model_content=model, num_threads=1, experimental_preserve_all_tensors=True
        )
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    read = [
        tensor
        for tensor in interpreter.get_tensor_details()
        if tensor["name"] and tensor["dtype"] is np.float32 and tensor["shape"].all()
    ]
    found = np.zeros((len(read), len(images), 2), dtype=np.float32)
    for row, image in enumerate(images):
        interpreter.set_tensor(given["index"], image[None])
        interpreter.invoke()
        for number, tensor in enumerate(read):
            values = interpreter.get_tensor(tensor["index"])
            found[number, row] = values.min(), values.max()
    ones = [(1,) * len(tensor["shape"]) for tensor in read]
    return {tensor["name"]: (ones[n], found[n]) for n, tensor in enumerate(read)}


def _widest(extremes: FloatArray) -> tuple[float, float]:
    return float(extremes[:, 0].min()), float(extremes[:, 1].max())


def _moving_average(extremes: FloatArray) -> tuple[float, float]:
    """As ai-edge-quantizer merges them: each new image moves the range by a twentieth."""
    known = extremes[0]
    for new in extremes[1:]:
        known = 0.95 * known + 0.05 * new
    return float(known[0]), float(known[1])


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
