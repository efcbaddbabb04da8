"""Fuzz the unstuffing: `scripts/fuzz cobs`; beside a slow reading of the paper, and undone."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris
from atheris.import_hook import HookManager

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
with HookManager({"firmware_bridge"}, set(), enable_loader_override=False, trace_dataflow=False):
    from firmware_bridge.cobs import stuff, unstuff

from tests.fuzz import checks


def slowly(octets: bytes) -> bytes | None:
    """What the paper says, octet by octet."""
    out, at = bytearray(), 0
    while at < len(octets):
        code = octets[at]
        block = octets[at + 1 : at + code]
        if code == 0 or len(block) != code - 1 or 0 in block:
            return None
        out += block
        at += code
        if code < 255 and at < len(octets):
            out.append(0)
    return bytes(out) if octets else None


def one_input(data: bytes) -> None:
    if not data:
        return
    octets = data[1:] * (1 + data[0] % 32)  # blocks of 254 and more, from few octets
    assert unstuff(octets) == slowly(octets)
    assert unstuff(stuff(octets)) == octets


if __name__ == "__main__":
    checks.name_code("cobs")
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
