"""What the centre has signed, verified by The Update Framework (python-tuf's client).

python-tuf checks signatures, thresholds, versions, lengths and hashes and follows new root
keys. Time is judged here: it would believe the wall clock, and a Pi has no battery clock.
Its files live in a scratch folder that is filled from TrustState and read back, so what lasts
is one file replaced atomically (python-tuf itself never calls fsync).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from tuf.api.exceptions import BadVersionNumberError, DownloadHTTPError, RepositoryError
from tuf.api.metadata import Metadata, Root, Signed, Targets, Timestamp
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from ecgedge.errors import TrustError, UsageError
from ecgedge.sync.clock import effective_time, next_floor, restarted_floor
from ecgedge.sync.fetch import fetch_bytes
from ecgedge.sync.layout import METADATA, SIGNED_AT
from ecgedge.sync.listing import read_offers, read_targets
from ecgedge.sync.pages import login_page
from ecgedge.sync.refusal import expired, missing_from, no_room, refusal
from ecgedge.sync.signing_time import signed_at
from ecgedge.sync.transport import Missing, Source
from ecgedge.sync.trusted import Trusted, TrustState

#: A cart may have been off for years; every root in between is fetched and verified.
_CONFIG = UpdaterConfig(max_root_rotations=1024, prefix_targets_with_hash=False)
_ONLINE = ("timestamp", "snapshot")
_ROLES = ("root", "timestamp", "snapshot", "targets")
_LIMITS_BYTES = {
    "root": _CONFIG.root_max_length,
    "timestamp": _CONFIG.timestamp_max_length,
    "snapshot": _CONFIG.snapshot_max_length,
    "targets": _CONFIG.targets_max_length,
}
_ROOT_NAME = re.compile(r"([1-9]\d{0,8})\.root\.json")
_HISTORY = "root_history"

Metadatas = Mapping[str, str]


def read_root(path: Path) -> bytes:
    """The root file that was installed with the cart. Raises UsageError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"the root file {path} cannot be read ({error.strerror or error}): put the centre's "
            "root.json there, or name it with --root"
        ) from None


def refresh(
    source: Source,
    root: bytes,
    state: TrustState,
    now: datetime,
    keep: Callable[[TrustState], None],
) -> Trusted:
    """Fetch and verify what the centre signed last.

    root: the root file installed with the cart; trust begins there every time.
    state: what was remembered. now: the wall clock, with a time zone.
    keep: told, before this returns or raises, what to remember from now on.

    Raises NetworkError where a later try may help, TrustError for what must not be believed,
    UsageError for a root file that is none, and what keep raises.
    """
    fetcher = _Fetcher(source)
    with _scratch_folder() as scratch:
        _fill(scratch, state.metadata)
        failure = _update(scratch, root, fetcher)
        again = failure is None or isinstance(failure, BadVersionNumberError)
        # Also where all went well: a snapshot that is still current was forgotten too.
        if _forget_replaced(scratch, state.metadata) and again:
            failure = _update(scratch, root, fetcher)
        known = _read_back(scratch)
    learned = TrustState(_floor(known, state, now), known)
    keep(learned)
    if failure is not None:
        raise refusal(failure, source.name, fetcher.path, fetcher.body) from failure
    return _in_date(known, source.name, now, learned.floor)


class _Fetcher(FetcherInterface):
    """Metadata from our source, for python-tuf. path, body: what was asked for last."""

    def __init__(self, source: Source) -> None:
        self.path = ""
        self.body = b""
        self._source = source

    def _fetch(self, url: str) -> Iterator[bytes]:
        # A generator, so that what is raised reaches us: python-tuf would wrap it otherwise.
        self.path, self.body = url, b""
        role = url.removesuffix(".json").rpartition("/")[2].rpartition(".")[2]
        try:
            self.body = fetch_bytes(self._source, url, _LIMITS_BYTES[role])
        except Missing:
            if role == "root":  # the newest one is reached
                raise DownloadHTTPError(url, 404) from None
            raise missing_from(self._source.name, url) from None
        if self.body.lstrip().startswith(b"<"):  # a page of any kind: JSON never begins so
            raise login_page(self._source.name)
        yield self.body


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    try:
        with tempfile.TemporaryDirectory(prefix="ecgedge-sync-") as folder:
            yield Path(folder)
    except OSError as error:
        raise no_room(error) from None


def _update(scratch: Path, root: bytes, fetcher: _Fetcher) -> Exception | None:
    """Let python-tuf bring the scratch folder up to date; what it raised, if it did.

    Whatever it meets in a file that nobody has verified yet is a refusal, of whatever type.
    """
    try:
        updater = Updater(str(scratch), METADATA, fetcher=fetcher, config=_CONFIG, bootstrap=root)
    except RepositoryError as error:
        raise UsageError(
            f"the root file installed here is no signed list of keys ({error}): put the "
            "centre's root.json in its place"
        ) from None
    # Expiry is ours to judge: with the clock at its beginning nothing ever looks expired, so
    # that genuine metadata which has expired is remembered too and cannot be served later.
    updater._trusted_set.reference_time = datetime.min.replace(tzinfo=UTC)
    try:
        updater.refresh()
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        return error
    return None


