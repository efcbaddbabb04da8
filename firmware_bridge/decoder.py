"""Octets of our wire format -> frames, gaps and damage; see `events.Decoder`."""

from __future__ import annotations

import zlib

from firmware_bridge.cobs import unstuff
from firmware_bridge.events import Configuration, Counters, Damaged, Event, Frame
from firmware_bridge.ordering import Ordering
from firmware_bridge.parsing import Flaw, read
from firmware_bridge.wire import CRC, MAX_STUFFED

#: The CRC-32 of anything followed by its own CRC-32.
_GOOD = 0x2144DF1C
#: Octets without a delimiter that cannot be a frame: each so many are one `Damaged`.
_TOO_LONG = MAX_STUFFED + 1
#: Configurations kept, for frames that come after one that replaced theirs.
_KEPT = 4


class WireDecoder:
    """Decoder of `wire`'s frames.

    Holds at most `MAX_STUFFED` octets, `ordering.HOLD` + `ordering.RESTART` frames and a few
    hundred numbers, whatever it is fed.
    """

    def __init__(self) -> None:
        self.counters = Counters()
        #: The latest that the device sent.
        self.configuration: Configuration | None = None
        self._known: dict[int, Configuration] = {}
        self._ordering = Ordering(self.counters)
        self._begun = b""  # octets after the last delimiter, at most MAX_STUFFED
        self._discarding = False  # this run was too long for a frame

    def feed(self, data: bytes) -> list[Event]:
        """What these octets complete."""
        out: list[Event] = []
        self.counters.octets += len(data)
        *runs, self._begun = (self._begun + data).split(b"\0")
        self.counters.delimiters += len(runs)
        for run in runs:
            if len(run) > MAX_STUFFED or self._discarding:
                rest = self._discard(run, out)
                self._end_discarding(rest, out)
            elif run:
                self._read(run, out)
        if len(self._begun) > MAX_STUFFED:
            self._begun = self._discard(self._begun, out)
        return out

    def finish(self) -> list[Event]:
        """What waited for octets that will not come; a frame may lack its last delimiter.

        Octets fed after it continue the stream, behind a delimiter as it were.
        """
        out: list[Event] = []
        run, self._begun = self._begun, b""
        if self._discarding:
            self._end_discarding(run, out)
        elif run:
            self._read(run, out)
        self._ordering.finish(out)
        return out

    def _discard(self, run: bytes, out: list[Event]) -> bytes:
        """Too much for a frame: gone in equal parts, so that how it was fed does not matter."""
        parts = len(run) // _TOO_LONG
        for _ in range(parts):
            reason = f"no end of a frame in {_TOO_LONG} octets"
            self._damaged(_TOO_LONG, "framing", reason, out)
        self._discarding = self._discarding or parts > 0
        return run[parts * _TOO_LONG :]

    def _end_discarding(self, rest: bytes, out: list[Event]) -> None:
        self._discarding = False
        if rest:
            self._damaged(len(rest), "framing", "the rest of too much for a frame", out)

    def _read(self, run: bytes, out: list[Event]) -> None:
        """A run between two delimiters, at most MAX_STUFFED octets."""
        size = len(run)
        body = unstuff(run)
        if body is None:
            self._damaged(size, "framing", "stuffed wrongly", out)
        elif len(body) <= CRC.size:
            self._damaged(size, "length", f"{size} octets, too short for a frame", out)
        elif zlib.crc32(body) != _GOOD:
            self._damaged(size, "crc", "its checksum is wrong", out)
        else:
            self._take(read(body, self._known), body[-CRC.size :], size, out)

    def _take(
        self, said: Frame | Configuration | Flaw, checksum: bytes, size: int, out: list[Event]
    ) -> None:
        if isinstance(said, Frame):
            self.counters.data_octets += size
            self._ordering.push(said, checksum, out)
        elif isinstance(said, Configuration):
            self.counters.configuration_octets += size
            self._configure(said)
        else:
            self._damaged(size, said.kind, said.reason, out)

    def _configure(self, told: Configuration) -> None:
        self.counters.configurations += 1
        self._known.pop(told.tag, None)
        self._known[told.tag] = told  # the last of them is the latest heard
        if len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]
        self.configuration = told

    def _damaged(self, octets: int, kind: str, reason: str, out: list[Event]) -> None:
        counters = self.counters
        counters.damaged += 1
        counters.damaged_octets += octets
        counters.damaged_kinds[kind] = counters.damaged_kinds.get(kind, 0) + 1
        out.append(Damaged(octets, kind, reason))
