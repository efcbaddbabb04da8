"""Records of fixed length: where their bits are, and reading and writing them.

A record is what a device sends for one sample of all its channels. Arrays of records are uint8
with the octets last: (n, octets), or (positions, octets) where any octet may begin one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.events import NumberEncoding

Octets = NDArray[np.uint8]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Layout:
    """One record.

    octets: its length. fixed: (octet, mask, value) of bits that every record has. channels,
    counts_at, width, order: how many counts, where the first is, octets of each and their
    order; of four octets the low 24 bits are the count and the highest must be their sign.
    steady: (octet, mask) of bits of which at most `flicker` change from one record to the next.
    counter_at, modulus: the octet that counts records, if one does. off_at: bits at which the
    lead-off bits of the positive and of the negative inputs begin, if it has them. confirm:
    records in a row that must fit before an alignment is believed. hold: records that must fit
    after one before it is given out.
    """

    octets: int
    fixed: tuple[tuple[int, int, int], ...]
    channels: int
    counts_at: int
    confirm: int
    hold: int = 1
    width: int = 3
    order: Literal["big", "little"] = "big"
    steady: tuple[tuple[int, int], ...] = ()
    flicker: int = 0
    counter_at: int | None = None
    modulus: int | None = None
    off_at: tuple[int, int] | None = None


def raw_counts(layout: Layout, records: Octets) -> NDArray[np.int32]:
    """The 24 bits of each count, unsigned: (n, octets) to (n, channels)."""
    at = layout.counts_at + layout.width * np.arange(layout.channels)
    high, middle, low = (0, 1, 2) if layout.order == "big" else (2, 1, 0)
    parts = [records[:, at + part].astype(np.int32) for part in (high, middle, low)]
    return parts[0] << 16 | parts[1] << 8 | parts[2]


def counts_in(layout: Layout, encoding: NumberEncoding, records: Octets) -> NDArray[np.int32]:
    """Counts as the converter gave them: (n, octets) to (n, channels)."""
    counts = raw_counts(layout, records)
    if encoding == "twos":
        counts -= (counts & 0x800000) << 1
    return counts


def fits(layout: Layout, records: Octets) -> Flags:
    """Which have the bits that every record has: (n, octets) to (n,)."""
    good = np.ones(len(records), dtype=bool)
    for octet, mask, value in layout.fixed:
        good &= (records[:, octet] & mask) == value
    if layout.width == 4:
        signs = records[:, layout.counts_at + 3 + 4 * np.arange(layout.channels)]
        good &= (signs == np.where(raw_counts(layout, records) >> 23, 0xFF, 0)).all(axis=1)
    return good


def steady(layout: Layout, before: Octets, after: Octets) -> Flags:
    """Which can come after those by their steady bits: twice (n, octets) to (n,)."""
    changed = np.zeros(len(after), dtype=np.uint8)
    for octet, mask in layout.steady:
        changed += np.bitwise_count((before[:, octet] ^ after[:, octet]) & np.uint8(mask))
    return changed <= layout.flicker


def credible(layout: Layout, octets: Octets, confirm: int) -> Flags:
    """Which octets begin `confirm` records in a row that fit: (n,) to (positions,)."""
    length = layout.octets
    positions = len(octets) - confirm * length + 1
    if positions < 1:
        return np.zeros(0, dtype=bool)
    records = np.lib.stride_tricks.sliding_window_view(octets, length)
    fitting = fits(layout, records)
    still = steady(layout, records[:-length], records[length:])
    good = fitting[:positions].copy()
    for before in range(0, (confirm - 1) * length, length):
        good &= fitting[before + length : before + length + positions]
        good &= still[before : before + positions]
    return good


def live_channels(layout: Layout, octets: Octets, count: int) -> NDArray[np.int64]:
    """How many counts would be alive, were octets to begin `count` records: (n,) to (positions,).

    A converter's lowest octet never keeps still; one that keeps still in half of the steps or
    more is a rail, an input that is not used, or no lowest octet at all.
    """
    length = layout.octets
    positions = len(octets) - count * length + 1
    lowest = layout.counts_at + layout.width * np.arange(layout.channels)
    lowest += 2 if layout.order == "big" else 0
    changes = octets[length:] != octets[:-length]
    moved = np.zeros((positions, layout.channels), dtype=np.int64)
    for step in range(count - 1):
        at = np.arange(positions) + step * length
        moved += changes[at[:, None] + lowest]
    return np.asarray((2 * moved > count - 1).sum(axis=1))


def alignments(layout: Layout, octets: Octets, confirm: int) -> Flags:
    """Which octets can be believed to begin records: (n,) to (positions,).

    Those that begin `confirm` records, while every other octet within one record that could do
    so would leave fewer counts alive. (A false alignment reads high octets or the status as
    lowest octets, so it never leaves more.) A rival needs one record less: else damage just
    behind the window could hide the true alignment and leave a false one alone.
    """
    good = credible(layout, octets, confirm)
    if not good.any():
        return good
    fewer = max(1, confirm - 1)
    live = live_channels(layout, octets, fewer)
    rivals = np.where(credible(layout, octets, fewer), live, -1)
    after = np.concatenate([rivals[1:], np.full(layout.octets, -1)])
    nearby = np.lib.stride_tricks.sliding_window_view(after, layout.octets - 1)[: len(good)]
    ahead: Flags = live[: len(good)] > nearby.max(axis=1)
    return good & ahead


def off_of(layout: Layout, records: Octets, valid: int) -> NDArray[np.int32]:
    """Lead-off bits of each record, as in `Frame`: (n, octets) to (n,)."""
    off = np.zeros(len(records), dtype=np.int32)
    if layout.off_at is None or not valid:
        return off
    for half, at in enumerate(layout.off_at):
        pair = records[:, at // 8].astype(np.int32) << 8 | records[:, at // 8 + 1]
        off |= (pair >> (8 - at % 8) & 0xFF) << (8 * half)
    return off & valid


def records_of(layout: Layout, counts: NDArray[np.int32], *, first: int, off: int) -> Octets:
    """Records that hold these counts (n, channels): (n, octets).

    first: number of the first, for the counter. off: lead-off bits as in `Frame`; left out where
    the layout has none. Octets that mean nothing to us are 0.
    """
    samples = len(counts)
    records = np.zeros((samples, layout.octets), dtype=np.uint8)
    for octet, _, value in layout.fixed:
        records[:, octet] = value
    values = np.asarray(counts, dtype=np.int64) & 0xFFFFFF
    if layout.width == 4:
        values |= np.where(values >> 23, 0xFF000000, 0)
    places = 8 * np.arange(layout.width)
    shifts = places[::-1] if layout.order == "big" else places
    split = (values[:, :, None] >> shifts & 0xFF).astype(np.uint8).reshape(samples, -1)
    records[:, layout.counts_at : layout.counts_at + layout.width * layout.channels] = split
    if layout.counter_at is not None and layout.modulus is not None:
        records[:, layout.counter_at] = (first + np.arange(samples)) % layout.modulus
    if layout.off_at is not None:
        for at, bits in zip(layout.off_at, (off & 0xFF, off >> 8 & 0xFF), strict=True):
            spread = bits << (8 - at % 8)  # over the octet it begins in and the next
            records[:, at // 8] |= np.uint8(spread >> 8)
            records[:, at // 8 + 1] |= np.uint8(spread & 0xFF)
    return records
