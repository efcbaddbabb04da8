"""`ecgedge search`: words in, past cases out, by what they mean and by the words they hold."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecgedge.cli.base import emit, guarded, store_option
from ecgedge.cli.lines import WIDTH, labelled, plain

if TYPE_CHECKING:
    from ecgedge.textsearch import TextAnswer, TextMatch


@click.command()
@click.argument("text", nargs=-1, required=True)
@click.option("-k", "k", type=click.IntRange(1, 1000), default=5, help="Cases in each list [5].")
@store_option
@guarded("search")
def command(text: tuple[str, ...], k: int, store: Path | None, as_json: bool) -> None:
    """Find past ECGs by words, in German or English.

    Two lists: the cases nearest to TEXT in meaning, and, for comparison, those that hold
    most of its words. Several findings are parted by commas.
    """
    from ecgedge import config
    from ecgedge.textsearch import TextSearch

    answer = TextSearch.open(store or config.load().store).search(" ".join(text), k)
    emit("search", answer.to_dict(), as_json, render(answer))


def render(answer: TextAnswer) -> str:
    """The whole text, without a newline at its end."""
    from ecgedge.answer import NOTICE

    lines = [f'"{plain(answer.text)}"']
    if answer.unseen and not answer.no_meaning:
        lines += labelled("Unknown", f"never seen in training: {plain(', '.join(answer.unseen))}")
    lines += ["", *_list("Nearest in meaning", answer.meaning, answer.no_meaning)]
    method = "by plain comparison" if answer.no_index else "by full-text index"
    lines += ["", *_list(f"Holding the words, {method}", answer.keywords, ""), ""]
    if answer.no_index:
        lines += labelled("Note", answer.no_index)
    lines += [line for note in answer.notes for line in labelled("Note", plain(note))]
    lines += [*labelled("Release", answer.release), "", NOTICE]
    return "\n".join(lines)


def _list(title: str, matches: Sequence[TextMatch], why: str) -> Iterator[str]:
    from ecgedge.statements import statement_name

    yield title
    yield from textwrap.wrap(
        plain(why), WIDTH, initial_indent="  not said: ", subsequent_indent="    "
    )
    if not matches:
        if not why:
            yield "  no case"
        return
    yield f"  {'rank':>4}  {'score':>6}  {'age':>3}  {'sex':<3}  case"
    for match in matches:
        age = "-" if match.age is None else str(match.age)
        row = f"  {match.rank:>4}  {match.score:>6.2f}  {age:>3}  {match.sex or '-':<3}"
        held = f"  [{plain(', '.join(match.words))}]" if match.words else ""
        yield f"{row}  {plain(match.case_id)}{held}"
        told = ["; ".join(statement_name(code) for code in match.statements)]
        told += [f'"{match.report}"'] if match.report else []
        for text in filter(None, map(plain, told)):
            yield from textwrap.wrap(text, WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8)
