"""What a cart knows once it has verified a repository's metadata."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

from ecgedge.sync.offers import Offer


@dataclass(frozen=True)
class Target:
    """A file that the centre signed. path: its TUF target path. length in bytes."""

    path: str
    length: int
    sha256: str


@dataclass(frozen=True)
class TrustState:
    """What is remembered from one sync to the next, in one file that is replaced as a whole.

    floor: UTC; the clock is not believed when it says it is earlier than this.
    metadata: the last metadata that was trusted, file name -> text, so that nothing older is
        taken for new.
    """

    floor: datetime.datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trusted:
    """A repository's verified contents. expires: when its timestamp does, UTC."""

    targets: Mapping[str, Target]
    offers: tuple[Offer, ...]
    expires: datetime.datetime
