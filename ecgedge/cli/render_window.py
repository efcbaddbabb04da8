"""One window of a live stream as a few short lines, for a person at a cart and a small screen."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from ecgedge.answer import Answer, Match, Measurement, Quality, Support
from ecgedge.cli.lines import VERDICTS, counted, plain, printable
from ecgedge.statements import statement_name
from ecgedge.streaming.replies import Answered, Refused
from ecgedge.streaming.told import Notice, Window

WIDTH = 64
_SUPPORTS = 4
_MEASURED = (("heart_rate", "rate"), ("pr", "PR"), ("qrs", "QRS"), ("qtc", "QTc"))


def clock(seconds: float) -> str:
    """Seconds of stream as 1:02:03 or 2:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def answered(told: Answered, said: Sequence[str] = ()) -> str:
    """A window's answer. said: notes of the answer before, which are not said again."""
    answer = told.answer
    lines = [_head(told.window, VERDICTS[answer.quality.verdict])]
    lines += _wrapped("; ".join(answer.quality.reasons))
    lines += [line for one in answer.quality.warnings for line in _wrapped(f"WARNING: {one.text}")]
    if answer.novelty and answer.novelty.verdict != "familiar":
        lines += _wrapped(f"{answer.novelty.verdict.upper()}: {answer.novelty.why}".rstrip(": "))
    lines += _wrapped(_measured(answer.measurements))
    for support in answer.supports[:_SUPPORTS]:
        lines += _wrapped(_support(support))
    if not answer.supports:
        lines += _wrapped("the nearest cases agree on nothing worth showing")
    lines += _wrapped(_nearest(answer))
    for note in answer.notes:
        if note not in said:
            lines += _wrapped(f"note: {note}")
    return "\n".join(lines)


def refused(told: Refused) -> str:
    """A window without an answer, and why."""
    verdict = "FAILED" if told.failed else "NOT ANSWERED"
    lines = [_head(told.window, verdict), *_wrapped(str(told.error))]
    if told.quality is not None:
        lines += _wrapped(_leads(told.quality))
    return "\n".join(lines)


def notice(told: Notice) -> str:
    """One line, with the time of the stream."""
    return f"{clock(told.at_s):>7}  {plain(told.text)}"


def _head(window: Window, verdict: str) -> str:
    span = f"{clock(window.start_s)} to {clock(window.end_s)}"
    missing = f", {window.missing_s:.2g} s missing" if window.missing_s else ""
    return f"[{window.number}] {span}  {verdict}{missing}"


def _support(support: Support) -> str:
    """ "p .83  SR  sinus rhythm", or the evidence where no probability can be told."""
    if support.probability is None:
        weight = f"{support.carried} of {support.asked}"
    else:  # two digits must not round what is uncertain up to certainty
        weight = f"p {min(max(support.probability, 0.01), 0.99):.2f}"
    caution = f" ({support.caution})" if support.caution else ""
    return f"{weight:<8} {support.code:<6} {support.name}{caution}"


def _nearest(answer: Answer) -> str:
    if not answer.matches:
        return "the case base is empty"
    match: Match = answer.matches[0]
    words = "; ".join(statement_name(code) for code in match.statements) or "no statement"
    return f"nearest  {match.similarity:.3f} {match.case_id}: {words}"


def _measured(measurements: Mapping[str, Measurement]) -> str:
    """Rate and intervals that could be measured, in a line."""
    told = [
        f"{name} {one.value:.0f} {one.unit}"
        for key, name in _MEASURED
        if (one := measurements.get(key)) is not None and isinstance(one.value, float)
    ]
    return ", ".join(told)


def _leads(quality: Quality) -> str:
    """What is wrong with which lead; leads with the same reasons together."""
    leads: dict[tuple[str, ...], list[str]] = {}
    for one in quality.per_lead:
        if one.verdict != "ok":
            leads.setdefault(tuple(one.reasons), []).append(one.lead)
    if len(leads) == 1 and len(quality.per_lead) == sum(map(len, leads.values())):
        return ""  # all the same: the reason above has said it
    return "; ".join(f"{' '.join(names)}: {', '.join(why)}" for why, names in leads.items())


def _wrapped(text: str) -> list[str]:
    """Indented lines of printable characters: a release's words must not steer a terminal."""
    return textwrap.wrap(printable(text), WIDTH, initial_indent="    ", subsequent_indent="      ")


def summary(facts: Mapping[str, Any]) -> str:
    """The last words on a stream, from the fields of its summary."""
    stream, windows = facts["stream"], facts["windows"]
    lost = f"{stream['lost']:,} lost in {counted(stream['gaps'], 'gap')}"
    if stream["unconfigured"]:
        lost += f", {stream['unconfigured']} of unknown worth"
    others = ", ".join(
        f"{stream[name]} {name}"
        for name in ("duplicates", "reordered", "late", "restarts")
        if stream[name]
    )
    lines = [
        f"{clock(stream['seconds'])} of stream from {plain(facts['source'])}",
        f"samples  {stream['samples']:,} received, {lost}",
        f"frames   {stream['frames']:,} received, {stream['damaged']} damaged"
        + (f", {others}" if others else ""),
        "windows  " + ", ".join(f"{windows[name]} {name}" for name in _WINDOWS if windows[name])
        if any(windows.values())
        else "windows  none",
    ]
    if facts.get("log"):
        log = facts["log"]
        ended = f", ended early: {log['problem']}" if log["problem"] else ""
        writes = counted(log["writes"], "write")
        lines.append(f"log      {log['path']}: {log['octets']:,} bytes in {writes}{ended}")
    if facts.get("clock"):
        lines += [f"clocks   {facts['clock']['text']}"]
    return "\n".join(lines)


_WINDOWS = ("answered", "refused", "failed", "dropped", "empty")
