"""Stage 0: the image tower learns ECGs from signals alone, by filling in what was hidden.

After masked autoencoders (He et al. 2022), with two differences. Stretches of time and
whole leads are hidden as a lead that is off is: the stem sees zeros and an empty
"observed" channel, so the net learns the missing-lead case on the way. And every token
goes through the tower, as the graph on the cart has no way to drop one. Needs no label
and no report: recordings of any source and unit help.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor, nn

from ecgedge.imaging import get_encoding
from ecgedge.recording import FloatArray
from ecgedge.signal.conditioning import RATE_HZ, Conditioned
from ecgedge.training.augment import augment
from ecgedge.training.config import TrainConfig
from ecgedge.training.data import Progress
from ecgedge.training.model import EcgViT, ViTConfig

_HIDDEN_S = 0.4
_HIDE = 0.3  # of the stretches of time, and of the leads


def hide(signal: FloatArray, rng: Generator) -> FloatArray:
    """(12, n) at 100 Hz -> a copy with some stretches and some leads NaN, one stretch at least."""
    out = signal.copy()
    width = round(_HIDDEN_S * RATE_HZ)
    columns = rng.random(-(-signal.shape[1] // width)) < _HIDE
    columns[rng.integers(len(columns))] = True
    out[:, np.repeat(columns, width)[: signal.shape[1]]] = np.nan
    out[rng.random(12) < _HIDE] = np.nan
    return out


class Decoder(nn.Module):
    """Tokens (B, N, D) -> the image (B, C, H, W) they were cut from; used in stage 0 only."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.shape, self.grid, self.patch = config.shape, config.grid, config.patch
        self.project = nn.Linear(config.width, config.shape[0] * config.patch[0] * config.patch[1])

    def forward(self, tokens: Tensor) -> Tensor:
        (channels, height, width), (rows, columns), (tall, wide) = self.shape, self.grid, self.patch
        tiles = self.project(tokens).view(-1, rows, columns, channels, tall, wide)
        image: Tensor = tiles.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, height, width)
        return image


def filling_loss(told: Tensor, clean: Tensor, seen: Tensor) -> Tensor:
    """Smooth L1 over the pixels that hiding changed. All (B, C, H, W)."""
    changed = clean != seen
    return F.smooth_l1_loss(told[changed], clean[changed])


def pretrain(
    net: EcgViT, signals: FloatArray, config: TrainConfig, progress: Progress, device: str
) -> float:
    """Train net in place on (n, 12, 1000) conditioned signals; the last epoch's mean loss."""
    decoder = Decoder(net.config).to(device)
    parameters = [*net.parameters(), *decoder.parameters()]
    optimizer = torch.optim.AdamW(parameters, betas=(0.9, 0.95), weight_decay=config.weight_decay)
    encode, batch = get_encoding(config.encoding).encode, config.batch
    steps = max(1, len(signals) // batch)
    net.train()
    mean = float("nan")
    for epoch in range(config.pretrain_epochs):
        torch.manual_seed((config.seed << 20) + epoch)
        order = np.random.default_rng([config.seed, 4, epoch]).permutation(len(signals))
        total = 0.0
        label = f"filling in {epoch + 1}/{config.pretrain_epochs}"
        for step in progress(list(range(steps)), label):
            done = (epoch * steps + step) / (config.pretrain_epochs * steps)
            rate = config.learning_rate * min(1.0, done / config.warmup) * (1 - 0.97 * done)
            for group in optimizer.param_groups:
                group["lr"] = max(rate, 1e-5)
            clean, seen = [], []
            for row in order[step * batch : (step + 1) * batch]:
                rng = np.random.default_rng([config.seed, 5, epoch, int(row)])
                whole = augment(signals[row], config.augment, rng)
                clean.append(encode(Conditioned(whole)))
                seen.append(encode(Conditioned(hide(whole, rng))))
            target = torch.from_numpy(np.stack(clean)).to(device)
            shown = torch.from_numpy(np.stack(seen)).to(device)
            loss = filling_loss(decoder(net.tokens(shown)), target, shown)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            total += float(loss.detach())
        mean = total / steps
    return mean
