"""Point 8: the change of auc_super, against a plain reading of the same conditions."""

from dataclasses import replace

import evaluation_builders as build
import numpy as np
import pytest

from ecgedge.errors import InputError
from ecgedge.evaluation import cases, metrics, robust
from ecgedge.evaluation.figures import Figure, patient_weights
from ecgedge.evaluation.subject import open_subject, retrieve, vote
from ecgedge.formats import read
from ecgedge.recording import LEADS
from ecgedge.sight import embed_recording
from ecgedge.signal import corrupt


def _passing(items, _label, _length):
    return items


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """(subject, corpus, the 16 records asked with, their clean embeddings, bootstrap weights)."""
    root = tmp_path_factory.mktemp("robust")
    train = build.write_corpus(root / "train", build.rows(32))
    subject = open_subject(build.write_store(root / "store", train, {1}))
    corpus = build.write_corpus(root / "unseen", build.rows(16, first=30001, fold=10))
    records = corpus.select(None)
    embeddings = np.stack([subject.engine.embed(read(record.signal)) for record in records])
    return subject, corpus, records, embeddings, patient_weights([*map(corpus.group, records)])


def _found(asked):
    subject, corpus, records, embeddings, _ = asked
    hits = retrieve(subject, corpus, records, embeddings)
    return cases.Found(corpus, records, hits, subject.engine.casebase.all_cases())


def _figures(asked, degraded):
    found = _found(asked)
    subject, weights = asked[0], asked[-1]
    return robust.figures(subject, found, vote(subject, found, "super"), degraded, weights)


def _unchanged(embeddings):
    return {condition.name: robust.Degraded(embeddings, 0) for condition in robust.CONDITIONS}


def test_every_lead_is_missing_once_and_every_name_is_told():
    names = robust.names()
    assert len(names) == len(set(names)) == len(robust.CONDITIONS) + 2
    assert {f"robust_lead_off_{lead}" for lead in LEADS} <= set(names)


def test_a_degraded_query_is_what_the_device_would_embed(asked, monkeypatch):
    subject, _, records, _, _ = asked
    conditions = [it for it in robust.CONDITIONS if it.name in ("lead_off_V1", "print_3x4")]
    monkeypatch.setattr(robust, "CONDITIONS", conditions)
    (degraded,) = robust.degrade_split(records[:2], [subject], _passing)
    assert set(degraded) == {"lead_off_V1", "print_3x4"}
    worse = corrupt.drop_leads(read(records[1].signal), ["V1"])
    expected = embed_recording(worse, subject.engine.encoder)
    assert np.array_equal(degraded["lead_off_V1"].embeddings[1], expected)
    assert degraded["lead_off_V1"].embeddings.shape == (2, 24)


def test_what_cannot_be_degraded_is_left_out_and_what_would_be_refused_is_counted(
    asked, monkeypatch
):
    subject, _, records, _, _ = asked
    seen = []

    def sometimes(recording, seed):
        seen.append(seed)
        if len(seen) == 2:
            raise InputError("cannot")
        return recording

    conditions = [
        robust.Condition("sometimes", sometimes),
        robust.Condition("3s", lambda it, _: corrupt.crop(it, 3.0)),
    ]
    monkeypatch.setattr(robust, "CONDITIONS", conditions)
    (degraded,) = robust.degrade_split(records[:3], [subject], _passing)
    gaps = np.isnan(degraded["sometimes"].embeddings).all(axis=1)
    assert gaps.tolist() == [False, True, False]
    assert (degraded["sometimes"].refused, degraded["3s"].refused) == (0, 3)
    assert len(set(seen)) == 3  # each record has noise of its own


def test_of_a_large_split_an_even_part_is_degraded(asked, monkeypatch):
    subject, _, records, _, _ = asked
    monkeypatch.setattr(robust, "CONDITIONS", [robust.Condition("none", lambda it, _: it)])
    monkeypatch.setattr(robust, "MOST", 3)
    (degraded,) = robust.degrade_split(records[:8], [subject], _passing)
    kept = np.isfinite(degraded["none"].embeddings).all(axis=1)
    assert np.flatnonzero(kept).tolist() == [0, 3, 6]


def test_nothing_changed_is_a_change_of_zero_with_an_interval_of_zero(asked):
    figures = _figures(asked, _unchanged(asked[3]))
    for name in robust.names():
        assert figures[name].value == 0
        assert figures[name].interval == (0, 0)


def test_a_change_is_the_difference_of_two_aucs_over_the_same_records(asked):
    subject, corpus, records, embeddings, _ = asked
    rng = np.random.default_rng(0)
    noisy = rng.normal(size=embeddings.shape).astype(np.float32)
    noisy[3] = np.nan
    degraded = _unchanged(embeddings) | {"limb_only": robust.Degraded(noisy, 5)}
    figure = _figures(asked, degraded)["robust_limb_only"]

    kept = [row for row in range(len(records)) if row != 3]
    labels = corpus.table.matrix([records[row].statements for row in kept], "super")
    aucs = []
    for vectors in (noisy, embeddings):
        supports = np.zeros(labels.shape)
        for place, row in enumerate(kept):
            hits = subject.engine.casebase.search(vectors[row], 5)
            votes = np.exp(np.array([hit.similarity for hit in hits]) / 0.05)
            held = corpus.table.matrix([hit.case.statements for hit in hits], "super")
            supports[place] = (votes @ held / votes.sum()).round(6)
        aucs.append(metrics.macro_auc(labels, supports, min_positives=3))
    assert aucs[0] < aucs[1]
    assert figure.value == pytest.approx(aucs[0] - aucs[1], abs=1e-6)
    assert figure.facts["auc"] == pytest.approx(aucs[0], abs=1e-6)
    assert figure.facts["refused_on_device"] == 5
    assert figure.chance == pytest.approx(0.5 - aucs[1], abs=1e-6)
    assert figure.n == 15
    low, high = figure.interval
    assert low <= figure.value <= high


def test_one_lead_off_is_the_mean_and_the_worst_of_the_twelve():
    rng = np.random.default_rng(1)
    changes = {
        lead: Figure(-0.01 * place, 20 + place, rng.normal(size=50), facts={"auc": 0.9})
        for place, lead in enumerate(LEADS)
    }
    told = robust._one_lead_off(changes)
    assert told["robust_lead_off"].value == pytest.approx(-0.055)
    assert told["robust_lead_off"].n == 20
    draws = np.mean([figure.draws for figure in changes.values()], axis=0)
    assert told["robust_lead_off"].draws == pytest.approx(draws)
    assert told["robust_lead_off_worst"].facts == {"lead": "V6", "auc": 0.9}
    assert told["robust_lead_off_worst"].value == -0.11
    assert told["robust_lead_off_worst"].interval == changes["V6"].interval
    without = robust._one_lead_off(changes | {"V1": replace(changes["V1"], value=None, why="no")})
    assert {(figure.value, figure.why) for figure in without.values()} == {(None, "no")}


def test_a_condition_without_any_embedding_is_null_and_says_why(asked):
    nothing = np.full_like(asked[3], np.nan)
    figure = _figures(asked, _unchanged(asked[3]) | {"5s": robust.Degraded(nothing, 0)})[
        "robust_5s"
    ]
    assert figure.value is None
    assert "no recording" in figure.why
