"""Octets of a fuzzer -> a stream: a script of what can happen to frames, or the octets themselves.

A fuzzer finds no CRC-32 by trying. So most inputs are read as two octets an edit: frames of
a device that numbers its samples, and what links and devices do to them.
"""

from __future__ import annotations

import functools
import zlib
from dataclasses import replace

from firmware_bridge.events import Channel, Configuration
from firmware_bridge.wire import DATA_HEADER, configuration_body, seal, tagged

_ONE = Channel("RA", "REF", 6.0)
_FIRST = Configuration("00000000000000aa", 7, 500.0, 2400.0, "twos", 2**23 - 1, (_ONE,))
CONFIGURATIONS = tuple(
    tagged(one)
    for one in (
        _FIRST,
        replace(_FIRST, rate_hz=250.0),
        replace(_FIRST, boot=8),
        replace(_FIRST, encoding="offset", full_scale=0xB964F0, channels=(_ONE, _ONE)),
        replace(_FIRST, device="00000000000000bb", boot=0),
        replace(_FIRST, channels=(_ONE,) * 8),
    )
)
_BY_TAG = {one.tag: one for one in CONFIGURATIONS}
_JUMPS = (0, 1, 3, 15, 2**8, 2**16, 2**24 - 1, 2**24, 2**31, 2**32 - 4)


def frame(number: int, samples: int, tag: int, salt: int) -> bytes:
    """A body: counts told from its number."""
    channels = len(_BY_TAG[tag].channels)
    header = DATA_HEADER.pack(
        0x11, 0, 1, 3, channels, samples, tag, number & 0xFFFFFFFF, number << 8 | salt
    )
    return header + (number.to_bytes(8, "little") * 48)[: 3 * samples * channels]


@functools.lru_cache(4096)
def sealed(number: int, samples: int, tag: int, salt: int) -> bytes:
    """The same as it goes over the wire."""
    return seal(frame(number, samples, tag, salt))


def stream(script: bytes) -> bytes:
    """What the script makes."""
    sent: list[bytes] = []  # stuffed, with their delimiters
    number, told, samples, salt = 0, CONFIGURATIONS[0], 3, 0
    made = number, samples, told.tag, salt  # the latest frame
    at, end = 0, len(script) - 1
    while at < end:
        edit, value = script[at], script[at + 1]
        at += 2
        if edit < 96:  # the next frame, or four, or as many as settle any question
            for _ in range(1 if edit < 84 else 4 if edit < 95 else 12):
                made = number, samples, told.tag, salt
                sent.append(sealed(*made))
                number += samples
        elif edit < 112:  # some are lost
            number += samples * (value % 8 + 1)
        elif edit < 128:  # one of the last again
            sent.append(sent[-1 - value % min(len(sent), 12)] if sent else b"")
        elif edit < 144 and len(sent) > 1:  # two change places
            other = -2 - value % min(len(sent) - 1, 8)
            sent[-1], sent[other] = sent[other], sent[-1]
        elif edit < 160 and sent:  # a bit flips
            flipped = bytearray(sent[-1])
            if flipped:
                flipped[(value >> 3) % len(flipped)] ^= 1 << (value & 7)
            sent[-1] = bytes(flipped)
        elif edit < 168 and sent:  # an octet slips
            place = value % (len(sent[-1]) + 1)
            sent[-1] = sent[-1][:place] + sent[-1][place + 1 :]
        elif edit < 176:  # the fuzzer's own octets
            sent.append(script[at : at + value % 32])
            at += value % 32
        elif edit < 192:  # the fuzzer's own body
            sent.append(seal(script[at : at + value % 64]))
            at += value % 64
        elif edit < 208:  # a body with another octet, as a device with a fault would seal it
            place, body = edit - 192, frame(*made)
            if place < len(body):
                sent.append(seal(body[:place] + bytes([value]) + body[place + 1 :]))
        elif edit < 224:  # a device says what it is
            told = CONFIGURATIONS[value % len(CONFIGURATIONS)]
            if value < 192:
                sent.append(seal(configuration_body(told)))
        elif edit < 232:
            samples = value % 15 + 1
        elif edit < 240:  # another start, or another place in the numbers
            number = _JUMPS[value % len(_JUMPS)] + (number if value & 128 else 0)
            salt = zlib.crc32(bytes([salt, value])) & 0xFF
        elif edit < 248:  # no delimiter for long
            sent.append(bytes([value or 1]) * (edit - 239) * 60)
        elif sent:  # a delimiter goes
            sent[-1] = sent[-1][:-1]
    return b"".join(sent)
