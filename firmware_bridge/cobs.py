"""Consistent overhead byte stuffing (Cheshire and Baker 1999): a zero ends a frame, always."""

from __future__ import annotations

_LONGEST = 254


def stuff(data: bytes) -> bytes:
    """data without its zeros, in the shortest form; the delimiter is not added."""
    out = bytearray()
    runs = data.split(b"\0")
    last = len(runs) - 1
    for number, run in enumerate(runs):
        while len(run) >= _LONGEST:
            out += b"\xff" + run[:_LONGEST]
            run = run[_LONGEST:]
            if number == last and not run:
                return bytes(out)  # a full block needs no end
        out.append(len(run) + 1)
        out += run
    return bytes(out)


def unstuff(data: bytes) -> bytes | None:
    """What was stuffed into data (without its delimiter), or None where data is no COBS.

    Walks from code to code, not from octet to octet: each code is replaced where it stands by
    the zero that it stands for.
    """
    if not data or b"\0" in data:
        return None
    out, end, at = bytearray(data), len(data), 0
    while at < end:
        code = data[at]
        if code == _LONGEST + 1:
            return _unstuff_long(data)
        out[at] = 0
        at += code
    return bytes(memoryview(out)[1:]) if at == end else None


def _unstuff_long(data: bytes) -> bytes | None:
    """The same where a block has 254 octets: no zero follows it, so it cannot be done in place."""
    out, end, at = bytearray(), len(data), 0
    while at < end:
        code = data[at]
        out += data[at + 1 : at + code]
        at += code
        if code <= _LONGEST and at < end:
            out.append(0)
    return bytes(out) if at == end else None
