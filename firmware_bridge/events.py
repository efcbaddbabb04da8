"""What a decoder makes of bytes, whatever the device: frames, gaps and damage.

Counts stay as the converter gave them until `leads` turns them into twelve leads in mV:
only the configuration knows what a count is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

#: What a converter's input can be tied to. C1 to C6 are the chest electrodes, WCT Wilson's
#: central terminal made by the chip, REF one reference common to all channels of a device
#: without one, NC nothing (a channel that is not used).
Electrode = Literal["NC", "RA", "LA", "LL", "C1", "C2", "C3", "C4", "C5", "C6", "WCT", "REF"]
#: In the order of their numbers on the wire.
ELECTRODES: tuple[Electrode, ...] = (
    "NC", "RA", "LA", "LL", "C1", "C2", "C3", "C4", "C5", "C6", "WCT", "REF",
)  # fmt: skip
#: How a converter writes a number: "twos", or "offset" with 0 V at half of full scale.
NumberEncoding = Literal["twos", "offset"]
NUMBER_ENCODINGS: tuple[NumberEncoding, ...] = ("twos", "offset")
MAX_CHANNELS = 8


@dataclass(frozen=True)
class Channel:
    """One converter input: the voltage from `negative` to `positive`, times `gain`."""

    positive: Electrode
    negative: Electrode
    gain: float


@dataclass(frozen=True)
class Configuration:
    """What a device says of itself, and what its counts are worth.

    device: its id or name. boot: a number that differs from start to start. rate_hz: samples
    a second of every channel. reference_mv: the converter's reference voltage. full_scale:
    counts at +reference ("twos", 2^23 - 1 for TI's ADS129x) or the highest count there is
    ("offset", ADCMAX of the ADS1293, 0 V at its half). amplitude_known: False where counts
    stand for no voltage (a replayed recording in NU). tag: names these very contents in data
    frames; 0 for a device that sends no configuration.
    """

    device: str
    boot: int
    rate_hz: float
    reference_mv: float
    encoding: NumberEncoding
    full_scale: int
    channels: tuple[Channel, ...]
    amplitude_known: bool = True
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Frame:
    """Samples without a gap.

    first: number of its first sample since the device's first, without wrapping around; after a
    `Gap` of unknown length (a restart) numbers are those that the device gives from there on,
    so they can be lower than before.
    counts: int32, (n, channels), in the device's channel order. t_us: the microcontroller's
    clock at the first sample, None where it does not tell. off, off_valid: lead-off bits and
    which of them mean anything: bit c the positive input of channel c, bit 8 + c the negative
    one. configuration: what the counts are worth, None while the device has not said.
    """

    first: int
    counts: NDArray[np.int32]
    t_us: int | None
    off: int
    off_valid: int
    configuration: Configuration | None

    @property
    def end(self) -> int:
        return self.first + len(self.counts)


@dataclass(frozen=True, slots=True)
class Gap:
    """Samples that were taken and never came, or a place where time was lost.

    first: number of the first lost sample. samples: how many; None where nobody can know (a
    restart, a device without a counter): sample numbers begin anew after it, with the next
    frame's first, and `first` is the number that would have come next. modulus: samples may be
    that many more, any number of times (an 8-bit counter: 256); None where it is exact.
    why: "lost", "restarted" or "slipped".
    """

    first: int
    samples: int | None
    why: str
    modulus: int | None = None


@dataclass(frozen=True, slots=True)
class Damaged:
    """Bytes that are no frame. octets: how many. reason: a short phrase, for people.

    kind: which counter it belongs to: "crc", "framing", "length", "version", "shape",
    "configuration" or "sync".
    """

    octets: int
    kind: str
    reason: str


Event = Frame | Gap | Damaged


@dataclass
class Counters:
    """What a decoder has seen.

    frames, samples: delivered. lost: the sum of `Gap.samples`, where known. Good frames that
    were not delivered: duplicates, the same octets again; late, samples that had been declared
    lost; stray, numbers that contradict those around them. reordered: delivered although they
    came after a frame that follows them. unconfigured: samples delivered without a configuration.

    Every octet fed is in one of data_octets (frames, duplicates, late and stray ones),
    configuration_octets, delimiters and damaged_octets, except those of a frame that has not
    ended yet.
    """

    octets: int = 0
    frames: int = 0
    samples: int = 0
    gaps: int = 0
    lost: int = 0
    damaged: int = 0
    duplicates: int = 0
    reordered: int = 0
    late: int = 0
    restarts: int = 0
    configurations: int = 0
    unconfigured: int = 0
    damaged_kinds: dict[str, int] = field(default_factory=dict)
    stray: int = 0
    data_octets: int = 0
    configuration_octets: int = 0
    delimiters: int = 0
    damaged_octets: int = 0


class Decoder(Protocol):
    """Bytes in, events out: pure, incremental, and never raising.

    Events depend on the bytes alone, not on how they were cut into pieces.
    """

    counters: Counters

    def feed(self, data: bytes) -> Sequence[Event]:
        """What these bytes complete."""
        ...

    def finish(self) -> Sequence[Event]:
        """What was held back for bytes that will not come: the end of a log."""
        ...
