"""Point 9: how alike two releases are on the same recordings."""

from __future__ import annotations

from collections.abc import Hashable, Sequence, Set

import numpy as np

from ecgedge.casebase.search import Hit
from ecgedge.evaluation.figures import Figure, Floats, mean_figure, missing
from ecgedge.evaluation.points import Scene
from ecgedge.evaluation.subject import DEPTH
from ecgedge.recording import FloatArray

NAMES = ("parity_cosine_p1", "parity_top10")


def figures(int8: Scene, fp32: Scene | str) -> dict[str, Figure]:
    """The 1st percentile of the cosine of both embeddings, and how many top-10 cases agree.

    fp32: the twin on the same queries, or why there is none.
    """
    if isinstance(fp32, str):
        return {name: missing(fp32) for name in NAMES}
    if int8.embeddings.shape != fp32.embeddings.shape:
        return {name: missing("the two encoders' vectors differ in length") for name in NAMES}
    cosine = cosines(int8.embeddings, fp32.embeddings)
    overlap = [
        _overlap(left[:DEPTH], right[:DEPTH])
        for left, right in zip(int8.found.hits, fp32.found.hits, strict=True)
    ]
    return {
        "parity_cosine_p1": Figure(
            percentile_1(cosine), len(cosine), _percentile_draws(cosine, int8.weights)
        ),
        "parity_top10": mean_figure(np.array(overlap), int8.weights),
    }


def _overlap(left: Sequence[Hit], right: Sequence[Hit]) -> float:
    """Share of case ids in common; NaN where nothing was found."""
    return set_overlap({hit.case.case_id for hit in left}, {hit.case.case_id for hit in right})


def set_overlap(left: Set[Hashable], right: Set[Hashable]) -> float:
    """Share of the larger set that both hold, 0 to 1; NaN where both are empty."""
    longest = max(len(left), len(right))
    return len(left & right) / longest if longest else float("nan")


def cosines(left: FloatArray, right: FloatArray) -> Floats:
    """(n,) cosine of each row with its counterpart; rows of length 1, (n, dim)."""
    return np.asarray(np.einsum("nd,nd->n", left, right, dtype=np.float64))


def cosine_p1(left: FloatArray, right: FloatArray) -> float:
    """The 1st percentile of `cosines`."""
    return percentile_1(cosines(left, right))


def percentile_1(values: Floats) -> float:
    """What all but one in a hundred of the values exceed."""
    return float(np.percentile(values, 1))


def _percentile_draws(values: Floats, weights: Floats) -> Floats:
    """The 1st percentile of each bootstrap draw."""
    rows = np.arange(len(values))
    return np.array(
        [np.percentile(values[np.repeat(rows, draw.astype(int))], 1) for draw in weights]
    )
