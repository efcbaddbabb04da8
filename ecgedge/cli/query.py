"""`ecgedge query`: recordings in, similar past cases out. Nothing is written anywhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ecgedge import config
from ecgedge.cli.base import emit, guarded, progress, recording_options, report_failure
from ecgedge.cli.render import render
from ecgedge.errors import EcgedgeError, InputError, QualityRefused, ReleaseError, UsageError

if TYPE_CHECKING:
    from ecgedge.answer import Answer
    from ecgedge.engine import Engine
    from ecgedge.recording import Recording
    from ecgedge.serving.client import Client, Refused

#: As much as `formats` takes of one file, told here without loading numpy.
_STREAM_BYTES = 256 << 20


@click.command()
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option("-k", "k", type=click.IntRange(1, 1000), default=5, help="Past cases to show [5].")
@click.option("--force", is_flag=True, help="Answer even if the recording is not good enough.")
@click.option(
    "--max-novelty",
    type=click.FloatRange(0, 1),
    default=1.0,
    help="Refuse recordings more novel than this share of the reference recordings, e.g. 0.99 "
    "[1: refuse none].",
)
@recording_options
@click.option("--draft", is_flag=True, help="Word a short report, each sentence with its cases.")
@click.option(
    "--explain",
    "picture",
    metavar="FILE.png",
    type=click.Path(path_type=Path),
    help="Say why a case was found, and draw both ECGs here (replaces the file).",
)
@click.option(
    "--explain-rank", "rank", type=click.IntRange(1), help="Rank of the case to explain [1]."
)
@click.option(
    "--corpus",
    type=click.Path(path_type=Path),
    help="Folder in PTB-XL's layout that holds the case's own ECG, for --explain.",
)
@click.option(
    "--encoder", metavar="ID", help="Encoder of the release [as configured, else its own]."
)
@click.option("--threads", type=click.IntRange(1), help="Cores to use [as configured, else 1].")
@click.option("--no-serve", is_flag=True, help="Answer here even where `ecgedge serve` runs.")
@guarded("query")
def command(
    inputs: tuple[str, ...],
    k: int,
    force: bool,
    max_novelty: float,
    rate_hz: float | None,
    unit: str | None,
    leads: str | None,
    store: Path | None,
    draft: bool,
    picture: Path | None,
    rank: int | None,
    corpus: Path | None,
    encoder: str | None,
    threads: int | None,
    no_serve: bool,
    as_json: bool,
) -> None:
    """Find the past ECGs most similar to this one.

    INPUT is a recording (WFDB, CSV, NPY, DICOM), a folder of them, or - for standard
    input. Several are answered one after another; with --json, one object a line.
    Where `ecgedge serve` keeps the same store open, it is asked: the same answer, sooner.
    """
    _check_explain(inputs, k, picture, rank, corpus)
    board = config.load()
    options = {"rate_hz": rate_hz, "unit": unit, "leads": leads.split(",") if leads else None}

    # Opened at the first recording that could be read: a wrong file is told at once.
    @lru_cache(maxsize=1)
    def engine() -> Engine:
        from ecgedge.engine import Engine

        return Engine.open(
            store or board.store,
            encoder=encoder,
            preferred=board.encoder,
            threads=threads or board.threads or 1,
        )

    asked: dict[str, Any] = {"k": k, "force": force, "max_novelty": max_novelty, "draft": draft}

    def answer(recording: Recording) -> Answer:
        found = engine().query(recording, **asked)
        if picture is None:
            return found
        return _explained(engine(), recording, found, rank or 1, corpus, picture)

    # Explaining asks the encoder hundreds of times and is not the server's business.
    client = None
    if not no_serve and picture is None:
        named = {"encoder": encoder, **options, **asked}
        client = _client(board.socket, store or board.store, **named)
    stream = lru_cache(maxsize=1)(_standard_input)
    first_failure = 0
    for number, (name, read) in enumerate(_sources(inputs, options, stream)):
        if number and not as_json:
            click.echo()
        served = client.ask(name, stream if name == "-" else None) if client else None
        if served is None:
            code = _answer_one(name, read, answer, as_json)
        else:
            code = _pass_on(name, served, as_json)
        first_failure = first_failure or code
    if first_failure:
        raise click.exceptions.Exit(first_failure)


def _client(socket: Path | None, store: Path | None, **asked: Any) -> Client | None:
    """Who asks the server, where there seems to be one; sockets are loaded only then."""
    from ecgedge.serving.place import find_socket

    path = find_socket(socket)
    if path is None:
        return None
    from ecgedge.serving.client import Client

    return Client(path, store, **asked)


def _check_explain(
    inputs: Sequence[str], k: int, picture: Path | None, rank: int | None, corpus: Path | None
) -> None:
    """Raise UsageError for what cannot be explained or drawn, before any work is done."""
    if picture is None:
        if rank is not None or corpus is not None:
            option = "--corpus" if rank is None else "--explain-rank"
            raise UsageError(f"{option} needs --explain FILE.png")
        return
    from ecgedge.evaluation.output import check_writable

    if picture.suffix.lower() != ".png":
        raise UsageError(f"--explain draws a PNG, so {picture} must end in .png")
    if len(inputs) > 1 or (inputs[0] != "-" and Path(inputs[0]).is_dir()):
        raise UsageError("--explain draws one recording into one picture: give one file")
    if rank is not None and rank > k:
        raise UsageError(f"--explain-rank {rank} is beyond the {k} cases asked for with -k")
    check_writable(picture)


def _explained(
    engine: Engine,
    recording: Recording,
    answer: Answer,
    rank: int,
    corpus: Path | None,
    picture: Path,
) -> Answer:
    """The answer with its explanation, whose picture is written."""
    from ecgedge import explain
    from ecgedge.atomic import write_atomic
    from ecgedge.explain import sheet
    from ecgedge.imaging.png import encode_png

    begun = time.perf_counter()
    explained = explain.explain(engine, recording, answer, rank, corpus=corpus, progress=progress)
    write_atomic(picture, encode_png(sheet.picture(explained, answer.source)))
    told = replace(explained.explanation, picture=str(picture))
    timings = {**answer.timings_ms, "explain": round((time.perf_counter() - begun) * 1e3, 3)}
    timings["total"] = round(timings.pop("total") + timings["explain"], 3)
    return replace(answer, explanation=told, timings_ms=timings)


def _sources(
    inputs: Sequence[str], options: Mapping[str, Any], stream: Callable[[], bytes]
) -> Iterator[tuple[str, Callable[[], Recording]]]:
    """(name, how to read it) of every recording asked for, folders opened up."""
    for one in inputs:
        if one == "-":
            yield "-", partial(_read_stream, stream, options)
        elif Path(one).is_dir():
            from ecgedge.formats import find_recordings

            try:
                paths = find_recordings(Path(one))
            except InputError as error:
                yield one, partial(_fail, error)
                continue
            if not paths:
                yield one, partial(_fail, InputError(f"{one} holds no recording"))
            for path in paths:
                yield str(path), partial(_read, str(path), options)
        else:
            yield one, partial(_read, one, options)


def _read(name: str, options: Mapping[str, Any]) -> Recording:
    from ecgedge import formats  # numpy, which a served answer does without

    return formats.read(name, **options)


def _read_stream(stream: Callable[[], bytes], options: Mapping[str, Any]) -> Recording:
    from ecgedge import formats

    data = stream()
    if len(data) > _STREAM_BYTES:
        over = f"more than {_STREAM_BYTES >> 20} MiB"
        raise InputError(f"standard input holds {over}, no resting ECG")
    return formats.read_bytes(data, **options)


def _standard_input() -> bytes:
    return sys.stdin.buffer.read(_STREAM_BYTES + 1)


def _fail(error: EcgedgeError) -> NoReturn:
    raise error


def _answer_one(
    name: str,
    read: Callable[[], Recording],
    query: Callable[[Recording], Answer],
    as_json: bool,
) -> int:
    """Print one answer or its failure; the exit code. A broken release ends the whole command."""
    recording = None
    try:
        begun = time.perf_counter()
        recording = read()
        read_ms = (time.perf_counter() - begun) * 1e3
        answer = query(recording).with_reading(read_ms)
    except ReleaseError:
        raise
    except QualityRefused as error:
        from ecgedge.signal.quality import assess

        assert recording is not None
        facts = {"source": name, "quality": asdict(assess(recording)), "served": False}
        return report_failure("query", error, as_json, **facts)
    except Exception as error:
        return report_failure("query", error, as_json, source=name, served=False)
    emit("query", {**answer.to_dict(), "served": False}, as_json, render(answer))
    return 0


def _pass_on(name: str, served: Answer | Refused, as_json: bool) -> int:
    """Print what a server said as if it had been found here; the exit code."""
    from ecgedge.serving.client import Refused

    if isinstance(served, Refused):
        facts = {"source": name, "quality": served.quality, "served": True}
        return report_failure("query", served.error, as_json, **facts)
    emit("query", {**served.to_dict(), "served": True}, as_json, render(served))
    return 0
