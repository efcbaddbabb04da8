"""Building a release: complete, reproducible, restartable, honest about what it skipped."""

import csv
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from central_builders import DIM, write_bundle, write_corpus
from small_release import linear_text

from ecgedge.casebase.release import Store
from ecgedge.central import build as build_module
from ecgedge.central import encode
from ecgedge.central.build import BuildRequest, build_release
from ecgedge.central.facts import NO_NOVELTY, ONE_OUTCOME, UNJUDGED, UNTUNED
from ecgedge.central.withdraw import read_ids
from ecgedge.central.workforce import LocalWorkforce
from ecgedge.corpora.ptbxl import load_corpus, parse_folds
from ecgedge.encoders import load_bundle
from ecgedge.engine import Engine
from ecgedge.errors import DamagedError, InputError, UsageError
from ecgedge.formats import read
from ecgedge.textsearch import TextSearch


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def corpus_folder(tmp_path) -> Path:
    return write_corpus(tmp_path / "corpus")


def request(corpus: Path, bundle: Path, out: Path, **changes) -> BuildRequest:
    facts = {
        "corpus": load_corpus(corpus),
        "bundle": bundle,
        "out": out,
        "folds": parse_folds("1-8"),
        "valid_folds": parse_folds("9"),
        "created": "2026-11-22",
    }
    return BuildRequest(**(facts | changes))


def test_a_built_release_answers_a_query_with_the_corpus_own_facts(corpus_folder, bundle, tmp_path):
    out = tmp_path / "store"
    result = build_release(request(corpus_folder, bundle, out))
    engine = Engine.open(out)
    assert engine.manifest.id == result.release
    recording = read(corpus_folder / "records100" / "00003_lr.hea")
    answer = engine.query(recording, k=3)
    first = answer.matches[0]
    assert first.case_id == "ptb-xl/3"
    assert first.similarity == pytest.approx(1, abs=0.001)
    assert (first.statements, first.report) == (("CLBBB", "SR"), "Befund CLBBB")
    assert (first.age, first.sex, first.source) == (60, "F", "ptb-xl record 3")


