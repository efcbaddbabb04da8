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

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class ViTConfig:
    """shape: (C, H, W) of the image; patch: (height, width) of a tile; dim: embedding E.

    stem: channels S of the convolutional stem. activation: in the blocks, "relu" or "gelu".
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
    activation: str = "relu"

    @property
    def folded(self) -> bool:
        """Whether a token is all rows of a stretch of time."""
        return self.patch[0] == self.shape[1]

    @property
    def at_100_hz(self) -> bool:
        """Whether the image's columns are samples (10 s of them), not frames."""
        return self.folded and self.shape[2] == 1000

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


def morlet_bank(frequencies_hz: Sequence[float], rate_hz: float) -> Tensor:
    """Morlet wavelets (omega0 = 6), (2, F, taps): the cosine of each, then the sine.

    A sine of amplitude 1 at a wavelet's frequency gives magnitude 1. Cut two and a half
    widths of the lowest frequency to each side.
    """
    widths_s = [6.0 / (2 * math.pi * frequency_hz) for frequency_hz in frequencies_hz]
    reach = round(2.5 * max(widths_s) * rate_hz)
    time_s = torch.arange(-reach, reach + 1) / rate_hz
    bank = []
    for frequency_hz, width_s in zip(frequencies_hz, widths_s, strict=True):
        envelope = torch.exp(-0.5 * (time_s / width_s) ** 2)
        phase = 2 * math.pi * frequency_hz * time_s
        scale = 2 * envelope / envelope.sum()
        bank.append(torch.stack([scale * phase.cos(), scale * phase.sin()]))
    return torch.stack(bank, dim=1)


