"""`ecgedge status`: what answers here, how old it is, how the last sync went, what is wrong."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ecgedge import config
from ecgedge.cli.base import emit, guarded, report_failure
from ecgedge.cli.lines import megabytes

if TYPE_CHECKING:
    from ecgedge.sync.status import Status


@click.command()
@click.option(
    "--store",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Release store to look at [as configured, else built in].",
)
@guarded("status")
def command(folder: Path | None, as_json: bool) -> None:
    """Show which release answers, its age and size, and how the last sync ended.

    Nothing is hashed, asked of the network or written; `ecgedge verify` checks every byte. The
    exit code is 7 when no release here can answer; every other problem is told and leaves it 0.
    """
    from ecgedge.casebase.release import open_store
    from ecgedge.sync.cart import ROOT, cart_id
    from ecgedge.sync.status import read_status

    board = config.load()
    store = open_store(folder or board.store)
    now = datetime.datetime.now(datetime.UTC)
    found = read_status(store, now)
    root = board.root or ROOT
    set_up = {
        "store": store.root,
        "synced": (folder or board.store) is not None,
        "source": _shown(board.source),
        "channel": board.channel or "stable",
        "cart": cart_id(board.cart),
        "root": root if root.is_file() else None,
    }
    facts = {**set_up, **_facts(found)}
    text = "\n".join(f"{name:<10}{words}" for name, words in _lines(found, set_up, now))
    if found.failure is None:
        emit("status", facts, as_json, text)
        return
    if not as_json:
        click.echo(text)
    raise click.exceptions.Exit(report_failure("status", found.failure, as_json, **facts))


def _shown(source: str | None) -> str | None:
    """The configured source without a password in it."""
    from ecgedge.sync.redirects import shown

    if source is None or "://" not in source:
        return source
    try:
        return shown(source)
    except ValueError:
        return "an address that cannot be read"


def _facts(found: Status) -> dict[str, Any]:
    release, pointer, last = found.release, found.pointer, found.last
    return {
        "release": release.id if release else None,
        "created": release.created if release else None,
        "age_days": release.age_days if release else None,
        "cases": release.cases if release else None,
        "withdrawn": release.withdrawn if release else None,
        "notes": release.notes if release else (),
        "previous": pointer.previous if pointer else None,
        "held": pointer.held if pointer else None,
        "blobs_bytes": found.blobs_bytes,
        "parts_bytes": found.parts_bytes,
        "free_bytes": found.free_bytes,
        "last_sync": {
            "when": _iso(last.when),
            "outcome": last.outcome,
            "release": last.release,
            "source": last.source,
            "error": last.error or None,
            "exit_code": last.code,
            "confirmed": _iso(last.confirmed),
        }
        if last
        else None,
        "expires": _iso(found.expires),
        "floor": _iso(found.floor),
        "problems": found.problems,
    }


def _lines(
    found: Status, set_up: Mapping[str, Any], now: datetime.datetime
) -> Iterator[tuple[str, str]]:
    """(a word, what there is to say), for people."""
    release, pointer, last = found.release, found.pointer, found.last
    if release is not None:
        age = "" if release.age_days is None else f" ({release.age_days} days ago)"
        yield "release", f"{release.id}, made {release.created}{age}, {release.cases:,} cases"
        for note in release.notes:
            yield "", f"note: {note}"
    if pointer and pointer.previous:
        yield "before", f"{pointer.previous} (`ecgedge rollback` returns to it)"
    if pointer and pointer.held:
        yield "held", f"{pointer.held}, until the centre offers another"
    yield "store", f"{set_up['store']}: {_sizes(found)}"
    if set_up["synced"]:
        source = set_up["source"] or "none configured"
        yield "source", f"{source}, channel {set_up['channel']}, cart {set_up['cart']}"
        if set_up["root"] is None:
            yield "", "no root file is installed: a sync needs one (--root)"
        yield "last sync", _of_last(found, now) if last else "never"
    if found.expires:
        yield "trust", f"the centre's word holds until {found.expires:%Y-%m-%d %H:%M} UTC"
    for problem in found.problems:
        yield "problem", problem


def _of_last(found: Status, now: datetime.datetime) -> str:
    last = found.last
    assert last is not None
    text = f"{last.when:%Y-%m-%d %H:%M} UTC ({_ago(now - last.when)}): {last.outcome}"
    if last.error:
        text += f", {last.error} (exit {last.code})"
        confirmed = f"{last.confirmed:%Y-%m-%d %H:%M} UTC" if last.confirmed else "never"
        text += f"; last well: {confirmed}"
    return text


def _sizes(found: Status) -> str:
    parts = f", {megabytes(found.parts_bytes)} on their way" if found.parts_bytes else ""
    free = f", {megabytes(found.free_bytes)} free" if found.free_bytes is not None else ""
    return f"{megabytes(found.blobs_bytes)} of files{parts}{free}"


def _ago(span: datetime.timedelta) -> str:
    """How long ago, in the largest fitting unit."""
    seconds = int(span.total_seconds())
    if seconds < 0:
        return "in the future, by this machine's clock"
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def _iso(time: datetime.datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="seconds")
