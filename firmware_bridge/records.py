"""Fixed-length records: one decoder and one packer for every row of `devices`.

A record has no checksum and little to know it by, so where records begin is found, held and
doubted:

* Hunting. An alignment is believed when `confirm` records in a row have the fixed bits and keep
  still what should keep still. Where two could be the one, it is that in which more counts'
  lowest octets move, as a converter's do; where none has more, neither is taken.
* Holding. A record is given out when the `hold` records after it fit as well: a record in which
  an octet went missing begins as it should, and only the next one shows it. For the same reason
  the first record of a new alignment is left out: it may begin in the damage.
* Doubting. A record that does not fit, or is not the next by its counter, makes the decoder hunt
  anew. Believed where it stands, nothing has moved (an electrode fell off, a radio packet was
  lost); believed later, the octets between are `Damaged`.

What the fixed bits alone leave to chance, were octets random: 2^-64 an alignment for the ADS129x
and the ADS1293 (4 bits, 16 records), 2^-52 for the Cyton (13 bits, 4 records), 2^-160 for
OpenView. Counts are not random: an electrode's offset can put 0xC in the high nibble of a channel
for hours. Then the steady bits tell, and the comparison with the others.
benchmarks/record_locks.py measures what is left.

A format without a counter cannot tell how much is gone: `Gap(samples=None, why="slipped")`, and
sample numbers begin anew. Only short damage that left the alignment where it was is taken for so
many records. With a counter the gap is known but for a multiple of its modulus. Whole records
that vanish cleanly from a format without a counter leave no trace.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.device_table import Device
from firmware_bridge.events import Configuration, Counters, Damaged, Event, Frame, Gap
from firmware_bridge.layout import (
    Flags,
    Octets,
    alignments,
    counts_in,
    fits,
    off_of,
    records_of,
    steady,
)

#: A frame holds a fiftieth of a second, however the octets came.
_FRAMES_A_SECOND = 50
#: Octets that are no record are told of in pieces of this size at most.
_MAX_DAMAGED = 1024
#: Octets looked at together, which bounds what a long feed takes.
_AT_ONCE = 1 << 16


def pack(
    device: Device,
    counts: NDArray[np.int32],
    *,
    first: int = 0,
    off: int = 0,
    off_valid: int = 0,
    t_us: int | None = None,
) -> list[bytes]:
    """What a device with a `record` would send for these counts (n, channels), one a sample.

    first: number of the first sample, for the counter. off, off_valid: lead-off bits as in
    `Frame`, for devices that tell them. t_us: nothing, for none of these formats has a time.
    """
    assert device.record is not None, f"{device.title} is packed by firmware_bridge.wire"
    records = records_of(device.record, counts, first=first, off=off & off_valid)
    return [record.tobytes() for record in records]


class RecordDecoder:
    """Octets in, `Frame | Gap | Damaged` out; see `firmware_bridge.events.Decoder`.

    device: its row. configuration: what its counts are worth. lead_off: believe the lead-off
    bits the row calls valid; otherwise none means anything. Between calls it holds fewer than
    `confirm + hold + 2` records and one frame, whatever it was fed.
    """

    def __init__(
        self, device: Device, configuration: Configuration, *, lead_off: bool = False
    ) -> None:
        assert device.record is not None, f"{device.title} has no records"
        self.counters = Counters()
        self.configuration = configuration
        self._title, self._layout = device.title, device.record
        self._off_valid = device.off_valid if lead_off else 0
        self._batch = max(1, round(configuration.rate_hz / _FRAMES_A_SECOND))
        self._events: list[Event] = []
        self._buffer = bytearray()
        self._aligned = False  # a record begins the buffer
        self._last: Octets | None = None  # the last one given out: (1, octets)
        self._doubted = False  # the first one is believed whatever came before it
        self._cut = False  # the octets came to an end, and then went on
        self._counter = 0  # what the next record should count
        self._skipped = self._untold = 0  # octets since the last record; those not told of yet
        self._number = 0  # of the first sample in _pending
        self._pending = np.zeros((0, self._layout.octets), dtype=np.uint8)

    def feed(self, data: bytes) -> list[Event]:
        """What these octets complete."""
        self.counters.octets += len(data)
        for start in range(0, len(data), _AT_ONCE):
            self._buffer += data[start : start + _AT_ONCE]
            self._run(final=False)
        return self._told()

    def finish(self) -> list[Event]:
        """What was held back; records too few to be believed are damaged octets."""
        self._run(final=True)
        self._skip(len(self._buffer))
        self._tell(self._untold)
        self._emit(partial=True)
        self._aligned, self._cut, self._skipped = False, True, 0
        return self._told()

    def _told(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _run(self, *, final: bool) -> None:
        while self._follow(final) if self._aligned else self._hunt():
            pass

    # ── where records begin ──

    @property
    def _window(self) -> int:
        """Octets it takes to believe an alignment."""
        return self._layout.confirm * self._layout.octets

    def _hunt(self) -> bool:
        """Look for an alignment; whether one was found."""
        data = np.frombuffer(bytes(self._buffer), dtype=np.uint8)
        believed = alignments(self._layout, data, self._layout.confirm)
        found = np.flatnonzero(believed)
        self._skip(int(found[0]) if len(found) else len(believed))
        if len(found):
            self._join()
        return len(found) > 0

    def _follow(self, final: bool) -> bool:
        """Give out the records that fit and are not to be held; whether there is more to do."""
        octets = self._layout.octets
        complete = len(self._buffer) // octets
        if not complete:
            return False
        data = np.frombuffer(bytes(self._buffer[: complete * octets]), dtype=np.uint8)
        records = data.reshape(complete, octets)
        good = self._good(records)
        fitting = complete if good.all() else int(np.argmin(good))
        held = self._layout.hold
        if final and fitting == complete and len(self._buffer) == complete * octets:
            held = 0  # a record that lost an octet would have left a remainder
        ready = max(0, fitting - held)
        self._give(records[:ready])
        return fitting < complete and self._doubt(records[ready:fitting], final)

    def _good(self, records: Octets) -> Flags:
        """Which records fit, and come after the one before: shape (n,)."""
        layout = self._layout
        first = records[:1] if self._last is None else self._last
        before = np.concatenate([first, records[:-1]])
        follows = steady(layout, before, records)
        if layout.counter_at is not None and layout.modulus is not None:
            counted = records[:, layout.counter_at].astype(np.int32)
            expected = np.concatenate([[self._counter], counted[:-1] + 1]) % layout.modulus
            follows &= counted == expected
        follows[0] |= self._doubted
        return fits(layout, records) & follows

    def _doubt(self, held: Octets, final: bool) -> bool:
        """The record after the held ones does not fit; whether it could be decided what it is."""
        layout = self._layout
        data = np.frombuffer(bytes(self._buffer[held.size :]), dtype=np.uint8)
        if len(data) < self._window and not final:
            return False
        confirm = layout.confirm
        if final and layout.counter_at is not None:  # a packet lost near the end of a log
            confirm = min(confirm, len(data) // layout.octets)
        believed = alignments(layout, data, confirm)
        if len(believed) and believed[0]:
            self._give(held)
            self._join()
        else:
            self._aligned = False
            self._skip(held.size + 1)  # what was not believed here must not be again
        return True

    # ── what is missing ──

    def _join(self) -> None:
        """A record begins the buffer: say what is missing between the last one and it."""
        layout = self._layout
        self._aligned = self._doubted = True
        if self._skipped % layout.octets:
            self._skip(layout.octets)  # the first may begin in the damage
        skipped = self._skipped
        if layout.counter_at is not None and layout.modulus is not None:
            self._join_counted(layout.counter_at, layout.modulus)
        else:
            self._tell(self._untold)
            in_place = not skipped % layout.octets and skipped <= self._window
            if self._last is None:
                pass  # nothing before it
            elif self._cut or not in_place:
                self._gap(None, "slipped")
            elif skipped:
                self._gap(skipped // layout.octets, "lost")
        self._cut, self._skipped = False, 0

    def _join_counted(self, at: int, modulus: int) -> None:
        """The same by the counter, of which one octet may itself be wrong.

        What the record after it counts tells: a repeated record, two that came in the wrong
        order (the early one is dropped), a damaged counter, or a loss.
        """
        octets = self._layout.octets
        record, after = bytes(self._buffer[:octets]), self._buffer[octets : 2 * octets]
        following = after[at] if len(after) == octets else None
        missing = (record[at] - self._counter) % modulus
        if self._last is None:
            missing = 0
            self._counter = record[at]
        repeated = self._last is not None and record == self._last.tobytes()
        early = missing == 1 and following == self._counter
        next_one = (self._counter + 1) % modulus
        if missing and following == next_one != (record[at] + 1) % modulus:
            self._skip(octets)
            missing, self._counter = 1, next_one
        elif (missing == modulus - 1 and repeated) or early:
            del self._buffer[:octets]
            self.counters.data_octets += octets
            self.counters.duplicates += not early
            self.counters.stray += early
            missing = 0
        else:
            self._counter = record[at]
        self._tell(self._untold)
        if missing:
            self._gap(missing, "lost", modulus)

    def _skip(self, octets: int) -> None:
        octets = min(octets, len(self._buffer))
        del self._buffer[:octets]
        self._skipped += octets
        self._untold += octets
        while self._untold >= _MAX_DAMAGED:
            self._tell(_MAX_DAMAGED)

    # ── telling ──

    def _tell(self, octets: int) -> None:
        if not octets:
            return
        self._emit(partial=True)
        self._untold -= octets
        self.counters.damaged += 1
        self.counters.damaged_octets += octets
        kinds = self.counters.damaged_kinds
        kinds["sync"] = kinds.get("sync", 0) + 1
        self._events.append(Damaged(octets, "sync", f"no record of {self._title}"))

    def _gap(self, samples: int | None, why: str, modulus: int | None = None) -> None:
        self._emit(partial=True)
        self.counters.gaps += 1
        self.counters.lost += samples or 0
        self._events.append(Gap(self._number, samples, why, modulus))
        self._number = 0 if samples is None else self._number + samples

    def _give(self, records: Octets) -> None:
        """Take records off the buffer, and emit the frames they complete."""
        if not len(records):
            return
        del self._buffer[: records.size]
        self.counters.data_octets += records.size
        self._last, self._doubted = records[-1:], False
        if self._layout.counter_at is not None and self._layout.modulus is not None:
            self._counter = (int(records[-1, self._layout.counter_at]) + 1) % self._layout.modulus
        self._pending = np.concatenate([self._pending, records])
        self._emit(partial=False)

    def _emit(self, *, partial: bool) -> None:
        """Frames of a batch each, shorter where lead-off changes; all of it if partial."""
        pending, valid = self._pending, self._off_valid
        if not (partial or valid) and len(pending) < self._batch:
            return
        counts = counts_in(self._layout, self.configuration.encoding, pending)
        off = off_of(self._layout, pending, valid)
        start = 0
        for edge in [*(np.flatnonzero(np.diff(off)) + 1).tolist(), len(pending)]:
            while start < edge:
                end = min(start + self._batch, edge)
                if end == len(pending) < start + self._batch and not partial:
                    break
                some = counts[start:end]
                self._events.append(
                    Frame(self._number, some, None, int(off[start]), valid, self.configuration)
                )
                self._number += len(some)
                self.counters.frames += 1
                self.counters.samples += len(some)
                start = end
        self._pending = pending[start:]
