"""Adding cases to a release: a further segment, everything else as it was, nothing leaking in."""

import shutil
from pathlib import Path

import pytest
from central_builders import write_bundle, write_corpus
from release_builders import BEFORE, DATE, Grown, append_record, blobs

from ecgedge.casebase.release import Store, builtin_store
from ecgedge.central import encode
from ecgedge.central.add import add_to_release
from ecgedge.central.revise import not_before
from ecgedge.central.verify import verify_release
from ecgedge.central.workforce import LocalWorkforce
from ecgedge.corpora.ptbxl import load_corpus, parse_folds
from ecgedge.engine import Engine
from ecgedge.errors import InputError, MismatchError, NothingNew, UsageError
from ecgedge.formats import read
from ecgedge.textsearch import TextSearch


@pytest.fixture(scope="module")
def grown(tmp_path_factory) -> Grown:
    return Grown(tmp_path_factory.mktemp("grown"))


@pytest.fixture(scope="module")
def built(grown) -> Path:
    grown.build(grown.root / "store")
    return grown.root / "store"


@pytest.fixture
def store(built, tmp_path) -> Path:
    """A copy of the store to add to."""
    return shutil.copytree(built, tmp_path / "store")


def ids_of(store: Path) -> set[str]:
    opened = Store(store)
    return {case.case_id for case in opened.casebase(opened.manifest()).all_cases()}


def test_added_cases_are_found_in_a_segment_of_their_own_and_the_old_one_stays(grown, store):
    before = Store(store).manifest()
    result = add_to_release(grown.adding(store))
    after = Store(store).manifest()
    assert after.id == result.release == Store(store).current_id() != before.id
    assert after.segments[:1] == before.segments
    assert [ref.count for ref in after.segments] == [22, result.added]
    corpus = load_corpus(grown.after)
    wanted = {corpus.case_id(record) for record in corpus.select(parse_folds("1-8"))}
    assert ids_of(store) == wanted
    assert result.cases == len(wanted)
    answer = Engine.open(store).query(read(grown.after / "records100" / "00030_lr.hea"), k=1)
    assert answer.matches[0].case_id == "ptb-xl/30"
    assert verify_release(Store(store)).failure is None


def test_encoder_text_tower_and_all_that_validation_settled_stay_the_releases_own(grown, store):
    before = Store(store).manifest()
    add_to_release(grown.adding(store))
    after = Store(store).manifest()
    for name in ("encoder", "text", "calibration", "novelty", "alternatives", "imaging"):
        assert getattr(after, name) == getattr(before, name)
    assert after.probes != before.probes
    segments = Store(store).segments(after)
    assert len({segment.texts.model for segment in segments}) == 1
    assert all(segment.has_words for segment in segments)
    found = TextSearch.open(store).search("Vorhofflimmern", 20)
    assert any(int(match.case_id.partition("/")[2]) > BEFORE for match in found.keywords)


def test_facts_and_notes_say_what_was_added_and_that_votes_were_settled_before(grown, store):
    before = Store(store).manifest()
    result = add_to_release(grown.adding(store, attribution="others"))
    facts, notes = Store(store).manifest().corpus, Store(store).manifest().notes
    assert (facts["cases"], facts["tuned_on_cases"]) == (22 + result.added, 22)
    assert facts["valid_folds"] == before.corpus["valid_folds"]
    assert facts["attribution"] == "the authors; others"
    (added,) = facts["added"]
    assert (added["cases"], added["folds"], added["created"]) == (
        result.added,
        [*range(1, 9)],
        DATE,
    )
    assert notes[:-1] == before.notes
    assert f"settled on 22 cases; {result.added} were added since" in notes[-1]


def test_a_second_addition_counts_on_and_leaves_one_note(grown, store, tmp_path):
    first = add_to_release(grown.adding(store))
    corpus = write_corpus(tmp_path / "more", 40)
    second = add_to_release(grown.adding(store, corpus))
    manifest = Store(store).manifest()
    assert manifest.corpus["tuned_on_cases"] == 22
    assert len(manifest.corpus["added"]) == 2
    told = [note for note in manifest.notes if "were added since" in note]
    assert len(told) == 1
    assert f"{first.added + second.added} were added since" in told[0]
    assert second.choice.present == 22 + first.added


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_input_gives_the_same_bytes_in_any_folder_by_any_number_of_workers(
    grown, store, tmp_path, monkeypatch, workers
):
    monkeypatch.setattr(encode, "CHUNK", 4)
    elsewhere = tmp_path / "elsewhere" / "other"
    grown.build(elsewhere, workforce=LocalWorkforce(workers))
    copied = shutil.copytree(grown.after, tmp_path / "copied")
    ours = add_to_release(grown.adding(store, segment_cases=4))
    theirs = add_to_release(
        grown.adding(elsewhere, copied, segment_cases=4, workforce=LocalWorkforce(workers))
    )
    assert ours.release == theirs.release
    assert blobs(store) == blobs(elsewhere)


def test_a_store_without_anything_new_says_so_and_stays(grown, store):
    before = Store(store).current_id()
    with pytest.raises(NothingNew, match=rf"no new case for release {before}: 22 are in it"):
        add_to_release(grown.adding(store, grown.before))
    assert Store(store).current_id() == before
    add_to_release(grown.adding(store))
    with pytest.raises(NothingNew):
        add_to_release(grown.adding(store))


def test_what_the_base_could_not_read_is_not_new(grown, tmp_path):
    corpus = shutil.copytree(grown.before, tmp_path / "corpus")
    (corpus / "records100" / "00005_lr.dat").write_bytes(b"")
    grown.build(tmp_path / "store", corpus)
    with pytest.raises(NothingNew, match="1 cannot be encoded"):
        add_to_release(grown.adding(tmp_path / "store", corpus))


