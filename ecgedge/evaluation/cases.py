"""Points 2, 3 and 5: what the retrieved cases say about a query's statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecgedge.casebase.search import Hit
from ecgedge.casebase.segment import CaseRecord
from ecgedge.casebase.voting import vote_weights
from ecgedge.corpora.ptbxl import Corpus, CorpusRecord, StatementTable
from ecgedge.evaluation import metrics
from ecgedge.evaluation.figures import Figure, mean_figure, missing
from ecgedge.evaluation.ranking import (
    Bools,
    Floats,
    jaccard,
    ndcg_at_k,
    precision_at_k,
    random_ndcg_at_k,
)

KINDS = ("diagnostic", "form", "rhythm")
MIN_POSITIVES = 3
_P_AT, _NDCG_AT = 5, 10
_ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class Found:
    """The queries of a split with what one release retrieved for each (best first).

    cases: every case of the release's case base.
    """

    corpus: Corpus
    records: Sequence[CorpusRecord]
    hits: Sequence[Sequence[Hit]]
    cases: Sequence[CaseRecord]


# --- point 2: case retrieval ---------------------------------------------------------


def retrieval_figures(found: Found, weights: Floats) -> dict[str, Figure]:
    """Label precision@5 and nDCG@10 for each kind of statement.

    A diagnostic hit shares a superclass, a form or rhythm hit a statement; the
    gain of nDCG is the Jaccard overlap of the codes. Queries without a statement
    of the kind are left out, for nDCG also those no case shares anything with.
    """
    figures: dict[str, Figure] = {}
    allowed = Allowed(found)
    for kind in KINDS:
        rows = _score_kind(found, kind, allowed)
        precision, by_chance, at_best, ndcg, ndcg_by_chance = rows.T
        figures[f"case_p5_{kind}"] = mean_figure(
            precision, weights, chance=by_chance, ceiling=at_best
        )
        figures[f"case_ndcg10_{kind}"] = mean_figure(
            ndcg, weights, chance=ndcg_by_chance, ceiling=np.ones(len(ndcg))
        )
    return figures


class Allowed:
    """Which cases a query may find: not its own, not its patient's."""

    def __init__(self, found: Found) -> None:
        self._corpus = found.corpus
        self._size = len(found.cases)
        self.place = {case.case_id: index for index, case in enumerate(found.cases)}
        self._of_group: dict[str, list[int]] = {}
        for index, case in enumerate(found.cases):
            self._of_group.setdefault(case.group, []).append(index)

    def mask(self, record: CorpusRecord) -> Bools:
        """(cases,)"""
        allowed = np.ones(self._size, dtype=bool)
        allowed[self._of_group.get(self._corpus.group(record), [])] = False
        own = self.place.get(self._corpus.case_id(record))
        if own is not None:
            allowed[own] = False
        return allowed


def _score_kind(found: Found, kind: str, allowed: Allowed) -> Floats:
    """(n, 5) as `_score_query`; NaN for a query without a statement of the kind."""
    code_rows, code_cases = _codes(found, kind)
    label_rows, label_cases = _labels(found, kind)
    label_cases_t = label_cases.T.astype(np.float32)
    rows = np.full((len(found.records), 5), np.nan)
    spoken = np.flatnonzero(label_rows.any(axis=1))
    for first in range(0, len(spoken), _ROWS_AT_ONCE):
        block = spoken[first : first + _ROWS_AT_ONCE]
        relevant = label_rows[block].astype(np.float32) @ label_cases_t > 0
        gains = jaccard(code_rows[block], code_cases)
        for place, index in enumerate(block):
            found_here = [allowed.place[hit.case.case_id] for hit in found.hits[index][:_NDCG_AT]]
            order = np.array(found_here, dtype=np.intp)
            mask = allowed.mask(found.records[index])
            rows[index] = _score_query(relevant[place], gains[place], mask, order)
    return rows


def _score_query(
    relevant: Bools, gains: NDArray[np.float32], allowed: Bools, order: NDArray[np.intp]
) -> tuple[float, float, float, float, float]:
    """(precision, its chance, its ceiling, nDCG, its chance) of one query."""
    free, useful = int(allowed.sum()), int((relevant & allowed).sum())
    filled = min(_P_AT, free)
    by_chance = filled * useful / free / _P_AT if free else 0.0
    available = gains[allowed]
    return (
        precision_at_k(relevant[order], _P_AT),
        by_chance,
        min(_P_AT, useful) / _P_AT,
        ndcg_at_k(gains[order], available, _NDCG_AT),
        random_ndcg_at_k(available, _NDCG_AT),
    )


def _codes(found: Found, kind: str) -> tuple[Bools, Bools]:
    """Membership of queries and cases in every SCP code of the kind."""
    table = found.corpus.table
    codes = {"diagnostic": frozenset(table.superclass), "form": table.form, "rhythm": table.rhythm}
    known = sorted(codes[kind])

    def matrix(rows: Sequence[Mapping[str, float]]) -> Bools:
        held = [[code in row for code in known] for row in rows]
        return np.array(held, dtype=bool).reshape(len(rows), len(known))

    return (
        matrix([record.statements for record in found.records]),
        matrix([case.statements for case in found.cases]),
    )


