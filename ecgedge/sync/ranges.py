"""What a server says about the piece of a file that it sends (RFC 9110, 14.4)."""

from __future__ import annotations

import re

from ecgedge.errors import NetworkError

_BYTES = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE)


class BadRange(NetworkError):
    """Not the piece that was asked for: ask for the whole file."""


def requested(start: int) -> str:
    """The Range header that asks for all from this byte on."""
    return f"bytes={start}-"


def sent(content_range: str | None, start: int) -> tuple[int, int | None]:
    """(the last byte of the piece, the length of the whole file where it is told), in bytes.

    Raises BadRange unless the header is there, makes sense and begins at `start`.
    """
    match = _BYTES.fullmatch((content_range or "").strip())
    if not match:
        raise BadRange(f"the server sent a piece of a file without saying which: {content_range}")
    first, last = int(match[1]), int(match[2])
    total = None if match[3] == "*" else int(match[3])
    if first != start or last < first or (total is not None and last >= total):
        raise BadRange(f"the server was asked for byte {start} on and sent {content_range}")
    return last, total
