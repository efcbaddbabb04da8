"""A scene for an attack on a cart, and what an attack is.

A scene opens after an honest release was taken and a second one was published, of which the
cart knows nothing yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sim_repository import SimRepository, SimSource

from ecgedge.errors import EcgedgeError, TrustError
from ecgedge.sync.layout import METADATA, TARGETS

DAY = timedelta(days=1)
TIMESTAMP = f"{METADATA}/timestamp.json"


@dataclass
class Scene:
    """centre: honest, with both releases, by its clock. source: what the cart is served.
    early: all files as they were when only the first release was out. now: the cart's clock.
    """

    centre: SimRepository
    source: SimSource
    early: dict[str, bytes]
    now: datetime

    def serve(self, path: str, data: bytes | None) -> None:
        """In the place of a file; None: it is not there."""
        self.source.replaced[path] = data

    def serve_all(self, thief: SimRepository) -> None:
        self.source.files = thief.files

    def newest(self, role: str) -> str:
        """The path of a role's newest file."""
        version = getattr(self.centre, role).version
        return TIMESTAMP if role == "timestamp" else f"{METADATA}/{version}.{role}.json"

    def new(self, kind: str) -> str:
        """The path of the largest file of this kind that the second release brings."""
        paths = [path for path in self.centre.files if path.startswith(f"{TARGETS}/{kind}/")]
        return max(set(paths) - set(self.early), key=lambda path: len(self.centre.files[path]))


@dataclass(frozen=True)
class Attack:
    """name: for the table. says: a part of the sentence. files: whether it is on a release's
    files, so that refreshing the metadata alone does not meet it. stolen: whether keys were,
    so that the centre has to change its keys before the cart can hear it again.
    """

    name: str
    says: str
    arrange: Callable[[Scene], None]
    error: type[EcgedgeError] = TrustError
    files: bool = False
    stolen: bool = False
