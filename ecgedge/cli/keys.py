"""`ecgedge keys`: the keys that carts trust, and who may replace them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ecgedge.cli.base import emit, guarded
from ecgedge.cli.passphrases import keys_option, new_passphrase, passphrase_option, passphrases
from ecgedge.errors import UsageError

if TYPE_CHECKING:
    from ecgedge.central.ceremony import Outcome, RoleFacts
    from ecgedge.central.keys import KeyRing
    from ecgedge.central.root import Validity

_FOLDER = click.Path(file_okay=False, path_type=Path)
_ROLES = click.Choice(["root", "targets", "snapshot", "timestamp"])
_days = click.option(
    "--root-days",
    type=click.IntRange(1),
    default=730,
    show_default=True,
    help="Days until the root expires.",
)
_unprotected = click.option(
    "--online-without-passphrase",
    is_flag=True,
    help="Leave snapshot and timestamp keys unencrypted, for a machine that signs alone.",
)


@click.group()
def command() -> None:
    """Make and rotate the keys that sign a repository."""


@command.command("new")
@click.argument("folder", type=_FOLDER)
@click.option(
    "--root-keys", type=click.IntRange(1), default=2, show_default=True, help="Root keys to make."
)
@click.option(
    "--root-threshold",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Root keys that must sign a change of keys.",
)
@click.option(
    "--targets-keys",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Targets keys to make.",
)
@click.option(
    "--targets-threshold",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Targets keys that must sign what is offered.",
)
@_days
@_unprotected
@passphrase_option
@guarded("keys new")
def new(
    folder: Path,
    root_keys: int,
    root_threshold: int,
    targets_keys: int,
    targets_threshold: int,
    root_days: int,
    online_without_passphrase: bool,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Make the keys of all roles in FOLDER, and the first root.

    Move root and targets keys to other media afterwards; install root.json with every cart.
    """
    from ecgedge.central.ceremony import make_keys

    outcome = make_keys(
        folder,
        counts={"root": root_keys, "targets": targets_keys},
        thresholds={"root": root_threshold, "targets": targets_threshold},
        validity=_validity(root_days),
        passphrase=_chooser(passphrase_file, online_without_passphrase),
    )
    _tell("keys new", outcome, as_json)


