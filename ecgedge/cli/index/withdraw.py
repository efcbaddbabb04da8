"""`ecgedge index withdraw`: cases that must not be shown any more."""

from __future__ import annotations

from pathlib import Path

import click

from ecgedge.cli.base import emit, guarded
from ecgedge.cli.index.dates import date_option
from ecgedge.cli.lines import counted
from ecgedge.errors import UsageError


@click.command("withdraw")
@click.argument("store", type=click.Path(file_okay=False, path_type=Path))
@click.argument("ids", nargs=-1)
@click.option(
    "--file",
    "listing",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of case ids, one a line.",
)
@date_option
@guarded("index withdraw")
def withdraw(
    store: Path, ids: tuple[str, ...], listing: Path | None, created: str | None, as_json: bool
) -> None:
    """Make a release of STORE's active one that never shows the cases of these IDS.

    Its segments stay as they are, so that carts fetch the manifest alone. The files still hold
    the cases until `ecgedge index merge --all` writes them without.
    """
    from ecgedge.casebase.release import Store
    from ecgedge.central.revise import not_before
    from ecgedge.central.withdraw import named, read_ids
    from ecgedge.central.withdraw import withdraw as make
    from ecgedge.cli.index.dates import parse_date, today

    opened = Store(store)
    before = opened.manifest()
    corpus = str(before.corpus.get("name", ""))
    wanted = named(ids, corpus) | (read_ids(listing, corpus) if listing else frozenset())
    if not wanted:
        raise UsageError("no case is named: give IDS, or a file of them with --file")
    result = make(opened, before, wanted, not_before(parse_date(created), today(), before))
    payload = {
        "release": result.release,
        "replaces": before.id,
        "store": store,
        "cases": result.cases,
        "withdrawn": result.withdrawn,
        "withdrawn_unknown": result.unknown,
    }
    lines = [
        f"release {result.release} is active in {store}, after {before.id}",
        f"  {counted(len(result.withdrawn), 'case')} withdrawn, {result.cases:,} left",
    ]
    if result.unknown:
        lines.append(f"  not in the release: {', '.join(result.unknown)}")
    emit("index withdraw", payload, as_json, "\n".join(lines))
