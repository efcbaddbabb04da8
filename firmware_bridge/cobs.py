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