def _fill(scratch: Path, metadata: Metadatas) -> None:
    (scratch / _HISTORY).mkdir()
    for name, text in metadata.items():
        if _ROOT_NAME.fullmatch(name):
            (scratch / _HISTORY / name).write_bytes(text.encode())
        elif name.removesuffix(".json") in _ROLES[1:]:
            (scratch / name).write_bytes(text.encode())


def _read_back(scratch: Path) -> dict[str, str]:
    """The files that python-tuf trusts now; roots from the installed one to the newest."""
    newest = _version((scratch / "root.json").resolve())
    roots = [path for path in (scratch / _HISTORY).iterdir() if _version(path) <= newest]
    others = [scratch / f"{role}.json" for role in _ROLES[1:]]
    paths = sorted(roots, key=_version) + [path for path in others if path.exists()]
    return {path.name: path.read_bytes().decode() for path in paths}


def _version(path: Path) -> int:
    return int(path.name.partition(".")[0])


def _forget_replaced(scratch: Path, metadata: Metadatas) -> bool:
    """After new keys for timestamp or snapshot, drop what was remembered under the old ones.

    So versions may go back after a fast-forward attack (TUF specification, 5.3.11; python-tuf
    alone drops what no longer verifies, which leaves the snapshot's version in a timestamp
    whose own keys stayed). What was fetched just now stays. Returns whether keys changed.
    """
    before = _newest_root(metadata)
    after = _newest_root(_read_back(scratch))
    if before is None or after is None or _online_keys(before) == _online_keys(after):
        return False
    for role in _ONLINE:
        path = scratch / f"{role}.json"
        if path.exists() and path.read_bytes().decode() == metadata.get(path.name):
            path.unlink()
    return True


def _online_keys(root: Root) -> list[tuple[frozenset[str], int]]:
    roles = [root.roles[role] for role in _ONLINE]
    return [(frozenset(role.keyids), role.threshold) for role in roles]


def _newest_root(metadata: Metadatas) -> Root | None:
    names = [name for name in metadata if _ROOT_NAME.fullmatch(name)]
    if not names:
        return None
    newest = max(names, key=lambda name: int(name.partition(".")[0]))
    return cast(Root, _parsed(metadata, newest))


def _parsed(metadata: Metadatas, name: str) -> Signed:
    metadata_file: Metadata[Any] = Metadata.from_bytes(metadata[name].encode())
    return cast(Signed, metadata_file.signed)


def _floor(known: Metadatas, state: TrustState, now: datetime) -> datetime | None:
    """The floor after this refresh, whether it went well or not."""
    root = _newest_root(known)
    assert root is not None  # the installed one at least
    floor = state.floor
    timestamp = _timestamp(known, root)
    if timestamp is not None:
        if _timestamp(state.metadata, root) is None:
            floor = restarted_floor(floor, _signed_at(timestamp))
        floor = next_floor(floor, now, _signed_at(timestamp), timestamp.expires)
    return next_floor(floor, now, _signed_at(root), None)


def _timestamp(metadata: Metadatas, root: Root) -> Timestamp | None:
    """The remembered timestamp, if it is signed by the keys that root names."""
    text = metadata.get("timestamp.json")
    if text is None:
        return None
    try:
        one = Metadata[Timestamp].from_bytes(text.encode())
        root.verify_delegate("timestamp", one.signed_bytes, one.signatures)
    except RepositoryError:
        return None
    return one.signed


def _signed_at(signed: Signed) -> datetime | None:
    """When the centre says it signed this; None where it says nothing that makes sense."""
    moment = signed_at(signed.unrecognized_fields)
    return None if moment is None or moment > signed.expires else moment


def _in_date(known: Metadatas, source: str, now: datetime, floor: datetime | None) -> Trusted:
    """The contents, if no role has expired by the effective time. Raises TrustError."""
    root = _newest_root(known)
    assert root is not None
    signed = {role: _parsed(known, f"{role}.json") for role in _ROLES[1:]} | {"root": root}
    for role in _ROLES:
        if effective_time(now, floor) >= signed[role].expires:
            raise expired(role, source, signed[role].expires, now, floor)
    if SIGNED_AT in signed["timestamp"].unrecognized_fields and not _signed_at(signed["timestamp"]):
        raise TrustError(
            f"the timestamp from {source} does not say sensibly when it was signed: the "
            "installed release goes on answering; tell the centre to sign anew"
        )
    listed = cast(Targets, signed["targets"]).targets
    return Trusted(read_targets(listed), read_offers(listed), signed["timestamp"].expires)
