"""Encoders that may stand in for the one a release was made with, and how much they agree.

A release is made with its primary encoder: its segments, votes and probabilities are that
one's. Another engine or precision of the same network may be faster on some board; it may
ask the same segments where it was measured, on the validation recordings, to ask alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bounds:
    """Least 1st percentile of the cosine, least top-10 overlap, largest change of super AUC."""

    cosine_p1: float
    top10_overlap: float
    auc_change: float

    def broken_by(
        self, cosine_p1: float, top10_overlap: float, auc_change: float | None
    ) -> list[str]:
        """The bounds that these figures break, in words; NaN breaks them, None says nothing."""
        broken = []
        if not cosine_p1 >= self.cosine_p1:
            broken.append(f"cosine p1 {cosine_p1:.4f} < {self.cosine_p1}")
        if not top10_overlap >= self.top10_overlap:
            broken.append(f"top-10 overlap {top10_overlap:.3f} < {self.top10_overlap}")
        if auc_change is not None and not abs(auc_change) <= self.auc_change:
            broken.append(f"super AUC changes by {auc_change:+.4f}")
        return broken


BOUNDS = Bounds(cosine_p1=0.995, top10_overlap=0.95, auc_change=0.003)


@dataclass(frozen=True)
class EncoderRef:
    """An encoder's id and the SHA-256 names of its model and its sidecar."""

    id: str
    model: str
    spec: str


@dataclass(frozen=True)
class Parity:
    """How alike two encoders ask one case base, over `queries` recordings.

    cosine_p1: 1st percentile of the cosine between the two embeddings of a recording.
    top10_overlap: mean share of the ten nearest cases that both find, 0 to 1.
    auc_change: by how much the macro superclass AUC of the votes differs from the primary's;
        None where too few recordings carry any superclass.
    """

    cosine_p1: float
    top10_overlap: float
    auc_change: float | None
    queries: int

    def failures(self) -> list[str]:
        """The bounds that are broken, in words; empty where all are kept."""
        return BOUNDS.broken_by(self.cosine_p1, self.top10_overlap, self.auc_change)


@dataclass(frozen=True)
class Alternative:
    """Another encoder of a release, and its parity with the primary one."""

    encoder: EncoderRef
    parity: Parity


def alternative_from_dict(data: Mapping[str, Any]) -> Alternative:
    """Raises KeyError, TypeError or ValueError for anything but an alternative's plain data."""
    if set(data) != {"encoder", "parity"}:
        raise ValueError("an alternative is an encoder and its parity")
    parity = Parity(**data["parity"])
    numbers = [parity.cosine_p1, parity.top10_overlap]
    numbers += [] if parity.auc_change is None else [parity.auc_change]
    if not all(isinstance(one, float) and math.isfinite(one) for one in numbers):
        raise ValueError("an alternative's parity is not told in numbers")
    if type(parity.queries) is not int or parity.queries < 1:
        raise ValueError("an alternative's parity was not measured on any recording")
    return Alternative(EncoderRef(**data["encoder"]), parity)
