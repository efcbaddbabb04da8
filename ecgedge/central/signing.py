"""The next targets, snapshot and timestamp of a repository; the same input gives the same bytes.

Expiry and the time of signing follow from `now`, signatures are sorted by key id, and ed25519
draws nothing at random.
"""

from __future__ import annotations

import copy
import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ecgedge.central.keys import SNAPSHOT, TARGETS, KeyRing
from ecgedge.central.repository import Present, metadata_path
from ecgedge.central.root import RootHistory
from ecgedge.errors import UsageError
from ecgedge.sync.layout import SIGNED_AT
from ecgedge.sync.signing_time import signed_at, time_text

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata, MetaFile, Root, Signed, TargetFile

_DAY = datetime.timedelta(days=1)
#: By so much the clocks of two machines may differ; every lifetime is far longer.
_CLOCKS_DIFFER = datetime.timedelta(hours=1)
#: Warned of so many days before they expire: they need people and keys from a safe.
_ROOT_WARNING, _TARGETS_WARNING = 60 * _DAY, 30 * _DAY


@dataclass(frozen=True)
class Lifetimes:
    """How long what is signed stays valid, in days."""

    targets_days: int = 365
    snapshot_days: int = 30
    timestamp_days: int = 7


@dataclass(frozen=True)
class Signer:
    """Who signs, when, and for how long. now: UTC."""

    root: Root
    ring: KeyRing
    now: datetime.datetime
    lifetimes: Lifetimes = field(default_factory=Lifetimes)

    def expiry(self, days: int) -> datetime.datetime:
        return self.now + days * _DAY


@dataclass(frozen=True)
class NextState:
    """files: new versions of targets and snapshot by path, in the order to write them.
    pointer: the timestamp, which makes them valid.
    """

    files: Mapping[str, bytes]
    pointer: bytes
    versions: Mapping[str, int]
    expires: Mapping[str, datetime.datetime]


def check_time(
    present: Present, history: RootHistory, now: datetime.datetime, *, refresh: bool
) -> list[str]:
    """Warnings of what expires soon, one sentence each.

    Raises UsageError for a root (or, where only the timestamp is renewed, targets) that has
    expired; for a clock behind the one that signed last; and for a root that was signed with a
    clock ahead, because carts would believe it and take all that follows for expired.
    """
    for version in range(1, history.version + 1):
        made = signed_at(history.at(version).unrecognized_fields)
        if made is not None and now + _CLOCKS_DIFFER < made:
            raise UsageError(
                f"{version}.root.json was signed at {time_text(made)}, but this machine's clock "
                f"says {time_text(now)}: set the clock that is wrong; if it was the other one, "
                "remove that root and make it again before carts see it"
            )
    last = signed_at(present.timestamp.unrecognized_fields) if present.timestamp else None
    if last is not None and now + _CLOCKS_DIFFER < last and not present.new_time:
        raise UsageError(
            f"this machine's clock says {time_text(now)}, but the repository was signed at "
            f"{time_text(last)}: set the clock; if the other one was ahead, carts have to be "
            "told so with a new key: run `ecgedge keys rotate timestamp`"
        )
    expires = history.newest.signed.expires
    warnings = _expiring("root", expires, now, _ROOT_WARNING, "ecgedge keys renew")
    if refresh and present.targets is not None:
        expires = present.targets.signed.expires
        warnings += _expiring(TARGETS, expires, now, _TARGETS_WARNING, "ecgedge publish --renew")
    return warnings


def next_state(
    present: Present, files: Mapping[str, TargetFile], signer: Signer, *, renew: bool = False
) -> NextState:
    """Metadata that lists these files. Targets and snapshot get a new version only where that is
    needed; renew: sign targets anew in any case.

    Raises UsageError where private keys are missing.
    """
    new: dict[str, bytes] = {}
    versions, expires = {}, {}
    targets, data = _targets(present, files, signer, renew)
    versions[TARGETS], expires[TARGETS] = targets.version, targets.expires
    if data is not None:
        new[metadata_path(TARGETS, targets.version)] = data
    snapshot, snapshot_data = _snapshot(present, targets.version, data, signer)
    versions[SNAPSHOT], expires[SNAPSHOT] = snapshot.version, snapshot.expires
    if data is not None or snapshot_data is not None:
        assert snapshot_data is not None
        new[metadata_path(SNAPSHOT, snapshot.version)] = snapshot_data
    pointer, timestamp = _timestamp(present, snapshot.version, snapshot_data, signer)
    versions["timestamp"], expires["timestamp"] = timestamp.version, timestamp.expires
    return NextState(new, pointer, versions, expires)


