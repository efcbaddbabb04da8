"""Bodies of frames -> what they say, or why they cannot be read. `wire` writes what this reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ecgedge.errors import InputError
from ecgedge.recording import check_rate
from firmware_bridge.events import (
    ELECTRODES,
    MAX_CHANNELS,
    NUMBER_ENCODINGS,
    Channel,
    Configuration,
    Frame,
)
from firmware_bridge.wire import (
    CHANNEL,
    CONFIGURATION,
    CONFIGURATION_HEADER,
    CRC,
    DATA,
    DATA_HEADER,
    FLAG_NO_TIME,
    FLAG_NO_VOLTAGE,
    MAX_SAMPLES,
    SAMPLE_OCTETS,
    VERSION,
)

#: The highest full scale of 24 bits: without a sign, and with one.
_HIGHEST = {"offset": 0xFFFFFF, "twos": 0x800000}
_NUMBERS_AT = DATA_HEADER.size - 1
_BESIDE = DATA_HEADER.size + CRC.size


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why a body with a good checksum is no frame; see `events.Damaged`."""

    kind: Literal["length", "version", "shape", "configuration"]
    reason: str


def read(body: bytes, known: Mapping[int, Configuration]) -> Frame | Configuration | Flaw:
    """What a body of one octet or more says. body: with its checksum, which is right.

    known: configurations by tag. A frame's first is the number on the wire, mod 2^32.
    """
    version, kind = body[0] >> 4, body[0] & 0xF
    if version != VERSION:
        return Flaw("version", f"frames of version {version}; this ecgedge reads version {VERSION}")
    if kind == DATA:
        return _read_data(body, known)
    if kind == CONFIGURATION:
        return known.get(_checksum(body)) or _read_configuration(body)
    return Flaw("shape", f"a frame of type {kind}, which version {VERSION} does not have")


def _read_data(body: bytes, known: Mapping[int, Configuration]) -> Frame | Flaw:
    if len(body) < _BESIDE:
        return Flaw("length", f"a data frame of {len(body)} octets, shorter than its header")
    _, flags, off, off_valid, channels, samples, tag, first, t_us = DATA_HEADER.unpack_from(body)
    if not (0 < channels <= MAX_CHANNELS and 0 < samples <= MAX_SAMPLES):
        return Flaw("shape", f"a data frame of {samples} samples of {channels} channels")
    if len(body) != _BESIDE + SAMPLE_OCTETS * channels * samples:
        return Flaw("length", f"{len(body)} octets for {samples} samples of {channels} channels")
    configuration = known.get(tag)
    unsigned = False
    if configuration is not None:
        if len(configuration.channels) != channels:
            return Flaw(
                "configuration",
                f"a data frame of {channels} channels; its configuration has "
                f"{len(configuration.channels)}",
            )
        unsigned = configuration.encoding == "offset"
    # Every 4 octets that end in a number, seen as one of 32 bits: the shift drops the octet
    # before it and brings the sign down.
    apart = (SAMPLE_OCTETS * channels, SAMPLE_OCTETS)
    number = "<u4" if unsigned else "<i4"
    counts = np.ndarray((samples, channels), number, body, _NUMBERS_AT, apart) >> 8
    if unsigned:
        counts = counts.view(np.int32)
    return Frame(
        first, counts, None if flags & FLAG_NO_TIME else t_us, off, off_valid, configuration
    )


def _read_configuration(body: bytes) -> Configuration | Flaw:
    size = len(body) - CRC.size
    if size < CONFIGURATION_HEADER.size:
        return Flaw("length", f"a configuration of {len(body)} octets, shorter than its header")
    fields = CONFIGURATION_HEADER.unpack_from(body)
    _, flags, device, boot, rate, reference, encoding, full_scale, channels = fields
    if not 0 < channels <= MAX_CHANNELS:
        return Flaw("configuration", f"{channels} channels")
    if size != CONFIGURATION_HEADER.size + CHANNEL.size * channels:
        return Flaw("length", f"a configuration of {len(body)} octets for {channels} channels")
    inputs = list(CHANNEL.iter_unpack(body[CONFIGURATION_HEADER.size : size]))
    wrong = _nonsense(rate, reference, encoding, full_scale, inputs)
    if wrong:
        return Flaw("configuration", wrong)
    return Configuration(
        device=f"{device:016x}",
        boot=boot,
        rate_hz=rate / 1000,
        reference_mv=reference / 1000,
        encoding=NUMBER_ENCODINGS[encoding],
        full_scale=full_scale,
        channels=tuple(Channel(ELECTRODES[p], ELECTRODES[n], gain / 100) for p, n, gain in inputs),
        amplitude_known=not flags & FLAG_NO_VOLTAGE,
        tag=_checksum(body),
    )


def _checksum(body: bytes) -> int:
    """A configuration's is its tag."""
    found: int = CRC.unpack_from(body, len(body) - CRC.size)[0]
    return found


def _nonsense(
    rate: int, reference: int, encoding: int, full_scale: int, inputs: list[tuple[int, int, int]]
) -> str:
    """What no device can mean, or ""."""
    try:
        check_rate(rate / 1000)
    except InputError as error:
        return str(error)
    if reference == 0:
        return "a reference of 0 mV"
    if encoding >= len(NUMBER_ENCODINGS):
        return f"number encoding {encoding} is unknown"
    if not 0 < full_scale <= _HIGHEST[NUMBER_ENCODINGS[encoding]]:
        return f"a full scale of {full_scale} counts, with 24 bits"
    for number, (positive, negative, gain) in enumerate(inputs, 1):
        if max(positive, negative) >= len(ELECTRODES):
            return f"electrode {max(positive, negative)} of channel {number} is unknown"
        if gain == 0:
            return f"a gain of 0 in channel {number}"
    return ""
