"""How much each neighbour's word counts."""

from __future__ import annotations

import numpy as np

from ecgedge.recording import FloatArray


def vote_weights(similarities: FloatArray, temperature: float) -> FloatArray:
    """exp((s - max) / T), normalised to sum 1 along the last axis.

    similarities: cosines, any shape (..., k). A small T lets the nearest case speak
    almost alone; a large one makes it a plain count. The weighting of neighbours is
    that of instance discrimination's k-NN classifier (Wu et al. 2018).
    """
    nearest = similarities.max(axis=-1, keepdims=True)
    votes = np.exp((similarities - nearest) / temperature)
    weights: FloatArray = votes / votes.sum(axis=-1, keepdims=True)
    return weights
