"""Which files a repository has to hold so that carts can fetch the releases on offer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ecgedge.casebase.manifest import Manifest
from ecgedge.casebase.release import Store
from ecgedge.central.destination import Destination, Upload
from ecgedge.central.offering import Offers, releases, to_custom
from ecgedge.central.repository import Present
from ecgedge.errors import DamagedError
from ecgedge.sync.layout import TARGETS, blob_target, manifest_target

if TYPE_CHECKING:
    from tuf.api.metadata import TargetFile


@dataclass(frozen=True)
class Contents:
    """files: what targets list, by target path. uploads: those that are not there yet.
    of_release: release -> target path -> bytes.
    """

    files: Mapping[str, TargetFile]
    uploads: tuple[Upload, ...]
    of_release: Mapping[str, Mapping[str, int]]


def contents(
    present: Present, offers: Offers, destination: Destination, store: Store | None
) -> Contents:
    """Every file of the releases on offer; those of the store were verified by their hash.

    Raises DamagedError for a file that is neither there, whole, nor in the store.
    """
    collector = _Collector(present, destination, store)
    for release in releases(offers):
        collector.add(release, to_custom(offers, release))
    return Contents(collector.files, tuple(collector.uploads.values()), collector.of_release)


class _Collector:
    def __init__(self, present: Present, destination: Destination, store: Store | None) -> None:
        self._present, self._destination, self._store = present, destination, store
        self.files: dict[str, TargetFile] = {}
        self.uploads: dict[str, Upload] = {}
        self.of_release: dict[str, dict[str, int]] = {}

    def add(self, release: str, custom: Mapping[str, object]) -> None:
        from tuf.api.metadata import TargetFile

        path = manifest_target(release)
        data = self._manifest(release)
        digest = {"sha256": hashlib.sha256(data).hexdigest()}
        self.files[path] = TargetFile(len(data), digest, path, {"custom": dict(custom)})
        self._upload(path, data, len(data))
        sizes = {path: len(data)}
        for name in sorted(set(Manifest.from_json(data.decode()).blobs())):
            target = blob_target(name)
            self.files[target] = self._blob(release, name)
            sizes[target] = self.files[target].length
        self.of_release[release] = sizes

    def _manifest(self, release: str) -> bytes:
        """Its bytes as they were published, else as the store has them."""
        path = manifest_target(release)
        signed = self._present.listed.get(path)
        if signed is not None:
            data = self._destination.read(f"{TARGETS}/{path}")
            if data is not None and hashlib.sha256(data).hexdigest() == signed.hashes["sha256"]:
                return data
        if self._store is None or release not in self._store.release_ids():
            raise DamagedError(
                f"{self._destination.name} has lost the manifest of release {release}: publish it "
                "again from the store that has it, or withdraw it"
            )
        return self._store.manifest(release).to_json().encode()

    def _blob(self, release: str, name: str) -> TargetFile:
        from tuf.api.metadata import TargetFile

        path = blob_target(name)
        signed = self._present.listed.get(path)
        if signed is not None and self._present.files.get(f"{TARGETS}/{path}") == signed.length:
            return signed
        local = self._local(release, name)
        length = local.stat().st_size
        self._upload(path, local, length)
        return TargetFile(length, {"sha256": name}, path)

    def _local(self, release: str, name: str) -> Path:
        """The store's copy, its hash verified."""
        if self._store is None:
            raise DamagedError(
                f"release {release} is not whole: its file {name} is not at "
                f"{self._destination.name}; publish from the store that has it, or withdraw it"
            )
        return _whole(self._store, release, name)

    def _upload(self, path: str, content: bytes | Path, length: int) -> None:
        full = f"{TARGETS}/{path}"
        if self._present.files.get(full) != length:
            self.uploads[full] = Upload(full, content, length)


def check_whole(store: Store, release: str) -> None:
    """Raise DamagedError unless a release's manifest and files are as they were built."""
    try:
        manifest = store.manifest(release)
    except DamagedError as error:
        raise _to_be_built_again(error, release) from None
    for name in manifest.blobs():
        _whole(store, release, name)


def _whole(store: Store, release: str, name: str) -> Path:
    try:
        return store.blob(name)
    except DamagedError as error:
        raise _to_be_built_again(error, release) from None


def _to_be_built_again(error: DamagedError, release: str) -> DamagedError:
    """The same error with a remedy that fits the centre, not a cart."""
    told = str(error).rpartition(": ")[0]
    return DamagedError(f"{told}: restore the store from a copy, or build release {release} again")


def unlisted(present: Present, files: Iterable[str]) -> list[str]:
    """Files of ours below targets/ that none of these target paths names."""
    wanted = {f"{TARGETS}/{path}" for path in files}
    ours = (f"{TARGETS}/blobs/", f"{TARGETS}/releases/")
    return sorted(path for path in present.files if path.startswith(ours) and path not in wanted)
