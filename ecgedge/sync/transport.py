"""What a source of releases can do: give the bytes of one file, from a place on.

`http.HttpSource` and `folder.FolderSource` do it for real, a simulator in the tests in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from ecgedge.errors import NetworkError


class Missing(NetworkError):
    """The source does not have this file."""


@dataclass(frozen=True)
class Reply:
    """A file's bytes on their way. start: the place of the first one in the file, which is 0
    where the source cannot start elsewhere. chunks: the rest of the file; iterating raises
    NetworkError where the connection breaks or is too slow. total_bytes: the whole file's
    length, where the source says it.
    """

    start: int
    chunks: Iterator[bytes]
    total_bytes: int | None = None


class Source(Protocol):
    """A repository, wherever it lies."""

    @property
    def name(self) -> str:
        """For people: the address, without a password in it."""
        ...

    def open(self, path: str, start: int = 0) -> AbstractContextManager[Reply]:
        """Begin to read `path` (relative, with slashes) at this byte.

        Raises Missing, NetworkError where a later try may help, TrustError for what no honest
        source does (a redirect to another host, a path that leaves the repository).
        """
        ...
