"""A source that counts what it gave: the bytes over the wire, metadata included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from ecgedge.sync.transport import Reply, Source


class Counted:
    """Passes a source through. received_bytes: of bodies, so far, repeated ones each time."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.received_bytes = 0

    @property
    def name(self) -> str:
        """As the source's."""
        return self._source.name

    @contextmanager
    def open(self, path: str, start: int = 0) -> Iterator[Reply]:
        """As the source's."""
        with self._source.open(path, start) as reply:
            yield replace(reply, chunks=self._count(reply.chunks))

    def _count(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.received_bytes += len(chunk)
            yield chunk
