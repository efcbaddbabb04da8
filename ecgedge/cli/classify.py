"""`ecgedge classify`: one recording against statements written as sentences."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecgedge.cli.base import emit, guarded, recording_options
from ecgedge.cli.lines import WIDTH, labelled, plain, quality_lines

if TYPE_CHECKING:
    from ecgedge.zeroshot import Classification, PromptScore

_NAME = 24  # columns for a prompt's name


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--prompts",
    "prompt_file",
    metavar="FILE.toml",
    type=click.Path(path_type=Path),
    help="Statements to score [those of PTB-XL].",
)
@click.option(
    "-k", "k", type=click.IntRange(1), default=15, help="Statements to print as text [15]."
)
@click.option("--force", is_flag=True, help="Score even if the recording is not good enough.")
@recording_options
@click.option(
    "--threads", type=click.IntRange(1), help="Cores for the encoder [as configured, else 1]."
)
@guarded("classify")
def command(
    file: Path,
    prompt_file: Path | None,
    k: int,
    force: bool,
    rate_hz: float | None,
    unit: str | None,
    leads: str | None,
    store: Path | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Score statements written as sentences for FILE, without any training.

    FILE.toml holds [prompts] with lines such as AFIB = ["atrial fibrillation",
    "Vorhofflimmern"]; several wordings are averaged. Scores are no probabilities.
    """
    from ecgedge import config, formats
    from ecgedge.prompts import load_prompts, shipped_prompts

    board = config.load()
    prompts = shipped_prompts() if prompt_file is None else load_prompts(prompt_file)
    names = leads.split(",") if leads else None
    recording = formats.read(file, rate_hz=rate_hz, unit=unit, leads=names)
    from ecgedge.zeroshot import Classifier

    classifier = Classifier.open(
        prompts,
        store or board.store,
        preferred=board.encoder,
        threads=threads or board.threads or 1,
    )
    told = classifier.classify(recording, force=force)
    emit("classify", told.to_dict(), as_json, render(told, k, own=prompt_file is not None))


def render(told: Classification, k: int, *, own: bool) -> str:
    """The whole text, without a newline at its end. own: whether the user wrote the prompts."""
    from ecgedge.answer import NOTICE

    unit = "mV" if told.unit == "mV" else "NU, amplitude unknown"
    lines = [f"{plain(told.source) or 'recording'}  ({unit})", *quality_lines(told.quality), ""]
    lines += _scores([score for score in told.scores if not score.same_as], told.cases, k)
    if told.withheld:
        lines += textwrap.wrap(
            f"  withheld: {plain(', '.join(told.withheld))}", WIDTH, subsequent_indent="    "
        )
    unseen = dict.fromkeys(word for score in told.scores for word in score.unseen)
    if own and unseen:  # of our own, some terms are there for other releases
        lines += labelled("Unknown", f"never seen in training: {plain(', '.join(unseen))}")
    lines += ["", *labelled("Prompts", plain(told.prompts))]
    lines += [line for note in told.notes for line in labelled("Note", plain(note))]
    lines += labelled("Release", f"{told.release}, model {told.model}")
    lines += ["", NOTICE]
    return "\n".join(lines)


def _scores(scores: Sequence[PromptScore], cases: int, k: int) -> Iterator[str]:
    yield f"What stands out, beside {cases} past cases (no probabilities)"
    yield f"  {'z':>5}  {'above':>6}  {'cosine':>6}  statement"
    width = max((len(plain(score.name)) for score in scores[:k]), default=0)
    for score in scores[:k]:
        yield from _score(score, min(width, _NAME))
    if len(scores) > k:
        yield f"  and {len(scores) - k} further ones (-k, --json)"


def _score(score: PromptScore, width: int) -> Iterator[str]:
    z = "-" if score.z is None else f"{score.z:+.1f}"
    above = "-" if score.above is None else f"{score.above:.0%}"
    row = f"  {z:>5}  {above:>6}  {score.cosine:>6.2f}  {plain(score.name):<{width}}  "
    yield from textwrap.wrap(row + plain(score.wording), WIDTH, subsequent_indent=" " * 26)
