"""Files that are either whole or not there, even when the power fails.

Write beside the target, fsync, rename over it, fsync the folder: a reader sees
the old bytes or the new ones, never a mixture (POSIX rename is atomic).
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ecgedge import disk
from ecgedge.errors import DamagedError, UsageError

_TEMPORARY = re.compile(r"\..+\.\d+\.tmp")
_MENDING = "run `ecgedge sync` or reinstall"
_REMEDIES = dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space")
_REMEDIES |= dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "make it writable")
_REMEDIES[errno.EIO] = "check the disk"


def write_atomic(path: Path, data: bytes) -> None:
    """Put data at path; raises UsageError where the disk refuses it (full, read-only)."""
    try:
        write_pieces(path, [data])
    except OSError as error:
        raise refused(path, error) from None


def refused(path: Path, error: OSError) -> UsageError:
    """What to tell a person whose disk would not take a change at `path`."""
    remedy = _REMEDIES.get(error.errno or 0)
    told = f"{path} cannot be written: {error.strerror or error}"
    return UsageError(f"{told}; {remedy} and run it again" if remedy else told)


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """As `write_atomic`, for what is too large to hold in memory; raises OSError."""
    with replacing(path) as temporary:
        handle = disk.create(temporary)
        try:
            for piece in pieces:
                disk.write(handle, piece)
        finally:
            disk.close(handle)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write, which takes path's place if the block ends well and is gone if not.

    It lies in path's own folder, because rename works within one file system only.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        install(temporary, path)
    except BaseException:
        with suppress(OSError):  # a disk that refuses this too has told why before
            disk.unlink(temporary)
        raise


def sweep_temporaries(folder: Path) -> None:
    """Remove what writes that were cut short left in a folder; nobody may be writing there.

    Raises UsageError where the disk refuses.
    """
    try:
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            if _TEMPORARY.fullmatch(path.name):
                disk.unlink(path)
    except OSError as error:
        raise refused(folder, error) from None


def install(temporary: Path, path: Path) -> None:
    """Make a finished temporary file durable under its final name."""
    handle = disk.reopen(temporary, temporary.stat().st_size)
    try:
        disk.fsync(handle)
    finally:
        disk.close(handle)
    disk.rename(temporary, path)
    disk.fsync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, durably; raises UsageError where the disk refuses."""
    try:
        disk.make_folder(folder)
    except OSError as error:
        raise refused(folder, error) from None


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verified(path: Path) -> Path:
    """The path again, once the file's bytes hash to its name.

    Raises DamagedError when it is missing, unreadable or changed.
    """
    try:
        actual = sha256_of(path)
    except FileNotFoundError:
        raise DamagedError(f"{path} is missing: {_MENDING}") from None
    except OSError as error:
        raise DamagedError(f"{path} cannot be read ({error.strerror}): {_MENDING}") from None
    if actual != path.name:
        raise DamagedError(f"{path} is damaged, its SHA-256 is {actual[:12]}...: {_MENDING}")
    return path
