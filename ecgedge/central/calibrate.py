"""Choosing how many neighbours vote, how sharply, and what counts as novel.

Settled on validation recordings only, with the same search the cart uses and a
patient's own cases out of the vote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecgedge.casebase.manifest import QUANTILES, Calibration
from ecgedge.casebase.search import CaseBase
from ecgedge.casebase.voting import vote_weights
from ecgedge.corpora.ptbxl import StatementTable
from ecgedge.errors import InputError
from ecgedge.evaluation.metrics import choose_thresholds, macro_auc
from ecgedge.recording import FloatArray

NEIGHBOURS = (10, 20, 30, 50, 75, 100, 150)
TEMPERATURES = (0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.5)
#: Used, and said in the release's notes, where there is nothing to tune on.
DEFAULT_NEIGHBOURS, DEFAULT_TEMPERATURE = 30, 0.05
#: Leave-one-patient-out queries that suffice for 101 quantiles.
_MOST_QUERIES = 2_000


@dataclass(frozen=True)
class Queries:
    """Recordings to ask with. embeddings: (n, dim); groups: (n,) patients;
    codes: (n,) the SCP codes each carries.
    """

    embeddings: FloatArray
    groups: Sequence[str]
    codes: Sequence[frozenset[str]]


@dataclass(frozen=True)
class _Neighbourhoods:
    """similarities: (n, k), -inf past the last neighbour; classes: bool (n, k, classes)."""

    similarities: FloatArray
    classes: NDArray[np.bool_]


def tune(
    base: CaseBase, queries: Queries, table: StatementTable
) -> tuple[Calibration, float | None]:
    """The calibration with the best macro superclass AUC, and that AUC.

    Where no superclass has both outcomes the documented defaults stand and the AUC is
    None. Raises InputError when no query finds a neighbour of another patient.
    """
    around = _look_around(base, queries, table, max(NEIGHBOURS))
    quantiles = _quantiles(around.similarities[:, 0])
    labels = table.matrix(queries.codes, "super")
    available = int(np.isfinite(around.similarities).sum(axis=1).max())
    grid = [k for k in NEIGHBOURS if k <= available] or [min(available, DEFAULT_NEIGHBOURS)]
    best, chosen = -np.inf, (min(DEFAULT_NEIGHBOURS, available), DEFAULT_TEMPERATURE)
    for k in grid:
        for temperature in TEMPERATURES:
            auc = macro_auc(labels, _supports(around, k, temperature))
            if auc > best:  # NaN never is: then the defaults stand
                best, chosen = auc, (k, temperature)
    if not np.isfinite(best):
        return Calibration(*chosen, quantiles), None
    cuts = choose_thresholds(labels, _supports(around, *chosen)).round(6).tolist()
    thresholds = dict(zip(table.classes("super"), cuts, strict=True))
    return Calibration(*chosen, quantiles, thresholds), float(best)


def untuned(base: CaseBase, embeddings: FloatArray, groups: Sequence[str]) -> Calibration:
    """Default votes; novelty from the base's own cases, each asked without its patient.

    Raises InputError when the base holds one patient only.
    """
    step = -(-len(embeddings) // _MOST_QUERIES)
    nearest = [
        [hit.similarity for hit in base.search(query, 1, exclude_groups=frozenset({group}))]
        for query, group in zip(embeddings[::step], groups[::step], strict=True)
    ]
    found = np.array([row[0] for row in nearest if row], dtype=np.float32)
    return Calibration(min(DEFAULT_NEIGHBOURS, len(base)), DEFAULT_TEMPERATURE, _quantiles(found))


def _look_around(
    base: CaseBase, queries: Queries, table: StatementTable, k: int
) -> _Neighbourhoods:
    names = table.classes("super")
    count = len(queries.embeddings)
    similarities = np.full((count, k), -np.inf, dtype=np.float32)
    classes = np.zeros((count, k, len(names)), dtype=bool)
    known: dict[tuple[str, ...], list[bool]] = {}
    for row, (query, group) in enumerate(zip(queries.embeddings, queries.groups, strict=True)):
        for place, hit in enumerate(base.search(query, k, exclude_groups=frozenset({group}))):
            if hit.codes not in known:
                held = table.labels(hit.codes, "super")
                known[hit.codes] = [name in held for name in names]
            similarities[row, place] = hit.similarity
            classes[row, place] = known[hit.codes]
    return _Neighbourhoods(similarities, classes)


def _supports(around: _Neighbourhoods, k: int, temperature: float) -> FloatArray:
    """(n, classes): share of the vote of the first k neighbours for each class."""
    weights = vote_weights(around.similarities[:, :k], temperature)
    supports: FloatArray = np.einsum("nk,nkc->nc", weights, around.classes[:, :k])
    return supports


def _quantiles(nearest: FloatArray) -> tuple[float, ...]:
    finite = nearest[np.isfinite(nearest)].astype(np.float64)
    if not finite.size:
        raise InputError("a case base needs recordings of at least two patients")
    # Six decimals are far below int8's own error and keep the manifest readable.
    return tuple(np.round(np.quantile(finite, np.linspace(0, 1, QUANTILES)), 6).tolist())
