"""Losses of the joint space.

Published ECG-text models gain most from not calling equal reports negatives
(PTB-XL has a few sentences that make up a quarter of its reports), so every
loss here is told which pairs are equivalent.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_contrastive(rows: Tensor, columns: Tensor, same: Tensor, scale: Tensor) -> Tensor:
    """Symmetric cross-entropy where each row may have several positives.

    rows: (B, E), columns: (M, E), unit norm, column i belonging to row i for i < B.
    same: (B, M) bool, True where the pair's reports are identical or equivalent.
    scale: inverse temperature. After CLIP (Radford et al. 2021), with the target
    spread evenly over the equivalent pairs.
    """
    logits = scale * rows @ columns.T  # (B, M)
    target = same.to(logits.dtype)
    forward = -(target / target.sum(1, keepdim=True) * F.log_softmax(logits, dim=1)).sum(1)
    # Extra columns without a matching row have no positive to be pulled to.
    back, back_target = logits.T, target.T
    owned = back_target.sum(1) > 0
    spread = back_target[owned] / back_target[owned].sum(1, keepdim=True)
    backward = -(spread * F.log_softmax(back[owned], dim=1)).sum(1)
    return 0.5 * (forward.mean() + backward.mean())


def vote_loss(embedding: Tensor, labels: Tensor, scale: float) -> Tensor:
    """How badly the batch's other members, voting by similarity, predict each one's labels.

    embedding: (B, E) unit norm; labels: (B, L) of 0 and 1. It is what the cart does
    with the case base, made differentiable (neighbourhood components analysis,
    Goldberger et al. 2004, with the votes scored by cross-entropy).
    """
    similarity = scale * embedding @ embedding.T
    alone = torch.eye(len(embedding), dtype=torch.bool, device=embedding.device)
    weight = similarity.masked_fill(alone, float("-inf")).softmax(dim=1)
    share = (weight.float() @ labels).clamp(1e-3, 1 - 1e-3)
    return F.binary_cross_entropy(share, labels)


def measured_loss(predicted: Tensor, measured: Tensor) -> Tensor:
    """Smooth L1 between predicted and measured quantities, (B, n).

    NaN teaches nothing, but it stays in the denominator of the mean.
    """
    known = torch.isfinite(measured)
    return F.smooth_l1_loss(torch.where(known, predicted, 0.0), torch.where(known, measured, 0.0))
