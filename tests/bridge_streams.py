"""Streams in our wire format for tests: a configuration, frames by number, and both as octets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.decoder import WireDecoder
from firmware_bridge.events import Channel, Configuration, Counters, Event, Frame
from firmware_bridge.wire import configuration_body, data_body, seal, tagged

ELECTRODES = ("RA", "LA", "LL", "C1", "C2", "C3", "C4", "C5")


def configuration(channels: int = 2, **changes: Any) -> Configuration:
    """A device's, with its tag."""
    inputs = tuple(Channel(one, "REF", 6.0) for one in ELECTRODES[:channels])  # type: ignore[arg-type]
    told = Configuration("00000000000000aa", 7, 500.0, 2400.0, "twos", 2**23 - 1, inputs)
    return tagged(replace(told, **changes))


def told(configuration: Configuration) -> bytes:
    """A configuration frame."""
    return seal(configuration_body(configuration))


def counts(first: int, samples: int, channels: int = 2) -> NDArray[np.int32]:
    """What a converter gave: told from the number of the sample alone, with zeros and signs."""
    number = np.arange(first, first + samples, dtype=np.int64)[:, None]
    return ((number * 7919 * (np.arange(channels) + 1)) % 4093 - 2046).astype(np.int32)


def data(
    first: int,
    samples: int = 10,
    *,
    configuration: Configuration | None = None,
    channels: int = 2,
    **fields: Any,
) -> bytes:
    """A data frame with the samples that have these numbers; tag 1 without a configuration."""
    if configuration is not None:
        channels = len(configuration.channels)
    fields = {"t_us": 2000 * first, "tag": configuration.tag if configuration else 1} | fields
    return seal(data_body(counts(first, samples, channels), first=first, **fields))


def decode(stream: bytes, pieces: Sequence[int] = ()) -> tuple[list[Event], Counters]:
    """Everything a new decoder makes of a stream that is cut at these places."""
    decoder, events, at = WireDecoder(), [], 0
    for place in (*sorted(pieces), len(stream)):
        events += decoder.feed(stream[at:place])
        at = place
    events += decoder.finish()
    return events, decoder.counters


def plain(events: Iterable[Event]) -> list[Any]:
    """Events that compare with ==: arrays compare by element."""
    return [
        (one.first, one.counts.tolist(), one.t_us, one.off, one.off_valid, one.configuration)
        if isinstance(one, Frame)
        else one
        for one in events
    ]


def numbers(events: Iterable[Event]) -> list[int]:
    """Of every sample delivered, in order."""
    frames = [one for one in events if isinstance(one, Frame)]
    return [number for one in frames for number in range(one.first, one.end)]


def accounted(counters: Counters) -> int:
    """Octets that the counters say were something."""
    return (
        counters.data_octets
        + counters.configuration_octets
        + counters.delimiters
        + counters.damaged_octets
    )
