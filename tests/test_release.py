"""Releases: atomic, whole, and nothing that does not belong together."""

import hashlib
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecgedge import disk
from ecgedge.casebase.calibration import Curves
from ecgedge.casebase.manifest import Manifest
from ecgedge.casebase.release import (
    Calibration,
    EncoderRef,
    Pointer,
    Probe,
    Store,
    TextRef,
    builtin_store,
)
from ecgedge.casebase.segment import CaseRecord, SegmentRef
from ecgedge.casebase.writing import write_segment
from ecgedge.errors import DamagedError, MismatchError, ReleaseError, UsageError

ENCODER = "leads-1-int8-0123456789ab"


def make_release(store: Store, *, note: str = "", encoder: str = ENCODER) -> Manifest:
    """A complete release of ten cases and an encoder of a few bytes, not yet added."""
    rows = np.random.default_rng(3).normal(size=(10, 8)).astype(np.float32)
    cases = [CaseRecord(f"c/{i}", {"NORM": 100.0}, None, 50, "F", "c", f"g{i}") for i in range(10)]
    segment = write_segment(store.blobs, rows, cases, encoder_id=ENCODER)
    model, spec = store.put_blob(b"model bytes"), store.put_blob(b"{}")
    return Manifest(
        created="2026-11-22",
        encoder=EncoderRef(encoder, model, spec),
        text=TextRef(model, spec),
        conditioning="cond-1",
        imaging="leads-1",
        calibration=Calibration(30, 0.05, tuple(np.linspace(0.2, 0.9, 101).tolist())),
        segments=(segment,),
        withdrawn=("c/3",),
        probes=(Probe({"rate_bpm": 66.0}, (("c/1", 0.91), ("c/2", 0.9))),),
        corpus={"name": "c", "attribution": "Größe"},
        notes=(note,) if note else (),
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.activate(store.add_release(make_release(store)))
    return store


def test_a_manifest_survives_json_and_keeps_its_id(store):
    manifest = store.manifest()
    assert manifest == Manifest.from_json(manifest.to_json())
    assert manifest.id == store.current_id() == make_release(store).id
    assert len(manifest.id) == 16


def test_curves_and_a_novelty_model_survive_json_and_are_files_of_the_release(store):
    curves = Curves(1.1, {"NORM": (0.5, -0.2), "AFIB": (0.07, 0.1)})
    calibration = replace(store.manifest().calibration, statements=curves, superclasses=curves)
    model = store.put_blob(b"novelty")
    manifest = replace(store.manifest(), calibration=calibration, novelty=model)
    again = Manifest.from_json(manifest.to_json())
    assert again == manifest
    assert again.id == manifest.id != store.current_id()
    assert model in again.blobs()


def test_a_release_made_before_there_were_curves_keeps_its_id_and_opens(store):
    data = json.loads(store.manifest().to_json())
    assert "novelty" not in data
    assert not {"statements", "superclasses"} & set(data["calibration"])
    opened = builtin_store().manifest()
    assert opened.id == builtin_store().current_id()


@pytest.mark.parametrize(
    "curves",
    [{"slope": -1.0, "statements": {}, "prior_votes": 5.0}, {"slope": 1.0}, [], {"slope": "x"}],
)
def test_curves_that_give_no_probability_are_refused(store, curves):
    data = json.loads(store.manifest().to_json())
    data["calibration"]["statements"] = curves
    del data["id"]
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    data["id"] = hashlib.sha256(text.encode()).hexdigest()[:16]
    with pytest.raises(DamagedError, match="is malformed"):
        Manifest.from_json(json.dumps(data))


def test_the_case_base_of_a_release_hides_its_withdrawn_cases(store):
    base = store.casebase(store.manifest())
    assert len(base) == 9
    assert "c/3" not in {case.case_id for case in base.all_cases()}


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_of_a_manifest_is_refused(store, data):
    path = store.root / "releases" / f"{store.current_id()}.json"
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 2))  # the last byte is the newline
    changed = bytearray(whole)
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        same = json.loads(changed.decode()) == json.loads(whole)
    except ValueError:
        same = False
    path.write_bytes(changed)
    try:
        if same:  # other white space is still the same manifest
            assert store.manifest().id == store.current_id()
        else:
            with pytest.raises((DamagedError, MismatchError)):
                store.manifest()
    finally:
        path.write_bytes(whole)


