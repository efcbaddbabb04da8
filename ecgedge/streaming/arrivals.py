"""What a source of octets gives, live or out of a log, and what a source is.

A log is nothing but these, written down: what replays it cannot tell it from the device.
Times are microseconds of the host's monotonic clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Octets:
    """Some octets, in the order in which the device sent them."""

    host_us: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """The device is away: a cable was pulled, the other end hung up. why: a clause."""

    host_us: int
    why: str


@dataclass(frozen=True, slots=True)
class Back:
    """The device, or another one, is there again."""

    host_us: int


@dataclass(frozen=True, slots=True)
class End:
    """Nothing more will come. why: what is wrong with that end, or ""."""

    host_us: int
    why: str = ""


Arrival = Octets | Lost | Back | End


class Source(Protocol):
    """Where octets come from.

    name: as a person wrote it. live: whether octets come whether they are read or not; then
    nobody may wait for an answer. options: what a log's header says of its device, else {}.
    """

    name: str
    live: bool
    options: Mapping[str, Any]

    def read(self, timeout_s: float) -> Arrival | None:
        """The next thing to happen; None where nothing did within timeout_s."""
        ...

    def now_us(self) -> int:
        """The time to go by while nothing arrives."""
        ...

    def close(self) -> None:
        """Let go of it; a device that must be told to stop is told."""
        ...
