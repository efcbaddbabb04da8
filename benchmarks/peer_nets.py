"""The networks that `peers.py` times beside ours, written plainly; random weights do for speed."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
#: Where exported networks are kept between runs; git ignores it.
CACHE = ROOT / ".cache" / "peers"


class VitBlock(nn.Module):
    """Pre-norm attention and MLP of a vision transformer (Dosovitskiy et al. 2021)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(self.norm1(x)).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class VitB16(nn.Module):
    """ViT-B/16 without its classifier: (B, 3, 384, 384) -> (B, 768); 86 million parameters."""

    shape = (3, 384, 384)

    def __init__(self, width: int = 768, depth: int = 12, heads: int = 12) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 16, stride=16)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(0.02 * torch.randn(1, 24 * 24 + 1, width))
        self.blocks = nn.Sequential(*(VitBlock(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(images), -1, -1), tokens], dim=1)
        out: Tensor = self.norm(self.blocks(tokens + self.position))[:, 0]
        return out


class BasicBlock(nn.Module):
    """Two convolutions of three samples and a way around them (He et al. 2016)."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(channels, out, 3, stride=stride, padding=1, bias=False)
        self.conv2 = nn.Conv1d(out, out, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm1d(out), nn.BatchNorm1d(out)
        self.around: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            around = nn.Conv1d(channels, out, 1, stride=stride, bias=False)
            self.around = nn.Sequential(around, nn.BatchNorm1d(out))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(inner + self.around(x))


class ResNet18(nn.Module):
    """ResNet18 along time, the size of MERL's encoder: (B, 12, 5000) -> (B, 512)."""

    shape = (12, 5000)

    def __init__(self) -> None:
        super().__init__()
        stem = nn.Conv1d(12, 64, 7, stride=2, padding=3, bias=False)
        layers: list[nn.Module] = [stem, nn.BatchNorm1d(64), nn.ReLU(), nn.MaxPool1d(3, 2, 1)]
        channels = 64
        for out in (64, 128, 256, 512):
            layers += [BasicBlock(channels, out, 1 if out == channels else 2)]
            layers += [BasicBlock(out, out, 1)]
            channels = out
        self.layers = nn.Sequential(*layers)

    def forward(self, signals: Tensor) -> Tensor:
        out: Tensor = self.layers(signals).mean(dim=-1)
        return out


def parameters(module: nn.Module) -> int:
    """How many weights a network has."""
    return sum(weight.numel() for weight in module.parameters())


def multiplications(module: nn.Module, example: Tensor) -> int:
    """Multiply-accumulates of one forward pass, as torch counts them operator by operator."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        module(example)
    return int(counter.get_total_flops()) // 2


def eager(module: nn.Module, example: Tensor) -> Callable[[], Any]:
    """A call of the network in torch."""

    def call() -> Any:
        with torch.inference_mode():
            return module(example)

    return call


def in_onnx_runtime(module: nn.Module, example: Tensor, name: str) -> Callable[[], Any]:
    """A call of the same network in ONNX Runtime, fp32, with ecgedge's own session settings."""
    from ecgedge.encoders.onnx import open_session
    from export.graph import to_onnx

    shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    mark = hashlib.sha256(repr(shapes).encode()).hexdigest()[:12]
    path = CACHE / f"{name}-{mark}.onnx"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        names = {"input_name": "input", "output_name": "output"}
        path.write_bytes(to_onnx(module, example, **names, free_axes={}))
    session = open_session(path.read_bytes(), 1)
    feed = {"input": np.ascontiguousarray(example.numpy())}
    return lambda: session.run(None, feed)
