"""The two towers: a small vision transformer for ECG images, a bag of grams for reports.

Shapes: B batch, C H W the ECG image, N tokens, D width, E embedding.

Patches and missing leads. When a patch is as tall as the image (`leads-1`,
`scalogram-1`: all leads at one moment), rows are folded into channels and a small
convolutional stem along time comes before the patch projection (Xiao et al. 2021:
a few convolutions make small transformers easier to train). Other encodings are
cut into square tiles, projected directly. A missing lead or stretch reaches the
network as zeros in the signal and in the image's "observed" channel; no token is
dropped, so the graph stays static for the int8 runtimes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class ViTConfig:
    """shape: (C, H, W) of the image; patch: (height, width) of a tile; dim: embedding E."""

    shape: tuple[int, int, int]
    patch: tuple[int, int]
    width: int = 128
    depth: int = 6
    heads: int = 4
    dim: int = 128
    mlp_ratio: int = 4
    stem: int = 64
    dropout: float = 0.1
    drop_path: float = 0.1

    @property
    def grid(self) -> tuple[int, int]:
        return self.shape[1] // self.patch[0], self.shape[2] // self.patch[1]


class PatchEmbed(nn.Module):
    """(B, C, H, W) -> (B, N, D)."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        channels, height, _ = config.shape
        kernel = config.patch
        self.fold = kernel[0] == height and config.stem > 0
        if self.fold:
            self.stem = nn.Sequential(
                nn.Conv2d(channels * height, config.stem, (1, 7), padding=(0, 3), bias=False),
                nn.BatchNorm2d(config.stem),
                nn.ReLU(),
                nn.Conv2d(config.stem, config.stem, (1, 5), padding=(0, 2), bias=False),
                nn.BatchNorm2d(config.stem),
                nn.ReLU(),
            )
            channels, kernel = config.stem, (1, kernel[1])
        self.project = nn.Conv2d(channels, config.width, kernel, stride=kernel)

    def forward(self, images: Tensor) -> Tensor:
        if self.fold:
            images = self.stem(images.flatten(1, 2).unsqueeze(2))  # (B, C*H, 1, W) -> (B, S, 1, W)
        tiles: Tensor = self.project(images)
        return tiles.flatten(2).transpose(1, 2)  # (B, D, h, w) -> (B, N, D)


class Block(nn.Module):
    """Pre-norm attention and MLP, each dropped whole now and then (stochastic depth)."""

    def __init__(self, config: ViTConfig, drop_path: float) -> None:
        super().__init__()
        width = config.width
        self.heads, self.dropout, self.drop_path = config.heads, config.dropout, drop_path
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, config.mlp_ratio * width)
        self.down = nn.Linear(config.mlp_ratio * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._drop(self.attend(self.norm1(x)))
        return x + self._drop(self.down(F.relu(self.up(self.norm2(x)))))

    def attend(self, x: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, N, D) -> (B, h, N, D/h)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out  # (B, h, N, D/h) -> (B, N, D)

    def _drop(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        x = F.dropout(x, self.dropout)
        keep = torch.rand(x.shape[0], 1, 1, device=x.device) >= self.drop_path
        return x * keep / (1 - self.drop_path)


class EcgViT(nn.Module):
    """ECG image -> unit vector: forward (B, C, H, W) -> (B, E)."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = config
        tokens = config.grid[0] * config.grid[1]
        self.patches = PatchEmbed(config)
        self.position = nn.Parameter(0.02 * torch.randn(1, tokens, config.width))
        rates = [config.drop_path * i / max(1, config.depth - 1) for i in range(config.depth)]
        self.blocks = nn.ModuleList(Block(config, rate) for rate in rates)
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.dim)

    def forward(self, images: Tensor) -> Tensor:
        x = self.patches(images) + self.position  # (B, N, D)
        for block in self.blocks:
            x = block(x)
        return F.normalize(self.head(self.norm(x).mean(dim=1)), dim=-1)  # (B, N, D) -> (B, E)


class TextTower(nn.Module):
    """Gram ids -> unit vector: forward (B, L) int64, 0 for padding -> (B, E)."""

    def __init__(self, buckets: int = 16384, width: int = 96, dim: int = 128) -> None:
        super().__init__()
        self.buckets, self.dim = buckets, dim
        self.grams = nn.Embedding(buckets, width, padding_idx=0)
        self.mlp = nn.Sequential(nn.Linear(width, 256), nn.ReLU(), nn.Linear(256, dim))

    def forward(self, ids: Tensor) -> Tensor:
        present = (ids > 0).unsqueeze(-1).to(self.grams.weight.dtype)  # (B, L, 1)
        total = (self.grams(ids) * present).sum(dim=1)  # (B, width)
        bag = total / present.sum(dim=1).clamp(min=1).sqrt()  # long reports are not louder
        return F.normalize(self.mlp(F.dropout(bag, 0.2, self.training)), dim=-1)
