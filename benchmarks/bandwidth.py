"""What the wire format costs: octets a second, by rate, channels and samples a frame, and on
which links that fits. Computed from `wire`'s sizes."""

from __future__ import annotations

from firmware_bridge.wire import (
    CHANNEL,
    CONFIGURATION_HEADER,
    CRC,
    DATA_HEADER,
    SAMPLE_OCTETS,
)

RATES_HZ = (250, 500, 1000, 2000)
CHANNELS = (3, 8)
SAMPLES = (5, 10)
#: Octets a second: 8N1 sends ten bits an octet; USB full speed carries at most 19 bulk packets
#: of 64 octets a millisecond (USB 2.0, table 5-9).
LINKS = {f"{baud}": baud / 10 for baud in (115200, 230400, 460800, 921600)} | {
    "USB full speed": 19 * 64 * 1000.0
}
#: Of a link's capacity; the rest is for a host that is late and a clock that is off.
SAFE_LOAD = 0.9


def sent_octets(body: int) -> int:
    """The most octets that a body of so many (checksum included) takes on the line."""
    return body + 1 + body // 254 + 1


def data_octets(channels: int, samples: int) -> int:
    """The longest data frame of this shape, delimiter included."""
    return sent_octets(DATA_HEADER.size + SAMPLE_OCTETS * channels * samples + CRC.size)


def configuration_octets(channels: int) -> int:
    """The longest configuration frame, delimiter included."""
    return sent_octets(CONFIGURATION_HEADER.size + CHANNEL.size * channels + CRC.size)


def octets_per_second(rate_hz: float, channels: int, samples: int) -> float:
    """Data frames, and a configuration frame each second."""
    return rate_hz / samples * data_octets(channels, samples) + configuration_octets(channels)


def table() -> str:
    """The page's table: load of each link, "no" where it is above `SAFE_LOAD`."""
    head = "| Hz | channels | samples a frame | a frame lasts | frame | octets/s | "
    head += " | ".join(LINKS) + " |"
    rows = [
        _row(rate_hz, channels, samples)
        for rate_hz in RATES_HZ
        for channels in CHANNELS
        for samples in SAMPLES
    ]
    return "\n".join([head, "|---" * (6 + len(LINKS)) + "|", *rows])


def _row(rate_hz: int, channels: int, samples: int) -> str:
    needed = octets_per_second(rate_hz, channels, samples)
    loads = (needed / capacity for capacity in LINKS.values())
    cells = [
        f"{rate_hz}",
        f"{channels}",
        f"{samples}",
        f"{1000 * samples / rate_hz:g} ms",
        f"{data_octets(channels, samples)}",
        f"{needed:,.0f}",
        *map(_cell, loads),
    ]
    return "| " + " | ".join(cells) + " |"


def _cell(load: float) -> str:
    if load > SAFE_LOAD:
        return "no"
    return f"{load:.0%}" if load >= 0.01 else "< 1%"