def _labels(found: Found, kind: str) -> tuple[Bools, Bools]:
    """Membership in what a hit must share: superclasses, or statements."""
    task = "super" if kind == "diagnostic" else kind
    return (
        found.corpus.table.matrix([record.statements for record in found.records], task),
        found.corpus.table.matrix([case.statements for case in found.cases], task),
    )


# --- points 3 and 5: the neighbours' support -----------------------------------------


@dataclass(frozen=True)
class Labelled:
    """One task: its classes, what the queries hold and how strongly neighbours support it.

    codes: the SCP codes each class stands for. labels, supports: (n, classes).
    kept: classes with enough positives to score.
    """

    names: list[str]
    codes: list[frozenset[str]]
    labels: Bools
    supports: Floats
    kept: Bools


def support_table(found: Found, task: str, neighbours: int, temperature: float) -> Labelled:
    """Supports as the device computes them: the similarity-weighted share of neighbours."""
    table = found.corpus.table
    labels = table.matrix([record.statements for record in found.records], task)
    supports = np.zeros(labels.shape)
    for index, hits in enumerate(found.hits):
        supports[index] = _support(hits[:neighbours], table, task, temperature)
    kept = metrics.scorable(labels, MIN_POSITIVES)
    names = table.classes(task)
    known = set(table.superclass) | table.form | table.rhythm
    codes = [frozenset(c for c in known if name in table.labels({c}, task)) for name in names]
    return Labelled(names, codes, labels, supports, kept)


def _support(
    hits: Sequence[Hit], table: StatementTable, task: str, temperature: float
) -> Floats | float:
    if not hits:
        return 0.0
    similarities = np.array([hit.similarity for hit in hits], dtype=np.float32)
    held = table.matrix([hit.codes for hit in hits], task)
    shares = np.asarray(vote_weights(similarities, temperature) @ held, dtype=np.float64)
    # Equal shares must tie, also where their float32 sums differ in the last digit.
    return shares.round(6)


def auc_figures(tasks: Mapping[str, Labelled], weights: Floats) -> dict[str, Figure]:
    """auc_<task>, macro over the kept classes, then one auc_<CODE> a class.

    A class of a later task that bears the name of an earlier one but stands for
    other codes (subclass STTC inside superclass STTC) is told apart as auc_STTC_sub.
    """
    macros: dict[str, Figure] = {}
    classes: dict[str, Figure] = {}
    seen: dict[str, frozenset[str]] = {}
    for task, labelled in tasks.items():
        each = [_class_figure(labelled, column, weights) for column in range(len(labelled.names))]
        macros[f"auc_{task}"] = _macro(labelled, each)
        for column, name in enumerate(labelled.names):
            codes = labelled.codes[column]
            if seen.get(name) == codes:
                continue
            key = f"{name}_{task}" if name in seen else name
            seen[key] = codes
            classes[f"auc_{key}"] = each[column]
    return macros | classes


def _class_figure(labelled: Labelled, column: int, weights: Floats) -> Figure:
    held, scores = labelled.labels[:, column], labelled.supports[:, column]
    positives, n = int(held.sum()), len(held)
    if not labelled.kept[column]:
        few = positives < MIN_POSITIVES
        why = f"{positives} positives, fewer than {MIN_POSITIVES}" if few else "no negative"
        return Figure(None, n, why=why, facts={"positives": positives})
    value = metrics.roc_auc(held, scores)
    draws = metrics.auc_draws(held, scores, weights)
    return Figure(value, n, draws, chance=0.5, facts={"positives": positives})


def _macro(labelled: Labelled, each: Sequence[Figure]) -> Figure:
    kept = [figure for figure in each if figure.value is not None and figure.draws is not None]
    if not kept:
        return missing(f"no class has {MIN_POSITIVES} positives", len(labelled.labels))
    value = float(np.mean([figure.value for figure in kept if figure.value is not None]))
    draws = metrics.nan_mean(np.stack([f.draws for f in kept if f.draws is not None], axis=1))
    facts = {"classes": len(kept)}
    return Figure(value, len(labelled.labels), draws, chance=0.5, facts=facts)


def hard_figures(
    labelled: Labelled, thresholds: Mapping[str, float], weights: Floats
) -> dict[str, Figure]:
    """Point 5: superclasses claimed where the support reaches the release's threshold.

    Chance is exact: the same number of claims a class, in random order.
    """
    names = ("hard_f1", "hard_hamming", "hard_balanced")
    n = len(labelled.labels)
    columns = [
        column
        for column, name in enumerate(labelled.names)
        if labelled.kept[column] and name in thresholds
    ]
    if not columns:
        why = "no class has enough positives" if thresholds else "no thresholds in the release"
        return {name: missing(why, n) for name in names}
    labels, supports = labelled.labels[:, columns], labelled.supports[:, columns]
    predicted = supports >= [thresholds[labelled.names[column]] for column in columns]
    held, claimed = labels.mean(axis=0), predicted.mean(axis=0)
    chances = (
        float((2 * held * claimed / (held + claimed)).mean()),
        float((held * (1 - claimed) + claimed * (1 - held)).mean()),
        0.5,
    )
    scores = (metrics.macro_f1, metrics.hamming_loss, metrics.balanced_accuracy)
    return {
        name: Figure(
            float(score(labels, predicted)[0]),
            n,
            score(labels, predicted, weights),
            chance=chance,
            facts={"classes": len(columns)},
        )
        for name, score, chance in zip(names, scores, chances, strict=True)
    }