def sign(signed: Signed, root: Root, ring: KeyRing) -> bytes:
    """The file of a role, signed by as many keys as the root asks for.

    Raises UsageError where fewer private keys than that are found.
    """
    from tuf.api.metadata import Metadata

    role = root.roles[signed.type]
    signers = ring.signers([root.keys[one] for one in role.keyids], at_most=role.threshold)
    if len(signers) < role.threshold:
        folders = ", ".join(map(str, ring.folders))
        raise UsageError(
            f"{signed.type} needs {role.threshold} signatures, and {len(signers)} of its private "
            f"keys lie in {folders}: name the folder of the others too, with --keys"
        )
    metadata: Metadata[Signed] = Metadata(signed)  # type: ignore[type-var]
    for signer in signers:
        metadata.sign(signer, append=True)
    metadata.signatures = dict(sorted(metadata.signatures.items()))
    return metadata.to_bytes()


def _targets(
    present: Present, files: Mapping[str, TargetFile], signer: Signer, renew: bool
) -> tuple[Signed, bytes | None]:
    """The targets to be named, and their file where it is new."""
    from tuf.api.metadata import Targets

    held = present.targets
    same = held is not None and dict(files) == held.signed.targets
    if held is not None and same and not renew and _verifies(signer.root, held):
        return held.signed, None
    targets = Targets(
        present.next_version(TARGETS),
        expires=signer.expiry(signer.lifetimes.targets_days),
        targets=dict(sorted(files.items())),
    )
    return targets, sign(targets, signer.root, signer.ring)


def _snapshot(
    present: Present, version: int, targets: bytes | None, signer: Signer
) -> tuple[Signed, bytes | None]:
    from tuf.api.metadata import Snapshot

    held = present.snapshot
    life = signer.lifetimes.snapshot_days * _DAY
    if targets is not None:
        meta = _meta(version, targets)
    else:
        assert held is not None
        if held.signed.expires - signer.now > life / 3 and _verifies(signer.root, held):
            return held.signed, None
        meta = copy.deepcopy(held.signed.meta["targets.json"])
    snapshot = Snapshot(
        present.next_version(SNAPSHOT),
        expires=signer.expiry(signer.lifetimes.snapshot_days),
        meta={"targets.json": meta},
    )
    return snapshot, sign(snapshot, signer.root, signer.ring)


def _timestamp(
    present: Present, version: int, snapshot: bytes | None, signer: Signer
) -> tuple[bytes, Signed]:
    from tuf.api.metadata import Timestamp

    held = present.timestamp
    if snapshot is not None:
        meta = _meta(version, snapshot)
    else:
        assert held is not None
        meta = copy.deepcopy(held.snapshot_meta)
    timestamp = Timestamp(
        1 + (held.version if held else 0),
        expires=signer.expiry(signer.lifetimes.timestamp_days),
        snapshot_meta=meta,
        unrecognized_fields={SIGNED_AT: time_text(signer.now)},
    )
    return sign(timestamp, signer.root, signer.ring), timestamp


def _meta(version: int, data: bytes) -> MetaFile:
    from tuf.api.metadata import MetaFile

    return MetaFile.from_data(version, data, ["sha256"])


def _verifies(root: Root, held: Metadata[Any]) -> bool:
    role = held.signed.type
    return root.get_verification_result(role, held.signed_bytes, held.signatures).verified


def _expiring(
    role: str,
    expires: datetime.datetime,
    now: datetime.datetime,
    early: datetime.timedelta,
    remedy: str,
) -> list[str]:
    day = expires.date().isoformat()
    if now >= expires:
        raise UsageError(f"{role} expired on {day}, carts would refuse all of it: run `{remedy}`")
    if expires - now < early:
        left = (expires - now).days
        return [f"{role} expires on {day}, in {left} days: run `{remedy}`"]
    return []
