"""Quantization-aware tuning: the network learns to give the same embeddings in int8.

The network is trained for a few hundred steps as it will be run: convolutions and linear
layers see rounded weights and activations (straight-through gradients, Jacob et al. 2018),
and are asked for the embeddings that the float network gives (no label is used). Weights are
rounded per output channel; a convolution's input to ranges fixed beforehand, a linear
layer's to the range it has, as the recipe int8-fused does.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecgedge.recording import FloatArray
from ecgedge.training.model import EcgViT

_KEPT = 0.99999  # share of a convolution's inputs inside its range, as the recipes' percentile

Progress = Callable[[Iterable[int], str], Iterable[int]]


def tune(
    tower: EcgViT,
    images: FloatArray,
    *,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    progress: Progress,
) -> EcgViT:
    """A copy of the tower, tuned; images: float32 (n, C, H, W) to tune on.

    rate: peak learning rate of AdamW, with a linear descent to zero.
    """
    rng = np.random.default_rng(seed)
    student = copy.deepcopy(tower).eval()  # batch norm keeps its statistics, dropout is off
    ranges = input_ranges(student, images[rng.permutation(len(images))[:64]])
    hooks = [_rounding(module, ranges.get(name)) for name, module in _layers(student)]
    optimizer = torch.optim.AdamW(student.parameters(), lr=rate, weight_decay=0.0)
    for step in progress(range(steps), "tuning"):
        chosen = torch.from_numpy(images[rng.choice(len(images), batch, replace=False)])
        with torch.no_grad():
            wanted = tower(chosen)
        loss = (1 - (student(chosen) * wanted).sum(dim=-1)).mean()
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for undo in hooks:
        undo()
    return student


def input_ranges(tower: EcgViT, images: FloatArray) -> dict[str, tuple[float, float]]:
    """(low, high) of every convolution's input, all but the rarest values inside."""
    seen: dict[str, tuple[float, float]] = {}

    def watch(name: str) -> Callable[[Any, Any], None]:
        def look(_: Any, inputs: tuple[Tensor]) -> None:
            values = inputs[0].detach().numpy().ravel()
            low, high = np.quantile(values, [1 - _KEPT, _KEPT])
            seen[name] = min(float(low), 0.0), max(float(high), 0.0)

        return look

    handles = [
        module.register_forward_pre_hook(watch(name))
        for name, module in _layers(tower)
        if isinstance(module, nn.Conv2d)
    ]
    with torch.no_grad():
        tower(torch.from_numpy(images))
    for handle in handles:
        handle.remove()
    return seen


def _layers(tower: EcgViT) -> list[tuple[str, nn.Module]]:
    """The convolutions and the blocks' linear layers, with their names."""
    kinds = (nn.Conv2d, nn.Linear)
    return [
        (name, module)
        for name, module in tower.named_modules()
        if isinstance(module, kinds) and name != "head"
    ]


def _rounding(module: Any, limits: tuple[float, float] | None) -> Callable[[], None]:
    """Let a layer compute with rounded weights and inputs; returns how to undo it."""
    plain = module.forward

    def forward(inputs: Tensor) -> Tensor:
        weight = round_weight(module.weight)
        rounded = round_input(inputs, limits)
        if isinstance(module, nn.Linear):
            return F.linear(rounded, weight, module.bias)
        out: Tensor = module._conv_forward(rounded, weight, module.bias)
        return out

    module.forward = forward

    def undo() -> None:
        module.forward = plain

    return undo


def round_weight(weight: Tensor) -> Tensor:
    """To 127 levels either side of zero, output channel by output channel; any shape."""
    peak = weight.detach().flatten(1).abs().amax(dim=1).clamp(min=1e-8)
    scale = (peak / 127).reshape(-1, *[1] * (weight.dim() - 1))
    return _straight_through(weight, (weight / scale).round() * scale)


def round_input(values: Tensor, limits: tuple[float, float] | None) -> Tensor:
    """To 256 levels between the limits, or between the extremes of each recording."""
    if limits is None:
        flat = values.detach().flatten(1)
        shape = (-1, *[1] * (values.dim() - 1))
        low = flat.amin(dim=1).clamp(max=0).reshape(shape)
        high = flat.amax(dim=1).clamp(min=0).reshape(shape)
    else:
        low, high = (torch.tensor(limit) for limit in limits)
    scale = ((high - low) / 255).clamp(min=1e-8)
    zero = (-low / scale).round()
    levels = ((values / scale).round() + zero).clamp(0, 255) - zero
    inside = torch.minimum(torch.maximum(values, low), high)
    return _straight_through(inside, levels * scale)


def _straight_through(values: Tensor, rounded: Tensor) -> Tensor:
    """The rounded values, with the gradient of the others."""
    return values + (rounded - values).detach()
