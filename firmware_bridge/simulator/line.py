"""The line between device and reader: frames go in, octets come out, with faults of frames.

What no decoder could tell is avoided by construction, so that the ledger is exact. A frame
suffers one fault at most. The frames next to a change of configuration, a silence or the end
are spared, and so are configurations that tell of a change: a lost frame never lies beside a
new tag, a swap never across one. One frame at a time is late. A slip leaves the first and the
last octet where they are or takes the delimiter away: an octet too many beside a delimiter
would do no harm.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from firmware_bridge.simulator.faults import FRAME_FAULTS, Faults
from firmware_bridge.simulator.ledger import Ledger, Unit

#: A late frame comes after that many others; a decoder waits for four.
LATE_BY = 8


@dataclass(slots=True)
class Sent:
    """Octets that leave the device.

    t_s: when, in seconds of the host's clock since the device began; never decreasing.
    dropped: to be set by who could not pass them on, before asking for more: the ledger then
    counts their samples as lost.
    """

    octets: bytes
    t_s: float
    dropped: bool = False


@dataclass(slots=True)
class Unplugged:
    """The link has ended, perhaps amid a frame, and is to come back after some seconds."""

    t_s: float
    seconds: float


class Line:
    """Frames in, `Sent` out; keeps the ledger. Deterministic by seed."""

    def __init__(self, faults: Faults, ledger: Ledger, seed: int) -> None:
        self._ledger = ledger
        self._draw = random.Random(f"line {seed}").random
        self._wait = random.Random(f"jitter {seed}").random
        self._bounds = list(accumulate(getattr(faults, name) for name in FRAME_FAULTS))
        self._jitter_s = faults.jitter_ms / 1000
        self._last_s = 0.0
        self._late: tuple[Unit, int] | None = None

    def transmit(
        self, units: Sequence[Unit], *, spare_first: bool = False, spare_last: bool = False
    ) -> Iterator[Sent]:
        """Send these in turn.

        spare_first: no fault may befall the first data frame and what is before it; spare_last:
        nor the last one.
        """
        if spare_first:
            self._late = None  # it would come after a change: it never comes
        last = len(units) - 1
        swapped, spared = False, spare_first
        for number, unit in enumerate(units):
            if swapped:
                swapped = False
                continue
            fault = self._fault()
            if spared or (spare_last and number == last):
                spared = spared and not unit.samples
                yield from self._send(unit, unit.octets, spared=True)
            elif fault is None:
                yield from self._send(unit, unit.octets)
            elif fault == "reordered":
                # Two data frames, neither of them spared.
                if number + 1 + spare_last <= last and unit.samples and units[number + 1].samples:
                    swapped = True
                    yield from self._swap(unit, units[number + 1])
                else:
                    yield from self._send(unit, unit.octets)
            else:
                yield from self._harm(fault, unit)
            if self._late is not None and self._ledger.expected.frames >= self._late[1]:
                late, _ = self._late
                self._late = None
                yield from self._send(late, late.octets, late=True)

    def cut(self, unit: Unit) -> Iterator[Sent]:
        """Send the first half of a frame, as where a cable is pulled."""
        yield from self._send(unit, unit.octets[: len(unit.octets) // 2])

    def end_frame(self, t_s: float) -> Iterator[Sent]:
        """Send a lone delimiter, as a device does when its link opens."""
        yield from self._send(Unit(b"", 0, 0, t_s), b"\0", spared=True)

    def _fault(self) -> str | None:
        at = bisect_right(self._bounds, self._draw())
        return FRAME_FAULTS[at] if at < len(FRAME_FAULTS) else None

    def _harm(self, fault: str, unit: Unit) -> Iterator[Sent]:
        if fault in ("late", "duplicated") and not unit.samples:
            yield from self._send(unit, unit.octets)  # another configuration changes nothing
            return
        if fault == "late" and self._late is not None:
            yield from self._send(unit, unit.octets)
            return
        self._ledger.inject(fault)
        if fault == "duplicated":
            yield from self._send(unit, unit.octets)
            yield from self._send(unit, unit.octets)
        elif fault == "late":
            self._late = unit, self._ledger.expected.frames + LATE_BY
        elif fault == "flipped":
            yield from self._send(unit, self._flipped(unit.octets))
        elif fault == "slipped":
            yield from self._send(unit, self._slipped(unit.octets))

    def _swap(self, unit: Unit, following: Unit) -> Iterator[Sent]:
        self._ledger.inject("reordered")
        yield from self._send(following, following.octets)
        yield from self._send(unit, unit.octets)

    def _send(
        self, unit: Unit, octets: bytes, *, late: bool = False, spared: bool = False
    ) -> Iterator[Sent]:
        t_s = unit.t_s + self._jitter_s * self._wait() if self._jitter_s else unit.t_s
        self._last_s = t_s = max(t_s, self._last_s)
        sent = Sent(octets, t_s)
        yield sent
        if sent.dropped:
            self._ledger.drop(spared)
        else:
            self._ledger.arrive(octets, unit, intact=octets is unit.octets, late=late)

    def _flipped(self, octets: bytes) -> bytes:
        out = bytearray(octets)
        bit = int(self._draw() * 8 * len(out))
        out[bit >> 3] ^= 1 << (bit & 7)
        return bytes(out)

    def _slipped(self, octets: bytes) -> bytes:
        if self._draw() < 0.5:
            at = int(self._draw() * len(octets))
            return octets[:at] + octets[at + 1 :]
        at = 1 + int(self._draw() * (len(octets) - 2))
        return octets[:at] + bytes([int(self._draw() * 256)]) + octets[at:]
