"""Gets one signed file whole, over links that break and machines that lose their power.

Not python-tuf's own download: that begins anew after each break, writes into the system's
temporary folder (a Pi's memory) and never flushes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from ecgedge.errors import NetworkError, TrustError
from ecgedge.sync.layout import TARGETS
from ecgedge.sync.parts import Flushing, Part, sweep
from ecgedge.sync.ranges import BadRange
from ecgedge.sync.transport import Missing, Source
from ecgedge.sync.trusted import Target

#: Seconds before the further tries, after those that brought nothing; then it is given up.
WAITS_S = (1.0, 2.0, 4.0, 8.0)
_SMALL_WAITS_S = (1.0, 2.0)
#: A try that brings fewer bytes than these brings nothing: a server must not be able to keep
#: a cart at it for ever by sending one byte and hanging up.
_PROGRESS_BYTES = 4096
#: Of a small file that broke off so much is worth keeping. What a server replaces from time to
#: time (timestamp.json) is far shorter, and never put together from an old one and a new one.
_GONE_ON_WITH_BYTES = 1 << 15
_SHA256 = re.compile(r"[0-9a-f]{64}")

__all__ = ["fetch", "fetch_bytes", "sweep"]


def fetch(
    source: Source,
    target: Target,
    parts: Path,
    blobs: Path,
    *,
    tick: Callable[[int], None],
    flushing: Flushing | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Put a target's bytes at blobs/<sha256>, durable and verified, or raise.

    Goes on with what an earlier run left in `parts`, and leaves there what it got when it
    fails. tick: called with the bytes that each step added, those found from an earlier run
    first; with a negative number where bytes had to be thrown away, so that the sum is always
    what is here. sleep: seconds.

    Raises Missing, NetworkError once several tries in a row brought nothing, TrustError where
    the source sends more than was signed or, twice in full, something else, UsageError where
    the disk refuses.
    """
    if not _SHA256.fullmatch(target.sha256):
        raise TrustError(f"{target.path} is signed without a SHA-256: tell those who publish it")
    part = Part(parts, target.sha256, flushing or Flushing())
    part.resume(target.length)
    tick(part.length)
    try:
        _fill(source, target, part, tick, sleep)
        if part.sha256 != target.sha256:
            # A part that was damaged here is as likely as a source that lies: once more.
            _begin_anew(part, tick)
            _fill(source, target, part, tick, sleep)
        if part.sha256 != target.sha256:
            _begin_anew(part, tick)
            raise TrustError(
                f"{source.name} sends other bytes for {target.path} than the centre signed: "
                "nothing of it was installed, tell those who run it"
            )
        part.finish(blobs / target.sha256)
    finally:
        part.leave()


def fetch_bytes(
    source: Source, path: str, limit: int, *, sleep: Callable[[float], None] = time.sleep
) -> bytes:
    """A small file's bytes, at most `limit` of them. path: in the repository.

    Raises as `Source.open`, once a few tries in a row brought next to nothing; TrustError for a
    longer file.
    """
    data = bytearray()
    waits_s = iter(_SMALL_WAITS_S)
    while True:
        before = len(data)
        try:
            _append(source, path, limit, data)
            return bytes(data)
        except Missing:
            raise
        except NetworkError as error:
            if len(data) - before >= _GONE_ON_WITH_BYTES:
                waits_s = iter(_SMALL_WAITS_S)
            elif (wait_s := next(waits_s, None)) is not None:
                sleep(wait_s)
            else:
                raise
            if isinstance(error, BadRange) or len(data) < _GONE_ON_WITH_BYTES:
                data.clear()


def _append(source: Source, path: str, limit: int, data: bytearray) -> None:
    """Add what one request brings to what others brought."""
    with source.open(path, len(data)) as reply:
        del data[reply.start :]
        for chunk in reply.chunks:
            data += chunk
            if len(data) > limit:
                raise TrustError(
                    f"{source.name} sends more than {limit} bytes as {path}, which no honest "
                    "source does: nothing was taken from it"
                )


def _fill(
    source: Source,
    target: Target,
    part: Part,
    tick: Callable[[int], None],
    sleep: Callable[[float], None],
) -> None:
    """Add to the part until it has the signed length."""
    whole = False  # ask for all of it, since the server got a piece of it wrong
    vain = 0
    while part.length < target.length:
        before = part.length
        try:
            _add(source, target, part, tick, 0 if whole else part.length)
        except Missing as error:
            raise Missing(
                f"{error}: it may not have all of the release yet, try again later"
            ) from None
        except NetworkError as error:
            part.flush()
            if isinstance(error, BadRange) and not whole:
                whole = True
                continue
            whole = False
            vain = 0 if part.length - before >= _PROGRESS_BYTES else vain + 1
            if vain > len(WAITS_S):
                raise
            if vain:
                sleep(WAITS_S[vain - 1])


def _add(
    source: Source, target: Target, part: Part, tick: Callable[[int], None], start: int
) -> None:
    """One request: add what it brings. Raises NetworkError where that was not all."""
    with source.open(f"{TARGETS}/{target.path}", start) as reply:
        _check_total(source, target, reply.total_bytes)
        if reply.start not in (0, start):
            raise BadRange(f"{source.name} begins {target.path} elsewhere than it was asked to")
        # A server that cannot send pieces sends all: what is here already is passed over, so
        # that nothing is lost if this breaks too.
        known = part.length - reply.start
        for chunk in reply.chunks:
            new = chunk[known:]
            known = max(0, known - len(chunk))
            if part.length + len(new) > target.length:
                raise _too_long(source, target)
            if new:
                part.write(new)
                tick(len(new))
            if part.length == target.length:
                return
    raise NetworkError(
        f"{source.name} sends fewer bytes of {target.path} than the centre signed: it may not "
        "have all of the release yet, try again later"
    )


def _check_total(source: Source, target: Target, total_bytes: int | None) -> None:
    if total_bytes is None or total_bytes == target.length:
        return
    if total_bytes > target.length:
        raise _too_long(source, target)
    raise NetworkError(
        f"{source.name} has {total_bytes} bytes of {target.path}, the centre signed "
        f"{target.length}: it may not have all of the release yet, try again later"
    )


def _too_long(source: Source, target: Target) -> TrustError:
    return TrustError(
        f"{source.name} sends more bytes for {target.path} than the {target.length} that the "
        "centre signed: nothing of it was installed, tell those who run it"
    )


def _begin_anew(part: Part, tick: Callable[[int], None]) -> None:
    tick(-part.length)
    part.discard()
