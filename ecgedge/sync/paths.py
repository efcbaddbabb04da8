"""A file's place in a repository, checked before it becomes part of a URL or a file's path."""

from __future__ import annotations

import re
from urllib.parse import quote

from ecgedge.errors import TrustError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
_MAX_SEGMENT_BYTES = 255  # what file systems take


def segments(path: str) -> tuple[str, ...]:
    """The parts between the slashes of a relative path.

    Raises TrustError for one that could lead out of the repository or into something else:
    absolute, with ".." or ".", an empty part, a backslash, a control character, a scheme.
    """
    parts = tuple(path.split("/"))
    if (
        any(part in ("", ".", "..") for part in parts)
        or _SCHEME.match(path)
        or _CONTROL.search(path)
        or any(len(_encoded(part)) > _MAX_SEGMENT_BYTES for part in parts)
    ):
        raise TrustError(
            f"the repository names a file {path[:80]!r}, which no honest one does: nothing was "
            "taken from it, tell those who run it"
        )
    return parts


def quoted(path: str) -> str:
    """The path as it stands in a URL. Raises TrustError as `segments`."""
    return "/".join(quote(_encoded(part), safe="") for part in segments(path))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
