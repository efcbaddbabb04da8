"""A short report worded from an answer: what the cases support and what was measured.

Nothing is said without support: a statement names the nearest cases that carry it, a
measurement the beats it rests on. Of two statements that exclude each other the
better supported one is said, and the other one under the caveats; a measurement that
speaks against a statement is said with it. The order is that of a clinician's
reading; "probable" and "possible" are the modifiers of the AHA/ACC/HRS statement
list (Mason et al. 2007), tied here to the calibrated probability.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from ecgedge.answer import Answer, Draft, Measurement, Sentence, Support
from ecgedge.consistency import NAMES, exclude_each_other, number, speaks_against
from ecgedge.statements import statement_name, statements

#: From these probabilities on a statement is said plainly, as probable, as possible.
PLAIN, PROBABLE, POSSIBLE = 0.8, 0.5, 0.25
#: From this share of the votes on, where there is no probability.
SHARE = 0.25
#: A report is short; a sentence names so many of its cases, and a summary so many statements.
MOST_STATEMENTS, MOST_CASES, MOST_SUMMARISED = 8, 5, 4

_EXTRASYSTOLES = frozenset({"PVC", "PAC", "PRC(S)"})
_INTERVALS = frozenset({"LPR", "LNGQT"})
_ST_T = frozenset({"LOWT", "NT_", "INVT", "TAB_", "STD_", "STE_"})
_WHERE_MEASURED = ("heart_rate", "axis", "pr", "qrs", "qt", "qtc")


class Voter(NamedTuple):
    """One of the nearest cases: its id and the SCP codes it carries."""

    case_id: str
    codes: Collection[str]


def draft(answer: Answer, voters: Sequence[Voter]) -> Draft:
    """The report of an answer. voters: the cases whose votes its supports are, nearest first.

    A support that no voter carries is left out.
    """
    worth = [one for one in answer.supports if _worth_saying(one) and _behind(one, voters)[1]]
    said, unsaid = _without_contradiction(worth)
    measured = answer.measurements
    by_section: dict[str, list[Sentence]] = {}
    for support in said:
        if support.code != "NORM":
            sentence = _stated(support, voters, measured)
            by_section.setdefault(sentence.section, []).append(sentence)
    sentences = [
        *by_section.get("rhythm", []), *_rate(measured), *_axis(measured),
        *_intervals(measured), *by_section.get("intervals", []), *by_section.get("qrs", []),
        *by_section.get("st_t", []), *_conclusion(said, voters, measured),
        *_caveats(answer, said, unsaid, voters),
    ]  # fmt: skip
    return Draft(tuple(sentences))


def _worth_saying(support: Support) -> bool:
    if support.probability is None:
        return support.strength >= SHARE
    return support.probability >= POSSIBLE


def _weight(support: Support) -> float:
    return support.strength if support.probability is None else support.probability


def _without_contradiction(
    supports: Sequence[Support],
) -> tuple[list[Support], list[tuple[Support, Support]]]:
    """The statements to say, best supported first, and (left out, the one that excludes it)."""
    said: list[Support] = []
    unsaid = []
    for one in sorted(supports, key=lambda it: (-_weight(it), it.code)):
        stronger = next((it for it in said if exclude_each_other(one.code, it.code)), None)
        if stronger is not None:
            unsaid.append((one, stronger))
        elif len(said) < MOST_STATEMENTS:
            said.append(one)
    assert not any(exclude_each_other(a.code, b.code) for a, b in combinations(said, 2))
    return said, unsaid


def _behind(support: Support, voters: Sequence[Voter]) -> tuple[tuple[str, ...], int, int]:
    """(nearest cases that carry it, how many do, of how many), as the support counted if it did."""
    looked_at = voters[: support.asked] if support.asked else voters
    if not any(support.code in one.codes for one in looked_at):
        looked_at = voters
    return _carriers({support.code}, looked_at)


def _carriers(codes: Collection[str], voters: Sequence[Voter]) -> tuple[tuple[str, ...], int, int]:
    cases = [one.case_id for one in voters if any(code in one.codes for code in codes)]
    return tuple(cases[:MOST_CASES]), len(cases), len(voters)


def _stated(
    support: Support, voters: Sequence[Voter], measured: Mapping[str, Measurement]
) -> Sentence:
    cases, count, asked = _behind(support, voters)
    words = _worded(support, statement_name(support.code), count, asked)
    against = speaks_against(support.code, measured)
    return Sentence(
        text=f"{_capital(words)}{_objection(against)}.",
        section=_section(support.code),
        codes=(support.code,),
        cases=cases,
        count=count,
        asked=asked,
        probability=support.probability,
        measurements=tuple(against),
        beats=_beats(against, measured),
    )


def _worded(support: Support, name: str, count: int, asked: int) -> str:
    """A statement with the uncertainty that belongs to it."""
    caution = f"; {support.caution}" if support.caution else ""
    if support.probability is None:
        verb = "shows" if count == 1 else "show"
        remark = f" ({support.caution})" if support.caution else ""
        return f"{count} of {asked} similar cases {verb} {name}{remark}"
    return (
        f"{_modifier(support.probability)}{name} (probability {support.probability:.2f}{caution})"
    )


def _modifier(probability: float) -> str:
    if probability >= PLAIN:
        return ""
    return "probable " if probability >= PROBABLE else "possible "


def _objection(against: Mapping[str, str]) -> str:
    if not against:
        return ""
    verb = "speaks" if len(against) == 1 else "speak"
    return f"; the measured {' and '.join(against.values())} {verb} against it"


def _section(code: str) -> str:
    """Where in the report a statement belongs."""
    known = statements().get(code)
    kinds, superclass = (known.kinds, known.superclass) if known else ((), None)
    if "rhythm" in kinds or code in _EXTRASYSTOLES:
        return "rhythm"
    if code in _INTERVALS or superclass == "CD":
        return "intervals"
    if superclass == "STTC" or code in _ST_T or code.startswith("INJ"):
        return "st_t"
    return "qrs"


def _rate(measured: Mapping[str, Measurement]) -> Iterator[Sentence]:
    rate, rhythm = number(measured.get("heart_rate")), measured.get("regularity")
    told = {} if rate is None else {"heart_rate": f"heart rate {rate:.0f} bpm"}
    if rhythm is not None and isinstance(rhythm.value, str):
        told["regularity"] = f"{rhythm.value} beats"
    yield from _measured(told, "rhythm", measured)


def _axis(measured: Mapping[str, Measurement]) -> Iterator[Sentence]:
    axis = number(measured.get("axis"))
    if axis is None:
        return
    word = "normal"
    if axis < -90:
        word = "extreme deviation"
    elif axis < -30 or axis > 90:
        word = "left deviation" if axis < 0 else "right deviation"
    yield from _measured({"axis": f"QRS axis {axis:.0f} deg, {word}"}, "axis", measured)


def _intervals(measured: Mapping[str, Measurement]) -> Iterator[Sentence]:
    words = (
        ("pr", "PR {} ms", 200, "prolonged"),
        ("qrs", "QRS {} ms", 119, "wide"),
        ("qt", "QT {} ms", None, ""),
        ("qtc", "QTc {} ms", 460, "prolonged"),
    )
    told = {}
    for key, text, limit, word in words:
        value = number(measured.get(key))
        if value is not None:
            far = limit is not None and round(value) > limit
            told[key] = text.format(f"{value:.0f}") + (f" ({word})" if far else "")
    yield from _measured(told, "intervals", measured)


def _measured(
    told: Mapping[str, str], section: str, measured: Mapping[str, Measurement]
) -> Iterator[Sentence]:
    """One sentence of measured values, or none; the fewest beats of them are its support."""
    beats = _beats(told, measured)
    if told:
        on = f" (measured on {beats} beat{'' if beats == 1 else 's'})" if beats else ""
        text = f"{_capital(', '.join(told.values()))}{on}."
        yield Sentence(text, section, measurements=tuple(told), beats=beats)


def _beats(keys: Collection[str], measured: Mapping[str, Measurement]) -> int:
    return min((measured[key].beats for key in keys), default=0)


def _conclusion(
    said: Sequence[Support], voters: Sequence[Voter], measured: Mapping[str, Measurement]
) -> Iterator[Sentence]:
    """Normal, or the diagnoses and rhythms that were said with more than "possible"."""
    normal = next((one for one in said if one.code == "NORM"), None)
    if normal is not None:
        cases, count, asked = _behind(normal, voters)
        plain = {one.code for one in said} <= {"NORM", "SR"}
        article, name = ("a", "normal ECG") if plain else ("an", "otherwise normal ECG")
        words = _worded(
            normal, name if normal.probability is not None else f"{article} {name}", count, asked
        )
        against = speaks_against("NORM", measured)
        yield Sentence(
            f"{_capital(words)}{_objection(against)}.", "conclusion", ("NORM",), cases, count,
            asked, normal.probability, tuple(against), _beats(against, measured),
        )  # fmt: skip
        return
    main = [one for one in said if _weight(one) >= PROBABLE and _leads_a_summary(one.code)]
    main = main[:MOST_SUMMARISED]
    if main:
        codes = tuple(one.code for one in main)
        names = "; ".join(_hedged(one, voters) for one in main)
        cases, count, asked = _carriers(codes, voters)
        yield Sentence(f"In summary: {names}.", "conclusion", codes, cases, count, asked)


def _leads_a_summary(code: str) -> bool:
    known = statements().get(code)
    return known is not None and code != "SR" and bool({"diagnostic", "rhythm"} & set(known.kinds))


def _hedged(support: Support, voters: Sequence[Voter]) -> str:
    """Its name, as sure as it was said."""
    name = statement_name(support.code)
    if support.probability is not None:
        return f"{_modifier(support.probability)}{name}"
    _, count, asked = _behind(support, voters)
    return f"{name} ({count} of {asked} similar cases)"


def _caveats(
    answer: Answer,
    said: Sequence[Support],
    unsaid: Sequence[tuple[Support, Support]],
    voters: Sequence[Voter],
) -> Iterator[Sentence]:
    if not said:
        yield Sentence("No statement has enough support among the similar cases.", "caveat")
    for support, stronger in unsaid:
        cases, count, asked = _behind(support, voters)
        words = _worded(support, statement_name(support.code), count, asked)
        text = f"Left out, because {statement_name(stronger.code)} has more support: {words}."
        yield Sentence(text, "caveat", (support.code,), cases, count, asked, support.probability)
    if answer.withheld:
        names = "; ".join(statement_name(code) for code in answer.withheld)
        yield Sentence(f"Withheld, because the amplitude is unknown: {names}.", "caveat")
    yield from _not_measured(answer.measurements)
    if answer.quality.verdict != "ok":
        verdict = "poor" if answer.quality.verdict == "poor" else "not good enough"
        told = "; ".join(answer.quality.reasons)
        yield Sentence(f"The recording is {verdict}{': ' if told else ''}{told}.", "caveat")
    if answer.novelty is not None and answer.novelty.verdict != "familiar":
        yield Sentence(
            f"Compared with the case base this ECG is {answer.novelty.verdict}: "
            "trust its statements less.",
            "caveat",
        )


def _not_measured(measured: Mapping[str, Measurement]) -> Iterator[Sentence]:
    """What could not be measured, each reason once."""
    by_reason: dict[str, list[str]] = {}
    for key in _WHERE_MEASURED:
        if key in measured and number(measured[key]) is None and measured[key].why:
            by_reason.setdefault(measured[key].why.rstrip("."), []).append(key)
    for why, keys in by_reason.items():
        names = ", ".join(NAMES[key] for key in keys)
        yield Sentence(f"Not measured: {names} ({why}).", "caveat", measurements=tuple(keys))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
