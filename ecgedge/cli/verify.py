"""`ecgedge verify`: does the installed release still answer as it did where it was made?"""

from __future__ import annotations

from pathlib import Path

import click

from ecgedge.cli.base import emit, guarded, report_failure


@click.command()
@click.option(
    "--store",
    "root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Release store [as configured, else built in].",
)
@click.option("--release", help="Release id; the active one when not given.")
@guarded("verify")
def command(root: Path | None, release: str | None, as_json: bool) -> None:
    """Check every hash of a release, open every part, and rerun its probe queries."""
    from ecgedge import config
    from ecgedge.casebase.release import open_store
    from ecgedge.central.verify import verify_release

    store = open_store(root or config.load().store)
    outcome = verify_release(store, release)
    rows = [{"name": one.name, "ok": one.ok, "detail": one.detail} for one in outcome.checks]
    facts = {"release": outcome.release, "store": store.root, "checks": rows}
    table = "\n".join(
        f"{'ok  ' if one.ok else 'FAIL'}  {one.name:<16} {one.detail}" for one in outcome.checks
    )
    if outcome.failure is None:
        emit("verify", facts, as_json, f"{table}\nrelease {outcome.release} is whole")
        return
    if not as_json:
        click.echo(table)
    raise click.exceptions.Exit(report_failure("verify", outcome.failure, as_json, **facts))
