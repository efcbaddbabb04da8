"""Fixed-length records that are lost, repeated, damaged, and electrodes that fall off."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_events import (
    RECORDS,
    counts_in,
    events_and_decoder,
    events_of,
    octets_of,
    others,
)

from benchmarks.record_locks import stream
from firmware_bridge.devices import DEVICES, open_decoder
from firmware_bridge.events import Damaged, Frame, Gap
from firmware_bridge.records import pack

UNCOUNTED = [name for name in RECORDS if name != "cyton"]


@pytest.mark.parametrize("name", UNCOUNTED)
def test_a_slip_ends_the_sample_numbers_where_nothing_counts(name: str) -> None:
    counts, octets = stream(name, 11)
    length = octets_of(name)
    del octets[60 * length + 1]
    events = events_of(name, bytes(octets))
    (damage, gap) = others(events)
    assert isinstance(damage, Damaged)
    assert (gap.samples, gap.why, gap.modulus) == (None, "slipped", None)  # type: ignore[union-attr]
    after = [one for one in events[events.index(gap) + 1 :] if isinstance(one, Frame)]
    assert after[0].first == 0
    np.testing.assert_array_equal(counts_in(after), counts[-len(counts_in(after)) :])


@pytest.mark.parametrize("name", UNCOUNTED)
def test_damage_that_moved_nothing_is_so_many_samples(name: str) -> None:
    counts, octets = stream(name, 12)
    octets[60 * octets_of(name)] ^= 0x80  # a sync bit
    events = events_of(name, bytes(octets))
    (damage, gap) = others(events)
    assert isinstance(damage, Damaged)
    assert isinstance(gap, Gap)
    assert gap.samples == damage.octets // octets_of(name)
    assert gap.modulus is None
    read = [one for one in events if isinstance(one, Frame)]
    for frame in read:
        np.testing.assert_array_equal(frame.counts, counts[frame.first : frame.end])
    assert read[-1].end == len(counts)


def cyton(numbers: Sequence[int], counts: np.ndarray) -> bytes:
    packed = pack(DEVICES["cyton"], counts)
    return b"".join(packed[number] for number in numbers)


@pytest.mark.parametrize("lost", [1, 2, 100, 255])
def test_a_cytons_lost_packets_are_counted_but_for_256(lost: int) -> None:
    counts = np.arange(8 * 500, dtype=np.int32).reshape(500, 8)
    numbers = [*range(50), *range(50 + lost, 500)]
    events, decoder = events_and_decoder("cyton", cyton(numbers, counts))
    assert others(events) == [Gap(50, lost, "lost", 256)]
    assert decoder.counters.lost == lost
    for frame in (one for one in events if isinstance(one, Frame)):
        np.testing.assert_array_equal(frame.counts, counts[frame.first : frame.end])


def test_256_lost_packets_of_a_cyton_leave_no_trace() -> None:
    counts = np.arange(8 * 500, dtype=np.int32).reshape(500, 8)
    assert others(events_of("cyton", cyton([*range(50), *range(306, 500)], counts))) == []


@pytest.mark.parametrize("at_end", [False, True])
def test_a_repeated_packet_is_dropped_and_counted(at_end: bool) -> None:
    counts = np.arange(8 * 60, dtype=np.int32).reshape(60, 8)
    numbers = [*range(60), 59] if at_end else [*range(30), 29, *range(30, 60)]
    events, decoder = events_and_decoder("cyton", cyton(numbers, counts))
    np.testing.assert_array_equal(counts_in(events), counts)
    assert decoder.counters.duplicates == 1
    assert others(events) == []


def test_of_two_swapped_packets_one_is_lost_and_no_more() -> None:
    counts = np.arange(8 * 60, dtype=np.int32).reshape(60, 8)
    events, decoder = events_and_decoder(
        "cyton", cyton([*range(30), 31, 30, *range(32, 60)], counts)
    )
    assert others(events) == [Gap(31, 1, "lost", 256)]
    assert decoder.counters.stray == 1
    for frame in (one for one in events if isinstance(one, Frame)):
        np.testing.assert_array_equal(frame.counts, counts[frame.first : frame.end])


def test_a_damaged_counter_costs_its_own_packet() -> None:
    counts = np.arange(8 * 60, dtype=np.int32).reshape(60, 8)
    octets = bytearray(cyton(range(60), counts))
    octets[33 * 30 + 1] ^= 0x40
    events = events_of("cyton", bytes(octets))
    assert others(events) == [
        Damaged(33, "sync", "no record of OpenBCI Cyton"),
        Gap(30, 1, "lost", 256),
    ]


def test_a_stream_that_goes_on_after_its_end_begins_anew() -> None:
    _, octets = stream("ads1298", 1)
    decoder = open_decoder("ads1298")
    decoder.feed(bytes(octets))
    decoder.finish()
    events = [*decoder.feed(bytes(octets)), *decoder.finish()]
    assert isinstance(events[0], Gap)
    assert events[0].samples is None


# ── lead-off ──


def test_lead_off_bits_mean_nothing_unless_asked_for() -> None:
    octets = b"".join(pack(DEVICES["ads1298"], np.zeros((60, 8), np.int32), off=2, off_valid=2))
    frames = [one for one in events_of("ads1298", octets) if isinstance(one, Frame)]
    assert {(one.off, one.off_valid) for one in frames} == {(0, 0)}


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["ads1298", "ads1294"]), st.integers(0, 2**16 - 1))
def test_lead_off_bits_come_through_where_they_are_valid(name: str, off: int) -> None:
    device = DEVICES[name]
    counts, _ = stream(name, off)
    octets = b"".join(pack(device, counts, off=off, off_valid=0xFFFF))
    frames = [one for one in events_of(name, octets, lead_off=True) if isinstance(one, Frame)]
    assert {(one.off, one.off_valid) for one in frames} == {
        (off & device.off_valid, device.off_valid)
    }


def test_an_electrode_that_falls_off_costs_no_sample_and_is_told_at_its_sample() -> None:
    device = DEVICES["ads1298"]
    counts, _ = stream("ads1298", 4)
    # LA is the positive input of channel 2; a bad contact flickers, then several fall off.
    offs = [0] * 100 + [2, 0] * 20 + [2] * 60 + [0x02FF] * 100
    octets = b"".join(
        pack(device, counts[n : n + 1], off=off, off_valid=0xFFFF)[0] for n, off in enumerate(offs)
    )
    events = events_of("ads1298", octets, lead_off=True)
    assert others(events) == []
    np.testing.assert_array_equal(counts_in(events), counts[: len(offs)])
    told = [one.off for one in events if isinstance(one, Frame) for _ in one.counts]
    assert told == [off & device.off_valid for off in offs]


def test_status_bits_as_they_stand_in_the_datasheet() -> None:
    # 1100, LOFF_STATP, LOFF_STATN, GPIO: channel 1 positive and channel 2 negative are off.
    record = pack(DEVICES["ads1298"], np.zeros((1, 8), np.int32), off=0x0201, off_valid=0xFFFF)[0]
    assert record[:3] == bytes([0b11000000, 0b00010000, 0b00100000])
