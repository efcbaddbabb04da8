"""`ecgedge sync`: the release that the centre offers, fetched, checked and switched to."""

from __future__ import annotations

import datetime
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ecgedge import config
from ecgedge.cli.base import emit, guarded
from ecgedge.cli.lines import megabytes
from ecgedge.errors import UsageError

if TYPE_CHECKING:
    from ecgedge.sync.install import Outcome


@click.command()
@click.option("--check", is_flag=True, help="Only look whether there is anything new.")
@click.option(
    "--from",
    "source",
    metavar="URL",
    help="The centre's address, https:// or file://, or a folder such as a USB stick "
    "[as configured].",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    help="The centre's root.json, where first trust comes from [as configured, else "
    "/etc/ecgedge/root.json].",
)
@click.option(
    "--channel",
    type=click.Choice(["stable", "pilot"]),
    help="Which releases to take [as configured, else stable].",
)
@click.option(
    "--cart",
    metavar="ID",
    help="This cart's id, which decides when it takes part in a staged rollout; it is never sent "
    "[as configured, else drawn from the machine's id].",
)
@click.option(
    "--ca",
    type=click.Path(path_type=Path),
    help="Certificates (PEM) that vouch for the centre [as configured, else the system's].",
)
@click.option(
    "--store",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Release store to keep current [as configured].",
)
@guarded("sync")
def command(
    check: bool,
    source: str | None,
    root: Path | None,
    channel: str | None,
    cart: str | None,
    ca: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Bring the release that the centre offers this cart, and switch to it.

    Only files that are missing are fetched; what a broken link or a power cut left is gone on
    with. Every file must be the one that the centre signed, and the new release must answer
    its probe queries here, before it replaces the old one in one step; a running serve or
    watch moves to it by itself. Whatever goes wrong, the old release answers on. The exit code
    is 0 when something was installed (with --check: is there), 8 when there is nothing new, 5
    when a later try may help, 6 when something is not what the centre signed.
    """
    board = config.load()
    folder, address = folder or board.store, source or board.source
    if folder is None:
        raise UsageError(
            "no store is configured, and the release inside the package is never changed: name "
            "a folder with --store, ECGEDGE_STORE or `store` in /etc/ecgedge/config.toml"
        )
    if address is None:
        raise UsageError(
            "no source is configured: name the centre's address or a folder with --from, "
            "ECGEDGE_SOURCE or `source` in /etc/ecgedge/config.toml"
        )
    from ecgedge.casebase.release import open_store
    from ecgedge.central.verify import check_release
    from ecgedge.cli.bytes import BytesBar
    from ecgedge.sync.cart import ROOT, cart_id
    from ecgedge.sync.install import synchronise
    from ecgedge.sync.source import open_source
    from ecgedge.sync.trust import read_root

    problems: list[str] = []

    def warn(text: str) -> None:
        problems.append(text)
        click.echo(f"ecgedge: {text}", err=True)

    with BytesBar("fetching") as bar:
        outcome = synchronise(
            open_store(folder),
            open_source(address, ca or board.ca),
            read_root(root or board.root or ROOT),
            channel=channel or board.channel or "stable",
            cart=cart_id(cart or board.cart),
            now=datetime.datetime.now(datetime.UTC),
            probe=check_release,
            progress=bar.show,
            warn=warn,
            check=check,
        )
    facts: dict[str, Any] = {**asdict(outcome), "store": folder, "problems": problems}
    emit("sync", facts, as_json, told(outcome))


def told(outcome: Outcome) -> str:
    """The outcome in words."""
    release, before = outcome.release, outcome.before
    if outcome.kind == "available":
        now = f"; {before} answers now" if before else ""
        line = f"release {release} is on offer, {megabytes(outcome.fetch_bytes)} to fetch{now}"
    else:
        what = "was mended" if outcome.kind == "repaired" else "is installed"
        after = f", after {before}" if before not in (None, release) else ""
        line = f"release {release} {what} and answers{after}: "
        line += f"{megabytes(outcome.received_bytes)} fetched"
    if outcome.copied_bytes:
        line += f", {megabytes(outcome.copied_bytes)} taken from the package"
    if outcome.freed_bytes:
        line += f", {megabytes(outcome.freed_bytes)} of old files removed"
    return "\n".join([line, *(f"note: {note}" for note in outcome.notes)])
