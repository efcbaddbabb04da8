"""COBS vectors: the table of Wikipedia's article, then what an implementation gets wrong."""

from __future__ import annotations

from typing import Any

from firmware_bridge.cobs import stuff


def _run(first: int, last: int) -> bytes:
    return bytes(range(first, last + 1))


#: data -> stuffed, as published: https://en.wikipedia.org/wiki/Consistent_Overhead_Byte_Stuffing
#: (without the delimiter; its examples 1 to 11). Typed, not computed.
PUBLISHED: tuple[tuple[bytes, bytes], ...] = (
    (b"\x00", b"\x01\x01"),
    (b"\x00\x00", b"\x01\x01\x01"),
    (b"\x00\x11\x00", b"\x01\x02\x11\x01"),
    (b"\x11\x22\x00\x33", b"\x03\x11\x22\x02\x33"),
    (b"\x11\x22\x33\x44", b"\x05\x11\x22\x33\x44"),
    (b"\x11\x00\x00\x00", b"\x02\x11\x01\x01\x01"),
    (_run(1, 254), b"\xff" + _run(1, 254)),
    (b"\x00" + _run(1, 254), b"\x01\xff" + _run(1, 254)),
    (_run(1, 255), b"\xff" + _run(1, 254) + b"\x02\xff"),
    (_run(2, 255) + b"\x00", b"\xff" + _run(2, 255) + b"\x01\x01"),
    (_run(3, 255) + b"\x00\x01", b"\xfe" + _run(3, 255) + b"\x02\x01"),
)


def cobs_vectors() -> list[dict[str, Any]]:
    """Published ones as they are; further ones as `cobs.stuff` gives them."""
    vectors = [
        {"name": f"published {number}", "fields": {"data": data.hex()}, "hex": stuffed.hex()}
        for number, (data, stuffed) in enumerate(PUBLISHED, start=1)
    ]
    further = {
        "nothing": b"",
        "253 octets": b"\x55" * 253,
        "253 octets and a zero": b"\x55" * 253 + b"\0",
        "two full blocks": b"\xaa" * 508,
        "two full blocks and one octet": b"\xaa" * 508 + b"\x01",
        "two full blocks and a zero": b"\xaa" * 508 + b"\0",
        "a zero between two full blocks": b"\xaa" * 254 + b"\0" + b"\xaa" * 254,
        "300 zeros": bytes(300),
        "octets that look like codes": b"\xff\x01\x00\xfe\xff\x00\x01",
    }
    for name, data in further.items():
        vectors.append({"name": name, "fields": {"data": data.hex()}, "hex": stuff(data).hex()})
    return vectors
