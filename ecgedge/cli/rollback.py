"""`ecgedge rollback`: back to the release that answered before."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from ecgedge import config
from ecgedge.cli.base import emit, guarded


@click.command()
@click.option(
    "--store",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Release store to turn back [as configured].",
)
@guarded("rollback")
def command(folder: Path | None, as_json: bool) -> None:
    """Return to the last good release, without a network.

    It is verified and asked its probe queries first; the switch is one step, and a running
    serve or watch moves with it. The release that is left stays on the disk and is held: a
    sync does not take it again until the centre offers another. A second rollback undoes the
    first.
    """
    from ecgedge.casebase.release import open_store
    from ecgedge.central.verify import check_release
    from ecgedge.sync.rollback import roll_back

    done = roll_back(open_store(folder or config.load().store), check_release)
    if done.held:
        then = f"{done.before} is held: sync does not take it until the centre offers another"
    else:
        then = f"{done.before} can be gone back to, and sync takes what the centre offers"
    emit("rollback", asdict(done), as_json, f"release {done.release} answers again; {then}")