def test_another_encoder_or_text_tower_is_refused_and_the_releases_own_is_taken(
    grown, store, tmp_path
):
    other = write_bundle(tmp_path / "other", seed=1)
    with pytest.raises(MismatchError, match="leave --encoder out"):
        add_to_release(grown.adding(store, bundle=other))
    (tmp_path / "text.onnx").write_bytes(b"other")
    with pytest.raises(MismatchError, match="leave --text out"):
        add_to_release(grown.adding(store, text=tmp_path))
    with pytest.raises(MismatchError, match="is missing: leave --text out"):
        add_to_release(grown.adding(store, text=tmp_path / "absent"))
    assert add_to_release(grown.adding(store, bundle=grown.bundle, text=grown.text)).added


def test_folds_that_tuned_the_release_cannot_be_added(grown, store):
    with pytest.raises(UsageError, match="fold 9 of ptb-xl tuned release"):
        add_to_release(grown.adding(store, folds=parse_folds("1-9")))


def test_a_new_recording_of_a_patient_who_tuned_the_release_is_left_out_and_counted(
    grown, store, tmp_path
):
    corpus = shutil.copytree(grown.after, tmp_path / "corpus")
    leaking = append_record(corpus, 900, patient=8, fold=1)  # patient 8 is in fold 9
    welcome = append_record(corpus, 901, patient=7, fold=1)
    result = add_to_release(grown.adding(store, corpus))
    assert result.choice.held_back == 1
    assert leaking not in ids_of(store)
    assert welcome in ids_of(store)


def test_a_patients_new_recording_is_of_the_same_group_as_the_old_ones(grown, store, tmp_path):
    corpus = shutil.copytree(grown.before, tmp_path / "corpus")
    name = append_record(corpus, 901, patient=0, fold=1)
    add_to_release(grown.adding(store, corpus))
    opened = Store(store)
    groups = {case.case_id: case.group for case in opened.casebase(opened.manifest()).all_cases()}
    assert groups[name] == groups["ptb-xl/1"]
    assert opened.manifest().corpus["patients"] == 11


def test_withdrawn_cases_are_masked_in_the_base_left_out_of_the_addition_and_never_come_back(
    grown, store
):
    gone = frozenset({"ptb-xl/3", "ptb-xl/30", "ptb-xl/999"})
    result = add_to_release(grown.adding(store, withdrawn=gone))
    assert result.unknown_withdrawn == ("ptb-xl/999",)
    assert Store(store).manifest().withdrawn == tuple(sorted(gone))
    assert not ids_of(store) & gone
    with pytest.raises(NothingNew, match="2 are withdrawn"):
        add_to_release(grown.adding(store))


def test_withdrawals_alone_make_a_release_too(grown, store):
    before = Store(store).manifest()
    gone = frozenset({"ptb-xl/3"})
    result = add_to_release(grown.adding(store, grown.before, withdrawn=gone))
    assert (result.added, result.cases) == (0, 21)
    assert Store(store).manifest().segments == before.segments


def test_a_release_without_report_texts_gets_none_unless_asked(grown, tmp_path):
    grown.build(tmp_path / "store", reports=False)
    add_to_release(grown.adding(tmp_path / "store"))
    opened = Store(tmp_path / "store")
    cases = opened.casebase(opened.manifest()).all_cases()
    assert all(case.report is None for case in cases)


def test_signals_are_kept_where_the_release_keeps_them(grown, tmp_path):
    grown.build(tmp_path / "store", signals=True)
    add_to_release(grown.adding(tmp_path / "store"))
    opened = Store(tmp_path / "store")
    segments = opened.segments(opened.manifest())
    assert all(segment.ecg(0) is not None for segment in segments)


def test_a_killed_addition_goes_on_where_it_stopped(grown, store, monkeypatch):
    monkeypatch.setattr(encode, "CHUNK", 4)
    whole = shutil.copytree(store, store.parent / "whole")
    wanted = add_to_release(grown.adding(whole)).release

    class Killed(LocalWorkforce):
        def run(self, job, pieces):
            for done, result in enumerate(super().run(job, pieces)):
                if done == 2:
                    raise KeyboardInterrupt
                yield result

    with pytest.raises(KeyboardInterrupt):
        add_to_release(grown.adding(store, workforce=Killed()))
    chunks = {path: path.stat().st_mtime_ns for path in (store / ".work").rglob("*.npz")}
    assert len(chunks) == 2
    begun: list[int] = []

    class Counting(LocalWorkforce):
        def run(self, job, pieces):
            begun.append(len(pieces))
            return super().run(job, pieces)

    assert add_to_release(grown.adding(store, workforce=Counting())).release == wanted
    assert begun == [1, 1]  # one chunk that was not finished, and the segment


def test_folds_the_corpus_does_not_have_are_an_input_error(grown, store):
    with pytest.raises(InputError, match="holds no recording of folds"):
        add_to_release(grown.adding(store, folds=parse_folds("42")))


def test_a_successor_is_never_dated_before_its_predecessor(store):
    before = Store(store).manifest()
    assert not_before(None, "2020-01-01", before) == DATE
    assert not_before(None, "2030-01-01", before) == "2030-01-01"
    assert not_before("2026-12-24", "2030-01-01", before) == "2026-12-24"
    with pytest.raises(UsageError, match="cannot be of 2026-11-21"):
        not_before("2026-11-21", "2030-01-01", before)


def test_the_built_in_release_has_all_of_its_own_corpus(shared_data, grown, tmp_path):
    store = shutil.copytree(builtin_store().root, tmp_path / "store")
    with pytest.raises(NothingNew, match="1,441 are in it"):
        add_to_release(grown.adding(store, shared_data / "ptbxl"))