def polyphase(bank: Tensor, stride: int, phases: int) -> Tensor:
    """The bank as a convolution from blocks of samples to blocks of outputs.

    bank: (2, F, taps), an odd number, meant for steps of `stride` with the middle tap on the
    sample. Returns (2*F*phases, stride*phases, 1, blocks): its input channels are the samples
    of one block, its output channels `phases` neighbouring outputs of each filter. The same
    sums, but as a matrix product that processors are good at, in int8 above all.
    """
    taps, block = bank.shape[-1], stride * phases
    around = -(-(taps // 2) // block)  # blocks on either side that the outer taps reach into
    wide = torch.zeros(*bank.shape[:2], phases, (2 * around + 1) * block)
    for phase in range(phases):
        first = around * block + phase * stride - taps // 2
        wide[:, :, phase, first : first + taps] = bank
    by_block: Tensor = wide.reshape(-1, 2 * around + 1, block)  # (2*F*P, blocks, samples)
    return by_block.transpose(1, 2).unsqueeze(2).contiguous()


class Wavelets(nn.Module):
    """A fixed bank of wavelets along time, 25 columns a second of a 100 Hz signal.

    (B, 1, 12, W) -> (B, 12*F, 1, W/4): log(1 + four times the magnitude). The slow ones
    resolve the heart rate and its harmonics, sharp in a regular rhythm and smeared in
    fibrillation; the fast ones place QRS, P and fibrillation waves. Left to itself a net
    this small takes most of its training to find out about rhythm.
    """

    SLOW_HZ = (0.7, 0.88, 1.1, 1.4, 1.75, 2.2, 2.8, 3.5)  # seen at 25 Hz, which is ample
    FAST_HZ = (4.5, 6.4, 9.0, 13.0, 18.0, 26.0, 37.0)
    STRIDE = 4
    PHASES = 10
    GAIN = 4

    slow: Tensor
    fast: Tensor

    def __init__(self) -> None:
        super().__init__()
        slow, fast = morlet_bank(self.SLOW_HZ, 25), morlet_bank(self.FAST_HZ, 100)
        slow = polyphase(self.GAIN * slow, 1, self.PHASES)
        fast = polyphase(self.GAIN * fast, self.STRIDE, self.PHASES)
        self.register_buffer("slow", slow, persistent=False)
        self.register_buffer("fast", fast, persistent=False)

    @property
    def count(self) -> int:
        return len(self.SLOW_HZ) + len(self.FAST_HZ)

    def forward(self, signal: Tensor) -> Tensor:
        coarse = F.avg_pool2d(signal, (1, self.STRIDE))  # (B, 1, 12, W/4)
        slow, fast = _energy(coarse, self.slow), _energy(signal, self.fast)
        return torch.cat([slow, fast], dim=1)


def _energy(signal: Tensor, bank: Tensor) -> Tensor:
    """What a polyphase bank of F wavelets finds: (B, 1, 12, W) -> (B, 12*F, 1, K*P).

    K: blocks of the bank in W. P: its phases.
    """
    cut = nn.Unflatten(-1, (-1, bank.shape[1]))
    blocks = cut(signal.squeeze(1))  # (B, 12, K, samples)
    found = F.conv2d(blocks.permute(0, 3, 1, 2), bank, padding=(0, bank.shape[-1] // 2))
    cosine, sine = found.chunk(2, dim=1)  # (B, F*P, 12, K) each
    energy = torch.log(1 + (cosine * cosine + sine * sine).sqrt())
    by_filter = nn.Unflatten(1, (-1, Wavelets.PHASES))(energy)  # (B, F, P, 12, K)
    columns: Tensor = by_filter.permute(0, 1, 3, 4, 2).flatten(3)  # (B, F, 12, K*P)
    return columns.flatten(1, 2).unsqueeze(2)


class TimePatches(nn.Module):
    """All rows of one stretch of time are one token: (B, C, H, W) -> (B, N, D).

    Two paths look at the rows R = C*H. The fine one keeps the resolution (the shape of
    a QRS). The coarse one, at 25 columns a second and about half a second wide, sees
    beats and intervals: the fine features pooled, beside the wavelets of the signal
    where the image is one (`leads-1`, channel 0). Their projections are added.
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        rows, stem, width = config.shape[0] * config.shape[1], config.stem, config.width
        self.wavelets = Wavelets() if config.at_100_hz else None
        self.pool = Wavelets.STRIDE if self.wavelets else 1
        energies = self.wavelets.count * config.shape[1] if self.wavelets else 0
        fine, coarse = (1, config.patch[1]), (1, config.patch[1] // self.pool)
        self.first = ConvNorm(rows, stem, 7)
        self.fine = ConvNorm(stem, stem, 5)
        self.coarse = nn.Sequential(ConvNorm(stem + energies, stem, 7), ConvNorm(stem, stem, 5))
        self.project_fine = nn.Conv2d(stem, width, fine, stride=fine, bias=False)
        self.project_coarse = nn.Conv2d(stem, width, coarse, stride=coarse)

    def forward(self, images: Tensor) -> Tensor:
        rows = images.flatten(1, 2).unsqueeze(2)  # (B, C, H, W) -> (B, R, 1, W)
        first = self.first(rows)  # (B, S, 1, W)
        seen = F.max_pool2d(first, (1, self.pool))  # (B, S, 1, W/pool)
        if self.wavelets is not None:
            seen = torch.cat([seen, self.wavelets(images[:, :1])], dim=1)
        coarse = self.project_coarse(self.coarse(seen))  # (B, D, 1, N)
        tokens: Tensor = self.project_fine(self.fine(first)) + coarse
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
        self.activate = nn.GELU() if config.activation == "gelu" else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._drop(self.attend(self.norm1(x)))
        return x + self._drop(self.down(self.activate(self.up(self.norm2(x)))))

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

    def tokens(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, N, D), normed."""
        x = self.patches(images) + self.position
        for block in self.blocks:
            x = block(x)
        normed: Tensor = self.norm(x)
        return normed

    def forward(self, images: Tensor) -> Tensor:
        pooled = self.tokens(images).mean(dim=1)  # (B, N, D) -> (B, D)
        return F.normalize(self.head(pooled), dim=-1)  # (B, E)


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
