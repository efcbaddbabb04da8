"""Files that are either whole or not there, even when the power fails.

Write beside the target, fsync, rename over it, fsync the folder: a reader sees
the old bytes or the new ones, never a mixture (POSIX rename is atomic).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecgedge import disk
from ecgedge.errors import DamagedError, UsageError

_MENDING = "run `ecgedge sync` or reinstall"


def write_atomic(path: Path, data: bytes) -> None:
    """Put data at path; raises UsageError where the disk refuses it (full, read-only)."""
    try:
        with replacing(path) as temporary:
            handle = disk.create(temporary)
            try:
                disk.write(handle, data)
            finally:
                disk.close(handle)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write, which takes path's place if the block ends well and is gone if not.

    It lies in path's own folder, because rename works within one file system only.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        install(temporary, path)
    finally:
        disk.unlink(temporary)


def install(temporary: Path, path: Path) -> None:
    """Make a finished temporary file durable under its final name."""
    handle = os.open(temporary, os.O_WRONLY | os.O_CLOEXEC)
    try:
        disk.fsync(handle)
    finally:
        disk.close(handle)
    disk.rename(temporary, path)
    disk.fsync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, so that they are there after a power cut too.

    Raises UsageError where the disk refuses.
    """
    new = [one for one in (folder, *folder.parents) if not one.is_dir()]
    try:
        disk.make_folder(folder)
        for one in new:
            disk.fsync_folder(one.parent)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror or error}") from None


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
