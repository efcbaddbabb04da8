"""Vectors for the search benchmark: as many as wanted, lying as the built-in release's do.

A smoothed bootstrap (Silverman and Young 1987): draw one of the release's embeddings, move it
by Gaussian noise of the embeddings' own covariance, shrink so that the covariance stays, and
put the result on the sphere. The width of the noise was chosen so that 1,441 drawn vectors
have the nearest neighbours' cosines and the local dimension of the release's own 1,441.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

#: Standard deviation of the noise, in those of the embeddings.
WIDTH = 0.35
_BLOCK = 50_000


def release_embeddings() -> Floats:
    """The built-in release's embeddings, float32 (n, dim), length 1."""
    from ecgedge.casebase.release import builtin_store

    store = builtin_store()
    parts = [
        segment.vectors.row(key)
        for segment in store.segments(store.manifest())
        for key in range(len(segment))
    ]
    return np.array(parts, dtype=np.float32)


def resembling(known: Floats, count: int, seed: int, width: float = WIDTH) -> Floats:
    """float32 (count, dim), length 1, drawn around the rows of known, (n, dim)."""
    rng = np.random.default_rng(seed)
    mean = known.mean(axis=0)
    _, spread, axes = np.linalg.svd(known - mean, full_matrices=False)
    noise = (axes * (spread / np.sqrt(len(known)))[:, None]).astype(np.float32)
    drawn = np.empty((count, known.shape[1]), dtype=np.float32)
    for start in range(0, count, _BLOCK):
        part = drawn[start : start + _BLOCK]
        moved = rng.standard_normal((len(part), len(noise)), dtype=np.float32) @ noise
        centred = known[rng.integers(len(known), size=len(part))] - mean
        part[:] = mean + np.float32(np.sqrt(1 - width**2)) * centred + np.float32(width) * moved
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return drawn


def white(count: int, dim: int, seed: int) -> Floats:
    """float32 (count, dim), length 1, of every direction alike: the hardest case."""
    drawn = np.random.default_rng(seed).standard_normal((count, dim), dtype=np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


def structure(rows: Floats, k: int = 20) -> dict[str, Any]:
    """How these vectors lie: cosines of the nearest one and the local dimension.

    The dimension is the maximum-likelihood estimate of Levina and Bickel 2004 over k
    neighbours; quantiles are over rows.
    """
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -np.inf)
    nearest = -np.sort(-cosines, axis=1)[:, :k]
    away = np.sqrt(np.maximum(2 - 2 * nearest, 1e-9))
    local = (k - 1) / np.log(away[:, -1:] / away[:, :-1]).sum(axis=1)
    return {
        "nearest_cosine_p10_p50_p90": np.percentile(nearest[:, 0], [10, 50, 90]).tolist(),
        "local_dimension_p10_p50_p90": np.percentile(local, [10, 50, 90]).tolist(),
    }
