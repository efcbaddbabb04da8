"""A centre in memory: a TUF repository with its keys, and a source that serves it with faults.

After python-tuf's RepositorySimulator (tests/repository_simulator.py there): everything is
signed for real, nothing is written to disk, and an attacker edits `files` as he likes.

    centre = SimRepository()
    centre.publish(b"manifest", [b"blob"], channels={"stable": (1, 100)})
    refresh(SimSource(centre.files), centre.root_file, TrustState(), centre.now, keep)

or `SimCart(centre).refresh()`, which keeps what is to be remembered.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from ecgedge.casebase.release import Store
from ecgedge.errors import NetworkError, TrustError
from ecgedge.sync.layout import (
    CHANNELS_FIELD,
    METADATA,
    SIGNED_AT,
    TARGETS,
    blob_target,
    manifest_target,
)
from ecgedge.sync.transport import Missing, Reply
from ecgedge.sync.trust import refresh
from ecgedge.sync.trusted import Trusted, TrustState

#: When a simulated centre opens, unless told otherwise.
EPOCH = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIFETIMES = {
    "root": timedelta(days=730),
    "targets": timedelta(days=365),
    "snapshot": timedelta(days=30),
    "timestamp": timedelta(days=7),
}
#: How many keys a role has, and how many of them must sign.
KEYS = {"root": (3, 2), "targets": (2, 2), "snapshot": (1, 1), "timestamp": (1, 1)}
STABLE = {"stable": (1, 100)}

Channels = Mapping[str, tuple[int, int]]


def time_text(moment: datetime) -> str:
    """As TUF writes a time."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class SimRepository:
    """The centre. now: its clock, which stands until a test moves it.

    files: path -> bytes, as a static server would serve them.
    root_file: what is installed with a cart, the first root's bytes.
    """

    def __init__(self, now: datetime = EPOCH) -> None:
        self.now = now
        self.files: dict[str, bytes] = {}
        self.signers = {
            role: [CryptoSigner.generate_ed25519() for _ in range(count)]
            for role, (count, _) in KEYS.items()
        }
        self.root, self.targets = Root(), Targets()
        self.snapshot, self.timestamp = Snapshot(), Timestamp()
        for role, (_, threshold) in KEYS.items():
            self.root.roles[role].threshold = threshold
            for signer in self.signers[role]:
                self.root.add_key(signer.public_key, role)
        for one in (self.root, self.targets, self.snapshot, self.timestamp):
            one.version = 0
        self.sign_root()
        self.root_file = self.files[f"{METADATA}/1.root.json"]
        self.sign_all()

    def fork(self) -> SimRepository:
        """The same keys and files in other hands; from now on each goes its own way."""
        other = copy.copy(self)
        for name in ("files", "signers", "root", "targets", "snapshot", "timestamp"):
            # Signers hold keys that cannot be copied, and need not be.
            value = getattr(self, name)
            other_value = {**value} if isinstance(value, dict) else copy.deepcopy(value)
            setattr(other, name, other_value)
        return other

    # -- releases

    def publish(
        self,
        manifest: bytes,
        blobs: Iterable[bytes] = (),
        *,
        release: str | None = None,
        channels: Channels = STABLE,
    ) -> str:
        """Offer a release and sign anew; returns its id (made from the manifest by default).

        channels: channel -> (order, percent).
        """
        for blob in blobs:
            self.add_target(blob_target(hashlib.sha256(blob).hexdigest()), blob)
        release = release or hashlib.sha256(manifest).hexdigest()[:16]
        offered = {
            name: {"order": order, "percent": per} for name, (order, per) in channels.items()
        }
        self.add_target(manifest_target(release), manifest, {CHANNELS_FIELD: offered})
        self.sign_all()
        return release

    def publish_store(
        self, store: Store, release: str | None = None, channels: Channels = STABLE
    ) -> str:
        """Offer a store's release (its active one by default), files and all."""
        manifest = store.manifest(release)
        blobs = [store.blob(name).read_bytes() for name in dict.fromkeys(manifest.blobs())]
        return self.publish(
            manifest.to_json().encode(), blobs, release=manifest.id, channels=channels
        )

    def withdraw(self, release: str) -> None:
        """Take a release's manifest off the list (its blobs stay) and sign anew."""
        del self.targets.targets[manifest_target(release)]
        self.sign_all()

    def add_target(self, path: str, data: bytes, custom: object | None = None) -> None:
        """Put a file on the list, which is not signed yet. The path is not looked at."""
        target = TargetFile.from_data(path, data)
        if custom is not None:
            target.unrecognized_fields["custom"] = custom
        self.targets.targets[path] = target
        self.files[f"{TARGETS}/{path}"] = data

    # -- signing

    def sign_all(self) -> None:
        """Targets, snapshot and timestamp, each one version on."""
        self.sign_targets()
        self.sign_snapshot()
        self.sign_timestamp()

    def sign_root(self, signers: Iterable[CryptoSigner] | None = None) -> None:
        """A further root; by default every present root key signs it."""
        self._advance(self.root)
        self.root.unrecognized_fields[SIGNED_AT] = time_text(self.now)
        data = self.signed(self.root, signers)
        self.files[f"{METADATA}/{self.root.version}.root.json"] = data

    def sign_targets(self, expires: datetime | None = None) -> None:
        self._advance(self.targets, expires)
        data = self.signed(self.targets)
        self.files[f"{METADATA}/{self.targets.version}.targets.json"] = data
        self.snapshot.meta["targets.json"] = _described(self.targets, data)

    def sign_snapshot(self, expires: datetime | None = None) -> None:
        self._advance(self.snapshot, expires)
        data = self.signed(self.snapshot)
        self.files[f"{METADATA}/{self.snapshot.version}.snapshot.json"] = data
        self.timestamp.snapshot_meta = _described(self.snapshot, data)

    def sign_timestamp(
        self, expires: datetime | None = None, signed_at: datetime | None = None
    ) -> None:
        """What the centre does every day, whether there is anything new or not."""
        self._advance(self.timestamp, expires)
        self.timestamp.unrecognized_fields[SIGNED_AT] = time_text(signed_at or self.now)
        self.files[f"{METADATA}/timestamp.json"] = self.signed(self.timestamp)

    def reseal(self, role: str, data: bytes) -> None:
        """Serve any bytes as a role's current file, the roles above it signed to fit."""
        live = {"root": self.root, "targets": self.targets, "snapshot": self.snapshot}
        if role == "timestamp":
            self.files[f"{METADATA}/timestamp.json"] = data
            return
        version = live[role].version
        self.files[f"{METADATA}/{version}.{role}.json"] = data
        if role == "targets":
            self.snapshot.meta["targets.json"] = MetaFile.from_data(version, data, ["sha256"])
            self.reseal("snapshot", self.signed(self.snapshot))
        elif role == "snapshot":
            self.timestamp.snapshot_meta = MetaFile.from_data(version, data, ["sha256"])
            self.reseal("timestamp", self.signed(self.timestamp))

    def rotate(self, role: str) -> list[CryptoSigner]:
        """New keys for a role, told by a new root; returns the old ones.

        The other roles are signed anew by whoever calls, as their files need it.
        """
        old = self.signers[role]
        self.signers[role] = [CryptoSigner.generate_ed25519() for _ in old]
        for gone, new in zip(old, self.signers[role], strict=True):
            self.root.revoke_key(gone.public_key.keyid, role)
            self.root.add_key(new.public_key, role)
        self.sign_root(old + self.signers["root"] if role == "root" else None)
        return old

    def signed(self, role: Signed, signers: Iterable[CryptoSigner] | None = None) -> bytes:
        """The file of a role as it stands, by these signers (by default the role's own)."""
        metadata: Metadata[Any] = Metadata(role)
        for signer in self.signers[role.type] if signers is None else signers:
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def _advance(self, role: Signed, expires: datetime | None = None) -> None:
        role.version += 1
        role.expires = expires or self.now + LIFETIMES[role.type]


