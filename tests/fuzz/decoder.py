"""Fuzz the wire decoder: `scripts/fuzz decoder`; `tests/fuzz/checks.py` says what must hold.

And: a good frame after anything and a delimiter is read, and nine in a row are delivered.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import atheris
from atheris.import_hook import HookManager

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
# Branches are traced, comparisons are not: a CRC cannot be solved by them, and they take four
# times as long. `cobs` has a target of its own.
_BESIDE = {f"firmware_bridge.{one}" for one in ("cobs", "wire", "events")}
with HookManager({"firmware_bridge"}, _BESIDE, enable_loader_override=False, trace_dataflow=False):
    from firmware_bridge.decoder import WireDecoder

from firmware_bridge.events import Frame  # noqa: E402
from firmware_bridge.wire import DATA_HEADER, configuration_body, seal, tagged  # noqa: E402
from tests.fuzz import checks, script  # noqa: E402

_NEW = tagged(replace(script.CONFIGURATIONS[0], device="00000000000000cc", boot=0xB007))
_TOLD = seal(configuration_body(_NEW))
_NUMBERS = range(0xF1E2D3C4, 0xF1E2D3C4 + 9)
_GOOD = [
    seal(DATA_HEADER.pack(0x11, 0, 0, 0, 1, 1, _NEW.tag, number, number) + b"abc")
    for number in _NUMBERS
]


def check_way_back(stream: bytes) -> None:
    """After this stream and a delimiter, what is good is read, and nine frames delivered."""
    decoder = WireDecoder()
    decoder.feed(stream + b"\0")
    before, late = decoder.counters.data_octets, decoder.counters.late
    events = decoder.feed(_TOLD + b"".join(_GOOD)) + decoder.finish()
    assert decoder.counters.data_octets == before + sum(len(one) - 1 for one in _GOOD)
    if decoder.counters.late == late:
        delivered = [one for one in events if isinstance(one, Frame)]
        assert delivered[-1].first % 2**32 == _NUMBERS[-1], delivered[-1]
        assert delivered[-1].configuration == _NEW


def one_input(data: bytes) -> None:
    """Every input: order and counters. Some, by their first octet: cuts, and the way back."""
    if len(data) < 2:
        return
    mode, rest = data[0], data[2:]
    stream = rest if mode & 7 == 0 else script.stream(rest)
    cut = data[1] * len(stream) >> 8
    pieces: tuple[bytes, ...] = (stream[:cut], stream[cut:])
    checks.check(WireDecoder, pieces)
    if mode >= 252:
        pieces = tuple(stream[at : at + 1] for at in range(len(stream)))
    if mode >= 224:
        checks.check_pieces(WireDecoder, pieces)
    elif mode >= 216:
        check_way_back(stream)


if __name__ == "__main__":
    checks.name_code("decoder")
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
