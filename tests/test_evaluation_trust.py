"""Point 7 on a small release that was really built: figures, their facts, and what is said
where there is nothing to measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from central_builders import write_bundle, write_corpus
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.central.build import BuildRequest, build_release
from ecgedge.corpora.ptbxl import load_corpus, parse_folds
from ecgedge.errors import InputError
from ecgedge.evaluation import strangers, trust
from ecgedge.evaluation.cases import Found
from ecgedge.evaluation.figures import Figure, patient_weights
from ecgedge.evaluation.refusal import area_under_risk, risk_curve
from ecgedge.evaluation.subject import Subject, embed_split, open_subject, retrieve
from ecgedge.signal.synthetic import synthesize

DRAWS = 40


def quiet(items, _label, _count):
    return items


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("trust") / "corpus", 160)


def build(corpus_folder: Path, folds: str, valid: str) -> Subject:
    out = corpus_folder.parent / f"store-{folds}-{valid}"
    bundle = write_bundle(corpus_folder.parent / "bundle")
    corpus, inside, outside = load_corpus(corpus_folder), parse_folds(folds), parse_folds(valid)
    build_release(BuildRequest(corpus, bundle, out, inside, outside, "2026-11-22"))
    return open_subject(out)


def measure(corpus_folder: Path, subject: Subject, folds: str, others=None) -> dict[str, Figure]:
    corpus = load_corpus(corpus_folder)
    queries = embed_split(corpus.select(parse_folds(folds)), [subject], quiet)
    hits = retrieve(subject, corpus, queries.records, queries.embeddings[0])
    found = Found(corpus, queries.records, hits, subject.engine.casebase.all_cases())
    weights = patient_weights([corpus.group(record) for record in queries.records], DRAWS)
    return trust.figures(found, subject, weights, quiet, others)


@pytest.fixture(scope="module")
def figures(corpus_folder: Path) -> dict[str, Figure]:
    patched = pytest.MonkeyPatch()
    patched.setattr(trust, "MOST", 8)
    others = {"itself": [corpus_folder / "records100" / f"{n:05d}_lr.hea" for n in (1, 3, 5)]}
    try:
        return measure(corpus_folder, build(corpus_folder, "1-4", "5-9"), "5-9", others)
    finally:
        patched.undo()


def test_every_figure_has_a_value_inside_its_interval(figures: dict[str, Figure]) -> None:
    assert list(figures) == [
        "ece", "ece_p05", "ece_own", "ece_super", "novelty_auroc", "aurc_p5", "aurc_labels",
    ]  # fmt: skip
    for name, figure in figures.items():
        low, high = figure.interval
        assert low - 1e-9 <= figure.value <= high + 1e-9, name
        # Atrial fibrillation alone has no diagnostic class to retrieve: a quarter of the split.
        assert figure.n == (66 if name == "aurc_p5" else 88), name


def test_calibration_on_the_releases_own_recordings_is_cross_fitted(
    corpus_folder: Path, figures: dict[str, Figure]
) -> None:
    assert figures["ece"].facts["probabilities"] == "cross-fitted over patients"
    points = figures["ece"].facts["points"]
    assert sum(point["pairs"] for point in points) == figures["ece"].facts["pairs"] == 88 * 4
    said = [point["probability"] for point in points]
    assert said == sorted(said)
    gap = sum(p["pairs"] * abs(p["probability"] - p["observed"]) for p in points) / (88 * 4)
    assert figures["ece"].value == pytest.approx(gap, abs=1e-3)


def test_recordings_the_release_never_saw_get_its_own_curves(corpus_folder: Path) -> None:
    patched = pytest.MonkeyPatch()
    patched.setattr(trust, "STRANGERS", strangers.STRANGERS[:1])
    try:
        told = measure(corpus_folder, build(corpus_folder, "1-3", "4-8"), "9")
    finally:
        patched.undo()
    assert told["ece"].facts["probabilities"] == "as released"
    assert told["ece_super"].facts["probabilities"] == "as released"


def test_every_declared_kind_is_measured_and_told_apart(figures: dict[str, Figure]) -> None:
    facts = figures["novelty_auroc"].facts
    assert list(facts["kinds"]) == [kind.name for kind in strangers.STRANGERS]
    values = [kind["value"] for kind in facts["kinds"].values()]
    assert figures["novelty_auroc"].value == pytest.approx(np.mean(values))
    for kind in facts["kinds"].values():
        assert kind["lo"] <= kind["value"] <= kind["hi"]
        assert kind["n"] == 8
    assert facts["kinds"]["white noise"]["value"] > 0.95
    assert facts["kinds"]["LA/RA exchanged"]["value"] > 0.95
    assert set(facts["by_group"]) == {"electrodes", "noise", "time", "no ECG"}
    assert facts["populations"]["itself"]["n"] == 3
    assert 0 <= facts["split"]["warned_or_refused"] <= 0.15


def test_refusing_at_random_is_the_mean_risk_and_nothing_beats_the_worst_first(
    figures: dict[str, Figure],
) -> None:
    for name in ("aurc_p5", "aurc_labels"):
        figure = figures[name]
        assert figure.ceiling <= figure.value + 1e-9
        assert figure.facts["curve"][0]["coverage"] == 1
        assert figure.facts["curve"][0]["risk"] == pytest.approx(figure.chance, abs=1e-4)


def test_a_release_without_curves_or_model_says_so_and_goes_by_the_nearest_case(
    corpus_folder: Path,
) -> None:
    patched = pytest.MonkeyPatch()
    patched.setattr(trust, "STRANGERS", strangers.STRANGERS[:1])
    try:
        told = measure(corpus_folder, build(corpus_folder, "1-8", "9"), "9")
    finally:
        patched.undo()
    assert told["ece"].value is None
    assert "no calibration curves" in told["ece"].why
    kind = told["novelty_auroc"].facts["kinds"]["LA/RA exchanged"]
    assert kind["value"] == pytest.approx(kind["nearest_only"], abs=1e-3)


@given(
    risks=st.lists(st.floats(0, 1), min_size=1, max_size=12),
    counts=st.lists(st.integers(0, 3), min_size=12, max_size=12),
)
def test_the_area_under_risk_is_what_drawing_the_rows_out_gives(
    risks: list[float], counts: list[int]
) -> None:
    ordered = np.array(risks)
    plain = np.mean([ordered[: n + 1].mean() for n in range(len(ordered))])
    assert area_under_risk(ordered)[0] == pytest.approx(plain)
    drawn = np.array([counts[: len(ordered)]], dtype=float)
    if drawn.sum():
        value = area_under_risk(ordered, drawn)[0]
        assert ordered.min() - 1e-9 <= value <= ordered.max() + 1e-9
    assert risk_curve(ordered)[0]["risk"] == pytest.approx(ordered.mean(), abs=1e-4)


@pytest.mark.parametrize("kind", strangers.STRANGERS, ids=lambda kind: kind.name)
def test_a_stranger_repeats_and_keeps_rate_length_and_unit(kind: strangers.Stranger) -> None:
    recording = synthesize(rate_hz=250)
    first, second = kind.make(recording, 5), kind.make(recording, 5)
    np.testing.assert_array_equal(first.signal, second.signal)
    assert first.signal.shape == recording.signal.shape
    assert (first.rate_hz, first.unit) == (250, "mV")
    assert not np.allclose(first.signal, recording.signal, atol=0.05)


def test_populations_are_told_apart_by_their_table(corpus_folder: Path, tmp_path: Path) -> None:
    records = corpus_folder / "records100"
    for number in (1, 2, 3):
        for suffix in (".hea", ".dat"):
            name = f"{number:05d}_lr{suffix}"
            (tmp_path / name).write_bytes((records / name).read_bytes())
    (tmp_path / "records.csv").write_text("file,dataset\n00001_lr,A\n00002_lr,B\n")
    found = strangers.populations(tmp_path)
    assert {name: len(paths) for name, paths in found.items()} == {
        "A": 1, "B": 1, tmp_path.name: 1,
    }  # fmt: skip
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no recording of another population"):
        strangers.populations(tmp_path / "none")
