"""A device whose leads are exact in binary, and a decoder that plays prepared events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ecgedge.streaming.session import Session
from ecgedge.streaming.told import Notice, Window
from firmware_bridge.events import Channel, Configuration, Counters, Event, Frame, Gap

RATE_HZ = 100.0
#: mV a count at gain 1: a power of two, so that every lead is exact whatever is added first.
LSB_MV = 2.0**-10
DEVICE = Configuration(
    device="00000000000000aa",
    boot=7,
    rate_hz=RATE_HZ,
    reference_mv=2.0**13,
    encoding="twos",
    full_scale=2**23,
    channels=(
        Channel("LA", "RA", 1.0),
        Channel("LL", "RA", 1.0),
        *(Channel(electrode, "WCT", 1.0) for electrode in ("C1", "C2", "C3", "C4", "C5", "C6")),
    ),
    tag=99,
)


def with_gain(configuration: Configuration, gain: float) -> Configuration:
    channels = tuple(replace(one, gain=gain) for one in configuration.channels)
    return replace(configuration, channels=channels, tag=configuration.tag + int(gain))


def leads_of(counts: NDArray[np.int32], gain: float = 1.0) -> NDArray[np.float32]:
    """Einthoven and Goldberger by hand: (n, 8) counts to (12, n) mV."""
    one, two, *chest = counts.T * (LSB_MV / gain)
    limb = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return np.array([*limb, *chest], dtype=np.float32)


def counts_at(first: int, samples: int) -> NDArray[np.int32]:
    """Whole numbers that tell every sample and channel from its neighbours."""
    numbers = np.arange(first, first + samples)[:, None] % 1009
    return (numbers * 8 + np.arange(8) * 3 - 4000).astype(np.int32) * 2


def frame(first: int, samples: int = 10, **other: object) -> Frame:
    """One with the right counts and no clock, unless told otherwise."""
    fields = {"t_us": None, "off": 0, "off_valid": 0, "configuration": DEVICE}
    return Frame(first, counts_at(first, samples), **{**fields, **other})  # type: ignore[arg-type]


def frames(first: int, end: int, samples: int = 10, **other: object) -> list[Frame]:
    return [
        frame(at, min(samples, end - at), **other)  # a last one may be shorter
        for at in range(first, end, samples)
    ]


class Played:
    """A Decoder: each byte, whatever it is, completes one event."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.counters = Counters()
        self._events = list(events)

    def then(self, events: Sequence[Event]) -> None:
        """These come next."""
        self._events += events

    def feed(self, data: bytes) -> list[Event]:
        self.counters.octets += len(data)
        return self._take(len(data))

    def finish(self) -> list[Event]:
        return self._take(len(self._events))

    def _take(self, number: int) -> list[Event]:
        taken, self._events = self._events[:number], self._events[number:]
        for event in taken:
            if isinstance(event, Frame):
                self.counters.frames += 1
                self.counters.samples += len(event.counts)
                self.counters.configurations = 1 if event.configuration else 0
            elif isinstance(event, Gap):
                self.counters.gaps += 1
                self.counters.lost += event.samples or 0
            else:
                self.counters.damaged += 1
        return taken


def play(
    events: Sequence[Event], *, at_once: int = 1, us_each: int = 1000, **options: float
) -> tuple[Session, list[Window], list[Notice]]:
    """All of it through a new Session: it, its windows and its notices."""
    session = Session(Played(events), source="test", **options)  # type: ignore[arg-type]
    told: list[Window | Notice] = []
    for number, at in enumerate(range(0, len(events), at_once)):
        told += session.feed(bytes(min(at_once, len(events) - at)), number * us_each)
    told += session.finish(len(events) * us_each)
    windows = [one for one in told if isinstance(one, Window)]
    return session, windows, [one for one in told if isinstance(one, Notice)]


def said(notices: Sequence[Notice], *kinds: str) -> list[str]:
    """The texts of the notices of these kinds."""
    return [notice.text for notice in notices if notice.kind in kinds]
