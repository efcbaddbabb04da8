"""What training minimises: the heads that exist for training only, and the weighted loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecgedge.training.config import TrainConfig
from ecgedge.training.losses import measured_loss, soft_contrastive, vote_loss

NAMES = tuple(
    f"loss_{name}" for name in ("contrastive", "statement", "word", "vote", "rhythm", "beat")
)

_COSINE_TO_LOGIT = 10.0  # logits come from unit vectors, which are small
_HOTTEST = 50.0


@dataclass(frozen=True)
class Targets:
    """What a batch of B recordings and M reports (the first B their own) should give.

    same: bool (B, M), which reports are equivalent. labels: float (M, L), words: float
    (M, G), what each report holds. rhythm: (B, R), beat: (B, T), NaN where unknown.
    """

    same: Tensor
    labels: Tensor
    words: Tensor
    rhythm: Tensor
    beat: Tensor


class Objective(nn.Module):
    """The losses over one batch.

    One head names statements and words from an ECG's embedding and from a report's alike:
    what either tower learns of a statement is said in the same directions of the space.
    labels, words, rhythms, samples: numbers of columns L, G, R, T of the targets.
    """

    def __init__(
        self, config: TrainConfig, labels: int, words: int, rhythms: int, samples: int
    ) -> None:
        super().__init__()
        self.config = config
        self.statement_head = nn.Linear(config.dim, labels)
        self.word_head = nn.Linear(config.dim, words)
        self.rhythm_head = nn.Linear(config.dim, rhythms)
        self.beat_head = nn.Linear(config.dim, samples)
        self.log_scale = nn.Parameter(torch.tensor(math.log(15.0)))

    def named(self, embedding: Tensor, labels: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """(statement loss, word loss) of embeddings (M, E) that must tell both."""
        return (
            _told(self.statement_head, embedding, labels),
            _told(self.word_head, embedding, words),
        )

    def words(self, text: Tensor, labels: Tensor, words: Tensor) -> Tensor:
        """Stage 1: the text tower alone, text (M, E)."""
        statement, word = self.named(text, labels, words)
        return statement + word

    def forward(self, ecg: Tensor, text: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        """Stage 2: the weighted sum, and the losses in the order of NAMES.

        ecg: (B, E). text: (M, E).
        """
        config, own = self.config, len(ecg)
        scale = self.log_scale.exp().clamp(max=_HOTTEST)
        labels, words = targets.labels[:own], targets.words[:own]
        statement, word = self.named(ecg, labels, words)
        text_statement, text_word = self.named(text, targets.labels, targets.words)
        losses = torch.stack(
            [
                soft_contrastive(ecg, text, targets.same, scale),
                statement,
                word,
                vote_loss(ecg, labels, config.vote_scale),
                measured_loss(_COSINE_TO_LOGIT * self.rhythm_head(ecg), targets.rhythm),
                measured_loss(_COSINE_TO_LOGIT * self.beat_head(ecg), targets.beat),
            ]
        )
        weights = [config.clip_weight, config.statement_weight, config.word_weight]
        weights += [config.vote_weight, config.rhythm_weight, config.beat_weight]
        loss = losses @ losses.new_tensor(weights) + text_statement + text_word
        return loss, losses.detach()


def _told(head: nn.Linear, embedding: Tensor, truth: Tensor) -> Tensor:
    if not head.out_features:  # a corpus too small to hold a word thrice
        return embedding.new_zeros(())
    return F.binary_cross_entropy_with_logits(_COSINE_TO_LOGIT * head(embedding), truth)
