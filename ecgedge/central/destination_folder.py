"""A repository in a folder: served by nginx, carried on a stick, copied by rsync.

Every file appears under its name by a rename, so a server that reads at that moment sees the old
bytes or the new ones. The folder is locked while somebody publishes; the lock goes with the
process that held it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ecgedge import disk
from ecgedge.atomic import replacing
from ecgedge.central.destination import Upload, overtaken
from ecgedge.errors import BusyError, UsageError

_TEMPORARY = re.compile(r"\..+\.\d+\.tmp")
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class FolderDestination:
    """A folder; it is made when the first file is written."""

    root: Path

    @property
    def name(self) -> str:
        return str(self.root)

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._told(self.root):
            disk.make_folder(self.root)
            handle = os.open(self.root, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._lock(handle)
            self._sweep()
            yield
        finally:
            os.close(handle)

    def _lock(self, handle: int) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise BusyError(
                    f"{self.root}: another `ecgedge publish` is at it: wait until it is done"
                ) from None
            # Some network file systems cannot lock a folder; `switch` still looks.

    def _sweep(self) -> None:
        """Remove what a publisher that was killed left half written."""
        for path in self.root.glob("*/**/.*.tmp"):
            if _TEMPORARY.fullmatch(path.name):
                with self._told(path):
                    disk.unlink(path)

    def sizes(self, folder: str) -> dict[str, int]:
        with self._told(self.root / folder):
            return {
                path.relative_to(self.root).as_posix(): path.stat().st_size
                for path in sorted((self.root / folder).rglob("*"))
                if path.is_file()
            }

    def read(self, path: str) -> bytes | None:
        with self._told(self.root / path):
            try:
                return (self.root / path).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def pieces(self, path: str) -> Iterator[bytes]:
        with self._told(self.root / path), (self.root / path).open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece

    def create(self, path: str, data: bytes) -> None:
        if (self.root / path).exists():
            raise overtaken(self.name, path)
        self._write(path, data)

    def put(self, upload: Upload) -> None:
        self._write(upload.path, upload.content)

    def switch(self, path: str, data: bytes, before: bytes | None) -> None:
        if self.read(path) != before:
            raise overtaken(self.name, path)
        self._write(path, data)

    def remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            with self._told(self.root / path):
                disk.unlink(self.root / path)

    def _write(self, path: str, content: bytes | Path) -> None:
        target = self.root / path
        with self._told(target):
            disk.make_folder(target.parent)
            with replacing(target) as temporary:
                handle = disk.create(temporary)
                try:
                    _copy(content, handle)
                finally:
                    disk.close(handle)

    @contextmanager
    def _told(self, path: Path) -> Iterator[None]:
        """The system's errors, as one sentence that says what to do."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                free = shutil.disk_usage(self.root).free / 1e6
                raise UsageError(
                    f"{self.root} is full ({free:.1f} MB free): make room and run it again, it "
                    "goes on where it stopped; carts still see what was published before"
                ) from None
            raise UsageError(
                f"{path} cannot be read or written: {error.strerror or error}"
            ) from None


def _copy(content: bytes | Path, handle: int) -> None:
    if isinstance(content, bytes):
        disk.write(handle, content)
        return
    with content.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            disk.write(handle, piece)