def test_enough_validation_recordings_give_probabilities_and_a_novelty_model(bundle, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", 160)
    folds = {"folds": parse_folds("1-4"), "valid_folds": parse_folds("5-9")}
    result = build_release(request(corpus, bundle, tmp_path / "store", **folds))
    engine = Engine.open(tmp_path / "store")
    assert engine.manifest.notes == ()
    assert engine.manifest.novelty in engine.manifest.blobs()
    # SR is on every recording: without one that lacks it there is nothing to judge.
    assert set(result.calibration.statements.statements) == {"NORM", "CLBBB", "IMI", "AFIB"}
    answer = engine.query(read(corpus / "records100" / "00003_lr.hea"))
    told = {support.code: support for support in answer.supports}
    assert told["CLBBB"].probability > 0.8
    assert told["SR"].probability is None
    assert (told["SR"].carried, told["SR"].asked) == (10, 10)
    assert set(answer.novelty.parts) == {"case", "leads", "swap", "shape"}


def test_the_base_holds_its_folds_and_no_validation_recording(corpus_folder, bundle, tmp_path):
    result = build_release(request(corpus_folder, bundle, tmp_path / "store"))
    store = Store(tmp_path / "store")
    manifest = store.manifest()
    corpus = load_corpus(corpus_folder)
    base = store.casebase(manifest)
    expected = {corpus.case_id(record) for record in corpus.select(parse_folds("1-8"))}
    assert {case.case_id for case in base.all_cases()} == expected
    assert result.cases == len(base) == 36
    assert manifest.corpus["validation_recordings"] == 4
    assert len(manifest.probes) == 5
    # Four recordings of two patients: too few to judge any statement or to scale novelty.
    assert [note for note in manifest.notes if note != ONE_OUTCOME] == [UNJUDGED, NO_NOVELTY]
    assert not (tmp_path / "store" / ".work").exists()


def test_one_and_two_workers_give_the_same_release(corpus_folder, bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "CHUNK", 8)
    ids = [
        build_release(
            request(
                corpus_folder,
                bundle,
                tmp_path / f"store{workers}",
                workforce=LocalWorkforce(workers),
            )
        ).release
        for workers in (1, 2)
    ]
    assert ids[0] == ids[1]
    first, second = (sorted((tmp_path / f"store{n}" / "blobs").iterdir()) for n in (1, 2))
    assert [path.name for path in first] == [path.name for path in second]


def test_unreadable_recordings_are_listed_counted_and_left_out(corpus_folder, bundle, tmp_path):
    records = corpus_folder / "records100"
    data = (records / "00005_lr.dat").read_bytes()
    (records / "00005_lr.dat").write_bytes(data[: len(data) // 2])  # cut short
    (records / "00006_lr.hea").write_text("this is no header\n")
    (records / "00007_lr.dat").write_bytes(bytes(len(data)))  # flat in all leads
    (records / "00008_lr.hea").unlink()  # no signal at all
    result = build_release(request(corpus_folder, bundle, tmp_path / "store"))
    assert [one.record.record_id for one in result.skipped] == ["5", "6", "7"]
    assert result.without_signal == 1
    assert result.cases == 36 - 4
    with (tmp_path / "store" / "skipped.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["case_id"] for row in rows] == ["ptb-xl/5", "ptb-xl/6", "ptb-xl/7"]
    assert all(len(row["reason"]) > 10 for row in rows)
    facts = Store(tmp_path / "store").manifest().corpus
    assert (facts["skipped"], facts["without_signal"]) == (3, 1)


def test_a_corpus_of_which_nothing_can_be_encoded_is_refused(corpus_folder, bundle, tmp_path):
    for path in (corpus_folder / "records100").glob("*.dat"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match=r"none of 40 recordings could be encoded, the first"):
        build_release(request(corpus_folder, bundle, tmp_path / "store"))
    assert not Store(tmp_path / "store").release_ids()


class Fragile:
    """A real encoder that stops working after some recordings, as a killed build would."""

    def __init__(self, inner, left: int) -> None:
        self.spec, self._inner, self.left = inner.spec, inner, left

    def encode(self, images):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return self._inner.encode(images)


def test_a_killed_build_goes_on_where_it_stopped(corpus_folder, bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "CHUNK", 8)
    whole = build_release(request(corpus_folder, bundle, tmp_path / "whole")).release
    out = tmp_path / "store"
    fragile = Fragile(load_bundle(bundle), left=20)
    monkeypatch.setattr(build_module, "load_bundle", lambda _: fragile)
    with pytest.raises(KeyboardInterrupt):
        build_release(request(corpus_folder, bundle, out))
    assert not Store(out).release_ids()
    assert len(list((out / ".work").rglob("*.npz"))) == 2
    fragile.left = 40 - 16 + 5  # what is left of the recordings, and the five probes
    assert build_release(request(corpus_folder, bundle, out)).release == whole
    assert fragile.left == 0


def test_a_damaged_or_outdated_chunk_is_encoded_again(corpus_folder, bundle, tmp_path):
    records = load_corpus(corpus_folder).select(with_signal=True)[:6]
    load = partial(load_bundle, bundle)
    first = encode.encode_records(records, load, tmp_path / "work")
    (chunk,) = (tmp_path / "work").rglob("*.npz")
    chunk.write_bytes(chunk.read_bytes()[:200])
    again = encode.encode_records(records, load, tmp_path / "work")
    np.testing.assert_array_equal(first.embeddings, again.embeddings)
    (corpus_folder / "records100" / "00002_lr.dat").write_bytes(b"")
    changed = encode.encode_records(records, load, tmp_path / "work")
    assert [one.record.record_id for one in changed.skipped] == ["2"]
    assert changed.embeddings.shape == (5, DIM)


def test_withdrawn_cases_are_neither_shipped_nor_shown(corpus_folder, bundle, tmp_path):
    listing = tmp_path / "withdrawn.txt"
    listing.write_text("ptb-xl/3  # asked for it in May\n\n4\nptb-xl/999\n# nobody\n")
    withdrawn = read_ids(listing, "ptb-xl")
    assert withdrawn == {"ptb-xl/3", "ptb-xl/4", "ptb-xl/999"}
    out = tmp_path / "store"
    result = build_release(request(corpus_folder, bundle, out, withdrawn=withdrawn))
    assert result.unknown_withdrawn == ("ptb-xl/999",)
    store = Store(out)
    assert store.manifest().withdrawn == ("ptb-xl/3", "ptb-xl/4", "ptb-xl/999")
    assert result.cases == 34
    for segment in store.manifest().segments:
        assert b"ptb-xl/3\x00" not in store.blob(segment.cases).read_bytes()
    ids = {case.case_id for case in store.casebase(store.manifest()).all_cases()}
    assert not ids & withdrawn


def test_without_reports_no_original_sentence_is_in_the_store(corpus_folder, bundle, tmp_path):
    out = tmp_path / "store"
    build_release(request(corpus_folder, bundle, out, reports=False))
    store = Store(out)
    assert all(case.report is None for case in store.casebase(store.manifest()).all_cases())
    assert all(b"Befund" not in path.read_bytes() for path in store.blobs.iterdir())


def test_without_validation_recordings_defaults_are_used_and_the_release_says_so(
    corpus_folder, bundle, tmp_path
):
    out = tmp_path / "store"
    result = build_release(request(corpus_folder, bundle, out, valid_folds=frozenset()))
    assert (result.calibration.neighbours, result.calibration.temperature) == (30, 0.05)
    assert Store(out).manifest().notes == (UNTUNED,)
    quantiles = result.calibration.nearest_quantiles
    assert len(quantiles) == 101
    assert list(quantiles) == sorted(quantiles)


def test_a_base_of_one_patient_is_refused(bundle, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", 3, per_patient=3)
    with pytest.raises(InputError, match="at least two patients"):
        build_release(request(corpus, bundle, tmp_path / "store", valid_folds=frozenset()))


def test_requests_that_cannot_be_met_are_refused_before_encoding(corpus_folder, bundle, tmp_path):
    with pytest.raises(UsageError, match="fold 8 is asked for both"):
        build_release(request(corpus_folder, bundle, tmp_path / "a", valid_folds=frozenset({8, 9})))
    with pytest.raises(InputError, match="holds no recording of folds"):
        build_release(request(corpus_folder, bundle, tmp_path / "b", folds=frozenset({10})))
    with pytest.raises(InputError, match="cannot be read as a list"):
        read_ids(tmp_path / "absent", "ptb-xl")
    with pytest.raises(DamagedError):
        build_release(request(corpus_folder, tmp_path, tmp_path / "c"))
    assert not any((tmp_path / name).exists() for name in "abc")


def test_a_second_build_keeps_the_first_release_and_becomes_current(
    corpus_folder, bundle, tmp_path
):
    out = tmp_path / "store"
    first = build_release(request(corpus_folder, bundle, out)).release
    second = build_release(request(corpus_folder, bundle, out, created="2026-11-23")).release
    assert Store(out).release_ids() == sorted([first, second])
    assert Store(out).current_id() == second


def test_a_text_tower_gives_report_vectors_and_words_also_where_no_report_is_kept(
    corpus_folder, bundle, tmp_path
):
    text = tmp_path / "text"
    text.mkdir()
    model, spec = linear_text(["Befund AFIB"], dim=DIM)
    (text / "text.onnx").write_bytes(model)
    (text / "text.json").write_text(spec.to_json())
    for name, reports in (("kept", True), ("dropped", False)):
        out = tmp_path / name
        build_release(request(corpus_folder, bundle, out, text=text, reports=reports))
        (segment,) = Store(out).segments(Store(out).manifest())
        assert segment.texts is not None
        assert segment.texts.model == spec.sha256
        assert segment.texts.vectors.any(axis=1).all()
        assert bool(segment.match('"befund"', 5)[0]) == reports
        found = TextSearch.open(out).search("Vorhofflimmern", 3)
        assert all("AFIB" in match.statements for match in found.keywords)
        assert len(found.meaning) == 3
