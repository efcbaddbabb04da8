"""Where a repository is published: a folder, or whatever fsspec reaches (s3://, gs://, memory://).

Only what publishing needs, each in one step a reader cannot see half of: make a file that must
not exist yet, put a file whose name is its hash, replace the one pointer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from ecgedge.errors import BusyError, NetworkError, UsageError


@dataclass(frozen=True)
class Upload:
    """A file to be published. content: its bytes, or the file that holds them. length in bytes."""

    path: str
    content: bytes | Path
    length: int


class Destination(Protocol):
    """A place that a static server or a store of objects gives out."""

    @property
    def name(self) -> str:
        """For people: the address, without a password in it."""
        ...

    def alone(self) -> AbstractContextManager[None]:
        """While it lasts nobody else publishes here, where the place can know that.

        Raises BusyError where somebody does.
        """
        ...

    def sizes(self, folder: str) -> dict[str, int]:
        """Path (relative to the place, with slashes) and bytes of every file below a folder."""
        ...

    def read(self, path: str) -> bytes | None:
        """A file's bytes, None where there is none."""
        ...

    def pieces(self, path: str) -> Iterator[bytes]:
        """A file's bytes in pieces."""
        ...

    def create(self, path: str, data: bytes) -> None:
        """A file that nobody may change any more. Raises BusyError where it exists."""
        ...

    def put(self, upload: Upload) -> None:
        """A file whose name tells its content; one that is there, damaged, is replaced."""
        ...

    def switch(self, path: str, data: bytes, before: bytes | None) -> None:
        """Replace the pointer in one step. Raises BusyError where it is not `before` any more."""
        ...

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files; those that are gone are no error."""
        ...


def open_destination(text: str) -> Destination:
    """The place of an address or folder. All of its methods raise UsageError for what an operator
    must mend (no such bucket, no credentials, disk full) and NetworkError for what may pass.

    Raises UsageError for a protocol that fsspec does not know or whose package is missing.
    """
    from ecgedge.central.destination_bucket import open_bucket
    from ecgedge.central.destination_folder import FolderDestination

    parts = urlsplit(text)
    if "://" not in text:
        return FolderDestination(Path(text))
    if parts.scheme in ("file", "local"):
        if parts.netloc not in ("", "localhost"):
            raise UsageError(f"{text} names a host: write file:///folder, with three slashes")
        return FolderDestination(Path(parts.path))
    if parts.scheme in ("http", "https"):
        raise UsageError(
            f"{without_password(text)}: nothing can be written over HTTP; publish "
            "to the folder or bucket that this address shows"
        )
    return open_bucket(text)


def without_password(text: str) -> str:
    """An address without what stands before the @ of its host."""
    scheme, separator, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def overtaken(name: str, path: str) -> BusyError:
    """The error of a publisher that comes second."""
    return BusyError(
        f"{name}: somebody else has just published {path}: carts see their state, nothing of "
        "yours; run it again to build on it"
    )


def lost(name: str, error: BaseException) -> NetworkError:
    """The error of a place that does not answer as it should."""
    detail = " ".join(str(error).split()) or type(error).__name__
    return NetworkError(f"{name} does not take part: {detail[:300]}; run it again, it goes on")