def _described(role: Signed, data: bytes) -> MetaFile:
    return MetaFile.from_data(role.version, data, ["sha256"])


class SimCart:
    """A cart that refreshes from a centre: what it remembers, and a clock that a test sets."""

    def __init__(self, centre: SimRepository) -> None:
        self.source = SimSource(centre.files)
        self.root, self.now, self.state = centre.root_file, centre.now, TrustState()

    def refresh(self) -> Trusted:
        return refresh(self.source, self.root, self.state, self.now, self._keep)

    def versions(self) -> dict[str, int]:
        """Role -> the version that is remembered of it."""
        parsed = [Metadata.from_bytes(text.encode()) for text in self.state.metadata.values()]
        return {one.signed.type: one.signed.version for one in parsed}  # roots in their order

    def _keep(self, state: TrustState) -> None:
        self.state = state


class SimSource:
    """Serves a mapping of files, as it stands when they are asked for.

    replaced: path -> other bytes, or None for a file that is not there.
    endless: paths that never end. redirected: paths that lead to another host.
    slow: paths that come too slowly. broken: path -> bytes after which the connection drops.
    drop_every: after so many bytes any connection drops. reachable: False, and nothing answers.
    ignore_range: answers a request for the rest with the whole. start_off_by: lies about the
    place by so many bytes. chunk_bytes: how much comes at once.
    asked: every (path, start), in order. sent_bytes: bodies only, without headers.
    """

    def __init__(self, files: Mapping[str, bytes], name: str = "https://centre.example") -> None:
        self.files = files
        self._name = name
        self.replaced: dict[str, bytes | None] = {}
        self.endless: set[str] = set()
        self.redirected: set[str] = set()
        self.slow: set[str] = set()
        self.broken: dict[str, int] = {}
        self.drop_every: int | None = None
        self.reachable = True
        self.ignore_range = False
        self.start_off_by = 0
        self.chunk_bytes = 1 << 16
        self.asked: list[tuple[str, int]] = []
        self.sent_bytes = 0

    @property
    def name(self) -> str:
        return self._name

    @property
    def asked_paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    @contextmanager
    def open(self, path: str, start: int = 0) -> Iterator[Reply]:
        self.asked.append((path, start))
        if not self.reachable:
            raise NetworkError(f"{self.name} cannot be reached: try again later")
        if path in self.redirected:
            raise TrustError(f"{self.name} sends {path} to another host: tell the centre")
        data = self.replaced[path] if path in self.replaced else self.files.get(path)
        if data is None and path not in self.endless:
            raise Missing(f"{self.name} has no {path}")
        data = b"{}" if data is None else data
        begin = 0 if self.ignore_range else start
        length = None if path in self.endless else len(data)
        yield Reply(begin + self.start_off_by, self._chunks(path, data, begin), length)

    def _chunks(self, path: str, data: bytes, begin: int) -> Iterator[bytes]:
        if path in self.slow:
            raise NetworkError(f"{self.name} sends {path} too slowly: try again later")
        limits = [one for one in (self.broken.get(path), self.drop_every) if one is not None]
        allowed = min(limits, default=None)
        while begin < len(data) or path in self.endless:
            chunk = data[begin : begin + self.chunk_bytes] or b" " * self.chunk_bytes
            if allowed is not None:
                chunk, allowed = chunk[:allowed], allowed - len(chunk)
            begin += len(chunk)
            self.sent_bytes += len(chunk)
            if chunk:
                yield chunk
            if allowed is not None and allowed <= 0:
                raise NetworkError(f"the connection to {self.name} broke: try again later")
