"""The draft report: nothing without support, nothing against itself, nothing made up."""

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.answer import Answer, Measurement, Novelty, Quality, Sentence, Support
from ecgedge.consistency import exclude_each_other, speaks_against
from ecgedge.draft import MOST_CASES, Voter, draft
from ecgedge.statements import statement_name, statements

CODES = sorted(statements())
EMPTY = Answer(
    source="", unit="mV", window_s=(0.0, 10.0), quality=Quality("ok", (), ()), supports=(),
    withheld=(), matches=(), novelty=Novelty(0.3, 0.9, "familiar"), measurements={},
    release="", model="", timings_ms={},
)  # fmt: skip


def _support(code: str, strength: float, probability: float | None = None) -> Support:
    return Support(code, statement_name(code), strength, (), probability=probability)


def _sentence(sentences: Sequence[Sentence], code: str) -> Sentence:
    return next(one for one in sentences if one.codes == (code,))


VOTERS = [
    Voter("a/1", {"AFIB", "CLBBB"}),
    Voter("a/2", {"AFIB"}),
    Voter("a/3", {"SR", "NORM"}),
    Voter("a/4", {"AFIB", "IMI"}),
]
MEASURED = {
    "heart_rate": Measurement(52.4, "bpm", 9, 11.0),
    "regularity": Measurement("irregularly irregular", "", 9),
    "pr": Measurement(None, "ms", 0, None, "no P waves were found."),
    "qrs": Measurement(141.0, "ms", 9, 4.0),
    "axis": Measurement(-41.0, "deg", 8, 3.0),
}


def test_a_draft_reads_as_a_clinician_reads_each_sentence_with_its_support() -> None:
    answer = replace(
        EMPTY,
        supports=(
            _support("AFIB", 0.8, 0.91),
            _support("STACH", 0.35),
            _support("CLBBB", 0.6, 0.62),
            _support("IMI", 0.3),
            _support("NORM", 0.26, 0.3),
            _support("PVC", 0.1),
        ),
        withheld=("LVH",),
        measurements=MEASURED,
        novelty=Novelty(0.97, 0.4, "unusual"),
    )
    voters = [*VOTERS, Voter("a/5", {"STACH"})]
    found = [
        (one.section, one.text, one.cases, one.beats) for one in draft(answer, voters).sentences
    ]
    assert found == [
        ("rhythm", "Atrial fibrillation (probability 0.91).", ("a/1", "a/2", "a/4"), 0),
        ("rhythm", "Heart rate 52 bpm, irregularly irregular beats (measured on 9 beats).", (), 9),
        ("axis", "QRS axis -41 deg, left deviation (measured on 8 beats).", (), 8),
        ("intervals", "QRS 141 ms (wide) (measured on 9 beats).", (), 9),
        (
            "intervals",
            "Probable left bundle branch block, complete (probability 0.62).",
            ("a/1",),
            0,
        ),
        ("qrs", "1 of 5 similar cases shows myocardial infarction, inferior.", ("a/4",), 0),
        (
            "conclusion",
            "In summary: atrial fibrillation; probable left bundle branch block, complete.",
            ("a/1", "a/2", "a/4"),
            0,
        ),
        (
            "caveat",
            "Left out, because atrial fibrillation has more support: "
            "1 of 5 similar cases shows sinus tachycardia.",
            ("a/5",),
            0,
        ),
        (
            "caveat",
            "Left out, because atrial fibrillation has more support: "
            "possible normal ECG (probability 0.30).",
            ("a/3",),
            0,
        ),
        (
            "caveat",
            "Withheld, because the amplitude is unknown: left ventricular hypertrophy.",
            (),
            0,
        ),
        ("caveat", "Not measured: PR interval (no P waves were found).", (), 0),
        (
            "caveat",
            "Compared with the case base this ECG is unusual: trust its statements less.",
            (),
            0,
        ),
    ]  # fmt: skip


def test_a_measurement_that_speaks_against_a_statement_is_said_with_it() -> None:
    measured = {"heart_rate": Measurement(50.0, "bpm", 8)}
    answer = replace(EMPTY, supports=(_support("STACH", 0.9),), measurements=measured)
    said = _sentence(draft(answer, [Voter("a/1", {"STACH"})]).sentences, "STACH")
    assert said.text == (
        "1 of 1 similar cases shows sinus tachycardia; "
        "the measured heart rate 50 bpm speaks against it."
    )
    assert (said.measurements, said.beats) == (("heart_rate",), 8)


