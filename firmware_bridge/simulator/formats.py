"""The formats a simulated device can speak: our wire, or the records of a known device."""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ecgedge.errors import UsageError
from firmware_bridge import wire
from firmware_bridge.devices import Device, device
from firmware_bridge.events import Configuration
from firmware_bridge.records import pack
from firmware_bridge.simulator import encoding


class Format(Protocol):
    """How counts become octets.

    samples: of one frame. framed: whether delimiters and checksums show every damage.
    """

    samples: int
    framed: bool

    def tagged(self, configuration: Configuration) -> Configuration:
        """The configuration as data will refer to it."""
        ...

    def announce(self, configuration: Configuration) -> bytes:
        """The frame that tells the configuration; b"" where the format has none."""
        ...

    def frames(
        self,
        configuration: Configuration,
        counts: NDArray[np.int32],
        samples: int,
        *,
        first: int,
        t_us: NDArray[np.int64],
        off: NDArray[np.int64],
        off_valid: int,
    ) -> list[bytes]:
        """Frames of `samples` samples; t_us and off have one value for each."""
        ...


class Wire:
    """Our wire format."""

    framed = True

    def __init__(self, samples: int) -> None:
        if not 1 <= samples <= wire.MAX_SAMPLES:
            raise UsageError(f"a frame holds 1 to {wire.MAX_SAMPLES} samples, not {samples}")
        self.samples = samples

    def tagged(self, configuration: Configuration) -> Configuration:
        return wire.tagged(configuration)

    def announce(self, configuration: Configuration) -> bytes:
        return encoding.configuration_frame(configuration)

    def frames(
        self,
        configuration: Configuration,
        counts: NDArray[np.int32],
        samples: int,
        *,
        first: int,
        t_us: NDArray[np.int64],
        off: NDArray[np.int64],
        off_valid: int,
    ) -> list[bytes]:
        return encoding.data_frames(
            counts,
            samples,
            tag=configuration.tag,
            first=first,
            t_us=t_us,
            off=off,
            off_valid=off_valid,
        )


class Records:
    """One record a sample, as a known device sends them: no configuration, no checksum."""

    framed = False
    samples = 1

    def __init__(self, device: Device) -> None:
        self._device = device

    def tagged(self, configuration: Configuration) -> Configuration:
        return configuration

    def announce(self, configuration: Configuration) -> bytes:
        return b""

    def frames(
        self,
        configuration: Configuration,
        counts: NDArray[np.int32],
        samples: int,
        *,
        first: int,
        t_us: NDArray[np.int64],
        off: NDArray[np.int64],
        off_valid: int,
    ) -> list[bytes]:
        edges = [0, *(np.flatnonzero(np.diff(off)) + 1).tolist(), len(off)]
        return [
            record
            for begin, end in pairwise(edges)
            for record in pack(
                self._device,
                counts[begin:end],
                first=first + begin,
                off=int(off[begin]),
                off_valid=off_valid,
            )
        ]


def format_of(name: str, samples_per_frame: int) -> Format:
    """The format of a device in `devices.DEVICES`. Raises UsageError for another name."""
    row = device(name)
    return Wire(samples_per_frame) if row.record is None else Records(row)
