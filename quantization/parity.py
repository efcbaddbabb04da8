"""How much of the fp32 encoder an int8 variant keeps: pure functions of embeddings.

Rows of all embeddings have length 1. Bounds as in issue and docs/quantization.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgedge.casebase.alternatives import Bounds
from ecgedge.evaluation.cases import MIN_POSITIVES
from ecgedge.recording import FloatArray

BOUNDS = Bounds(cosine_p1=0.995, top10_overlap=0.97, auc_change=0.003)

NEIGHBOURS, TEMPERATURE = 50, 0.05
#: Speeds closer than this are equal: runs on a shared machine differ by as much.
SAME_SPEED = 0.03


@dataclass(frozen=True)
class Views:
    """One encoder's embeddings of the validation records and of the gallery."""

    queries: FloatArray
    gallery: FloatArray


@dataclass(frozen=True)
class Row:
    """One line of the comparison. milliseconds: median CPU time of one image on one thread.

    speed: relative to fp32 in the same interleaved run. auc_super: macro over the
    super classes, None where no class has enough positives; auc_further: the same for
    the other tasks, for information.
    """

    recipe: str
    megabytes: float
    milliseconds: float
    speed: float
    cosine_mean: float
    cosine_p1: float
    top10_overlap: float
    auc_super: float | None
    auc_change: float | None
    auc_further: Mapping[str, float | None] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def failures(self) -> list[str]:
        """The bounds this variant breaks, in words; empty when it keeps them all."""
        return BOUNDS.broken_by(self.cosine_p1, self.top10_overlap, self.auc_change)


def top_overlap(reference: Views, variant: Views, k: int = 10) -> float:
    """Mean share of each query's k nearest gallery rows that both encoders agree on.

    Each searches the gallery it embedded itself, as a release does.
    """
    k = min(k, len(reference.gallery))
    found = [_nearest(views.queries @ views.gallery.T, k) for views in (reference, variant)]
    shared = [len(np.intersect1d(a, b)) for a, b in zip(*found, strict=True)]
    return float(np.mean(shared)) / k


def retrieved_label_auc(
    views: Views, query_labels: NDArray[np.bool_], gallery_labels: NDArray[np.bool_]
) -> float | None:
    """Macro ROC AUC of the neighbours' weighted vote, over classes; labels (n, classes)."""
    from ecgedge.casebase.voting import vote_weights
    from ecgedge.evaluation.metrics import macro_auc

    similarity = views.queries @ views.gallery.T
    nearest = _nearest(similarity, min(NEIGHBOURS, similarity.shape[1]))
    weights = vote_weights(np.take_along_axis(similarity, nearest, axis=1), TEMPERATURE)
    votes = np.einsum("qk,qkc->qc", weights, gallery_labels[nearest].astype(np.float32))
    value = macro_auc(query_labels, votes, MIN_POSITIVES)
    return value if np.isfinite(value) else None


def pick(rows: Mapping[str, Row]) -> str | None:
    """The fastest recipe that keeps every bound; among equally fast ones the closest to fp32."""
    good = [row for row in rows.values() if not row.failures()]
    if not good:
        return None
    fastest = max(row.speed for row in good)
    equal = [row for row in good if row.speed >= fastest * (1 - SAME_SPEED)]
    return max(equal, key=lambda row: row.cosine_p1).recipe


def _nearest(similarity: FloatArray, k: int) -> NDArray[np.intp]:
    """(queries, k) columns of the k highest, best first; ties in gallery order."""
    return np.argsort(-similarity, axis=1, kind="stable")[:, :k]
