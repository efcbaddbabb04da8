"""An Answer as text for a person: quality first, the notice last, plain characters only."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from ecgedge.answer import NOTICE, Answer, Match, Novelty, Quality, Support
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
    lines += _labelled("Novelty", _novelty(answer.novelty))
    lines += ["", *_supports(answer.supports, answer.withheld)]
    lines += ["", *_matches(answer.matches), ""]
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
