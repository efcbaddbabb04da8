"""One blob and one small file for a server of a test, and how they are fetched."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from ecgedge.sync.fetch import fetch
from ecgedge.sync.http import HttpSource
from ecgedge.sync.trusted import Target

DATA = random.Random(6).randbytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
TARGET = Target(f"blobs/{SHA256}", len(DATA), SHA256)
BLOB = f"targets/blobs/{SHA256}"
FILES = {BLOB: DATA, "metadata/timestamp.json": b'{"signed": {}}'}


def fetched(source: HttpSource, folder: Path) -> list[float]:
    """Fetch the blob, check it, and return what was waited, in seconds."""
    waits: list[float] = []
    ticks: list[int] = []
    parts, blobs = folder / "parts", folder / "blobs"
    fetch(source, TARGET, parts, blobs, tick=ticks.append, sleep=waits.append)
    assert (blobs / SHA256).read_bytes() == DATA
    assert sum(ticks) == len(DATA)
    return waits


def read(source: HttpSource, path: str = BLOB, start: int = 0) -> tuple[int, bytes]:
    with source.open(path, start) as reply:
        return reply.start, b"".join(reply.chunks)
