"""`ecgedge publish`: a release to a place that any static server gives out, signed."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ecgedge.cli.base import emit, guarded, progress
from ecgedge.cli.lines import megabytes
from ecgedge.cli.passphrases import keys_option, passphrase_option, passphrases
from ecgedge.errors import UsageError

if TYPE_CHECKING:
    from ecgedge.central.publish import Change, Report


@click.command()
@click.argument("store", type=click.Path(file_okay=False, path_type=Path), required=False)
@click.option(
    "--to",
    "place",
    metavar="URL",
    required=True,
    help="Folder or address: s3://bucket/folder, file:///folder, whatever fsspec knows.",
)
@keys_option
@click.option("--release", metavar="ID", help="Release to offer [the store's active one].")
@click.option(
    "--channel",
    type=click.Choice(["stable", "pilot"]),
    default="stable",
    show_default=True,
    help="Carts that take it; what is offered to pilot may be offered to stable later.",
)
@click.option(
    "--rollout",
    "percent",
    type=click.IntRange(0, 100),
    help="Percent of the channel's carts that take it [100; as it was where it is on offer].",
)
@click.option(
    "--withdraw-release",
    "withdraw",
    metavar="ID",
    multiple=True,
    help="Take a release off offer; carts go back to the latest that is left. Repeatable.",
)
@click.option(
    "--keep",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Releases that stay on offer in each channel.",
)
@click.option("--refresh", is_flag=True, help="Sign the timestamp anew, with online keys alone.")
@click.option("--renew", is_flag=True, help="Sign targets anew, with a new expiry.")
@click.option("--prune", is_flag=True, help="Remove files that no release on offer needs.")
@click.option(
    "--carry-over",
    is_flag=True,
    help="Keep what is on offer though the keys that signed it were dropped since.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing there.")
@click.option(
    "--targets-days",
    type=click.IntRange(1),
    default=365,
    show_default=True,
    help="Days until what is offered must be signed again.",
)
@click.option(
    "--snapshot-days",
    type=click.IntRange(1),
    default=30,
    show_default=True,
    help="Days until the snapshot expires.",
)
@click.option(
    "--timestamp-days",
    type=click.IntRange(1),
    default=7,
    show_default=True,
    help="Days that carts go on without --refresh.",
)
@click.option(
    "--masked-to",
    "masked_to",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV file that lists the cases whose reports were masked, and what kind was found.",
)
@passphrase_option
@guarded("publish")
def command(
    store: Path | None,
    place: str,
    folders: tuple[Path, ...],
    targets_days: int,
    snapshot_days: int,
    timestamp_days: int,
    passphrase_file: Path | None,
    masked_to: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Offer a release of STORE to the carts, or change what is on offer.

    Reports are searched for names, dates and numbers and masked first; records with unknown
    fields are refused, and so is a release that does not answer its probe queries. Writes a
    static TUF repository: files that are missing first, the timestamp last. Stopped at any
    moment, it goes on when it is run again, and carts see the old state until then.
    """
    from ecgedge.central.destination import open_destination
    from ecgedge.central.keys import KeyRing
    from ecgedge.central.publish import Publisher
    from ecgedge.central.root import read_history
    from ecgedge.central.signing import Lifetimes
    from ecgedge.central.verify import check_release

    change = _change(store, **options)
    publisher = Publisher(
        destination=open_destination(place),
        history=read_history(folders[0]),
        ring=KeyRing(folders, passphrases(passphrase_file)),
        now=datetime.datetime.now(datetime.UTC).replace(microsecond=0),
        lifetimes=Lifetimes(targets_days, snapshot_days, timestamp_days),
        progress=progress,
        check=check_release,
    )
    report = publisher.publish(change)
    if masked_to is not None and report.masked is not None:
        report.masked.write_csv(masked_to)
    for warning in report.warnings:
        click.echo(f"ecgedge: {warning}", err=True)
    payload = _payload(report, change)
    emit("publish", payload, as_json, _text(report, change))


def _change(store: Path | None, *, refresh: bool, release: str | None, **rest: Any) -> Change:
    """What the options ask for. Raises UsageError for those that do not go together."""
    from ecgedge.casebase.release import Store
    from ecgedge.central.publish import Change

    offers = store is not None or release is not None
    if refresh and (offers or rest["withdraw"] or rest["renew"] or rest["percent"] is not None):
        raise UsageError("--refresh changes nothing on offer: leave the other options out")
    if rest["percent"] is not None and not offers:
        raise UsageError("--rollout of which release? name it with --release")
    found = Store(store) if store is not None else None
    if found is not None and release is None:
        release = found.current_id()
    change = Change(store=found, release=release, **rest)
    if change.refresh and not (refresh or change.prune):
        raise UsageError(
            "say what to publish: a store, --release, --withdraw-release, --renew or --refresh"
        )
    return change


def _payload(report: Report, change: Change) -> dict[str, Any]:
    return {
        "destination": report.destination,
        "dry_run": change.dry_run,
        "release": report.release,
        "offers": [
            {
                "release": one.release,
                "channel": one.channel,
                "order": one.order,
                "percent": int(one.percent),
            }
            for one in report.offers
        ],
        "uploaded_files": len(report.uploaded),
        "uploaded_bytes": report.uploaded_bytes,
        "uploaded": [{"path": one.path, "bytes": one.length} for one in report.uploaded],
        "fetches": [
            {
                "channel": one.channel,
                "from": one.before,
                "to": one.release,
                "bytes": one.transfer_bytes,
            }
            for one in report.fetches
        ],
        "masked": report.masked.to_dict() if report.masked else None,
        "removed": list(report.removed),
        "warnings": list(report.warnings),
        "versions": dict(report.versions),
        "expires": {role: moment.isoformat() for role, moment in report.expires.items()},
    }


def _text(report: Report, change: Change) -> str:
    would = "would be " if change.dry_run else ""
    lines = [
        f"{report.destination}: {len(report.uploaded)} files, {megabytes(report.uploaded_bytes)} "
        f"{would}written" + (f", {len(report.removed)} {would}removed" if change.prune else "")
    ]
    for one in reversed(report.offers):
        lines.append(f"  {one.channel:<6} {one.release}  {one.percent:.0f} % of the carts")
    for fetch in report.fetches:
        who = f"a cart with {fetch.before}" if fetch.before else "a new cart"
        size = megabytes(fetch.transfer_bytes)
        lines.append(f"  {fetch.channel}: {who} fetches {size} for {fetch.release}")
    if report.masked is not None:
        lines += [f"  {line}" for line in report.masked.text().splitlines()]
    if report.expires:
        days = ", ".join(f"{role} {day.date()}" for role, day in report.expires.items())
        lines.append(f"  valid until: {days}")
    return "\n".join(lines)
