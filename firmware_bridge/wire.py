"""The wire format's numbers, and its encoder in Python (the simulator's; chips use the C one).

A frame is COBS(body + CRC-32 of body, little-endian) and a zero. `README.md` draws it.
Everything is little-endian; the layouts are those of `include/ecgedge_frame.h`, and both are
held to `vectors/`.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.cobs import stuff
from firmware_bridge.events import (
    ELECTRODES,
    MAX_CHANNELS,
    NUMBER_ENCODINGS,
    Configuration,
)

VERSION = 1
DATA, CONFIGURATION = 1, 2
MAX_SAMPLES = 15
#: kind (version << 4 | type), flags, lead-off, its valid mask, channels, samples, tag of the
#: configuration, number of the first sample (mod 2^32), microseconds at the first sample.
DATA_HEADER = struct.Struct("<BBHHBBIIQ")
#: kind, flags, device id, boot, rate in mHz, reference in uV, number encoding, full scale,
#: channels; then `CHANNEL` for each.
CONFIGURATION_HEADER = struct.Struct("<BBQIIIBIB")
#: Positive electrode, negative electrode, gain in hundredths.
CHANNEL = struct.Struct("<BBH")
CRC = struct.Struct("<I")
SAMPLE_OCTETS = 3
#: Data: the time means nothing. Configuration: counts stand for no voltage.
FLAG_NO_TIME = FLAG_NO_VOLTAGE = 1
#: The longest body with its checksum, and with COBS around it, without the zero.
MAX_BODY = DATA_HEADER.size + SAMPLE_OCTETS * MAX_CHANNELS * MAX_SAMPLES + CRC.size
MAX_STUFFED = MAX_BODY + 1 + MAX_BODY // 254


def seal(body: bytes) -> bytes:
    """A body as it goes over the wire: checksum, COBS, delimiter."""
    return stuff(body + CRC.pack(zlib.crc32(body))) + b"\0"


def configuration_body(configuration: Configuration) -> bytes:
    """The body of a configuration frame; its tag is not part of it. device: 16 hex digits."""
    told = configuration
    header = CONFIGURATION_HEADER.pack(
        VERSION << 4 | CONFIGURATION,
        0 if told.amplitude_known else FLAG_NO_VOLTAGE,
        int(told.device, 16),
        told.boot,
        round(told.rate_hz * 1000),
        round(told.reference_mv * 1000),
        NUMBER_ENCODINGS.index(told.encoding),
        told.full_scale,
        len(told.channels),
    )
    channels = (
        CHANNEL.pack(
            ELECTRODES.index(one.positive), ELECTRODES.index(one.negative), round(one.gain * 100)
        )
        for one in told.channels
    )
    return header + b"".join(channels)


def tagged(configuration: Configuration) -> Configuration:
    """The same with its tag: the CRC-32 of its body."""
    return replace(configuration, tag=zlib.crc32(configuration_body(configuration)))


def data_body(
    counts: NDArray[np.int32],
    *,
    first: int,
    t_us: int | None,
    tag: int,
    off: int = 0,
    off_valid: int = 0,
) -> bytes:
    """The body of a data frame. counts: (n, channels), each within 24 bits, signed or not."""
    samples, channels = counts.shape
    header = DATA_HEADER.pack(
        VERSION << 4 | DATA,
        FLAG_NO_TIME if t_us is None else 0,
        off,
        off_valid,
        channels,
        samples,
        tag,
        first & 0xFFFFFFFF,
        t_us or 0,
    )
    octets = np.ascontiguousarray(counts, dtype="<i4").view(np.uint8).reshape(-1, 4)
    return header + octets[:, :SAMPLE_OCTETS].tobytes()
