"""The int8 recipes that are compared, and what each name means.

A vision transformer's time goes into the linear layers of its blocks and, here,
into the convolutions of its stem. LayerNorm, Softmax, residual sums and the
products inside attention stay in float32 unless a recipe says "all": they cost
little and lose the most. So do, outside "convs", the first convolution, which sees
the signal itself with its spikes, and the last one, the patch projection, whose
rounded output every token would inherit. Activations are unsigned and weights
signed (u8s8) unless the name says s8s8.

`s7` keeps weights to 7 bits (ONNX Runtime's reduce_range). x86 processors without
VNNI add pairs of 8-bit products in 16 bits and overflow silently; with 7-bit
weights they cannot. On processors with VNNI or Arm's dot product it buys nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ecgedge.errors import UsageError

Layers = Literal["linear", "inner", "convs", "all"]
Calibration = Literal["minmax", "percentile", "entropy"]

#: The percentile kept by calibration "percentile".
PERCENTILE = 99.999


@dataclass(frozen=True)
class Recipe:
    """One way to int8.

    layers: "linear" the blocks' linear layers; "inner" these and the convolutions
        between the first and the last; "convs" these and every convolution; "all"
        every operator ORT can.
    calibration: how activation ranges are fixed; None works them out at run time.
    fused: linear layers as ONNX Runtime's own dynamic operator, attention as one operator
        (see `quantization.fusion`); calibration then concerns the convolutions.
    """

    format: ClassVar[str] = "onnx"

    name: str
    layers: Layers
    calibration: Calibration | None
    activations: Literal["u8", "s8"] = "u8"
    per_channel: bool = True
    seven_bit_weights: bool = False
    fused: bool = False

    @property
    def dynamic(self) -> bool:
        return self.calibration is None


RECIPES = (
    Recipe("int8-dynamic", "linear", None),
    Recipe("int8-dynamic-tensor", "linear", None, per_channel=False),
    Recipe("int8-linear-minmax", "linear", "minmax"),
    Recipe("int8-linear", "linear", "percentile"),
    Recipe("int8-linear-entropy", "linear", "entropy"),
    Recipe("int8-linear-tensor", "linear", "percentile", per_channel=False),
    Recipe("int8-linear-s8s8", "linear", "percentile", activations="s8"),
    Recipe("int8-inner-minmax", "inner", "minmax"),
    Recipe("int8-inner", "inner", "percentile"),
    Recipe("int8-inner-u8s7", "inner", "percentile", seven_bit_weights=True),
    Recipe("int8-convs-minmax", "convs", "minmax"),
    Recipe("int8-convs", "convs", "percentile"),
    Recipe("int8-convs-s8s8", "convs", "percentile", activations="s8"),
    Recipe("int8-fused-linear", "linear", None, fused=True),
    Recipe("int8-fused-inner", "inner", "percentile", fused=True),
    Recipe("int8-fused-minmax", "convs", "minmax", fused=True),
    Recipe("int8-fused", "convs", "percentile", fused=True),
    Recipe("int8-fused-entropy", "convs", "entropy", fused=True),
    Recipe("int8-all", "all", "minmax"),
    Recipe("int8-all-s8s8", "all", "minmax", activations="s8"),
)


def choose_recipes(name: str) -> tuple[Recipe, ...]:
    """All recipes for "auto", else the one of that name; raises UsageError."""
    if name == "auto":
        return RECIPES
    chosen = tuple(recipe for recipe in RECIPES if recipe.name == name)
    if not chosen:
        known = ", ".join(recipe.name for recipe in RECIPES)
        raise UsageError(f"recipe {name!r} is neither auto nor one of {known}")
    return chosen
