"""Every change to files that has to survive a power cut goes through these few functions.

They are what the operating system offers, one call each, with whole files named by path and
open ones by handle. A test puts a recorder in their place and replays every prefix of what a
sync did, as a disk may look after a power cut. They raise OSError, as the system tells it.
Callers say `disk.write(...)`, never `from ecgedge.disk import write`, which no recorder sees.
"""

from __future__ import annotations

import os
from pathlib import Path


def create(path: Path) -> int:
    """A handle to a new, empty file; one that was there is emptied."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)


def reopen(path: Path, length: int) -> int:
    """A handle to a file that is there, cut to this many bytes, to be written on at its end."""
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    os.ftruncate(handle, length)
    os.lseek(handle, length, os.SEEK_SET)
    return handle


def write(handle: int, data: bytes) -> None:
    """All of data, where the last write ended."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def fsync(handle: int) -> None:
    """Return when what was written lies on the medium."""
    os.fsync(handle)


def close(handle: int) -> None:
    """Let go of a handle; nothing is made durable by it."""
    os.close(handle)


def rename(source: Path, target: Path) -> None:
    """Put source in the place of target, in one step."""
    source.replace(target)


def unlink(path: Path) -> None:
    """Remove a file; none is no error."""
    path.unlink(missing_ok=True)


def mkdir(path: Path) -> None:
    """Make one folder; one that is there is no error."""
    path.mkdir(exist_ok=True)


def fsync_folder(path: Path) -> None:
    """Return when this folder's names (files made, renamed, removed) lie on the medium."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, each durable in the one that holds it.

    Without that a cut could take a new folder away, with every file that was fsynced inside.
    """
    if not path.is_dir():
        make_folder(path.parent)
        mkdir(path)
        fsync_folder(path.parent)
