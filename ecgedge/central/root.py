"""The root role: which keys sign for which role, version by version, each signed by the last.

    KEYS/1.root.json, 2.root.json, ...   every version; all of them are published
    KEYS/root.json                       the newest, to be installed with each cart
    KEYS/pending.root.json               the next, as long as signatures are missing
    KEYS/<role>-<key id>.pem             private keys, here or in other folders

A root counts once the threshold of its own root keys and that of the version before have signed.
"""

from __future__ import annotations

import copy
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ecgedge.atomic import write_atomic
from ecgedge.central.keys import ROLES, KeyRing
from ecgedge.errors import DamagedError, UsageError
from ecgedge.sync.layout import SIGNED_AT
from ecgedge.sync.signing_time import time_text

if TYPE_CHECKING:
    from securesystemslib.signer import Key
    from tuf.api.metadata import Metadata, Root, VerificationResult

ROOT_DAYS = 730
PENDING = "pending.root.json"
INSTALLED = "root.json"


@dataclass(frozen=True)
class Validity:
    """When a root is signed, UTC, and for how many days."""

    now: datetime.datetime
    days: int = ROOT_DAYS

    @property
    def expires(self) -> datetime.datetime:
        return self.now + datetime.timedelta(days=self.days)

    def told(self) -> dict[str, str]:
        """The signed field by which a cart learns that this much time has passed."""
        return {SIGNED_AT: time_text(self.now)}


@dataclass(frozen=True)
class RootHistory:
    """A chain of roots from version 1 on, verified. texts: their files, oldest first."""

    folder: Path
    texts: tuple[bytes, ...]

    @property
    def newest(self) -> Metadata[Root]:
        return parse_root(self.texts[-1])

    @property
    def version(self) -> int:
        return len(self.texts)

    def at(self, version: int) -> Root:
        return parse_root(self.texts[version - 1]).signed


def parse_root(data: bytes, name: str = "root.json") -> Metadata[Root]:
    """Raises DamagedError for anything that is no root metadata."""
    from tuf.api.metadata import Metadata, Root
    from tuf.api.serialization import DeserializationError

    try:
        root: Metadata[Root] = Metadata.from_bytes(data)
    except DeserializationError:
        raise DamagedError(f"{name} is not TUF metadata: restore it from a copy") from None
    if not isinstance(root.signed, Root):
        raise DamagedError(f"{name} is not a root: restore it from a copy")
    return root


