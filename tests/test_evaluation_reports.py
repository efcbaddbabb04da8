"""Exact-pair retrieval against a slow, literal reading of the protocol."""

import math
from pathlib import Path

import numpy as np
import pytest

from ecgedge.corpora.ptbxl import Corpus, CorpusRecord, StatementTable
from ecgedge.encoders.text import normalise
from ecgedge.evaluation import reports
from ecgedge.evaluation.figures import patient_weights

TABLE = StatementTable(
    {"NORM": "NORM", "IMI": "MI"}, {"NORM": "NORM", "IMI": "IMI"}, frozenset(), frozenset({"AFIB"})
)


class HashedWords:
    """A deterministic text encoder: each normalised text has its own random direction."""

    def __init__(self, dim=6):
        self.dim = dim

    def encode(self, texts):
        rows = []
        for text in texts:
            seed = sum(ord(letter) * 31**i for i, letter in enumerate(normalise(text))) % 2**32
            vector = np.random.default_rng(seed).normal(size=self.dim)
            rows.append(vector / np.linalg.norm(vector))
        return np.array(rows, dtype=np.float32)


def _split(count, *, distinct=12, seed=0):
    """Records of which every third has a signal, in families of up to three."""
    rng = np.random.default_rng(seed)
    codes = [{"NORM": 100.0}, {"IMI": 100.0}, {"AFIB": 0.0}, {"NORM": 50.0, "IMI": 50.0}]
    spellings = ["Befund {n}.", "BEFUND  {n}", "befund, {n}"]
    return [
        CorpusRecord(
            str(i),
            str(i // 3),
            9,
            spellings[i % 3].format(n=rng.integers(distinct)) if i % 17 else "",
            codes[rng.integers(4)],
            None,
            None,
            Path("x") if i % 3 == 0 or i % 7 == 0 else None,
        )
        for i in range(count)
    ]


def _slow_hit(query_vector, query, gallery, vectors, k, same_text):
    """Probability of a hit, read off the sorted gallery one record at a time."""
    allowed = [
        record
        for record in gallery
        if record.record_id == query.record_id or record.patient_id != query.patient_id
    ]
    score = {r.record_id: float(vectors[r.record_id] @ query_vector) for r in allowed}
    if same_text:
        wanted = {r.record_id for r in allowed if normalise(r.report) == normalise(query.report)}
    else:
        wanted = {query.record_id}
    best = max(score[name] for name in wanted)
    above = sum(value > best + 1e-6 for value in score.values())
    level = [name for name, value in score.items() if abs(value - best) <= 1e-6]
    room = min(max(k - above, 0), len(level))
    misses = len(level) - len(wanted & set(level))
    return 1 - math.comb(misses, room) / math.comb(len(level), room)


@pytest.mark.parametrize("same_text", [False, True])
def test_whole_galleries_agree_with_a_record_by_record_reading(same_text):
    split = _split(90)
    corpus = Corpus("c", Path(), tuple(split), TABLE)
    queries = [record for record in split if record.signal]
    encoder = HashedWords()
    rng = np.random.default_rng(4)
    ecgs = rng.normal(size=(len(queries), 6)).astype(np.float32)
    ecgs /= np.linalg.norm(ecgs, axis=1, keepdims=True)
    weights = patient_weights([corpus.group(record) for record in queries])
    found = reports.measure(corpus, split, queries, ecgs, encoder, weights)
    spoken = [record for record in split if record.report]
    asked = [(ecg, record) for ecg, record in zip(ecgs, queries, strict=True) if record.report]
    texts = {r.record_id: encoder.encode([r.report])[0] for r in spoken}
    images = {record.record_id: ecg for ecg, record in asked}
    suffix = "_dup" if same_text else ""
    for k in reports.KS:
        forward = [_slow_hit(ecg, r, spoken, texts, k, same_text) for ecg, r in asked]
        heard = [record for _, record in asked]
        backward = [_slow_hit(texts[r.record_id], r, heard, images, k, same_text) for r in heard]
        report, ecg = found[f"report_r{k}{suffix}"], found[f"ecg_r{k}{suffix}"]
        assert report.value == pytest.approx(np.mean(forward), abs=1e-9)
        assert ecg.value == pytest.approx(np.mean(backward), abs=1e-9)
        assert (report.n, ecg.n) == (len(asked), len(asked))
        assert (report.facts["gallery"], ecg.facts["gallery"]) == (len(spoken), len(asked))
        assert report.value <= report.ceiling + 1e-12


def test_a_perfect_encoder_reaches_exactly_the_ceiling_and_a_constant_one_exactly_chance():
    split = _split(80, seed=3)
    corpus = Corpus("c", Path(), tuple(split), TABLE)
    queries = [record for record in split if record.signal]
    encoder = HashedWords(dim=16)
    weights = patient_weights([corpus.group(record) for record in queries])
    perfect = np.stack([encoder.encode([record.report])[0] for record in queries])
    for name, figure in reports.measure(corpus, split, queries, perfect, encoder, weights).items():
        assert figure.value == pytest.approx(figure.ceiling), name
        if name.endswith("_dup"):
            assert figure.ceiling == pytest.approx(1.0)

    class Constant:
        def encode(self, texts):
            return np.ones((len(texts), 16), dtype=np.float32) / 4

    flat = np.ones_like(perfect) / 4
    for name, figure in reports.measure(corpus, split, queries, flat, Constant(), weights).items():
        assert figure.value == pytest.approx(figure.chance), name


def test_the_abnormal_gallery_is_filled_to_its_size_and_averaged_over_draws(monkeypatch):
    monkeypatch.setattr(reports, "PUBLISHED_SIZE", 30)
    split = _split(150, distinct=1000, seed=5)
    corpus = Corpus("c", Path(), tuple(split), TABLE)
    queries = [record for record in split if record.signal][:12]
    encoder = HashedWords(dim=16)
    vectors = np.stack([encoder.encode([record.report])[0] for record in queries])
    weights = patient_weights([corpus.group(record) for record in queries])
    found = reports.measure(corpus, split, queries, vectors, encoder, weights)
    ill = [r for r in queries if r.report and "IMI" in r.statements]
    figure = found["report_r5_1269"]
    assert (figure.n, figure.facts) == (len(ill), {"gallery": 30, "gallery_draws": 20})
    # 27 to 30 items are left for a query once its patient's other reports are out.
    assert 5 / 30 <= figure.chance <= 5 / 27
    assert found["ecg_r5_1269"].facts == {"gallery": len(ill), "gallery_draws": 1}


def test_more_abnormal_queries_than_the_published_size_are_drawn_in_turns(monkeypatch):
    monkeypatch.setattr(reports, "PUBLISHED_SIZE", 10)
    split = _split(120, distinct=1000, seed=6)
    corpus = Corpus("c", Path(), tuple(split), TABLE)
    queries = [record for record in split if record.signal]
    encoder = HashedWords(dim=16)
    vectors = np.stack([encoder.encode([record.report])[0] for record in queries])
    weights = patient_weights([corpus.group(record) for record in queries])
    found = reports.measure(corpus, split, queries, vectors, encoder, weights)
    ill = [r for r in queries if r.report and "IMI" in r.statements]
    assert len(ill) > 10
    figure = found["report_r1_1269"]
    assert figure.facts == {"gallery": 10, "gallery_draws": 20}
    assert 10 < figure.n <= len(ill)


def test_without_a_text_encoder_every_figure_is_null_and_says_why():
    split = _split(9)
    corpus = Corpus("c", Path(), tuple(split), TABLE)
    found = reports.measure(corpus, split, split, np.ones((9, 2)), None, np.ones((1, 9)))
    assert list(found) == reports.names()
    assert {f.to_dict()["why"] for f in found.values()} == {"the release ships no text encoder"}
