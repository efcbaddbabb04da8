"""What decoders of fixed-length records make of octets, for their tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from firmware_bridge.devices import DEVICES, open_decoder
from firmware_bridge.events import Decoder, Event, Frame

RECORDS = [name for name, device in DEVICES.items() if device.record is not None]


def octets_of(name: str) -> int:
    layout = DEVICES[name].record
    assert layout is not None
    return layout.octets


def events_of(name: str, data: bytes, cut: Sequence[int] = (), **chosen: bool) -> list[Event]:
    """What a new decoder says of data, fed in pieces."""
    return events_and_decoder(name, data, cut, **chosen)[0]


def events_and_decoder(
    name: str, data: bytes, cut: Sequence[int] = (), **chosen: bool
) -> tuple[list[Event], Decoder]:
    decoder = open_decoder(name, **chosen)
    events: list[Event] = []
    for start, end in zip([0, *cut], [*cut, len(data)], strict=True):
        events += decoder.feed(data[start:end])
    return [*events, *decoder.finish()], decoder


def counts_in(events: Sequence[Event]) -> np.ndarray:
    return np.concatenate([one.counts for one in events if isinstance(one, Frame)])


def others(events: Sequence[Event]) -> list[Event]:
    return [one for one in events if not isinstance(one, Frame)]


def as_plain(events: Sequence[Event]) -> list[object]:
    return [
        (e.first, e.counts.tolist(), e.off, e.off_valid) if isinstance(e, Frame) else e
        for e in events
    ]