def test_a_release_in_a_newer_format_is_refused_with_the_remedy(store):
    data = json.loads(store.manifest().to_json())
    data["format"] = "ecgedge-release/2"
    path = store.root / "releases" / f"{store.current_id()}.json"
    path.write_text(json.dumps(data))
    with pytest.raises(MismatchError, match=r"ecgedge-release/2.*update ecgedge"):
        store.manifest()


def test_a_manifest_under_another_releases_name_is_refused(store):
    other = replace(store.manifest(), notes=("another",))
    (store.root / "releases" / f"{store.current_id()}.json").write_text(other.to_json())
    with pytest.raises(DamagedError, match="under another's name"):
        store.manifest()


@pytest.mark.parametrize(
    "change",
    [
        {"calibration": Calibration(30, 0.05, (0.1, 0.2))},
        {"calibration": Calibration(30, 0.05, tuple(np.linspace(0.9, 0.2, 101).tolist()))},
        {"calibration": Calibration(0, 0.05, tuple(np.linspace(0.2, 0.9, 101).tolist()))},
        {"calibration": Calibration(30, 0.0, tuple(np.linspace(0.2, 0.9, 101).tolist()))},
        {"segments": ()},
        {"encoder": EncoderRef(ENCODER, "../../etc/passwd", "0" * 64)},
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused_although_its_id_is_right(store, change):
    with pytest.raises(DamagedError, match="is malformed"):
        Manifest.from_json(replace(store.manifest(), **change).to_json())


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}', '{"id": "x"}'])
def test_what_is_no_manifest_is_refused(text):
    with pytest.raises(DamagedError):
        Manifest.from_json(text)


def test_a_missing_or_changed_file_of_a_release_is_refused(store):
    manifest = store.manifest()
    model = store.blob(manifest.encoder.model)
    model.write_bytes(b"model byteS")
    with pytest.raises(DamagedError, match=f"{manifest.encoder.model} is damaged"):
        store.blob(manifest.encoder.model)
    model.unlink()
    with pytest.raises(DamagedError, match="is missing"):
        store.blob(manifest.encoder.model)
    with pytest.raises(DamagedError, match=r"release .* needs it"):
        store.add_release(manifest)


def test_a_damaged_blob_is_mended_by_putting_it_again(store, tmp_path):
    name = store.manifest().encoder.model
    (store.blobs / name).write_bytes(b"rubbish")
    assert store.put_blob(b"model bytes") == name
    assert store.blob(name).read_bytes() == b"model bytes"
    source = tmp_path / "source"
    source.write_bytes(b"other")
    assert store.blob(store.put_blob(source)).read_bytes() == b"other"


def test_a_release_whose_segment_is_of_another_encoder_is_refused(store):
    manifest = make_release(store, encoder="leads-1-int8-ffffffffffff")
    with pytest.raises(MismatchError, match="was built with encoder"):
        store.casebase(manifest)


@pytest.mark.parametrize("step", ["add_release", "activate"])
def test_a_crash_while_installing_leaves_the_old_release_current_and_whole(
    store, monkeypatch, step
):
    old, new = store.current_id(), make_release(store, note="newer")
    if step == "activate":
        store.add_release(new)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync" if step == "activate" else "pathlib.Path.replace", crash)
    with pytest.raises(KeyboardInterrupt):
        store.add_release(new) if step == "add_release" else store.activate(new.id)
    monkeypatch.undo()
    assert store.current_id() == old
    assert len(store.casebase(store.manifest())) == 9
    assert not list(store.root.rglob("*.tmp"))
    store.activate(store.add_release(new))
    assert store.current_id() == new.id


def test_a_crash_while_writing_a_segment_leaves_no_half_file(tmp_path, monkeypatch):
    store = Store(tmp_path)

    def crash(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", crash)
    with pytest.raises(UsageError, match="No space left on device"):
        make_release(store)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_only_a_release_that_reads_back_whole_can_be_made_current(store):
    old = store.current_id()
    with pytest.raises(ReleaseError, match="has no release 0123456789abcdef, only"):
        store.activate("0123456789abcdef")
    with pytest.raises(UsageError, match="not a release id"):
        store.activate("../../somewhere")
    assert store.current_id() == old


def test_a_switch_remembers_the_release_before_and_repeating_it_changes_nothing(store):
    first, second = store.current_id(), store.add_release(make_release(store, note="newer"))
    store.activate(second)
    store.activate(second)
    assert store.pointer() == Pointer(second, previous=first)


def test_one_write_switches_back_and_holds_what_was_left(store):
    first, second = store.current_id(), store.add_release(make_release(store, note="newer"))
    store.activate(second)
    store.point(Pointer(first, held=second))
    assert store.current_id() == first
    assert store.pointer() == Pointer(first, None, second)


def test_after_a_rollback_what_was_withdrawn_since_stays_hidden(store):
    before = replace(make_release(store), withdrawn=("c/1",))
    after = replace(before, withdrawn=("c/1", "c/2", "c/3"))
    for manifest in (before, after):
        store.activate(store.add_release(manifest))
    assert len(store.casebase(before)) == 9
    store.point(Pointer(before.id, previous=after.id, held=after.id))
    assert store.hidden(before) == {"c/1", "c/2", "c/3"}
    assert len(store.casebase(before)) == 7
    store.point(Pointer(before.id, previous=after.id))
    assert len(store.casebase(before)) == 9


def test_a_damaged_pointer_is_mended_by_activating_a_release(store):
    first = store.current_id()
    (store.root / "current").write_bytes(b"rubbish")
    store.activate(first)
    assert store.pointer() == Pointer(first)


def test_collecting_leaves_the_kept_releases_whole_and_nothing_of_the_others(store):
    first, manifest = store.current_id(), store.manifest()
    own = store.put_blob(b"a novelty model of its own")
    second = store.add_release(replace(manifest, novelty=own))
    third = store.add_release(replace(manifest, notes=("third",)))
    left = [store.blobs / f".{own}.77.tmp", store.root / "releases" / f".{first}.json.7.tmp"]
    for path in (*left, store.root / ".current.9.tmp", store.blobs / "README"):
        path.write_bytes(b"seven..")
    gone = (store.root / "releases" / f"{second}.json").stat().st_size
    assert store.collect([first, third]) == gone + len(b"a novelty model of its own") + 3 * 7
    assert store.release_ids() == sorted([first, third])
    for release in (first, third):
        assert all(store.blob(name) for name in store.manifest(release).blobs())
    assert not (store.blobs / own).exists()
    assert not list(store.root.rglob("*.tmp"))
    assert (store.blobs / "README").exists(), "a file that is none of ours stays"
    assert store.collect([first, third]) == 0


def test_collecting_removes_nothing_where_a_release_to_keep_cannot_be_read(store):
    second = store.add_release(make_release(store, note="newer"))
    (store.root / "releases" / f"{second}.json").write_bytes(b"rubbish")
    before = sorted(store.root.rglob("*"))
    with pytest.raises(DamagedError):
        store.collect([store.current_id(), second])
    assert sorted(store.root.rglob("*")) == before


def test_a_release_is_collected_while_it_is_open_and_still_answers(store):
    first = store.manifest()
    with closing(store.segments(first)[0]) as segment:
        other = replace(first, segments=(write_other_segment(store),))
        second = store.add_release(other)
        store.activate(second)
        store.collect([second])
        assert not (store.blobs / first.segments[0].cases).exists()
        assert [one.case_id for one in segment.records([1, 2])] == ["c/1", "c/2"]


def write_other_segment(store: Store) -> SegmentRef:
    cases = [CaseRecord("d/0", {"NORM": 100.0}, None, 50, "F", "d", "g0")]
    return write_segment(store.blobs, np.ones((1, 8), np.float32), cases, encoder_id=ENCODER)


def test_every_byte_of_a_large_file_that_is_kept_passes_the_file_layer(
    store, tmp_path, monkeypatch
):
    source = tmp_path / "large"
    source.write_bytes(bytes(range(256)) * 10_000)
    seen = []
    write = disk.write
    monkeypatch.setattr(
        disk, "write", lambda handle, data: (seen.append(data), write(handle, data))
    )
    name = store.put_blob(source)
    assert b"".join(seen) == source.read_bytes() == store.blob(name).read_bytes()
    assert max(map(len, seen)) <= 1 << 20


def test_a_folder_without_a_release_says_what_to_do(tmp_path):
    for root in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ReleaseError, match=r"holds no release.*--store"):
            Store(root).manifest()
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("text", ["", "latest", "0123456789ABCDEF", "../../x", "\xff"])
def test_a_damaged_pointer_is_refused(store, text):
    (store.root / "current").write_bytes(text.encode("latin-1"))
    with pytest.raises(DamagedError, match="current"):
        store.current_id()


def test_the_built_in_store_either_answers_or_says_that_it_is_empty():
    store = builtin_store()
    if store.release_ids():
        assert len(store.casebase(store.manifest())) > 0
    else:
        with pytest.raises(ReleaseError, match="holds no release"):
            store.manifest()
