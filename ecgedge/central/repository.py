"""What a repository says now, verified before anything is built on it.

The roots published there have to be those of our folder of keys. The targets have to be signed by
keys that the newest root still lists: an offer made with a key that was dropped, stolen perhaps,
is not carried on unasked. Timestamp and snapshot may be signed as any of our roots says, since
their keys change between one publish and the next. Expired metadata is still a base to build on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ecgedge.central.destination import Destination
from ecgedge.central.offering import Offers
from ecgedge.central.root import RootHistory
from ecgedge.errors import DamagedError, TrustError, UsageError
from ecgedge.sync.layout import METADATA, TARGETS
from ecgedge.sync.listing import read_offers

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp

TIMESTAMP_PATH = f"{METADATA}/timestamp.json"
_VERSIONED = re.compile(rf"{METADATA}/([1-9]\d{{0,8}})\.(root|targets|snapshot)\.json")


@dataclass(frozen=True)
class Present:
    """The verified state of a repository; empty where nothing was published yet.

    files: path -> bytes of everything there. pointer: timestamp.json as it was read.
    versions: role -> the highest version there is a file of, used or not.
    new_time: the timestamp's keys were dropped since, so carts begin anew with what time it is.
    """

    files: Mapping[str, int] = field(default_factory=dict)
    pointer: bytes | None = None
    timestamp: Timestamp | None = None
    snapshot: Metadata[Snapshot] | None = None
    targets: Metadata[Targets] | None = None
    offers: Offers = ()
    versions: Mapping[str, int] = field(default_factory=dict)
    new_time: bool = False

    @property
    def listed(self) -> Mapping[str, TargetFile]:
        """Every file that carts may fetch, by target path."""
        return self.targets.signed.targets if self.targets else {}

    def next_version(self, role: str) -> int:
        """The first version of targets or snapshot that no file was ever written for."""
        current = {"targets": self.targets, "snapshot": self.snapshot}[role]
        return 1 + max(current.signed.version if current else 0, self.versions.get(role, 0))


def read_present(
    destination: Destination, history: RootHistory, *, carry_over: bool = False
) -> Present:
    """The repository's state.

    carry_over: build also on targets that are signed by keys which were dropped since.

    Raises TrustError for a repository of other keys or one that was tampered with, UsageError
    where the folder of keys is older than the repository, DamagedError for files that are lost.
    """
    files = {**destination.sizes(METADATA), **destination.sizes(TARGETS)}
    versions = _versions(files)
    _check_roots(destination, history, versions.get("root", 0))
    pointer = destination.read(TIMESTAMP_PATH)
    if pointer is None:
        return Present(files, versions=versions)
    timestamp = _signed_by_any(pointer, "timestamp", history, destination.name)
    snapshot_data = _read(destination, timestamp.signed.snapshot_meta.version, "snapshot")
    _check_hashes(timestamp.signed.snapshot_meta, snapshot_data, destination.name)
    snapshot = _signed_by_any(snapshot_data, "snapshot", history, destination.name)
    meta = snapshot.signed.meta["targets.json"]
    targets_data = _read(destination, meta.version, "targets")
    _check_hashes(meta, targets_data, destination.name)
    targets = _signed_by_any(targets_data, "targets", history, destination.name)
    if not carry_over:
        _check_still_trusted(targets, history)
    return Present(
        files,
        pointer,
        timestamp.signed,
        snapshot,
        targets,
        read_offers(targets.signed.targets),
        versions,
        not _verifies(history.newest.signed, timestamp, "timestamp"),
    )


def versioned(files: Mapping[str, int]) -> Iterator[tuple[str, int, str]]:
    """(role, version, path) of every versioned metadata file."""
    for path in files:
        found = _VERSIONED.fullmatch(path)
        if found:
            yield found[2], int(found[1]), path


def metadata_path(role: str, version: int) -> str:
    """Where a version of root, targets or snapshot lies."""
    return f"{METADATA}/{version}.{role}.json"


def _versions(files: Mapping[str, int]) -> dict[str, int]:
    highest: dict[str, int] = {}
    for role, version, _ in versioned(files):
        highest[role] = max(version, highest.get(role, 0))
    return highest


def _check_roots(destination: Destination, history: RootHistory, there: int) -> None:
    name = destination.name
    if there > history.version:
        raise UsageError(
            f"{name} has root version {there}, {history.folder} only {history.version}: use the "
            "newest folder of keys"
        )
    for version in range(1, there + 1):
        data = destination.read(metadata_path("root", version))
        if data is not None and data != history.texts[version - 1]:
            raise TrustError(
                f"{name} belongs to other keys than those of {history.folder}: its "
                f"{version}.root.json differs; name the right keys, or another place"
            )


def _read(destination: Destination, version: int, role: str) -> bytes:
    path = metadata_path(role, version)
    data = destination.read(path)
    if data is None:
        raise DamagedError(
            f"{destination.name} has lost {path}, which its timestamp names: restore it from a copy"
        )
    return data


def _check_hashes(meta: Any, data: bytes, name: str) -> None:
    from tuf.api.exceptions import LengthOrHashMismatchError

    try:
        meta.verify_length_and_hashes(data)
    except LengthOrHashMismatchError as error:
        raise TrustError(
            f"{name} was changed by somebody else: {error}; restore its metadata from a copy"
        ) from None


def _signed_by_any(data: bytes, role: str, history: RootHistory, name: str) -> Metadata[Any]:
    from tuf.api.metadata import Metadata
    from tuf.api.serialization import DeserializationError

    try:
        found: Metadata[Any] = Metadata.from_bytes(data)
    except DeserializationError:
        raise DamagedError(f"{name}: its {role} is not TUF metadata: restore it") from None
    trusted = found.signed.type == role and any(
        _verifies(history.at(version), found, role) for version in range(history.version, 0, -1)
    )
    if not trusted:
        raise TrustError(
            f"{name}: its {role} is not signed with the keys of {history.folder}: restore it from "
            "a copy, or name the right keys"
        )
    return found


def _verifies(root: Root, found: Metadata[Any], role: str) -> bool:
    return root.get_verification_result(role, found.signed_bytes, found.signatures).verified


def _check_still_trusted(targets: Metadata[Targets], history: RootHistory) -> None:
    if _verifies(history.newest.signed, targets, "targets"):
        return
    shown = ", ".join(sorted({one.release for one in read_offers(targets.signed.targets)}))
    raise UsageError(
        f"root version {history.version} no longer lists the keys that signed the releases on "
        f"offer ({shown}): if all of them are yours, publish with --carry-over and the new keys"
    )
