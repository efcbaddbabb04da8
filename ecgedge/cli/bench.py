"""`ecgedge bench`: which encoder with how many threads answers fastest on this board?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ecgedge import config
from ecgedge.cli.base import emit, guarded, progress
from ecgedge.errors import ReleaseError, UsageError

if TYPE_CHECKING:
    from ecgedge.bench.turns import Row

_ROUNDS, _TURNS, _QUICK_ROUNDS = 120, 3, 12


@click.command()
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="Release store to measure [as configured, else built in].",
)
@click.option(
    "--bundle",
    "bundles",
    metavar="DIR[:onnx|:tflite]",
    multiple=True,
    help="Measure this encoder bundle too, which is not part of the release; repeatable.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    help=f"Queries of each encoder and number of threads [{_ROUNDS}].",
)
@click.option(
    "--quick", is_flag=True, help=f"One turn each, {_QUICK_ROUNDS} queries: a rough idea."
)
@click.option("--apply", is_flag=True, help="Write the fastest that keeps parity to the config.")
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    help="File that --apply writes [as root /etc/ecgedge/config.toml, else the user's].",
)
@guarded("bench")
def command(
    store: Path | None,
    bundles: tuple[str, ...],
    rounds: int | None,
    quick: bool,
    apply: bool,
    path: Path | None,
    as_json: bool,
) -> None:
    """Measure what a query costs on this board, and choose the fastest way to answer.

    Every encoder the release offers, with 1, 2, 4 ... threads up to all cores, on synthetic
    recordings: time by stage, peak memory, cold start, and CPU seconds a query, which stand
    for energy. An encoder that cannot run here is a row with the reason.
    """
    from ecgedge.bench import board, turns
    from ecgedge.casebase.release import open_store

    if path is not None and not apply:
        raise UsageError("--config names the file for --apply: give both")
    target = path or config.own_file(os.environ)
    if apply:
        config.check_saving(target)
    opened = open_store(store or config.load().store)
    manifest = opened.manifest()
    here = board.look()
    rows = turns.measure(
        opened.root.resolve(),
        manifest.id,
        turns.contenders(manifest, bundles),
        turns.thread_counts(here.cores),
        rounds=rounds or (_QUICK_ROUNDS if quick else _ROUNDS),
        turns=1 if quick else _TURNS,
        progress=progress,
    )
    chosen = turns.choose(rows)
    if apply and chosen is not None:
        _apply(chosen, target, own=path is None)
    payload: dict[str, Any] = {
        "board": here.to_dict(),
        "cautions": here.cautions(),
        "release": manifest.id,
        "store": opened.root,
        "rows": [row.to_dict() for row in rows],
        "chosen": None if chosen is None else _choice(chosen),
        "applied": target if apply and chosen is not None else None,
    }
    if chosen is None:
        raise ReleaseError(f"no encoder of release {manifest.id} answers here: {rows[0].error}")
    emit("bench", payload, as_json, "\n".join(_lines(payload)))


def _choice(row: Row) -> dict[str, Any]:
    return {"encoder": row.contender.name, "threads": row.threads}


def _apply(row: Row, target: Path, *, own: bool) -> None:
    """Write the choice. The release's own encoder needs no name, so that none grows stale
    when the release changes, unless a weaker file names another.
    """
    from ecgedge.bench.turns import PRIMARY

    name = None if row.contender.role == PRIMARY else row.contender.name
    config.save(target, encoder=name, threads=row.threads)
    if name is None and own and config.load({**os.environ, "ECGEDGE_ENCODER": ""}).encoder:
        config.save(target, encoder=row.contender.name)


def _lines(payload: Mapping[str, Any]) -> Iterator[str]:
    from ecgedge.cli.lines import labelled, plain

    yield from labelled("Board", plain(_board_words(payload["board"])))
    yield from labelled("Features", " ".join(payload["board"]["features"]) or "unknown")
    told = payload["board"]["packages"].items()
    yield from labelled("Engines", ", ".join(f"{name} {version}" for name, version in told))
    for caution in payload["cautions"]:
        yield from labelled("Caution", caution)
    yield from labelled("Release", payload["release"])
    yield ""
    yield from _table(payload["rows"], payload["chosen"])
    chosen = payload["chosen"]
    if chosen is not None:
        yield ""
        yield from _stages(payload["rows"], chosen)
    if payload["applied"]:
        yield ""
        yield from labelled("Written", f"{payload['applied']}: {chosen['threads']} threads")


def _board_words(board: Mapping[str, Any]) -> str:
    parts = [board["model"], board["cpu"], f"{board['cores']} cores", board["machine"]]
    if board["memory_mib"]:
        parts.append(f"{board['memory_mib']} MiB")
    if board["max_mhz"]:
        parts.append(f"{board['mhz'] or 0:.0f} of {board['max_mhz']:.0f} MHz")
    parts += [f"governor {board['governor']}"] if board["governor"] else []
    parts += [f"{board['temperature_c']:.0f} C"] if board["temperature_c"] else []
    parts += [f"throttled: {board['throttled']}"] if board["throttled"] else []
    return ", ".join([*filter(None, parts), f"load {board['load_1min']}"])


def _table(rows: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any] | None) -> Iterator[str]:
    from ecgedge.bench.worker import ALONE
    from ecgedge.cli.lines import plain

    yield "Whole query, milliseconds; the encoder alone; a new process up to its first answer"
    yield (
        f"  {'encoder':<34} {'thr':>3} {'p50':>8} {'p95':>8} {'p99':>8} {'encoder':>8} "
        f"{'cold s':>7} {'MiB':>5} {'CPU ms':>7}"
    )
    for row in rows:
        head = f"  {plain(row['encoder'])[-34:]:<34} {row['threads']:>3}"
        if not row["ok"]:
            yield f"{head} {plain(row['error'])}"
            continue
        total, alone = row["stages"]["total"], row["stages"][ALONE]
        ours = chosen == {"encoder": row["encoder"], "threads": row["threads"]}
        yield (
            f"{head} {total['p50_ms']:>8.2f} {total['p95_ms']:>8.2f} {total['p99_ms']:>8.2f} "
            f"{alone['p50_ms']:>8.2f} {row['cold_s']:>7.2f} {row['peak_mib']:>5.0f} "
            f"{row['cpu_s_per_query'] * 1e3:>7.2f}{'  fastest' if ours else ''}"
        )
        if row["why_not"] and row["threads"] == 1:
            yield f"      not to be chosen: {row['why_not']}"


def _stages(rows: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any]) -> Iterator[str]:
    (row,) = [
        one
        for one in rows
        if (one["encoder"], one["threads"]) == (chosen["encoder"], chosen["threads"])
        and one["role"] != "bundle"
    ]
    yield f"Stages of {chosen['encoder']} on {chosen['threads']} threads, milliseconds"
    yield f"  {'':<16} {'p50':>8} {'p95':>8} {'p99':>8}"
    for stage, one in row["stages"].items():
        yield f"  {stage:<16} {one['p50_ms']:>8.2f} {one['p95_ms']:>8.2f} {one['p99_ms']:>8.2f}"
