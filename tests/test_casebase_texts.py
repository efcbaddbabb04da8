"""A segment's optional tables, and the two searches by words over them."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_casebase_segment import ENCODER, some_cases, unit_rows

from ecgedge.casebase import texts
from ecgedge.casebase.held import HeldCodes
from ecgedge.casebase.keywords import by_keywords, held_in
from ecgedge.casebase.meaning import Asked, Shares, by_meaning
from ecgedge.casebase.search import CaseBase
from ecgedge.casebase.segment import CaseRecord, Segment, SegmentRef
from ecgedge.casebase.texts import NO_FTS5, NO_INDEX, CaseTexts
from ecgedge.casebase.vectors import quantize
from ecgedge.casebase.writing import write_segment
from ecgedge.errors import DamagedError, MismatchError, UsageError

MODEL = "f" * 64
TERMS = {
    "AFIB": "AFIB, atrial fibrillation, Vorhofflimmern",
    "NORM": "NORM, normal ECG",
    "SR": "SR",
}


def told(case: CaseRecord) -> str:
    return ". ".join([*(TERMS[code] for code in case.statements), case.report or ""])


def written(folder: Path, count: int = 30, dim: int = 16, *, plain: bool = False) -> SegmentRef:
    """Cases with report vectors (none where there is no report) and a keyword index."""
    cases = some_cases(count)
    vectors = quantize(unit_rows(count, dim, seed=1))
    vectors[[case.report is None for case in cases]] = 0
    extra = {} if plain else {"texts": CaseTexts(MODEL, vectors), "words": list(map(told, cases))}
    return write_segment(folder, unit_rows(count, dim), cases, encoder_id=ENCODER, **extra)


def opened(folder: Path, withdrawn: frozenset[str] = frozenset(), **changes: object) -> CaseBase:
    return CaseBase([Segment.open(folder, written(folder, **changes), ENCODER)], withdrawn)


def asked(count: int = 1, dim: int = 16, seed: int = 2, **changes: object) -> Asked:
    wordings = {code: unit_rows(3, dim, seed=9 + i) for i, code in enumerate(TERMS)}
    return replace(Asked(unit_rows(count, dim, seed), wordings, MODEL), **changes)


def ids(found) -> list[str]:
    return [hit.case.case_id for hit in found]


def test_two_builds_with_texts_and_words_give_the_same_bytes(tmp_path):
    first, second = written(tmp_path / "a", 300), written(tmp_path / "b", 300)
    assert first == second
    assert (tmp_path / "a" / first.cases).read_bytes() == (
        tmp_path / "b" / second.cases
    ).read_bytes()


def test_report_vectors_come_back_and_a_segment_without_them_says_so(tmp_path):
    segment = Segment.open(tmp_path, written(tmp_path), ENCODER)
    assert segment.texts is not None
    np.testing.assert_array_equal(segment.texts.vectors[1], quantize(unit_rows(30, 16, seed=1))[1])
    assert not segment.texts.vectors[0].any()
    plain = Segment.open(tmp_path, written(tmp_path, plain=True), ENCODER)
    assert plain.texts is None


def test_texts_or_words_of_another_number_than_the_cases_are_refused(tmp_path):
    for extra in ({"texts": CaseTexts(MODEL, np.ones((2, 8), np.int8))}, {"words": ["one"]}):
        with pytest.raises(UsageError, match="another number"):
            write_segment(tmp_path, unit_rows(3, 8), some_cases(3), encoder_id=ENCODER, **extra)


def test_report_vectors_that_are_not_one_a_case_are_damage():
    database = sqlite3.connect(":memory:")
    texts.write_texts(database, CaseTexts(MODEL, np.ones((3, 4), np.int8)))
    assert texts.read_texts(database, 3) is not None
    with pytest.raises(DamagedError, match="not one a case"):
        texts.read_texts(database, 4)


def test_report_vectors_of_another_text_tower_are_refused(tmp_path):
    with pytest.raises(MismatchError, match="made with text model ffffffffffff"):
        by_meaning(opened(tmp_path), asked(model="0" * 64), 3)
    with pytest.raises(MismatchError, match="a text of 8 numbers"):
        by_meaning(opened(tmp_path), asked(dim=8), 3)


def test_a_text_that_is_a_cases_own_report_finds_that_case_by_its_report(tmp_path):
    base = opened(tmp_path)
    own = unit_rows(30, 16, seed=1)[[7]]
    assert ids(by_meaning(base, asked(clauses=own), 3, Shares(0, 1)))[0] == "corpus/7"


def test_a_text_that_is_a_wording_finds_the_cases_with_that_statement_first(tmp_path):
    question = asked()
    question = replace(question, clauses=question.wordings["AFIB"][[1]])
    found = by_meaning(opened(tmp_path), question, 15, Shares(1, 0.5))
    assert all("AFIB" in hit.codes for hit in found)
    assert found.similarities[0] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("shares", [Shares(), Shares(0, 0.5), Shares(0, 0), Shares(1, 1)])
def test_scores_equal_a_plain_computation(tmp_path, shares):
    base, question = opened(tmp_path), asked(2)
    segment = base.parts()[0][0]

    def units(rows):
        rows = rows.astype(np.float64)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

    image, report = units(segment.vectors.rows), units(segment.texts.vectors)
    spoken = segment.texts.vectors.any(axis=1)
    middle, image_middle = report[spoken].sum(0) / (spoken.sum() + 10), image.sum(0) / 40
    clauses = units(question.clauses - middle)
    each = units(image - image_middle) @ clauses.T
    by_report = shares.report * units(report - middle) @ clauses.T + (1 - shares.report) * each
    each = np.where(spoken[:, None], by_report, each)
    best = {code: (units(w - middle) @ clauses.T).max(0) for code, w in question.wordings.items()}
    statement = [np.max([best[code] for code in case.statements], 0) for case in some_cases(30)]
    each = shares.statement * np.array(statement) + (1 - shares.statement) * each
    expected = -np.log(np.exp(-5 * each).mean(1)) / 5
    found = by_meaning(base, question, 30, shares)
    np.testing.assert_allclose(found.similarities, np.sort(expected)[::-1], atol=1e-5)
    np.testing.assert_allclose(expected[found.keys], found.similarities, atol=1e-5)


def test_a_segment_without_texts_is_searched_by_image_and_statements(tmp_path):
    assert len(by_meaning(opened(tmp_path, plain=True), asked(), 30)) == 30


def test_withdrawn_cases_are_found_by_neither_search(tmp_path):
    gone = frozenset({"corpus/1", "corpus/2", "corpus/4"})
    base = opened(tmp_path, withdrawn=gone)
    assert set(ids(by_meaning(base, asked(), 100))) == {f"corpus/{i}" for i in range(30)} - gone
    found, _ = by_keywords(base, [("vorhofflimmern",)], TERMS, 100)
    assert found
    assert not gone & set(ids(found))
    for k in range(1, 5):
        assert len(by_keywords(base, [("vorhofflimmern",)], TERMS, k)[0]) == k


def test_no_segment_and_no_hit_give_empty_lists(tmp_path):
    assert len(by_meaning(CaseBase([]), asked(), 5)) == 0
    assert by_keywords(CaseBase([]), [("st",)], TERMS, 5)[1] == ""
    found, why = by_keywords(opened(tmp_path), [("nowhere",)], TERMS, 5)
    assert (len(found), why) == (0, "")


@pytest.mark.parametrize("plain", [False, True])
def test_keywords_find_statements_and_reports_with_and_without_the_index(tmp_path, plain):
    base = opened(tmp_path, plain=plain)
    found, why = by_keywords(base, [("fibrillation",)], TERMS, 30)
    assert why == (NO_INDEX if plain else "")
    assert {hit.codes for hit in found} == {("AFIB",)}
    assert len(found) == 15
    by_report, _ = by_keywords(base, [("größe", "groesse")], TERMS, 30)
    assert all(hit.case.report for hit in by_report)
    assert len(by_report) == 20
    assert len(by_keywords(base, [("vorhof",)], TERMS, 30)[0]) >= 15


def test_more_words_held_rank_higher_in_the_plain_comparison(tmp_path):
    found, _ = by_keywords(opened(tmp_path, plain=True), [("normal",), ("größe",)], TERMS, 30)
    assert found.similarities[0] == 2
    assert found[0].codes == ("NORM", "SR")


def test_marks_of_the_query_languages_are_only_letters_here(tmp_path):
    base = opened(tmp_path, plain=True)
    for word in ("%", "_", "\\"):
        assert base.parts()[0][0].like([word], []) == []


def test_a_sqlite_without_fts5_writes_no_index_and_is_named_as_the_reason(monkeypatch):
    database = sqlite3.connect(":memory:")
    assert texts.write_words(database, ["one two"])
    assert texts.match(database, '"two"', 5) == ([(0, pytest.approx(0, abs=1))], "")
    database.execute("PRAGMA writable_schema=ON")
    database.execute("UPDATE sqlite_master SET sql=replace(sql, 'fts5(', 'fts5x(')")
    database.commit()
    elsewhere = sqlite3.connect(":memory:")
    elsewhere.deserialize(database.serialize())
    assert texts.match(elsewhere, '"two"', 5) == ([], NO_FTS5)
    monkeypatch.setattr(texts, "_WORDS", "CREATE VIRTUAL TABLE words USING fts5x(told)")
    assert not texts.write_words(sqlite3.connect(":memory:"), ["one"])


@pytest.mark.parametrize(
    ("word", "text", "held"),
    [
        ("infarct", "myocardial infarction", True),
        ("extrasystolen", "ventrikuläre Extrasystole", True),
        ("st", "first", False),
        ("st", "ST-Senkung", True),
        ("infarction", "infarct", False),
    ],
)
def test_a_word_is_held_as_the_index_would_find_it(tmp_path, word, text, held):
    assert held_in((word,), text) == held
    case = replace(some_cases(1)[0], statements={})
    ref = write_segment(tmp_path, unit_rows(1, 8), [case], encoder_id=ENCODER, words=[text])
    base = CaseBase([Segment.open(tmp_path, ref, ENCODER)])
    assert len(by_keywords(base, [(word,)], {}, 5)[0]) == held


@given(
    st.lists(st.sets(st.sampled_from("ABCD")), min_size=1, max_size=8),
    st.sets(st.sampled_from("ABC")),
)
def test_the_best_of_each_cases_codes_equals_a_loop(cases, known):
    held = HeldCodes.of([sorted(case) for case in cases])
    values = {code: np.array([ord(code), -ord(code)], np.float32) for code in known}
    expected = [
        np.max([values[code] for code in case & known], axis=0) if case & known else [-np.inf] * 2
        for case in cases
    ]
    np.testing.assert_array_equal(held.best(values, 2), np.array(expected, np.float32))