@command.command("rotate")
@click.argument("role", type=_ROLES)
@keys_option
@click.option(
    "--drop",
    metavar="KEY-ID",
    multiple=True,
    help="Key to drop, by the beginning of its id; repeatable [the role's only one].",
)
@click.option("--keep-old", is_flag=True, help="Drop no key.")
@click.option(
    "--add", type=click.IntRange(0), help="New keys to make [as many as are dropped, or 1]."
)
@click.option(
    "--public",
    type=click.Path(dir_okay=False, path_type=Path),
    multiple=True,
    help="Add a key that its holder made elsewhere with `keys make`; repeatable.",
)
@click.option("--threshold", type=click.IntRange(1), help="Signatures the role needs from now on.")
@click.option("--into", type=_FOLDER, help="Folder for new private keys [the first --keys].")
@_days
@_unprotected
@passphrase_option
@guarded("keys rotate")
def rotate(
    role: str,
    folders: tuple[Path, ...],
    drop: tuple[str, ...],
    keep_old: bool,
    add: int | None,
    public: tuple[Path, ...],
    threshold: int | None,
    into: Path | None,
    root_days: int,
    online_without_passphrase: bool,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Replace, add or drop keys of ROLE, in the next version of the root.

    It is signed by the root keys of the version before and by those of the new one. Where
    holders sit apart it stays pending until enough of them have run `keys sign`.
    """
    from ecgedge.central.ceremony import Rotation, rotate_role

    if keep_old and drop:
        raise UsageError("--keep-old and --drop contradict each other: leave one out")
    rotation = Rotation(role, drop, keep_old, add, public, threshold, into or folders[0])
    outcome = rotate_role(
        folders[0],
        _ring(folders, passphrase_file),
        rotation,
        validity=_validity(root_days),
        passphrase=_chooser(passphrase_file, online_without_passphrase),
    )
    _tell("keys rotate", outcome, as_json)


@command.command("renew")
@keys_option
@_days
@passphrase_option
@guarded("keys renew")
def renew(
    folders: tuple[Path, ...], root_days: int, passphrase_file: Path | None, as_json: bool
) -> None:
    """Give the root a new expiry, with the same keys."""
    from ecgedge.central.ceremony import renew_root

    outcome = renew_root(folders[0], _ring(folders, passphrase_file), _validity(root_days))
    _tell("keys renew", outcome, as_json)


@command.command("sign")
@keys_option
@click.option(
    "--merge",
    type=click.Path(dir_okay=False, path_type=Path),
    multiple=True,
    help="Copy of pending.root.json that another holder has signed; repeatable.",
)
@passphrase_option
@guarded("keys sign")
def sign(
    folders: tuple[Path, ...], merge: tuple[Path, ...], passphrase_file: Path | None, as_json: bool
) -> None:
    """Add signatures to a pending root; with enough of them it counts."""
    from ecgedge.central.ceremony import sign_pending

    outcome = sign_pending(folders[0], _ring(folders, passphrase_file), merge)
    _tell("keys sign", outcome, as_json)


@command.command("make")
@click.argument("role", type=_ROLES)
@click.argument("folder", type=_FOLDER)
@_unprotected
@passphrase_option
@guarded("keys make")
def make(
    role: str,
    folder: Path,
    online_without_passphrase: bool,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Make one key in FOLDER, for a holder who sits apart; send its .pub file to the centre."""
    from ecgedge.central.ceremony import make_alone

    private, public = make_alone(role, folder, _chooser(passphrase_file, online_without_passphrase))
    facts = {"role": role, "private": private, "public": public}
    emit("keys make", facts, as_json, f"{private} is to be kept, {public} to be sent")


@command.command("list")
@keys_option
@guarded("keys list")
def show(folders: tuple[Path, ...], as_json: bool) -> None:
    """Show roles, keys and thresholds, where private keys are, and when the root expires."""
    from ecgedge.central.ceremony import describe

    told = describe(folders[0], _ring(folders, None), datetime.datetime.now(datetime.UTC))
    payload = {
        "root_version": told.version,
        "expires": told.expires.isoformat(),
        "days_left": told.days_left,
        "pending": told.pending,
        "roles": [
            {
                "role": one.role,
                "threshold": one.threshold,
                "keys": [{"id": key, "private": path} for key, path in one.keys.items()],
            }
            for one in told.roles
        ],
    }
    head = f"root version {told.version}, expires {told.expires.date()} ({told.days_left} days)"
    lines = [head, *(line for one in told.roles for line in _role_lines(one))]
    if told.pending:
        lines.append(f"pending: {told.pending}")
    emit("keys list", payload, as_json, "\n".join(lines))


def _role_lines(role: RoleFacts) -> list[str]:
    head = f"{role.role}: {role.threshold} of {len(role.keys)} must sign"
    return [head, *(f"  {key[:16]}  {path or 'elsewhere'}" for key, path in role.keys.items())]


def _tell(name: str, outcome: Outcome, as_json: bool) -> None:
    payload: Mapping[str, Any] = {
        "root_version": outcome.version,
        "complete": outcome.complete,
        "root": outcome.path,
        "made": list(outcome.made),
        "signed_by": list(outcome.signed),
        "missing": outcome.missing,
    }
    lines = [f"made {path}" for path in outcome.made]
    if outcome.complete:
        lines.append(f"root version {outcome.version} counts: {outcome.path}")
    else:
        lines += [f"root version {outcome.version} waits in {outcome.path}", f"  {outcome.missing}"]
    emit(name, payload, as_json, "\n".join(lines))


def _ring(folders: tuple[Path, ...], passphrase_file: Path | None) -> KeyRing:
    from ecgedge.central.keys import KeyRing

    return KeyRing(folders, passphrases(passphrase_file))


def _chooser(file: Path | None, unprotected: bool) -> Any:
    """How a new key's passphrase is found: given its role and what to call it."""
    from ecgedge.central.keys import ONLINE

    def choose(role: str, what: str) -> str | None:
        if unprotected and role in ONLINE:
            return None
        return new_passphrase(file, what)

    return choose


def _validity(days: int) -> Validity:
    from ecgedge.central.root import Validity

    return Validity(datetime.datetime.now(datetime.UTC).replace(microsecond=0), days)
