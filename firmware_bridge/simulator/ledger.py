"""What was done to a stream, and what a perfect decoder must say of it.

`Ledger.expected` is worked out octet by octet, not drawn from the plan: a frame counts as
delivered when its octets stand intact between two delimiters, whatever was done to its
neighbours. A turned bit that makes a delimiter splits a frame; one in a delimiter joins two,
and both are lost.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from firmware_bridge.events import Counters
from firmware_bridge.wire import MAX_STUFFED


@dataclass(slots=True)
class Unit:
    """What goes over the wire in one piece: a frame or a record.

    first: number of its first sample since the device began, samples: how many; 0 for a
    configuration. t_s: when its last octet is due, in seconds of the host's clock. tag: of the
    configuration that it is, or that its counts belong to.
    """

    octets: bytes
    first: int
    samples: int
    t_s: float
    tag: int = 0


@dataclass
class Ledger:
    """The account of one simulated stream; complete once the stream has been read to its end.

    framed: whether frames end in delimiters and have checksums, as those of our wire format do.
    exact: whether a decoder can know all of it; where it is False (records of a device without
    a checksum, a restart that no configuration tells of, nobody reading when a frame came that
    no fault may befall) `expected` still says what was delivered and lost, as far as it can.
    injected: how often each fault was put in: frames for the faults of frames, for "silenced"
    (not sent during a stall with overrun, while unplugged or rebooting) and "dropped" (nobody
    read them); else events. taken: samples that the device took. expected: a perfect decoder's
    counters after `finish`; `lost` are those between samples that were delivered, its kinds of
    damage are not told.
    """

    framed: bool = True
    exact: bool = True
    injected: dict[str, int] = field(default_factory=dict)
    taken: int = 0
    expected: Counters = field(default_factory=Counters)
    _next: int | None = field(default=None, repr=False)  # number after the highest delivered
    _hole: tuple[int, int] | None = field(default=None, repr=False)  # the latest gap
    _carried: int = field(default=0, repr=False)  # octets since the last delimiter
    _known: set[int] = field(default_factory=set, repr=False)  # tags

    @property
    def unseen(self) -> int:
        """Samples that are missing before the first or after the last one delivered of a start.

        No decoder can know of them.
        """
        return self.taken - self.expected.samples - self.expected.lost

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        expected = asdict(self.expected)
        del expected["damaged_kinds"]
        return {
            "exact": self.exact,
            "injected": dict(self.injected),
            "taken": self.taken,
            "unseen": self.unseen,
            "expected": expected,
        }

    def inject(self, name: str, times: int = 1) -> None:
        self.injected[name] = self.injected.get(name, 0) + times

    def arrive(self, octets: bytes, unit: Unit, *, intact: bool, late: bool = False) -> None:
        """These octets were sent, for this unit.

        intact: they are all of it, unchanged. late: more frames that follow it were delivered
        since than any decoder waits for.
        """
        expected = self.expected
        expected.octets += len(octets)
        if not self.framed:
            if intact and not late:
                self._deliver(unit)
            return
        if intact and not self._carried:
            expected.delimiters += 1
            expected.late += late
            if unit.samples:
                expected.data_octets += len(octets) - 1
            else:
                expected.configuration_octets += len(octets) - 1
            if not late:
                self._deliver(unit)
            return
        *ended, rest = octets.split(b"\0")
        for segment in ended:
            self._damage(self._carried + len(segment))
            self._carried = 0
        expected.delimiters += len(ended)
        self._carried += len(rest)

    def drop(self, spared: bool) -> None:
        """Nobody took this unit. spared: it is one that no fault may befall."""
        self.inject("dropped")
        if spared:
            self.exact = False

    def finish(self) -> None:
        """The stream has ended: what no delimiter ended is damage."""
        self._damage(self._carried)
        self._carried = 0

    def restart(self) -> None:
        """From here on numbers are those of a new start."""
        if self._next is not None:
            self.expected.restarts += 1
            self.expected.gaps += 1
        self._next = self._hole = None

    def _damage(self, octets: int) -> None:
        """Octets between two delimiters that are no frame.

        A decoder of bounded memory lets go of them as soon as they are too many for one.
        """
        self.expected.damaged += -(-octets // (MAX_STUFFED + 1))
        self.expected.damaged_octets += octets

    def _deliver(self, unit: Unit) -> None:
        expected, first, end = self.expected, unit.first, unit.first + unit.samples
        if not unit.samples:
            expected.configurations += 1
            self._known.add(unit.tag)
            return
        if self._next is None or first >= self._next:
            if self._next is not None and first > self._next:
                expected.gaps += 1
                expected.lost += first - self._next
                self._hole = self._next, first
            self._next = end
        elif self._hole and self._hole[0] <= first and end <= self._hole[1]:
            self._fill(first, end)
        else:
            expected.duplicates += 1
            return
        expected.frames += 1
        expected.samples += unit.samples
        if self.framed and unit.tag not in self._known:
            expected.unconfigured += unit.samples

    def _fill(self, first: int, end: int) -> None:
        """A frame that was overtaken: the last one of the latest gap."""
        assert self._hole is not None
        begin, _ = self._hole
        self.expected.reordered += 1
        self.expected.lost -= end - first
        self._hole = (begin, first) if begin < first else None
        self.expected.gaps -= self._hole is None
