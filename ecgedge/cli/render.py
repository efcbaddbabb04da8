"""An Answer as text for a person: quality first, the notice last, plain characters only."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from ecgedge.answer import NOTICE, Answer, Match, Measurement, Novelty, Quality, Support
from ecgedge.statements import statement_name

WIDTH = 96
_BAR = 10
_MARGIN = 11  # width of the headings on the left


def render(answer: Answer) -> str:
    """The whole text, without a newline at its end."""
    start, end = answer.window_s
    unit = "mV" if answer.unit == "mV" else "NU, amplitude unknown"
    lines = [f"{_plain(answer.source) or 'recording'}  ({start:g} to {end:g} s, {unit})"]
    lines += _quality(answer.quality)
    lines += ["", *_supports(answer.supports, answer.withheld)]
    lines += ["", *_matches(answer.matches), ""]
    if answer.measurements:
        lines += [*_measurements(answer.measurements), ""]
    lines += _labelled("Novelty", _novelty(answer.novelty))
    lines += [line for note in answer.notes for line in _labelled("Note", _plain(note))]
    lines += _labelled("Release", f"{answer.release}, model {answer.model}")
    stages = ", ".join(f"{name} {value:.1f}" for name, value in answer.timings_ms.items())
    lines += _labelled("Time, ms", stages)
    lines += ["", NOTICE]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """One line of printable characters: files and reports must not steer a terminal."""
    return "".join(mark if mark.isprintable() else "?" for mark in " ".join(text.split()))


def _labelled(label: str, text: str) -> list[str]:
    """Wrapped text with its heading in the left margin."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"{label:<{_MARGIN}}", subsequent_indent=" " * _MARGIN
    )


def _quality(quality: Quality) -> list[str]:
    verdict = {"ok": "good enough", "poor": "POOR", "refuse": "NOT GOOD ENOUGH"}[quality.verdict]
    return _labelled("Quality", ": ".join([verdict, *filter(None, ["; ".join(quality.reasons)])]))


def _supports(supports: Sequence[Support], withheld: Sequence[str]) -> Iterator[str]:
    """One line a support: a bar and the share of the votes, code, words, caution."""
    yield "What the nearest cases agree on (share of their votes)"
    for support in supports:
        filled = round(_BAR * support.strength)
        bar = f"[{'#' * filled:-<{_BAR}}]"
        caution = f"  ({support.caution})" if support.caution else ""
        yield f"  {bar} {support.strength:4.2f}  {support.code:<8} {support.name}{caution}"
    if not supports:
        yield "  nothing worth showing"
    if withheld:
        names = "; ".join(statement_name(code) for code in withheld)
        yield from textwrap.wrap(f"  withheld: {names}", WIDTH, subsequent_indent="    ")


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


def _novelty(novelty: Novelty | None) -> str:
    """Novelty in words; the share counts reference recordings, not cases."""
    if novelty is None:
        return "unknown: the case base is empty"
    return (
        f"{novelty.verdict}: {novelty.score:.0%} of reference recordings had a nearer case than "
        f"this one's nearest ({novelty.nearest_similarity:.3f})"
    )
