"""Choosing how many neighbours vote, how sharply, and what counts as novel.

Settled on validation recordings only, with the same search the cart uses and a
patient's own cases out of the vote.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecgedge.casebase.manifest import QUANTILES, Calibration
from ecgedge.casebase.search import CaseBase
from ecgedge.casebase.voting import vote_weights
from ecgedge.corpora.ptbxl import TASKS, StatementTable
from ecgedge.errors import InputError
from ecgedge.evaluation.calibration import Votes, fit, judged, left_out, log_loss
from ecgedge.evaluation.metrics import choose_thresholds, macro_auc
from ecgedge.recording import FloatArray

NEIGHBOURS = (10, 20, 30, 50, 75, 100, 150, 200, 300)
TEMPERATURES = (0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.5)
#: Settings whose AUC is this close to the best one's cannot be told apart by a few hundred
#: recordings (the standard error of one AUC is .015 at n = 183): log loss decides among them.
#: No wider, because log loss gladly gives .005 of AUC away for sharper votes.
PLATEAU = 0.0025
#: Positives below which a class' AUC is left out of the mean, as in the evaluation.
MIN_POSITIVES = 3
#: Used, and said in the release's notes, where there is nothing to tune on.
DEFAULT_NEIGHBOURS, DEFAULT_TEMPERATURE = 30, 0.05
#: Spread of the curves' intercepts while settings are compared.
COMPARED_SPREAD = 0.3
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
class Tuned:
    """calibration: what was settled. auc: macro superclass AUC of the votes, None where there
    was nothing to compute it on. nearest: (n,) cosine of each query's nearest foreign case.
    """

    calibration: Calibration
    auc: float | None
    nearest: FloatArray


@dataclass(frozen=True)
class Neighbourhoods:
    """similarities: (n, k), -inf past the last neighbour. held: task -> bool (n, k, classes),
    what each neighbour carries. labels: task -> bool (n, classes). prevalence: task ->
    (classes,) in the case base. names: task -> its classes; "codes" are all SCP codes.
    """

    similarities: FloatArray
    held: Mapping[str, NDArray[np.bool_]]
    labels: Mapping[str, NDArray[np.bool_]]
    prevalence: Mapping[str, FloatArray]
    names: Mapping[str, Sequence[str]]
    groups: Sequence[str]

    def votes(self, task: str, k: int, temperature: float) -> Votes:
        """What the first k neighbours say."""
        weights = vote_weights(self.similarities[:, :k], temperature)
        shares = np.einsum("nk,nkc->nc", weights, self.held[task][:, :k]).astype(np.float64)
        prevalence = self.prevalence[task].astype(np.float64)
        labels, names = self.labels[task], self.names[task]
        return Votes(names, np.minimum(shares, 1.0), labels, prevalence, k, self.groups)


def tune(base: CaseBase, queries: Queries, table: StatementTable) -> Tuned:
    """Neighbours, temperature, thresholds, curves and the scale of novelty.

    The setting has the least cross-fitted log loss of the calibrated statements among those
    whose macro AUC, averaged over PTB-XL's four tasks, is within PLATEAU of the best. Where no
    class has both outcomes the documented defaults stand. Raises InputError when no query
    finds a neighbour of another patient.
    """
    around = look_around(base, queries, table, max(NEIGHBOURS))
    nearest = around.similarities[:, 0]
    quantiles = _quantiles(nearest)
    available = int(np.isfinite(around.similarities).sum(axis=1).max())
    chosen = _choose(around, available)
    if chosen is None:
        defaults = (min(DEFAULT_NEIGHBOURS, available), DEFAULT_TEMPERATURE)
        return Tuned(Calibration(*defaults, quantiles), None, nearest)
    supers = around.votes("super", *chosen)
    auc = macro_auc(supers.labels, supers.shares)
    thresholds = {}
    if np.isfinite(auc):
        cuts = choose_thresholds(supers.labels, supers.shares).round(6).tolist()
        thresholds = dict(zip(table.classes("super"), cuts, strict=True))
    calibration = Calibration(
        *chosen,
        quantiles,
        thresholds,
        statements=fit(around.votes("codes", *chosen)),
        superclasses=fit(supers),
    )
    return Tuned(calibration, float(auc) if np.isfinite(auc) else None, nearest)


def _choose(around: Neighbourhoods, available: int) -> tuple[int, float] | None:
    """(neighbours, temperature), or None where no class of any task has both outcomes."""
    grid = [k for k in NEIGHBOURS if k <= available] or [min(available, DEFAULT_NEIGHBOURS)]
    aucs = {
        (k, temperature): _mean_auc(around, k, temperature)
        for k in grid
        for temperature in TEMPERATURES
    }
    if not np.isfinite(list(aucs.values())).any():
        return None
    best = max(auc for auc in aucs.values() if np.isfinite(auc))
    level = [setting for setting, auc in aucs.items() if auc >= best - PLATEAU]
    kept = judged(around.votes("codes", *level[0]))
    if not kept.any():
        return max(level, key=lambda setting: aucs[setting])
    losses = {}
    for setting in level:
        votes = around.votes("codes", *setting).columns(kept)
        losses[setting] = log_loss(left_out(votes, COMPARED_SPREAD), votes.labels)
    return min(level, key=lambda setting: losses[setting])


def _mean_auc(around: Neighbourhoods, k: int, temperature: float) -> float:
    """Mean over the tasks of the macro AUC of the votes; NaN where none has one."""
    votes = [around.votes(task, k, temperature) for task in TASKS]
    aucs = np.array([macro_auc(vote.labels, vote.shares, MIN_POSITIVES) for vote in votes])
    known = aucs[np.isfinite(aucs)]
    return float(known.mean()) if known.size else float("nan")


def untuned(base: CaseBase, embeddings: FloatArray, groups: Sequence[str]) -> Tuned:
    """Default votes and no curves; novelty from the base's own cases, each asked without its
    patient (`nearest` is NaN for those not asked, where there are many).

    Raises InputError when the base holds one patient only.
    """
    step = -(-len(embeddings) // _MOST_QUERIES)
    nearest = np.full(len(embeddings), np.nan, dtype=np.float32)
    for row in range(0, len(embeddings), step):
        hits = base.search(embeddings[row], 1, exclude_groups=frozenset({groups[row]}))
        nearest[row] = hits[0].similarity if hits else -np.inf
    neighbours = min(DEFAULT_NEIGHBOURS, len(base))
    calibration = Calibration(neighbours, DEFAULT_TEMPERATURE, _quantiles(nearest))
    return Tuned(calibration, None, nearest)


def look_around(base: CaseBase, queries: Queries, table: StatementTable, k: int) -> Neighbourhoods:
    """The k nearest cases of every query, none of its own patient, and what they carry."""
    cases = [tuple(case.statements) for case in base.all_cases()]
    codes = sorted({code for held in cases for code in held})
    names = {task: table.classes(task) for task in TASKS} | {"codes": codes}

    def membership(rows: Sequence[Collection[str]]) -> dict[str, NDArray[np.bool_]]:
        held = [[code in row for code in codes] for row in rows]
        plain = np.array(held, dtype=bool).reshape(len(rows), len(codes))
        return {task: table.matrix(rows, task) for task in TASKS} | {"codes": plain}

    kinds: dict[tuple[str, ...], int] = {}
    count = len(queries.embeddings)
    similarities = np.full((count, k), -np.inf, dtype=np.float32)
    kind = np.full((count, k), -1)
    for row, (query, group) in enumerate(zip(queries.embeddings, queries.groups, strict=True)):
        for place, hit in enumerate(base.search(query, k, exclude_groups=frozenset({group}))):
            similarities[row, place] = hit.similarity
            kind[row, place] = kinds.setdefault(hit.codes, len(kinds))
    # The last row is what is carried where there is no neighbour: nothing.
    carried = membership([*kinds, ()])
    return Neighbourhoods(
        similarities,
        {task: table_[kind] for task, table_ in carried.items()},
        membership(queries.codes),
        {task: held.mean(axis=0, dtype=np.float32) for task, held in membership(cases).items()},
        names,
        queries.groups,
    )


def _quantiles(nearest: FloatArray) -> tuple[float, ...]:
    finite = nearest[np.isfinite(nearest)].astype(np.float64)
    if not finite.size:
        raise InputError("a case base needs recordings of at least two patients")
    # Six decimals are far below int8's own error and keep the manifest readable.
    return tuple(np.round(np.quantile(finite, np.linspace(0, 1, QUANTILES)), 6).tolist())
