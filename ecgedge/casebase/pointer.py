"""What a store's `current` says: which release answers, which did before, which is held back.

    6dd1acb25c1b97e5
    previous 0123456789abcdef
    held fedcba9876543210

One small file, so that one rename switches and remembers. The first line alone is what stores
had before there was a sync; a line this ecgedge does not know is a newer one's and passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

ID = re.compile(r"[0-9a-f]{16}")
_OPTIONAL = ("previous", "held")


@dataclass(frozen=True)
class Pointer:
    """active: the release that answers. previous: the last good one before it, to go back to.
    held: the release that was rolled back from, which a sync does not install again.
    """

    active: str
    previous: str | None = None
    held: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for what is no release id."""
        for name in (self.active, self.previous, self.held):
            if name is not None and not ID.fullmatch(name):
                raise ValueError(f"{name!r} is not a release id (16 hex digits)")

    def followed_by(self, release: str) -> Pointer:
        """This pointer after a switch forward; the same release changes nothing."""
        return self if release == self.active else Pointer(release, previous=self.active)


def parse(text: str) -> Pointer:
    """The pointer in a file's text. Raises ValueError for anything else."""
    first, *lines = text.strip().splitlines() or [""]
    found: dict[str, str] = {}
    for line in lines:
        word, _, release = line.partition(" ")
        if word in found:
            raise ValueError(f"{word} stands there twice")
        if word in _OPTIONAL:
            found[word] = release.strip()
    return Pointer(first.strip(), **found)


def to_text(pointer: Pointer) -> str:
    """The file's text."""
    lines = [pointer.active]
    lines += [f"previous {pointer.previous}"] if pointer.previous else []
    lines += [f"held {pointer.held}"] if pointer.held else []
    return "\n".join(lines) + "\n"
