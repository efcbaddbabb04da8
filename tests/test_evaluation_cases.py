"""Case retrieval, retrieved-label AUC and hard labels against literal definitions."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from ecgedge.casebase.search import Hit
from ecgedge.casebase.segment import CaseRecord
from ecgedge.corpora.ptbxl import TASKS, Corpus, CorpusRecord, StatementTable
from ecgedge.evaluation import cases, metrics
from ecgedge.evaluation.figures import patient_weights

TABLE = StatementTable(
    {"NORM": "NORM", "IMI": "MI", "AMI": "MI", "NDT": "STTC", "ISC_": "STTC", "LVH": "HYP"},
    {"NORM": "NORM", "IMI": "IMI", "AMI": "AMI", "NDT": "STTC", "ISC_": "ISC_", "LVH": "LVH"},
    frozenset({"NDT", "PVC"}),
    frozenset({"AFIB", "SR"}),
)
CODES = sorted(set(TABLE.superclass) | TABLE.form | TABLE.rhythm)
DIAGNOSTIC = set(TABLE.superclass)


def _found(*, seed=0, queries=60, stored=80, depth=12):
    """Random statements, and hits in random order that leave out the query's own patient."""
    rng = np.random.default_rng(seed)

    def codes():
        return {code: 100.0 for code in CODES if rng.random() < 0.2}

    records = [
        CorpusRecord(str(i), str(i // 2), 9, "", codes(), None, None, None) for i in range(queries)
    ]
    corpus = Corpus("c", Path(), tuple(records), TABLE)
    base = [
        CaseRecord(f"c/{i + 30}", codes(), None, None, None, "", corpus.group(records[i % queries]))
        for i in range(stored)
    ]
    hits = []
    for record in records:
        allowed = _allowed(corpus, record, base)
        order = rng.permutation(len(allowed))[:depth]
        levels = np.sort(rng.random(depth))[::-1]
        found = [(float(s), allowed[i]) for s, i in zip(levels, order, strict=True)]
        hits.append([Hit(s, tuple(case.statements), lambda case=case: case) for s, case in found])
    return cases.Found(corpus, records, hits, base)


def _allowed(corpus, record, base):
    return [
        case
        for case in base
        if case.group != corpus.group(record) and case.case_id != corpus.case_id(record)
    ]


def _kind(kind):
    return {"diagnostic": DIAGNOSTIC, "form": TABLE.form, "rhythm": TABLE.rhythm}[kind]


def _shares(kind, record, case):
    task = "super" if kind == "diagnostic" else kind
    return bool(TABLE.labels(record.statements, task) & TABLE.labels(case.statements, task))


@pytest.mark.parametrize("kind", cases.KINDS)
def test_precision_and_its_chance_and_ceiling_agree_with_counting(kind):
    found = _found()
    weights = patient_weights([found.corpus.group(record) for record in found.records])
    figure = cases.retrieval_figures(found, weights)[f"case_p5_{kind}"]
    got, by_chance, best = [], [], []
    for record, hits in zip(found.records, found.hits, strict=True):
        if not set(record.statements) & _kind(kind):
            continue
        allowed = _allowed(found.corpus, record, found.cases)
        useful = sum(_shares(kind, record, case) for case in allowed)
        got.append(sum(_shares(kind, record, hit.case) for hit in hits[:5]) / 5)
        by_chance.append(useful / len(allowed))
        best.append(min(useful, 5) / 5)
    assert figure.n == len(got) < len(found.records)
    assert figure.value == pytest.approx(np.mean(got))
    assert figure.chance == pytest.approx(np.mean(by_chance))
    assert figure.ceiling == pytest.approx(np.mean(best))


@pytest.mark.parametrize("kind", cases.KINDS)
def test_ndcg_has_the_jaccard_overlap_of_codes_as_gain(kind):
    found = _found(seed=1)
    weights = patient_weights([found.corpus.group(record) for record in found.records])
    figure = cases.retrieval_figures(found, weights)[f"case_ndcg10_{kind}"]

    def gain(record, case):
        left, right = set(record.statements) & _kind(kind), set(case.statements) & _kind(kind)
        return len(left & right) / len(left | right)

    def dcg(gains):
        return sum(value / math.log2(rank + 2) for rank, value in enumerate(gains[:10]))

    values, random_values = [], []
    rng = np.random.default_rng(0)
    for record, hits in zip(found.records, found.hits, strict=True):
        if not set(record.statements) & _kind(kind):
            continue
        gains = [gain(record, case) for case in _allowed(found.corpus, record, found.cases)]
        ideal = dcg(sorted(gains, reverse=True))
        values.append(dcg([gain(record, hit.case) for hit in hits]) / ideal)
        orders = [dcg(list(rng.permutation(gains))) / ideal for _ in range(60)]
        random_values.append(np.mean(orders))
    assert figure.value == pytest.approx(np.mean(values), abs=1e-6)
    assert figure.chance == pytest.approx(np.mean(random_values), abs=0.02)


def test_supports_are_the_softmax_share_of_the_neighbours_that_hold_the_class():
    found = _found(seed=2)
    labelled = cases.support_table(found, "super", neighbours=7, temperature=0.2)
    for row, hits in enumerate(found.hits):
        votes = [math.exp(hit.similarity / 0.2) for hit in hits[:7]]
        for column, name in enumerate(labelled.names):
            held = [name in TABLE.labels(hit.case.statements, "super") for hit in hits[:7]]
            share = sum(itertools.compress(votes, held)) / sum(votes)
            assert labelled.supports[row, column] == pytest.approx(share, abs=1e-5)


def test_a_macro_auc_is_the_mean_over_its_kept_classes_and_rare_ones_are_null():
    found = _found(seed=3)
    weights = patient_weights([found.corpus.group(record) for record in found.records])
    tasks = {task: cases.support_table(found, task, 7, 0.2) for task in TASKS}
    figures = cases.auc_figures(tasks, weights)
    superclass = tasks["super"]
    assert not superclass.kept[superclass.names.index("CD")]  # nobody holds it here
    assert figures["auc_CD"].to_dict() | {"n": 0} == {
        "value": None,
        "lo": None,
        "hi": None,
        "n": 0,
        "chance": None,
        "why": "0 positives, fewer than 3",
        "positives": 0,
    }
    assert figures["auc_super"].value == pytest.approx(
        metrics.macro_auc(superclass.labels, superclass.supports, min_positives=3)
    )
    low, high = figures["auc_super"].interval
    assert low < figures["auc_super"].value < high
    assert figures["auc_super"].facts == {"classes": 4}


def test_a_subclass_with_a_superclass_name_but_other_codes_is_told_apart():
    found = _found(seed=4)
    weights = patient_weights([found.corpus.group(record) for record in found.records])
    tasks = {task: cases.support_table(found, task, 7, 0.2) for task in TASKS}
    names = set(cases.auc_figures(tasks, weights))
    assert {"auc_STTC", "auc_STTC_sub", "auc_NORM", "auc_AFIB", "auc_NDT"} <= names
    assert "auc_NORM_sub" not in names


def test_hard_labels_use_the_releases_thresholds_and_their_chance_is_a_shuffle():
    found = _found(seed=5)
    weights = patient_weights([found.corpus.group(record) for record in found.records])
    labelled = cases.support_table(found, "super", 7, 0.2)
    thresholds = {"NORM": 0.3, "MI": 0.4, "STTC": 0.3, "HYP": 0.2, "CD": 0.5}
    found_figures = cases.hard_figures(labelled, thresholds, weights)
    kept = np.flatnonzero(labelled.kept)
    labels = labelled.labels[:, kept]
    predicted = labelled.supports[:, kept] >= [thresholds[labelled.names[c]] for c in kept]
    assert found_figures["hard_f1"].value == metrics.macro_f1(labels, predicted)[0]
    rng = np.random.default_rng(0)
    mixed = [rng.permuted(predicted, axis=0) for _ in range(400)]
    for name, score in (
        ("hard_f1", metrics.macro_f1),
        ("hard_hamming", metrics.hamming_loss),
        ("hard_balanced", metrics.balanced_accuracy),
    ):
        expected = np.mean([score(labels, guess)[0] for guess in mixed])
        assert found_figures[name].chance == pytest.approx(expected, abs=0.01)


def test_without_thresholds_hard_labels_are_null_and_say_why():
    found = _found(seed=6)
    labelled = cases.support_table(found, "super", 7, 0.2)
    figures = cases.hard_figures(labelled, {}, np.ones((1, len(found.records))))
    assert list(figures) == ["hard_f1", "hard_hamming", "hard_balanced"]
    assert {figure.why for figure in figures.values()} == {"no thresholds in the release"}
