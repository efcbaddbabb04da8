"""Point 6: the nearest case's report against the query's own, on literal lists of texts."""

from pathlib import Path

import numpy as np
import pytest

from ecgedge.casebase.search import Hit
from ecgedge.casebase.segment import CaseRecord
from ecgedge.corpora.ptbxl import Corpus, CorpusRecord, StatementTable
from ecgedge.evaluation import drafts
from ecgedge.evaluation.cases import Found
from ecgedge.evaluation.figures import patient_weights
from ecgedge.evaluation.textmetrics import bleu, bleu_counts, meteor, rouge_l, words

TABLE = StatementTable({}, {}, frozenset(), frozenset())
WORDS = ["sinusrhythmus", "linkstyp", "normales", "ekg", "st", "senkung", "in", "v5", "v6"]


def _found(*, told=(), kept=(), silent=(), seed=0, queries=12, stored=30):
    """Queries 0.., cases c/100... of which the corpus (`told`) or the release (`kept`) has text.

    Two queries a patient, each patient also with one case; hits in random order.
    """
    rng = np.random.default_rng(seed)

    def text():
        return " ".join(rng.choice(WORDS, rng.integers(2, 9)))

    records = [
        CorpusRecord(str(i), str(i // 2), 9, "" if i in silent else text(), {}, None, None, None)
        for i in range(queries)
    ]
    rows = [
        CorpusRecord(str(100 + i), f"p{i}", 1, text(), {}, None, None, None)
        for i in range(stored)
        if i in told
    ]
    corpus = Corpus("c", Path(), (*records, *rows), TABLE)
    base = [
        CaseRecord(
            f"c/{100 + i}",
            {},
            text() if i in kept else None,
            None,
            None,
            "",
            corpus.group(records[2 * i]) if 2 * i < queries else f"g{i}",
        )
        for i in range(stored)
    ]
    hits = []
    for record in records:
        free = [case for case in base if case.group != corpus.group(record)]
        order = rng.permutation(len(free))[:5]
        hits.append([Hit(1.0, (), lambda case=free[i]: case) for i in order])
    return Found(corpus, records, hits, base)


def _weights(found):
    return patient_weights([found.corpus.group(record) for record in found.records], draws=200)


def test_each_figure_scores_the_first_hits_report_against_the_querys_own():
    found = _found(told=range(30))
    figures = drafts.figures(found, _weights(found))
    by_id = {found.corpus.case_id(record): record.report for record in found.corpus.records}
    pairs = [
        (words(by_id[hits[0].case.case_id]), words(record.report))
        for hits, record in zip(found.hits, found.records, strict=True)
    ]
    assert list(figures) == list(drafts.NAMES)
    assert figures["rouge_l"].value == pytest.approx(np.mean([rouge_l(*p) for p in pairs]))
    assert figures["meteor"].value == pytest.approx(np.mean([meteor(*p) for p in pairs]))
    counts = np.sum([bleu_counts(*pair) for pair in pairs], axis=0)
    assert figures["bleu1"].value == pytest.approx(float(bleu(counts, 1)))
    assert all(figure.n == 12 for figure in figures.values())


def test_the_ceiling_of_rouge_l_is_the_best_report_any_allowed_case_has():
    found = _found(told=range(30), seed=3)
    figure = drafts.figures(found, _weights(found))["rouge_l"]
    by_id = {found.corpus.case_id(record): record.report for record in found.corpus.records}
    best = [
        max(
            rouge_l(words(by_id[case.case_id]), words(record.report))
            for case in found.cases
            if case.group != found.corpus.group(record)
        )
        for record in found.records
    ]
    assert figure.ceiling == pytest.approx(np.mean(best))
    assert figure.value < figure.ceiling


def test_chance_is_near_the_mean_over_every_allowed_case():
    found = _found(told=range(30), seed=4, queries=40)
    figure = drafts.figures(found, _weights(found))["meteor"]
    by_id = {found.corpus.case_id(record): record.report for record in found.corpus.records}
    every = [
        np.mean(
            [
                meteor(words(by_id[case.case_id]), words(record.report))
                for case in found.cases
                if case.group != found.corpus.group(record)
            ]
        )
        for record in found.records
    ]
    assert figure.chance == pytest.approx(np.mean(every), abs=0.03)


def test_queries_whose_nearest_case_has_no_text_are_left_out_and_n_says_so():
    found = _found(told=range(15), kept=range(15, 20), silent={0, 1})
    known = {f"c/{100 + i}" for i in range(20)}
    expected = sum(
        bool(record.report) and hits[0].case.case_id in known
        for hits, record in zip(found.hits, found.records, strict=True)
    )
    figures = drafts.figures(found, _weights(found))
    assert 0 < expected < 10
    assert {figure.n for figure in figures.values()} == {expected}


def test_the_releases_own_text_counts_before_the_corpus():
    found = _found(told=range(30), kept=range(30))
    figure = drafts.figures(found, _weights(found))["rouge_l"]
    texts = [hits[0].case.report for hits in found.hits]
    expected = [
        rouge_l(words(text), words(record.report))
        for text, record in zip(texts, found.records, strict=True)
    ]
    assert figure.value == pytest.approx(np.mean(expected))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "the release carries no report texts and the corpus has no row of its cases"),
        ({"told": range(30), "silent": range(12)}, "no query has a report"),
    ],
)
def test_without_any_text_all_four_are_null_and_say_why(options, why):
    found = _found(**options)
    figures = drafts.figures(found, _weights(found))
    assert {(figure.value, figure.why) for figure in figures.values()} == {(None, why)}
