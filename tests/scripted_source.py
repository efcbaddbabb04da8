"""A source in memory that answers as a test says, and a cart that fetches from it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ecgedge.errors import NetworkError
from ecgedge.sync.fetch import fetch
from ecgedge.sync.parts import Flushing, part_name
from ecgedge.sync.transport import Reply
from ecgedge.sync.trusted import Target

DATA = bytes(range(256)) * 256  # 64 KiB
OTHER = bytes(len(DATA))
SHA256 = hashlib.sha256(DATA).hexdigest()
TARGET = Target(f"blobs/{SHA256}", len(DATA), SHA256)

Answer = Callable[[int], Reply]


class Scripted:
    """A source in memory: one answer a request, the last one for all that follow."""

    name = "the source"

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.starts: list[int] = []

    @contextmanager
    def open(self, path: str, start: int = 0) -> Iterator[Reply]:
        assert path == f"targets/{TARGET.path}"
        self.starts.append(start)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        yield answer(start)


def pieces(data: bytes, size: int = 1000) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def sends(data: bytes, breaks_after: int | None = None, total: int | None = None) -> Answer:
    """From the byte asked for; breaks_after: the connection fails after so many."""

    def chunks(start: int) -> Iterator[bytes]:
        rest = data[start:]
        yield from pieces(rest if breaks_after is None else rest[:breaks_after])
        if breaks_after is not None:
            raise NetworkError("the connection broke")

    return lambda start: Reply(start, chunks(start), total)


def sends_all(data: bytes) -> Answer:
    """From the first byte, whatever was asked for."""
    return lambda start: Reply(0, pieces(data))


def fails(error: Exception) -> Answer:
    def answer(start: int) -> Reply:
        raise error

    return answer


class Cart:
    """The folders and what the fetcher told about its work."""

    def __init__(self, folder: Path) -> None:
        self.parts, self.blobs = folder / "parts", folder / "blobs"
        self.ticks: list[int] = []
        self.waits: list[float] = []

    def fetch(self, source: Scripted, every_bytes: int = 4096, target: Target = TARGET) -> None:
        fetch(
            source,
            target,
            self.parts,
            self.blobs,
            tick=self.ticks.append,
            flushing=Flushing(every_bytes, every_s=float("inf")),
            sleep=self.waits.append,
        )

    def leave(self, durable: int, content: bytes) -> None:
        """A part as an earlier run may have left it."""
        self.parts.mkdir(exist_ok=True)
        (self.parts / part_name(SHA256, durable)).write_bytes(content)

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in self.parts.iterdir()) if self.parts.exists() else []

    def has_it(self) -> bool:
        return (self.blobs / SHA256).read_bytes() == DATA and self.left == []
