"""What training minimises: the heads that exist for training only, and the weighted loss."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecgedge.training.config import TrainConfig
from ecgedge.training.losses import rhythm_loss, soft_contrastive, vote_loss

NAMES = ("loss_contrastive", "loss_statement", "loss_vote", "loss_rhythm")

_COSINE_TO_LOGIT = 10.0  # logits come from unit vectors, which are small
_HOTTEST = 50.0


class Objective(nn.Module):
    """The four losses over one batch.

    labels: number of label columns L. rhythms: number of measured intervals.
    """

    def __init__(self, config: TrainConfig, labels: int, rhythms: int) -> None:
        super().__init__()
        self.config = config
        self.statement_head = nn.Linear(config.dim, labels)
        self.rhythm_head = nn.Linear(config.dim, rhythms)
        self.text_head = nn.Linear(config.dim, labels)
        self.log_scale = nn.Parameter(torch.tensor(math.log(15.0)))

    def words(self, text: Tensor, labels: Tensor) -> Tensor:
        """Stage 1: text (M, E) must name its statements, labels (M, L)."""
        logits = _COSINE_TO_LOGIT * self.text_head(text)
        return F.binary_cross_entropy_with_logits(logits, labels)

    def forward(
        self, ecg: Tensor, text: Tensor, same: Tensor, labels: Tensor, rhythm: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Stage 2: the weighted sum, and the four losses in the order of NAMES.

        ecg: (B, E). text: (M, E), the first B rows its own reports. same: bool (B, M).
        labels: (B, L). rhythm: (B, R).
        """
        scale = self.log_scale.exp().clamp(max=_HOTTEST)
        told = _COSINE_TO_LOGIT * self.statement_head(ecg)
        losses = torch.stack(
            [
                soft_contrastive(ecg, text, same, scale),
                F.binary_cross_entropy_with_logits(told, labels),
                vote_loss(ecg, labels, self.config.vote_scale),
                rhythm_loss(_COSINE_TO_LOGIT * self.rhythm_head(ecg), rhythm),
            ]
        )
        config = self.config
        weights = [config.clip_weight, config.statement_weight]
        weights += [config.vote_weight, config.rhythm_weight]
        return losses @ losses.new_tensor(weights), losses.detach()
