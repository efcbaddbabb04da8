"""An Answer as text for a person: quality first, the notice last, plain characters only."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from ecgedge.answer import (
    NOTICE,
    Answer,
    Draft,
    Explanation,
    Match,
    Measurement,
    Novelty,
    Region,
    Sentence,
    Support,
)
from ecgedge.cli.lines import WIDTH
from ecgedge.cli.lines import labelled as _labelled
from ecgedge.cli.lines import plain as _plain
from ecgedge.cli.lines import quality_lines as _quality
from ecgedge.statements import statement_name

_BAR = 10
_REGIONS = 5  # parts of an ECG named in an explanation


def render(answer: Answer) -> str:
    """The whole text, without a newline at its end."""
    start, end = answer.window_s
    unit = "mV" if answer.unit == "mV" else "NU, amplitude unknown"
    lines = [f"{_plain(answer.source) or 'recording'}  ({start:g} to {end:g} s, {unit})"]
    lines += _quality(answer.quality)
    lines += _labelled("Novelty", _novelty(answer.novelty))
    lines += ["", *_supports(answer.supports, answer.withheld)]
    lines += ["", *_matches(answer.matches), ""]
    if answer.measurements:
        lines += [*_measurements(answer.measurements), ""]
    if answer.draft is not None:
        lines += [*_draft(answer.draft), ""]
    if answer.explanation is not None:
        lines += [*_explanation(answer.explanation), ""]
    lines += [line for note in answer.notes for line in _labelled("Note", _plain(note))]
    lines += _labelled("Release", f"{answer.release}, model {answer.model}")
    stages = ", ".join(f"{name} {value:.1f}" for name, value in answer.timings_ms.items())
    lines += _labelled("Time, ms", stages)
    lines += ["", NOTICE]
    return "\n".join(lines)


def _supports(supports: Sequence[Support], withheld: Sequence[str]) -> Iterator[str]:
    """One line a support: a bar, its probability or the evidence, code, words, caution."""
    told = "p: calibrated probability" if any(s.probability is not None for s in supports) else ""
    counted = "else how many of the nearest" if told else "how many of the nearest carry it"
    yield f"What the nearest cases agree on ({', '.join(filter(None, [told, counted]))})"
    for support in supports:
        told_share = support.carried / max(support.asked, 1)
        height = told_share if support.probability is None else support.probability
        bar = f"[{'#' * round(_BAR * height):-<{_BAR}}]"
        caution = f"  ({support.caution})" if support.caution else ""
        yield f"  {bar} {_weight(support):<14} {support.code:<8} {support.name}{caution}"
    if not supports:
        yield "  nothing worth showing"
    if withheld:
        names = "; ".join(statement_name(code) for code in withheld)
        yield from textwrap.wrap(f"  withheld: {names}", WIDTH, subsequent_indent="    ")


def _weight(support: Support) -> str:
    """ "p = 0.83", or "2 of 10 cases" where no probability can be told."""
    if support.probability is None:
        return f"{support.carried} of {support.asked} cases"
    # Two digits must not round what is uncertain up to certainty.
    return f"p = {min(max(support.probability, 0.01), 0.99):.2f}"


def _matches(matches: Sequence[Match]) -> Iterator[str]:
    yield "Most similar past cases"
    yield f"  {'rank':>4}  {'similarity':>10}  {'age':>3}  {'sex':<3}  case"
    for match in matches:
        age = "-" if match.age is None else str(match.age)
        where = _plain(match.case_id)
        # "ptb-xl/158" from "ptb-xl record 158" has said it all already.
        if match.source and not match.source.endswith(match.case_id.rpartition("/")[2]):
            where += f" ({_plain(match.source)})"
        row = f"  {match.rank:>4}  {match.similarity:>10.3f}  {age:>3}  {match.sex or '-':<3}"
        yield f"{row}  {where}"
        words = "; ".join(statement_name(code) for code in match.statements)
        told = [_plain(words)] if words else []
        told += [f'"{_plain(match.report)}"'] if match.report else []
        for text in told or ["no statement, no report"]:
            yield from textwrap.wrap(text, WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8)
    if not matches:
        yield "  the case base is empty"


_MEASURED = {
    "heart_rate": "heart rate",
    "regularity": "rhythm",
    "rr_variation": "RR deviation",
    "pr": "PR",
    "qrs": "QRS",
    "qt": "QT",
    "qtc": "QTc, Fridericia",
    "axis": "QRS axis",
    "amplitudes": "amplitudes",
}
_WAVES = {"r": "R", "s": "S", "st": "ST"}


def _measurements(measurements: Mapping[str, Measurement]) -> Iterator[str]:
    """One line a quantity with the beats it rests on, then the voltages as a table."""
    yield "Measured (median over the beats, +- their standard deviation)"
    voltages: dict[str, dict[str, Measurement]] = {}
    for name, one in measurements.items():
        wave, _, lead = name.partition("_")
        if wave in _WAVES and name not in _MEASURED:
            voltages.setdefault(lead, {})[wave] = one
            continue
        lead_in = f"  {_MEASURED.get(name, name):<17}"
        yield from textwrap.wrap(
            _measured(one), WIDTH, initial_indent=lead_in, subsequent_indent=" " * 19
        )
    if voltages:
        yield f"  {'mV':<17}" + "".join(f"{lead:>6}" for lead in voltages)
    for wave, title in _WAVES.items() if voltages else ():
        row = "".join(_voltage(waves.get(wave)) for waves in voltages.values())
        yield f"  {title:<17}{row}"


def _measured(one: Measurement) -> str:
    if one.value is None:
        return f"not said: {one.why}"
    text = one.value if isinstance(one.value, str) else f"{one.value:.0f} {one.unit}"
    spread = f" +- {one.spread:.0f}" if one.spread is not None else ""
    beats = f"{one.beats} beat{'s' * (one.beats != 1)}"
    return f"{text}{spread} ({'; '.join(filter(None, [beats, one.why]))})"


def _voltage(one: Measurement | None) -> str:
    if one is None or not isinstance(one.value, float):
        return f"{'-':>6}"
    return f"{one.value + 0.0:>6.2f}"


def _draft(draft: Draft) -> Iterator[str]:
    """One sentence after the other, each with the cases or the beats behind it."""
    yield "Draft report, to be corrected by its reader"
    for sentence in draft.sentences:
        start = "  note: " if sentence.section == "caveat" else "  "
        yield from textwrap.wrap(
            _plain(sentence.text) + _behind(sentence),
            WIDTH,
            initial_indent=start,
            subsequent_indent=" " * 8,
            break_on_hyphens=False,
        )


def _behind(sentence: Sentence) -> str:
    """The cases behind a sentence; measured sentences name their beats themselves."""
    if not sentence.cases:
        return ""
    unnamed = sentence.count - len(sentence.cases)
    more = f" and {unnamed} more" if unnamed else ""
    return f" [{', '.join(map(_plain, sentence.cases))}{more}]"


def _explanation(told: Explanation) -> Iterator[str]:
    """What the case shares with the query, and the parts that carried the similarity most."""
    yield f"Why case {_plain(told.case_id)} (match {told.rank}, similarity {told.similarity:.3f})"
    shared = "; ".join(statement_name(code) for code in told.shared) or "none of the supported ones"
    yield from textwrap.wrap(f"  shared statements: {shared}", WIDTH, subsequent_indent="    ")
    for whose, occlusion in (("this ECG", told.query), ("the case's ECG", told.case)):
        if occlusion is not None:
            words = "; ".join(_part(region) for region in occlusion.regions[:_REGIONS])
            text = f"  most of it rests, in {whose}, on: {words or 'nothing'}"
            yield from textwrap.wrap(text, WIDTH, subsequent_indent="    ")
            leads = sorted(occlusion.leads.items(), key=lambda item: -item[1])[:_REGIONS]
            words = ", ".join(f"{lead} {drop:+.3f}" for lead, drop in leads)
            yield from textwrap.wrap(f"    whole leads: {words}", WIDTH, subsequent_indent="    ")
    if told.why:
        yield from textwrap.wrap(f"  {_plain(told.why)}", WIDTH, subsequent_indent="    ")
    yield f"  picture: {_plain(told.picture)}"


def _part(region: Region) -> str:
    return f"{region.lead} {region.start_s:g}-{region.end_s:g} s ({region.drop:+.3f})"


def _novelty(novelty: Novelty | None) -> str:
    """Novelty in words, loud where the answer should not be leant on."""
    if novelty is None:
        return "unknown: the case base is empty"
    verdict = novelty.verdict if novelty.verdict == "familiar" else novelty.verdict.upper()
    why = f": {novelty.why}" if novelty.why else ""
    return (
        f"{verdict}{why} ({novelty.score:.0%} of reference recordings are less novel; nearest "
        f"case {novelty.nearest_similarity:.3f})"
    )
