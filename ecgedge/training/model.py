"""The two towers: a small vision transformer for ECG images, a bag of grams for reports.

Shapes: B batch, C H W the ECG image, N tokens, D width, E embedding.

Patches and missing leads. When a patch is as tall as the image (`leads-1`,
`scalogram-1`: all leads at one moment), rows are folded into channels and a small
convolutional stem along time comes before the patch projection (Xiao et al. 2021:
a few convolutions make small transformers easier to train). Other encodings are
cut into tiles, projected directly. A missing lead or stretch reaches the
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
    """shape: (C, H, W) of the image; patch: (height, width) of a tile; dim: embedding E.

    stem: channels S of the convolutional stem.
    """

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
    def folded(self) -> bool:
        """Whether a token is all rows of a stretch of time."""
        return self.patch[0] == self.shape[1]

    @property
    def pool(self) -> int:
        """To about 25 columns a second where the image is finer than that."""
        return 4 if self.patch[1] % 4 == 0 else 1

    @property
    def grid(self) -> tuple[int, int]:
        return self.shape[1] // self.patch[0], self.shape[2] // self.patch[1]


class ConvNorm(nn.Sequential):
    """Convolution along time that keeps the length, batch norm, ReLU."""

    def __init__(self, channels: int, out: int, kernel: int) -> None:
        padding = (0, kernel // 2)
        conv = nn.Conv2d(channels, out, (1, kernel), padding=padding, bias=False)
        super().__init__(conv, nn.BatchNorm2d(out), nn.ReLU())


class TilePatches(nn.Module):
    """Square tiles, projected directly: (B, C, H, W) -> (B, N, D)."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        kernel = config.patch
        self.project = nn.Conv2d(config.shape[0], config.width, kernel, stride=kernel)

    def forward(self, images: Tensor) -> Tensor:
        tiles: Tensor = self.project(images)
        return tiles.flatten(2).transpose(1, 2)  # (B, D, h, w) -> (B, N, D)


class TimePatches(nn.Module):
    """All rows of one stretch of time are one token: (B, C, H, W) -> (B, N, D).

    Two paths look at the rows R = C*H. The fine one keeps the resolution (the shape
    of a QRS); the coarse one pools `config.pool` columns, adds the size of the slope,
    which is how QRS detectors find beats since Pan and Tompkins (1985), and sees
    about half a second (intervals). Their projections are added.
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        rows, stem, self.pool = config.shape[0] * config.shape[1], config.stem, config.pool
        fine, coarse = (1, config.patch[1]), (1, config.patch[1] // config.pool)
        self.first = ConvNorm(rows, stem, 7)
        self.fine = ConvNorm(stem, stem, 5)
        self.coarse = nn.Sequential(ConvNorm(stem + rows, stem, 7), ConvNorm(stem, stem, 5))
        self.project_fine = nn.Conv2d(stem, config.width, fine, stride=fine, bias=False)
        self.project_coarse = nn.Conv2d(stem, config.width, coarse, stride=coarse)

    def forward(self, images: Tensor) -> Tensor:
        rows = images.flatten(1, 2).unsqueeze(2)  # (B, C, H, W) -> (B, R, 1, W)
        slope = F.pad((rows[..., 2:] - rows[..., :-2]).abs(), (1, 1))  # (B, R, 1, W)
        first = self.first(rows)  # (B, S, 1, W)
        pooled = F.max_pool2d(first, (1, self.pool))  # (B, S, 1, W/pool)
        steep = torch.log1p(4 * F.avg_pool2d(slope, (1, self.pool)))  # (B, R, 1, W/pool)
        coarse = self.project_coarse(self.coarse(torch.cat([pooled, steep], dim=1)))
        tokens: Tensor = self.project_fine(self.fine(first)) + coarse  # (B, D, 1, N)
        return tokens.flatten(2).transpose(1, 2)  # (B, D, 1, N) -> (B, N, D)


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
        self.patches = TimePatches(config) if config.folded else TilePatches(config)
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
