"""Files that are not whole yet, each named by how much of it is surely on the disk.

    <sha256>.<durable bytes>.part

After a power cut a file may be longer than what was ever flushed, and end in zeros or in
another file's bytes. So its name, which is changed after each flush only, says how much of it
counts; the rest is cut off before anything is added.
"""

from __future__ import annotations

import errno
import hashlib
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ecgedge import disk
from ecgedge.atomic import refused
from ecgedge.errors import UsageError

_NAME = re.compile(r"([0-9a-f]{64})\.([0-9]{1,18})\.part")
_READ_BYTES = 1 << 20


def part_name(sha256: str, durable_bytes: int) -> str:
    """The file name of a part."""
    return f"{sha256}.{durable_bytes}.part"


def parse_name(name: str) -> tuple[str, int] | None:
    """(sha256, durable bytes) of a part's file name, None for another file's."""
    match = _NAME.fullmatch(name)
    return (match[1], int(match[2])) if match else None


def sweep(parts: Path, wanted: Iterable[str]) -> None:
    """Remove every part of a file that is not wanted. wanted: SHA-256 names.

    Raises UsageError where the disk refuses it.
    """
    keep = set(wanted)
    for path in _files(parts):
        parsed = parse_name(path.name)
        if parsed is None or parsed[0] not in keep:
            _remove(path)


@dataclass(frozen=True)
class Flushing:
    """When what came in is made durable: after so many bytes or so many seconds, whichever is
    first, so that a power cut costs no more than these. Each flush makes a card write a few
    further blocks of the file system's own. clock: seconds.
    """

    every_bytes: int = 1 << 20
    every_s: float = 0.5
    clock: Callable[[], float] = time.monotonic


class Part:
    """One file on its way in. `resume` it, `write`, and `finish` or `leave` it.

    Methods raise UsageError where the disk refuses; what was flushed before is kept.
    """

    def __init__(self, folder: Path, sha256: str, flushing: Flushing) -> None:
        self._folder, self._sha256, self._flushing = folder, sha256, flushing
        self._handle: int | None = None
        self._sound = True
        self._begin()

    def resume(self, longest_bytes: int) -> None:
        """Go on with what an earlier run left, where it holds so many bytes or fewer."""
        found = _best(self._folder, self._sha256, longest_bytes)
        if found is None:
            return
        path, durable = found
        try:
            self._digest = _hashed(path, durable)
            self._handle = disk.reopen(path, durable)
        except OSError:  # it cannot be read back: as if it were not there
            self._begin()
            _remove(path)
            return
        self._path, self.length, self._durable = path, durable, durable

    @property
    def path(self) -> Path:
        """Where the file is now."""
        return self._path

    @property
    def sha256(self) -> str:
        """Of all that is in it."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Add to its end."""
        try:
            if self._handle is None:
                disk.make_folder(self._folder)
                self._handle = disk.create(self._path)
            disk.write(self._handle, data)
        except OSError as error:
            raise self._refused(error) from None
        self._digest.update(data)
        self.length += len(data)
        waited_s = self._flushing.clock() - self._flushed_s
        if (
            self.length - self._durable >= self._flushing.every_bytes
            or waited_s >= self._flushing.every_s
        ):
            self.flush()

    def flush(self) -> None:
        """Make all of it durable, and let its name say so."""
        if self._handle is None or not self._sound or self.length == self._durable:
            return
        try:
            disk.fsync(self._handle)
            name = self._folder / part_name(self._sha256, self.length)
            disk.rename(self._path, name)
            self._path = name
            disk.fsync_folder(self._folder)  # or a cut might take the file away by its name
        except OSError as error:
            raise self._refused(error) from None
        self._durable = self.length
        self._flushed_s = self._flushing.clock()

    def leave(self) -> None:
        """Close it so that a later run can go on with it."""
        try:
            self.flush()
        finally:
            self._close()

    def discard(self) -> None:
        """Remove it and begin anew, under another name than the bytes that were flushed."""
        self._close()
        _remove(self._path)
        self._begin()

    def finish(self, target: Path) -> None:
        """Make it durable under its final name."""
        try:
            disk.make_folder(target.parent)
            if self._handle is None:  # a file without a byte
                disk.make_folder(self._folder)
                self._handle = disk.create(self._path)
            disk.fsync(self._handle)
            self._close()
            disk.rename(self._path, target)
            disk.fsync_folder(target.parent)
        except OSError as error:
            raise self._refused(error) from None

    def _begin(self) -> None:
        self._digest = hashlib.sha256()
        self._path = self._folder / part_name(self._sha256, 0)
        self.length = self._durable = 0
        self._flushed_s = self._flushing.clock()

    def _close(self) -> None:
        if self._handle is not None:
            handle, self._handle = self._handle, None
            disk.close(handle)

    def _refused(self, error: OSError) -> UsageError:
        # After a write or flush that failed nobody knows what is on the disk (a second fsync
        # may say yes to pages that were dropped): only what was flushed before counts.
        self._sound = False
        return refused(self._folder, error)


def _best(folder: Path, sha256: str, longest_bytes: int) -> tuple[Path, int] | None:
    """The part with the most bytes; every other one of the same file is removed."""
    found: list[tuple[int, Path]] = []
    for path in _files(folder):
        name = parse_name(path.name)
        if name is None or name[0] != sha256:
            continue
        if 0 < name[1] <= longest_bytes and _size(path) >= name[1]:
            found.append((name[1], path))
        else:
            _remove(path)
    for _, path in sorted(found)[:-1]:
        _remove(path)
    if not found:
        return None
    durable, path = max(found)
    return path, durable


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror or error}") from None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _remove(path: Path) -> None:
    try:
        disk.unlink(path)
    except OSError as error:
        raise refused(path, error) from None


def _hashed(path: Path, length: int) -> hashlib._Hash:
    """The digest of a file's first bytes. Raises OSError, also where there are fewer."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while length:
            data = file.read(min(_READ_BYTES, length))
            if not data:
                raise OSError(errno.EIO, "fewer bytes than its name says")
            digest.update(data)
            length -= len(data)
    return digest
