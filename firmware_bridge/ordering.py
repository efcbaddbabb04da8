"""Frames as they came -> frames in order, each sample once, with the gaps between them.

The rules (docs/bridge.md tells why):

- The first frame begins the run; its number is the device's.
- A frame that runs ahead waits for those before it. When more than `HOLD` wait, the samples
  before the first of them are lost: a `Gap`. One that `ODD` frames have passed by was never
  part of the run and is dropped.
- A frame of octets that were had already is a duplicate. One that fills a gap declared within
  the last `LATE` frames is late. Both are dropped.
- Any other frame that does not fit (older, overlapping, or more than `FAR` ahead) is suspect.
  `RESTART` suspects in a row without a frame that fits are the beginning of a new run, and none
  of them is lost. Fewer are dropped as stray.
- A frame of a device or boot other than the run's begins a new run at once, unless it is of the
  run just before: then it is suspect.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import NamedTuple

from firmware_bridge.events import Configuration, Counters, Event, Frame, Gap

HOLD = 4
RESTART = 8
ODD = 8
LATE = 64
#: Samples: 4.7 hours at 1000 Hz. After a longer way ahead a device has rather begun anew.
FAR = 1 << 24
#: Frames whose checksums are remembered to know a duplicate by.
REMEMBERED = 256
_GAPS = 16
_NUMBERS = 1 << 32

_Identity = tuple[str, int]


class _Waiting(NamedTuple):
    frame: Frame
    checksum: bytes
    delivered: int

    @property
    def first(self) -> int:
        return self.frame.first


class _Lost(NamedTuple):
    first: int
    end: int
    arrivals: int


class Ordering:
    """One stream's run of numbers."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._next: int | None = None
        self._waiting: list[_Waiting] = []  # ahead, by number, none overlapping another
        self._suspects: list[tuple[Frame, bytes]] = []
        self._had: deque[bytes] = deque(maxlen=REMEMBERED)
        self._lost: deque[_Lost] = deque(maxlen=_GAPS)
        self._arrivals = 0
        self._configuration: Configuration | None = None  # the latest one delivered
        self._former: _Identity | None = None

    def push(self, frame: Frame, checksum: bytes, out: list[Event]) -> None:
        """Take a frame as it came; what can be delivered now is appended to out.

        frame: its first is the number on the wire, mod 2^32. checksum: of its octets.
        """
        self._arrivals += 1
        at = self._next
        if at is None:
            self._accept(frame, checksum, out)
            return
        if frame.configuration is not self._configuration and self._foreign(frame):
            if _identity(frame.configuration) == self._former:
                self._suspect(frame, checksum, out)
            else:
                self._restart([(frame, checksum)], out)
            return
        ahead = (frame.first - at) % _NUMBERS
        if ahead >= _NUMBERS // 2:
            ahead -= _NUMBERS
        if frame.first != at + ahead:
            frame = replace(frame, first=at + ahead)
        if ahead == 0:
            self._accept(frame, checksum, out)
        elif 0 < ahead <= FAR:
            self._wait(frame, checksum, out)
        else:
            self._stale(frame, checksum, out)

    def finish(self, out: list[Event]) -> None:
        """Deliver what waits: nothing will come before it any more."""
        self._clear_suspects()
        while self._waiting:
            self._skip(out)

    def _accept(self, frame: Frame, checksum: bytes, out: list[Event]) -> None:
        self._deliver(frame, checksum, out)
        if self._suspects:
            self._clear_suspects()
        if self._waiting:
            self._counters.reordered += 1
            self._advance(out)

    def _deliver(self, frame: Frame, checksum: bytes, out: list[Event]) -> None:
        counters, samples = self._counters, len(frame.counts)
        counters.frames += 1
        counters.samples += samples
        if frame.configuration is None:
            counters.unconfigured += samples
        else:
            self._configuration = frame.configuration
        self._had.append(checksum)
        self._next = frame.first + samples
        out.append(frame)

    def _advance(self, out: list[Event]) -> None:
        """Deliver the waiting frames whose turn it is; drop those that never fitted."""
        assert self._next is not None
        while self._waiting and self._waiting[0].first <= self._next:
            one = self._waiting.pop(0)
            if one.first == self._next:
                self._deliver(one.frame, one.checksum, out)
            else:
                self._counters.stray += 1
        fits = [one for one in self._waiting if self._counters.frames - one.delivered <= ODD]
        self._counters.stray += len(self._waiting) - len(fits)
        self._waiting = fits

    def _wait(self, frame: Frame, checksum: bytes, out: list[Event]) -> None:
        for one in self._waiting:
            if frame.first < one.frame.end and one.first < frame.end:
                if one.checksum == checksum:
                    self._counters.duplicates += 1
                else:
                    self._counters.stray += 1
                return
        self._clear_suspects()
        if self._waiting and frame.first < self._waiting[-1].first:
            self._counters.reordered += 1
        self._waiting.append(_Waiting(frame, checksum, self._counters.frames))
        self._waiting.sort(key=lambda one: one.first)
        while len(self._waiting) > HOLD:
            self._skip(out)

    def _skip(self, out: list[Event]) -> None:
        """Declare the samples before the first waiting frame lost."""
        assert self._next is not None
        first, end = self._next, self._waiting[0].first
        out.append(Gap(first, end - first, "lost"))
        self._counters.gaps += 1
        self._counters.lost += end - first
        self._lost.append(_Lost(first, end, self._arrivals))
        self._next = end
        self._advance(out)

    def _stale(self, frame: Frame, checksum: bytes, out: list[Event]) -> None:
        for gap in self._lost:
            recent = self._arrivals - gap.arrivals <= LATE
            if recent and gap.first <= frame.first and frame.end <= gap.end:
                self._counters.late += 1
                return
        self._suspect(frame, checksum, out)

    def _suspect(self, frame: Frame, checksum: bytes, out: list[Event]) -> None:
        if checksum in self._had:
            self._counters.duplicates += 1
            return
        self._suspects.append((frame, checksum))
        if len(self._suspects) == RESTART:
            suspects, self._suspects = self._suspects, []
            self._restart(suspects, out)

    def _clear_suspects(self) -> None:
        self._counters.stray += len(self._suspects)
        self._suspects.clear()

    def _foreign(self, frame: Frame) -> bool:
        ours, theirs = _identity(self._configuration), _identity(frame.configuration)
        return ours is not None and theirs is not None and ours != theirs

    def _restart(self, frames: list[tuple[Frame, bytes]], out: list[Event]) -> None:
        """End the run, and begin one with these frames."""
        self.finish(out)
        assert self._next is not None
        out.append(Gap(self._next, None, "restarted"))
        self._counters.gaps += 1
        self._counters.restarts += 1
        self._former = _identity(self._configuration)
        self._next = self._configuration = None
        self._lost.clear()
        for frame, checksum in frames:
            self.push(replace(frame, first=frame.first % _NUMBERS), checksum, out)


def _identity(configuration: Configuration | None) -> _Identity | None:
    """What differs from start to start of a device, and from device to device."""
    return None if configuration is None else (configuration.device, configuration.boot)