@pytest.mark.parametrize(
    ("code", "key", "value", "at_odds"),
    [
        ("STACH", "heart_rate", 99.0, True),
        ("STACH", "heart_rate", 100.0, False),
        ("SBRAD", "heart_rate", 60.0, True),
        ("1AVB", "pr", 180.0, True),
        ("CLBBB", "qrs", 100.0, True),
        ("CLBBB", "qrs", 120.0, False),
        ("IRBBB", "qrs", 130.0, True),
        ("LNGQT", "qtc", 430.0, True),
        ("LAFB", "axis", 10.0, True),
        ("LAFB", "axis", -45.0, False),
        ("NORM", "qrs", 119.0, False),
        ("NORM", "qrs", 140.0, True),
        ("IMI", "qrs", 140.0, False),
        ("AFIB", "regularity", "regular", True),
        ("AFIB", "regularity", "irregular", False),
        ("SR", "regularity", "irregularly irregular", True),
    ],
)
def test_the_limits_are_those_of_the_recommendations(
    code: str, key: str, value: float | str, at_odds: bool
) -> None:
    assert bool(speaks_against(code, {key: Measurement(value, "", 5)})) is at_odds


def test_a_normal_ecg_with_sinus_bradycardia_is_otherwise_normal() -> None:
    answer = replace(EMPTY, supports=(_support("NORM", 0.9, 0.9), _support("SBRAD", 0.8, 0.7)))
    text = draft(answer, [Voter("a/1", {"NORM", "SBRAD"})]).text
    assert text == (
        "Probable sinus bradycardia (probability 0.70). Otherwise normal ECG (probability 0.90)."
    )


def test_what_no_voting_case_carries_is_not_said() -> None:
    answer = replace(EMPTY, supports=(_support("IMI", 0.9, 0.9),))
    (only,) = draft(answer, [Voter("a/1", {"SR"})]).sentences
    assert (only.section, only.codes) == ("caveat", ())
    assert only.text == "No statement has enough support among the similar cases."


def test_the_cases_counted_are_those_the_support_was_counted_on() -> None:
    """Where a support says "2 of 3", its sentence does so too."""
    support = replace(_support("AFIB", 0.5), carried=2, asked=3)
    said = _sentence(draft(replace(EMPTY, supports=(support,)), VOTERS).sentences, "AFIB")
    assert said.text.startswith("2 of 3 similar cases show atrial fibrillation")
    assert (said.count, said.asked, said.cases) == (2, 3, ("a/1", "a/2"))


@given(st.sampled_from(CODES), st.sampled_from(CODES))
def test_exclusion_is_symmetric_and_never_of_itself(one: str, other: str) -> None:
    assert exclude_each_other(one, other) == exclude_each_other(other, one)
    assert not exclude_each_other(one, one)


def test_normal_goes_with_sinus_rhythms_only() -> None:
    beside = {code for code in CODES if not exclude_each_other("NORM", code)}
    assert beside == {"NORM", "SR", "SARRH", "SBRAD", "STACH"}


_WORDS = st.text(st.characters(categories=("L",)), min_size=1, max_size=20)
_MEASUREMENTS = st.dictionaries(
    st.sampled_from(["heart_rate", "pr", "qrs", "qt", "qtc", "axis"]),
    st.one_of(
        st.builds(Measurement, st.floats(-180, 700), st.just("ms"), st.integers(1, 20)),
        st.builds(Measurement, st.none(), st.just("ms"), st.just(0), st.none(), _WORDS),
    ),
)
_SUPPORTS = st.lists(
    st.builds(_support, st.sampled_from(CODES), st.floats(0, 1), st.none() | st.floats(0, 1)),
    unique_by=lambda one: one.code,
    max_size=10,
)
_VOTERS = st.lists(st.sets(st.sampled_from(CODES), max_size=8), max_size=12).map(
    lambda rows: [Voter(f"c/{number}", codes) for number, codes in enumerate(rows)]
)


@given(_SUPPORTS, _VOTERS, _MEASUREMENTS)
def test_every_sentence_is_supported_and_none_contradicts_another(
    supports: list[Support], voters: list[Voter], measured: dict[str, Measurement]
) -> None:
    answer = replace(EMPTY, supports=tuple(supports), measurements=measured)
    sentences = draft(answer, voters).sentences
    held = {voter.case_id: voter.codes for voter in voters}
    for one in sentences:
        if one.codes:
            assert 1 <= len(one.cases) <= min(one.count, MOST_CASES)
            assert all(set(one.codes) & set(held[case]) for case in one.cases)
        elif one.section != "caveat":
            assert one.measurements
            assert one.beats >= 1
    said = {code for one in sentences if one.section != "caveat" for code in one.codes}
    assert not any(exclude_each_other(a, b) for a in said for b in said)
    if "NORM" in said:
        assert said <= {"NORM", "SR", "SARRH", "SBRAD", "STACH"}


@given(_MEASUREMENTS)
def test_what_was_not_measured_has_no_number(measured: dict[str, Measurement]) -> None:
    unknown = {key: replace(one, value=None) for key, one in measured.items()}
    sentences = draft(replace(EMPTY, measurements=unknown), []).sentences
    assert not any(re.search(r"\d", one.text) for one in sentences)
    reasons = {one.why for one in unknown.values() if one.why}
    assert all(any(why in one.text for one in sentences) for why in reasons)
