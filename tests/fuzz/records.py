"""Fuzz the decoder of fixed-length records: `scripts/fuzz records`, each device in turn."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import atheris
from atheris.import_hook import HookManager

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
with HookManager({"firmware_bridge"}, set(), enable_loader_override=False, trace_dataflow=False):
    from firmware_bridge.records import RecordDecoder, pack

import numpy as np

from firmware_bridge.devices import DEVICES, configuration
from tests.fuzz import checks

_ROWS = [row for row in DEVICES.values() if row.record]
_OPENED = [partial(RecordDecoder, row, configuration(row.name), lead_off=True) for row in _ROWS]
_RECORDS = [
    pack(row, np.arange(300 * len(row.channels), dtype=np.int32).reshape(300, -1) * 4099 % 60_000)
    for row in _ROWS
]


def stream(script: bytes, records: list[bytes]) -> bytes:
    """Two octets an edit of a stream of records."""
    sent: list[bytes] = []
    number = 0
    for edit, value in zip(script[::2], script[1::2], strict=False):
        if edit < 160:  # the next records
            sent += records[number % 256 : number % 256 + 1 + edit // 8]
            number += 1 + edit // 8
        elif edit < 176:  # some are lost
            number += value
        elif edit < 192 and sent:  # one again
            sent.append(sent[-1 - value % min(len(sent), 4)])
        elif edit < 208 and len(sent) > 1:  # two change places
            sent[-1], sent[-2] = sent[-2], sent[-1]
        elif edit < 232 and sent and sent[-1]:  # an octet is another
            place = value % len(sent[-1])
            sent[-1] = sent[-1][:place] + bytes([edit]) + sent[-1][place + 1 :]
        elif edit < 244 and sent:  # octets slip
            sent[-1] = sent[-1][: -1 - value % 8]
        else:  # octets that are no record
            sent.append(bytes([value]) * (edit & 15))
    return b"".join(sent)


def one_input(data: bytes) -> None:
    """Order and counters of one device; for some inputs also cuts."""
    if len(data) < 3:
        return
    which, mode, rest = data[0] % len(_ROWS), data[1], data[3:]
    octets = rest if mode & 7 == 0 else stream(rest, _RECORDS[which])
    cut = data[2] * len(octets) >> 8
    pieces = (octets[:cut], octets[cut:])
    checks.check(_OPENED[which], pieces)
    if mode >= 224:
        checks.check_pieces(_OPENED[which], pieces)


if __name__ == "__main__":
    checks.name_code("records")
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
