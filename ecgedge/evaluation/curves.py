"""Curves for plots, thinned to what a plot needs; no figure is read off them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ecgedge.evaluation.cases import Labelled
from ecgedge.evaluation.metrics import Bools, Floats

#: Points a curve keeps at most.
MOST = 50


def roc_curves(labelled: Labelled) -> dict[str, Any]:
    """Class -> {"fpr": [...], "tpr": [...]} of each class that was scored."""
    return {
        name: roc_points(labelled.labels[:, column], labelled.supports[:, column])
        for column, name in enumerate(labelled.names)
        if labelled.kept[column]
    }


def roc_points(labels: Bools, scores: Floats, most: int = MOST) -> dict[str, list[float]]:
    """The ROC curve from (0, 0) to (1, 1), at most `most` points.

    labels: (n,) with both outcomes. scores: (n,). One point a distinct score; of
    more than `most` those are kept that lie evenly along the curve.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    held = labels[order]
    tpr = np.append(0.0, np.cumsum(held)[last] / held.sum())
    fpr = np.append(0.0, np.cumsum(~held)[last] / (~held).sum())
    along = tpr + fpr  # grows from 0 to 2
    kept = np.unique(
        np.searchsorted(along, np.linspace(0, 2, most), side="left").clip(max=len(along) - 1)
    )
    return {"fpr": fpr[kept].round(4).tolist(), "tpr": tpr[kept].round(4).tolist()}
