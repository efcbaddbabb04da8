"""Fitting the novelty model: Gaussians on the case base, scales on validation recordings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ecgedge.novelty import (
    PARTS,
    QUANTILES,
    Gaussian,
    NoveltyModel,
    on_scale,
    raw_parts,
    scale_of,
)
from ecgedge.recording import FloatArray
from ecgedge.signal.traits import Traits

Floats = NDArray[np.float64]

#: Weight of the diagonal in the covariance. Relations of derived leads follow from others,
#: so the plain covariance cannot be inverted; .01 to .2 gave the same AUROC within .02.
SHRINKAGE = 0.1
#: Fewer complete recordings than this say nothing about what leads usually do.
FEWEST = 20
_LEAST_VARIANCE = 1e-6


def fit_novelty(
    inside: Sequence[Traits], asked: Sequence[Traits], nearest: FloatArray
) -> NoveltyModel | None:
    """The model, or None where there are too few recordings to fit one.

    inside: traits of the case base. asked: of the reference recordings, and nearest (n,) the
    cosine of each one's nearest case of another patient (-inf: none).
    """
    known = np.isfinite(nearest)
    relations = fit_gaussian(np.array([one.relations for one in inside]))
    shape = fit_gaussian(np.array([one.shape for one in inside]))
    if relations is None or shape is None or known.sum() < FEWEST:
        return None
    judged = [
        raw_parts(relations, shape, held, float(cosine))
        for held, cosine in zip(asked, nearest, strict=True)
        if np.isfinite(cosine)
    ]
    scales = {}
    for name in PARTS:
        values = np.array([parts[name] for parts, _ in judged if name in parts])
        scale = scale_of(values) if len(values) >= FEWEST else None
        if scale is not None:
            scales[name] = (round(scale[0], 6), round(scale[1], 6))
    if not scales:
        return None
    excess = [on_scale(parts, scales, swap).excess for parts, swap in judged]
    quantiles = np.round(np.quantile(excess, np.linspace(0, 1, QUANTILES)), 6)
    return NoveltyModel(relations, shape, scales, quantiles)


def fit_gaussian(rows: Floats) -> Gaussian | None:
    """Mean and shrunk covariance of the rows (n, d) without NaN; None if fewer than FEWEST."""
    complete = rows[np.isfinite(rows).all(axis=1)] if rows.size else rows
    if len(complete) < FEWEST:
        return None
    covariance = np.cov(complete.T)
    variance = np.maximum(np.diag(covariance), _LEAST_VARIANCE)
    return Gaussian(
        complete.mean(axis=0), (1 - SHRINKAGE) * covariance + SHRINKAGE * np.diag(variance)
    )
