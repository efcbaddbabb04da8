"""Merging and withdrawing: the same answers from fewer files, and none of a withdrawn case."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from release_builders import DATE, Grown, blobs

from ecgedge.casebase import merging, vectors, writing
from ecgedge.casebase.merging import merge_segments
from ecgedge.casebase.release import Store
from ecgedge.casebase.search import CaseBase
from ecgedge.casebase.segment import CaseRecord, Segment
from ecgedge.casebase.texts import CaseTexts
from ecgedge.casebase.vectors import quantize
from ecgedge.casebase.writing import write_segment
from ecgedge.central.add import add_to_release
from ecgedge.central.merge import merge_release
from ecgedge.central.tiers import FANOUT
from ecgedge.central.verify import verify_release
from ecgedge.central.withdraw import cases_held, withdraw
from ecgedge.errors import MismatchError, NothingNew, UsageError
from ecgedge.textsearch import case_words

ENCODER = "leads-1-int8-0123456789ab"
DIM = 16


@pytest.fixture(scope="module")
def grown(tmp_path_factory) -> Grown:
    return Grown(tmp_path_factory.mktemp("grown"))


@pytest.fixture(scope="module")
def built(grown) -> Path:
    """A release of two segments."""
    grown.build(grown.root / "store", signals=True)
    add_to_release(grown.adding(grown.root / "store"))
    return grown.root / "store"


@pytest.fixture
def store(built, tmp_path) -> Store:
    return Store(shutil.copytree(built, tmp_path / "store"))


def rows(count: int, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(count, DIM))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def cases(count: int, start: int = 0) -> list[CaseRecord]:
    return [
        CaseRecord(f"c/{n}", {"NORM": 100.0}, f"Befund {n}", 50, "F", f"c record {n}", f"p{n // 2}")
        for n in range(start, start + count)
    ]


def part(folder: Path, count: int, start: int = 0, **extra) -> Segment:
    made = cases(count, start)
    words = [case_words(case) for case in made]
    facts = {"encoder_id": ENCODER, "words": words} | extra
    ref = write_segment(folder, rows(count, start), made, **facts)
    return Segment.open(folder, ref, ENCODER)


def every(segment: Segment) -> np.ndarray:
    return np.arange(len(segment), dtype=np.int64)


def merged(folder: Path, parts) -> Segment:
    ref = merge_segments(folder, parts, encoder_id=ENCODER, words_of=case_words)
    return Segment.open(folder, ref, ENCODER)


FLOATS = st.floats(-1, 1, width=32).filter(lambda x: x == 0 or abs(x) > 1e-6)


@given(arrays(np.float32, (5, DIM), elements=FLOATS))
def test_levels_that_were_stored_are_their_own_levels(drawn):
    drawn[:, 0] += 2
    levels = quantize(drawn)
    np.testing.assert_array_equal(quantize(levels.astype(np.float32)), levels)


def test_all_segments_merged_are_byte_for_byte_the_build_of_all_cases_at_once(grown, store):
    once = store.root.parent / "once"
    grown.build(once, grown.after, signals=True)
    merge_release(store, store.manifest(), DATE, every=True)
    assert store.manifest().segments == Store(once).manifest().segments
    assert store.manifest().probes == Store(once).manifest().probes
    assert verify_release(store).failure is None


def test_one_segment_merged_alone_is_the_same_segment(tmp_path, monkeypatch):
    for module in (vectors, writing, merging):
        monkeypatch.setattr(module, "EXACT_BELOW", 20)  # with what the graph ranks by
    one = part(tmp_path, 30, ecgs=[bytes([n]) for n in range(30)])
    assert one.vectors.fine is not None
    assert merged(tmp_path, [(one, every(one))]).ref == one.ref


def test_rows_and_what_is_known_beyond_int8_are_copied_and_zero_where_nothing_is(
    tmp_path, monkeypatch
):
    for module in (vectors, writing, merging):
        monkeypatch.setattr(module, "EXACT_BELOW", 20)
    large, small = part(tmp_path, 30), part(tmp_path, 5, start=30)
    both = merged(tmp_path, [(large, every(large)), (small, every(small))])
    np.testing.assert_array_equal(both.vectors.rows[:30], large.vectors.rows)
    np.testing.assert_array_equal(both.vectors.rows[30:], small.vectors.rows)
    np.testing.assert_array_equal(both.vectors.fine[:30], large.vectors.fine)
    assert not both.vectors.fine[30:].any()


def test_a_merged_base_finds_what_its_segments_found(tmp_path):
    parts = [part(tmp_path, count, start) for count, start in ((30, 0), (7, 30), (12, 37))]
    gone = frozenset({"c/3", "c/40"})
    apart = CaseBase(parts, gone)
    staying = [(one, np.setdiff1d(every(one), one.keys_of(gone))) for one in parts]
    together = CaseBase([merged(tmp_path, staying)], gone)
    assert len(together) == len(apart) == 47
    for query in rows(20, seed=99):
        told = [
            [(hit.case, hit.similarity, hit.codes) for hit in base.search(query, 10)]
            for base in (apart, together)
        ]
        assert told[0] == told[1]


def test_report_vectors_and_signals_are_carried_also_where_only_some_segments_have_them(tmp_path):
    texts = CaseTexts("f" * 64, quantize(rows(6, seed=5)))
    first = part(tmp_path, 6, texts=texts, ecgs=[b"ecg %d" % n for n in range(6)])
    second = part(tmp_path, 4, start=6, words=())
    both = merged(tmp_path, [(first, every(first)[2:]), (second, every(second))])
    np.testing.assert_array_equal(both.texts.vectors[:4], texts.vectors[2:])
    assert not both.texts.vectors[4:].any()
    assert both.packed_ecgs() == {key: b"ecg %d" % (key + 2) for key in range(4)}
    assert both.ecg(7) is None
    assert [key for key, _ in both.match('"befund"', 20)[0]] == list(range(8))


def test_report_vectors_of_two_text_towers_are_not_merged(tmp_path):
    parts = [
        part(tmp_path, 3, start, texts=CaseTexts(name * 64, quantize(rows(3))))
        for start, name in ((0, "a"), (3, "b"))
    ]
    with pytest.raises(MismatchError, match="several text towers"):
        merged(tmp_path, [(one, every(one)) for one in parts])


def test_the_old_files_stay_for_the_releases_that_need_them(store):
    before = store.manifest()
    merge_release(store, before, DATE, every=True)
    assert verify_release(store, before.id).failure is None


def test_two_segments_do_not_pay_a_merge_and_one_has_nothing_to_merge(store):
    before = store.manifest()
    with pytest.raises(NothingNew, match="2 segments stays as it is: merging does not pay yet"):
        merge_release(store, before, DATE, every=False)
    assert store.current_id() == before.id
    merge_release(store, before, DATE, every=True)
    with pytest.raises(NothingNew, match="nothing to merge"):
        merge_release(store, store.manifest(), DATE, every=True)


def test_additions_merge_by_themselves_once_a_tier_is_full(grown, tmp_path):
    out = tmp_path / "store"
    grown.build(out, segment_cases=4)
    assert len(Store(out).manifest().segments) == 6 < FANOUT
    apart = shutil.copytree(out, tmp_path / "apart")
    result = add_to_release(grown.adding(out, segment_cases=3))
    assert result.merged is not None
    assert result.merged.groups == ((result.cases, 6 + len(result.new)),)
    assert (result.segments, len(Store(out).manifest().segments)) == (1, 1)
    unmerged = add_to_release(grown.adding(apart, segment_cases=3, merge="never"))
    assert (unmerged.merged, unmerged.segments) == (None, 6 + len(result.new))


def test_a_withdrawn_case_is_shown_no_more_and_no_segment_is_touched(store):
    before, files = store.manifest(), blobs(store.root)
    told = withdraw(store, before, {"ptb-xl/3", "ptb-xl/777"}, DATE)
    assert (told.withdrawn, told.unknown) == (("ptb-xl/3",), ("ptb-xl/777",))
    after = store.manifest()
    assert (after.id, after.segments, after.withdrawn) == (
        told.release,
        before.segments,
        ("ptb-xl/3",),
    )
    assert blobs(store.root) == files
    base = store.casebase(after)
    assert "ptb-xl/3" not in {case.case_id for case in base.all_cases()}
    assert after.corpus["cases"] == before.corpus["cases"] - 1 == len(base)
    assert verify_release(store).failure is None


def test_a_merge_drops_withdrawn_cases_from_its_files_and_keeps_their_tombstones(grown, store):
    withdraw(store, store.manifest(), {"ptb-xl/3"}, DATE)
    result = merge_release(store, store.manifest(), DATE, every=True)
    after = store.manifest()
    assert (result.merged.dropped, after.withdrawn) == (1, ("ptb-xl/3",))
    assert not cases_held(store, after, {"ptb-xl/3"})
    for ref in after.segments:
        assert not re.search(rb"ptb-xl/3(?![0-9])", store.blob(ref.cases).read_bytes())
    with pytest.raises(NothingNew):
        add_to_release(grown.adding(store.root))
    assert verify_release(store).failure is None


def test_a_segment_of_withdrawn_cases_alone_is_left_out(grown, store):
    before = store.manifest()
    second = store.segments(before)[1]
    ids = {case.case_id for case in second.all_records().values()}
    withdraw(store, before, ids, DATE)
    merge_release(store, store.manifest(), DATE, every=False)
    assert store.manifest().segments == before.segments[:1]


def test_withdrawals_that_change_nothing_or_leave_nothing_are_refused(store):
    before = store.manifest()
    with pytest.raises(UsageError, match="is called ptb-xl/777: nothing was withdrawn"):
        withdraw(store, before, {"ptb-xl/777"}, DATE)
    everyone = {case.case_id for case in store.casebase(before).all_cases()}
    with pytest.raises(UsageError, match="no case would be left"):
        withdraw(store, before, everyone, DATE)
    assert store.current_id() == before.id
    withdraw(store, before, {"ptb-xl/3"}, DATE)
    with pytest.raises(NothingNew, match="none of these cases already"):
        withdraw(store, store.manifest(), {"ptb-xl/3"}, DATE)
