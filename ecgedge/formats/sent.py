"""Files that came as bytes, looked at as if they lay in a folder: a WFDB record has two.

A server reads what it is sent without touching a disk or another's folders. Only what the
readers ask of a path is here.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class _Stat:
    st_size: int


@dataclass(frozen=True)
class SentFolder:
    """files: name -> content; no folder lies in it."""

    files: Mapping[str, bytes]

    def __truediv__(self, name: str) -> SentFile:
        return SentFile(name, self.files)


@dataclass(frozen=True)
class SentFile:
    """A name in such a folder, whether or not a file of that name was sent."""

    name: str
    files: Mapping[str, bytes]

    def __str__(self) -> str:
        return self.name

    @property
    def parent(self) -> SentFolder:
        return SentFolder(self.files)

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    def with_name(self, name: str) -> SentFile:
        return SentFile(name, self.files)

    def with_suffix(self, suffix: str) -> SentFile:
        return SentFile(str(PurePosixPath(self.name).with_suffix(suffix)), self.files)

    def is_dir(self) -> bool:
        return False

    def is_file(self) -> bool:
        return self.name in self.files

    exists = is_file

    def stat(self) -> _Stat:
        return _Stat(len(self.read_bytes()))

    def open(self, mode: str) -> io.BytesIO:
        assert mode == "rb"
        return io.BytesIO(self.read_bytes())

    def read_bytes(self) -> bytes:
        """Raises FileNotFoundError for a file that was not sent."""
        if self.name not in self.files:
            raise FileNotFoundError(self.name)
        return self.files[self.name]


#: A file on a disk or one that was sent.
File = Path | SentFile
