"""Fixed-length records of five devices: read right, or not at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.record_locks import OFFSETS, stream, trial
from firmware_bridge.devices import DEVICES, configuration, open_decoder
from firmware_bridge.events import Damaged, Decoder, Event, Frame, Gap
from firmware_bridge.leads import counts_of, lead_map
from firmware_bridge.records import pack
from firmware_bridge.wire import configuration_body, data_body, seal

RECORDS = [name for name, device in DEVICES.items() if device.record is not None]
UNCOUNTED = [name for name in RECORDS if name != "cyton"]


def octets_of(name: str) -> int:
    layout = DEVICES[name].record
    assert layout is not None
    return layout.octets


def events_of(name: str, data: bytes, cut: Sequence[int] = (), **chosen: bool) -> list[Event]:
    """What a new decoder says of data, fed in pieces."""
    return events_and_decoder(name, data, cut, **chosen)[0]


def events_and_decoder(
    name: str, data: bytes, cut: Sequence[int] = (), **chosen: bool
) -> tuple[list[Event], Decoder]:
    decoder = open_decoder(name, **chosen)
    events: list[Event] = []
    for start, end in zip([0, *cut], [*cut, len(data)], strict=True):
        events += decoder.feed(data[start:end])
    return [*events, *decoder.finish()], decoder


def counts_in(events: Sequence[Event]) -> np.ndarray:
    return np.concatenate([one.counts for one in events if isinstance(one, Frame)])


def others(events: Sequence[Event]) -> list[Event]:
    return [one for one in events if not isinstance(one, Frame)]


def as_plain(events: Sequence[Event]) -> list[object]:
    return [
        (e.first, e.counts.tolist(), e.off, e.off_valid) if isinstance(e, Frame) else e
        for e in events
    ]


# ── one record by hand ──


def test_an_ads1298_record_is_read_as_the_datasheet_writes_it() -> None:
    counts = ("7FFFFF", "800000", "000001", "FFFFFF", "000000", "123456", "BFFFFF", "FEDCBA")
    record = bytes.fromhex("C00000" + "".join(counts))
    assert len(record) == 27
    read = counts_in(events_of("ads1298", record * 20))
    expected = [2**23 - 1, -(2**23), 1, -1, 0, 0x123456, 0xBFFFFF - 2**24, 0xFEDCBA - 2**24]
    assert read.tolist() == [expected] * 20


def test_an_ads1293_burst_is_offset_binary_and_so_are_openviews_packets() -> None:
    pace = "800080018002"
    burst = bytes.fromhex("E2" + pace + "5CB278" + "800000" + "000001" + "01")
    assert counts_in(events_of("ads1293", burst * 20))[0].tolist() == [0x5CB278, 0x800000, 1]
    packet = bytes.fromhex("0AFA0C0002" + "78B25C00" + "000080FF" + "01000000" + "000B")
    assert counts_in(events_of("openview", packet * 20))[0].tolist() == [0x5CB278, 0x800000, 1]


def test_an_openview_count_whose_high_octet_is_not_its_sign_is_no_record() -> None:
    packet = bytes.fromhex("0AFA0C0002" + "78B25C01" + "000080FF" + "01000000" + "000B")
    assert not any(isinstance(one, Frame) for one in events_of("openview", packet * 20))


@pytest.mark.parametrize("footer", [0xC0, 0xC3, 0xC6])
def test_a_cyton_packet_is_read_with_any_kind_of_footer(footer: int) -> None:
    packets = b"".join(
        bytes([0xA0, n % 256]) + bytes.fromhex("FFFFFE") * 8 + bytes(6) + bytes([footer])
        for n in range(250, 270)
    )
    events = events_of("cyton", packets)
    assert counts_in(events).tolist() == [[-2] * 8] * 20
    assert others(events) == []


# ── the whole way ──


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(RECORDS), st.integers(0, 2**32), st.data())
def test_what_is_packed_is_read_back_however_it_is_cut(
    name: str, seed: int, data: st.DataObject
) -> None:
    counts, octets = stream(name, seed)
    cut = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=6)))
    events, decoder = events_and_decoder(name, bytes(octets), cut)
    np.testing.assert_array_equal(counts_in(events), counts)
    assert others(events) == []
    assert (decoder.counters.samples, decoder.counters.damaged) == (len(counts), 0)
    firsts = [one.first for one in events if isinstance(one, Frame)]
    assert (
        firsts
        == np.cumsum([0, *(len(e.counts) for e in events if isinstance(e, Frame))])[:-1].tolist()
    )


@pytest.mark.parametrize("name", RECORDS)
def test_leads_go_through_a_device_and_come_back(name: str) -> None:
    told = configuration(name)
    rng = np.random.default_rng(3)
    limb = rng.normal(0, 1, (2, 200))
    leads = np.empty((12, 200))
    leads[:6] = np.array([[1, 0], [0, 1], [-1, 1], [-0.5, -0.5], [1, -0.5], [-0.5, 1]]) @ limb
    leads[6:] = rng.normal(0, 1, (6, 200))
    octets = b"".join(pack(DEVICES[name], counts_of(told, leads)))
    derived = lead_map(told).derive(counts_in(events_of(name, octets)))
    present = np.isfinite(derived[:, 0])
    np.testing.assert_allclose(derived[present], leads[present], atol=1e-3)


# ── what cannot be trusted ──


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(RECORDS), st.binary(max_size=3000), st.data())
def test_no_octets_raise_and_all_are_accounted_for(
    name: str, octets: bytes, data: st.DataObject
) -> None:
    cut = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=4)))
    events, decoder = events_and_decoder(name, octets, cut)
    told = sum(one.octets for one in events if isinstance(one, Damaged))
    assert told + octets_of(name) * decoder.counters.samples == len(octets)
    assert decoder.counters.octets == len(octets)
    assert as_plain(events) == as_plain(events_of(name, octets))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(RECORDS), st.integers(0, 2**32), st.data())
def test_events_depend_on_the_octets_and_not_on_the_pieces(
    name: str, seed: int, data: st.DataObject
) -> None:
    _, octets = stream(name, seed)
    del octets[3000:]
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(octets)))
        kind = data.draw(st.sampled_from(["cut", "put", "flip"]))
        if kind == "cut":
            del octets[at : at + data.draw(st.integers(1, 90))]
        elif kind == "put":
            octets[at:at] = data.draw(st.binary(min_size=1, max_size=90))
        elif at < len(octets):
            octets[at] ^= data.draw(st.integers(1, 255))
    cut = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=40)))
    whole, pieces = (
        events_and_decoder(name, bytes(octets)),
        events_and_decoder(name, bytes(octets), cut),
    )
    assert as_plain(whole[0]) == as_plain(pieces[0])
    assert whole[1].counters == pieces[1].counters


@pytest.mark.parametrize("offsets", OFFSETS)
@pytest.mark.parametrize("name", RECORDS)
def test_no_sample_comes_out_that_was_not_sent(name: str, offsets: str) -> None:
    """Octets cut out and put in; benchmarks/record_locks.py measures many more."""
    wrong, right, sent = np.sum(
        [trial(name, seed, worst=offsets == "worst") for seed in range(40)], axis=0
    )
    assert wrong == 0
    assert right > 0.85 * sent


def test_two_alignments_that_fit_are_no_alignment() -> None:
    # Every octet 0xC0: any octet could begin an ADS1298 record, and for ever.
    assert not any(isinstance(one, Frame) for one in events_of("ads1298", b"\xc0" * 5000))


def test_of_two_alignments_that_fit_the_one_with_live_counts_is_taken() -> None:
    # Channels 3 and 4 off: the status is C0 C0 00, and its second octet could begin one too.
    counts, _ = stream("ads1298", 9)
    octets = b"".join(pack(DEVICES["ads1298"], counts, off=0x000C, off_valid=0xFFFF))
    read = counts_in(events_of("ads1298", octets[5:]))
    np.testing.assert_array_equal(read, counts[2:])  # the first whole one is left out


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("other", RECORDS)
def test_a_device_of_another_format_gives_no_frame(name: str, other: str) -> None:
    if name == other:
        return
    _, octets = stream(other, 7)
    events = events_of(name, bytes(octets))
    assert not any(isinstance(one, Frame) for one in events)
    assert sum(one.octets for one in events if isinstance(one, Damaged)) == len(octets)


def wire_octets(frames: int) -> bytes:
    told = configuration("ecgedge")
    rng = np.random.default_rng(0)
    parts = [seal(configuration_body(told))]
    for number in range(frames):
        counts = rng.normal(0, 3000, (10, 8)).astype(np.int32)
        parts.append(seal(data_body(counts, first=10 * number, t_us=20000 * number, tag=told.tag)))
    return b"".join(parts)


@pytest.mark.parametrize("name", RECORDS)
def test_our_own_wire_format_gives_no_frame(name: str) -> None:
    assert not any(isinstance(one, Frame) for one in events_of(name, wire_octets(200)))


@pytest.mark.parametrize("name", RECORDS)
def test_records_give_the_wires_decoder_no_frame(name: str) -> None:
    _, octets = stream(name, 5)
    assert not any(isinstance(one, Frame) for one in events_of("ecgedge", bytes(octets)))


@pytest.mark.parametrize("name", RECORDS)
def test_noise_gives_no_frame_and_is_told_of_in_pieces(name: str) -> None:
    noise = np.random.default_rng(1).bytes(300_000)
    events = events_of(name, noise)
    assert not any(isinstance(one, Frame) for one in events)
    assert max(one.octets for one in events if isinstance(one, Damaged)) == 1024


@pytest.mark.parametrize("name", RECORDS)
def test_what_is_held_between_calls_is_bounded(name: str) -> None:
    decoder = open_decoder(name)
    noise = np.random.default_rng(2).bytes(20_000)
    longest = 0
    for start in range(0, len(noise), 100):
        decoder.feed(noise[start : start + 100])
        longest = max(longest, len(decoder._buffer))  # type: ignore[attr-defined]
    layout = DEVICES[name].record
    assert layout is not None
    assert longest < (layout.confirm + layout.hold + 2) * layout.octets


# ── losses ──


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
    assert decoder.counters.reordered == 1
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