def read_history(folder: Path) -> RootHistory:
    """Every root of a folder of keys, each verified by itself and the one before.

    Raises UsageError where there is none, DamagedError where the chain is broken.
    """
    texts: list[bytes] = []
    try:
        while (path := folder / f"{len(texts) + 1}.root.json").exists():
            texts.append(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    if not texts:
        raise UsageError(
            f"{folder} holds no 1.root.json: name the folder of keys, or make one with "
            "`ecgedge keys new`"
        )
    previous: Root | None = None
    for number, data in enumerate(texts, start=1):
        root = parse_root(data, str(folder / f"{number}.root.json"))
        if root.signed.version != number or missing(root, previous):
            raise DamagedError(
                f"{folder / f'{number}.root.json'} is not signed as version {number}: "
                "restore it from a copy"
            )
        previous = root.signed
    return RootHistory(folder, tuple(texts))


def missing(root: Metadata[Root], previous: Root | None) -> dict[int, VerificationResult]:
    """By root version, the thresholds that are not met: of the version before and of its own."""
    result = root.signed.get_root_verification_result(previous, root.signed_bytes, root.signatures)
    before = previous.version if previous else root.signed.version
    pairs = ((before, result.first), (root.signed.version, result.second))
    return {version: one for version, one in pairs if not one.verified}


def first_root(
    keys: Mapping[str, Sequence[Key]], thresholds: Mapping[str, int], validity: Validity
) -> Metadata[Root]:
    """Version 1, unsigned. Raises UsageError for a threshold that its keys cannot meet."""
    from tuf.api.metadata import Metadata, Role, Root

    roles = {}
    for role in ROLES:
        _check_threshold(role, len(keys[role]), thresholds.get(role, 1))
        roles[role] = Role([one.keyid for one in keys[role]], thresholds.get(role, 1))
    known = {one.keyid: one for role in ROLES for one in keys[role]}
    root = Root(1, expires=validity.expires, keys=known, roles=roles)
    root.unrecognized_fields = validity.told()
    return Metadata(root)


def successor(
    current: Metadata[Root],
    validity: Validity,
    *,
    role: str | None = None,
    add: Sequence[Key] = (),
    drop: Sequence[str] = (),
    threshold: int | None = None,
) -> Metadata[Root]:
    """The next version, unsigned: keys of one role added and dropped (by id), its threshold set.

    Raises UsageError for a key the role does not have or a threshold its keys cannot meet.
    """
    from tuf.api.metadata import Metadata

    root = copy.deepcopy(current.signed)
    root.version += 1
    root.expires = validity.expires
    root.unrecognized_fields = {**root.unrecognized_fields, **validity.told()}
    if role is not None:
        for key_id in drop:
            root.revoke_key(_full_id(root, role, key_id), role)
        for key in add:
            root.add_key(key, role)
        holder = root.roles[role]
        holder.threshold = holder.threshold if threshold is None else threshold
        _check_threshold(role, len(holder.keyids), holder.threshold)
    return Metadata(root)


def sign_root(root: Metadata[Root], previous: Root | None, ring: KeyRing) -> list[str]:
    """Add every signature that the ring's keys can give; returns the ids of those that signed."""
    signed = []
    holders = [root.signed] if previous is None else [previous, root.signed]
    for holder in holders:
        keys = [holder.keys[one] for one in holder.roles["root"].keyids]
        wanted = [key for key in keys if key.keyid not in root.signatures]
        for signer in ring.signers(wanted):
            root.sign(signer, append=True)
            signed.append(signer.public_key.keyid)
    root.signatures = dict(sorted(root.signatures.items()))  # the same bytes, whoever came first
    return signed


def merge_signatures(root: Metadata[Root], previous: Root, other: Metadata[Root]) -> list[str]:
    """Take over valid signatures that another copy of the same root carries; returns their ids.

    Raises UsageError where the other is not a copy of this root.
    """
    if other.signed_bytes != root.signed_bytes:
        raise UsageError("that file is another root than the pending one: sign the pending one")
    taken = []
    for holder in (previous, root.signed):
        result = holder.get_verification_result("root", other.signed_bytes, other.signatures)
        for key_id in result.signed:
            if key_id not in root.signatures:
                root.signatures[key_id] = other.signatures[key_id]
                taken.append(key_id)
    root.signatures = dict(sorted(root.signatures.items()))
    return taken


def save_root(folder: Path, root: Metadata[Root]) -> Path:
    """Keep a complete root: its own version first, then as root.json; no pending one is left.

    Raises UsageError where the disk refuses it.
    """
    data = root.to_bytes()
    path = folder / f"{root.signed.version}.root.json"
    write_atomic(path, data)
    write_atomic(folder / INSTALLED, data)
    (folder / PENDING).unlink(missing_ok=True)
    return path


def _check_threshold(role: str, count: int, threshold: int) -> None:
    if not 1 <= threshold <= count:
        raise UsageError(
            f"{role} would have {count} keys, so {threshold} of them cannot be asked for: "
            "add keys or lower the threshold"
        )


def _full_id(root: Root, role: str, prefix: str) -> str:
    ids = root.roles[role].keyids
    found = [one for one in ids if one.startswith(prefix)]
    if len(found) != 1:
        shown = ", ".join(one[:16] for one in ids)
        raise UsageError(f"{role} has no one key {prefix}, only {shown}")
    return found[0]
