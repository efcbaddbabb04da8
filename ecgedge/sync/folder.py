"""A repository in a folder, as on a USB stick."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecgedge.errors import NetworkError, TrustError
from ecgedge.sync.layout import METADATA
from ecgedge.sync.paths import segments
from ecgedge.sync.transport import Missing, Reply

CHUNK_BYTES = 1 << 16


class FolderSource:
    """Reads the files below `path`. Links within it are followed, none that leave it."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.path)

    @contextmanager
    def open(self, path: str, start: int = 0) -> Iterator[Reply]:
        """As `transport.Source.open`. A stick that was pulled out is a NetworkError, and not
        Missing, which says that the repository is there and lacks the file.
        """
        try:
            handle = self._open(path)
        except OSError as error:
            raise self._failure(error, path) from None
        try:
            told = os.fstat(handle)
            if not stat.S_ISREG(told.st_mode):
                raise Missing(f"{self.name} has no file {path}")
            yield Reply(start, self._chunks(handle, start, path), told.st_size)
        finally:
            os.close(handle)

    def _open(self, path: str) -> int:
        parts = segments(path)
        try:
            root = self.path.resolve(strict=True)
            found = root.joinpath(*parts).resolve(strict=True)
        except RuntimeError:  # how pathlib tells links in a circle, before Python 3.13
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
        if not found.is_relative_to(root):
            raise TrustError(
                f"{self.path / path} is a link that leads out of the repository: nothing was "
                "taken from it, tell those who made it"
            )
        # What waits for a writer (a named pipe) must not hold the cart.
        return os.open(found, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)

    def _chunks(self, handle: int, start: int, path: str) -> Iterator[bytes]:
        while True:
            try:
                chunk = os.pread(handle, CHUNK_BYTES, start)
            except OSError as error:
                raise self._failure(error, path) from None
            if not chunk:
                return
            start += len(chunk)
            yield chunk

    def _failure(self, error: OSError, path: str) -> NetworkError:
        if not self._is_there():
            return NetworkError(
                f"{self.name} holds no repository: plug the stick in (or check the address of "
                "the source) and try again"
            )
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            return Missing(f"{self.name} has no {path}")
        return NetworkError(
            f"{self.path / path} cannot be read ({error.strerror or error}): plug the stick in "
            "again, or copy the repository anew"
        )

    def _is_there(self) -> bool:
        # Where a stick was mounted an empty folder stays behind, so look inside.
        try:
            return stat.S_ISDIR((self.path / METADATA).stat().st_mode)
        except OSError:
            return False
