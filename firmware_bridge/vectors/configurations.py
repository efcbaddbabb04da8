"""Configuration vectors: real front ends, and the edges of every field."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ecgedge.recording import MAX_RATE_HZ, MIN_RATE_HZ
from firmware_bridge.events import ELECTRODES, Channel, Configuration
from firmware_bridge.wire import configuration_body, seal, tagged

#: TI's 12-lead wiring of the ADS1298 (ADS1298RECG-FE guide, table 2), at gain 6 and 2.4 V.
ADS1298 = Configuration(
    device="0123456789abcdef",
    boot=0x2A,
    rate_hz=500.0,
    reference_mv=2400.0,
    encoding="twos",
    full_scale=2**23 - 1,
    channels=(
        Channel("C6", "WCT", 6.0),
        Channel("LA", "RA", 6.0),
        Channel("LL", "RA", 6.0),
        Channel("C2", "WCT", 6.0),
        Channel("C3", "WCT", 6.0),
        Channel("C4", "WCT", 6.0),
        Channel("C5", "WCT", 6.0),
        Channel("C1", "WCT", 6.0),
    ),
)
#: ADCMAX at the decimation R2 = 5, R3 = 6 (datasheet SNAS602C); the amplifier's gain is 3.5.
ADS1293 = Configuration(
    device="00000000000a1293",
    boot=0xFFFFFFFF,
    rate_hz=853.333,
    reference_mv=2400.0,
    encoding="offset",
    full_scale=0xB964F0,
    channels=(
        Channel("LA", "RA", 3.5),
        Channel("LL", "RA", 3.5),
        Channel("C1", "WCT", 3.5),
    ),
)
#: One lead of a patch, 16 bits.
PATCH = Configuration(
    device="00000000000000aa",
    boot=1,
    rate_hz=250.0,
    reference_mv=1200.0,
    encoding="twos",
    full_scale=2**15 - 1,
    channels=(Channel("LA", "RA", 12.0),),
)


def configuration_vectors() -> list[dict[str, Any]]:
    """Each with the tag that its data frames carry."""
    told = {
        "ADS1298, eight channels": ADS1298,
        "ADS1293, offset binary, gain 3.5": ADS1293,
        "a patch, one channel": PATCH,
        "one channel, all fields at their least": Configuration(
            "0000000000000000", 0, MIN_RATE_HZ, 0.001, "twos", 1, (Channel("NC", "NC", 0.01),)
        ),
        "eight channels, all fields at their most": Configuration(
            "ffffffffffffffff",
            2**32 - 1,
            MAX_RATE_HZ,
            (2**32 - 1) / 1000,
            "offset",
            2**24 - 1,
            (Channel(ELECTRODES[-1], ELECTRODES[-1], 655.35),) * 8,
            amplitude_known=False,
        ),
        "a replay in normalised units: no voltage": Configuration(
            "0000000000000001",
            7,
            500.0,
            2400.0,
            "twos",
            2**23 - 1,
            (Channel("LA", "REF", 1.0), Channel("RA", "REF", 24.0)),
            amplitude_known=False,
        ),
    }
    return [
        {
            "name": name,
            "fields": asdict(tagged(one)),
            "hex": seal(configuration_body(one)).hex(),
        }
        for name, one in told.items()
    ]
