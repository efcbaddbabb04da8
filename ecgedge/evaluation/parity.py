"""Point 9: how alike two releases are on the same recordings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecgedge.casebase.search import Hit
from ecgedge.evaluation.figures import Figure, Floats, mean_figure, missing
from ecgedge.evaluation.points import Scene
from ecgedge.evaluation.subject import DEPTH

NAMES = ("parity_cosine_p1", "parity_top10")


def figures(int8: Scene, fp32: Scene | str) -> dict[str, Figure]:
    """The 1st percentile of the cosine of both embeddings, and how many top-10 cases agree.

    fp32: the twin on the same queries, or why there is none.
    """
    if isinstance(fp32, str):
        return {name: missing(fp32) for name in NAMES}
    if int8.embeddings.shape != fp32.embeddings.shape:
        return {name: missing("the two encoders' vectors differ in length") for name in NAMES}
    cosine = np.einsum("nd,nd->n", int8.embeddings, fp32.embeddings, dtype=np.float64)
    overlap = [
        _overlap(left[:DEPTH], right[:DEPTH])
        for left, right in zip(int8.found.hits, fp32.found.hits, strict=True)
    ]
    return {
        "parity_cosine_p1": Figure(
            float(np.percentile(cosine, 1)), len(cosine), _percentile_draws(cosine, int8.weights)
        ),
        "parity_top10": mean_figure(np.array(overlap), int8.weights),
    }


def _overlap(left: Sequence[Hit], right: Sequence[Hit]) -> float:
    """Share of case ids in common; NaN where nothing was found."""
    longest = max(len(left), len(right))
    common = {hit.case.case_id for hit in left} & {hit.case.case_id for hit in right}
    return len(common) / longest if longest else float("nan")


def _percentile_draws(values: Floats, weights: Floats) -> Floats:
    """The 1st percentile of each bootstrap draw."""
    rows = np.arange(len(values))
    return np.array(
        [np.percentile(values[np.repeat(rows, draw.astype(int))], 1) for draw in weights]
    )
