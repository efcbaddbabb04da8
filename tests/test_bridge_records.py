"""Fixed-length records of five devices: read right, or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_events import (
    RECORDS,
    as_plain,
    counts_in,
    events_and_decoder,
    events_of,
    octets_of,
    others,
)

from benchmarks.record_locks import OFFSETS, stream, trial
from firmware_bridge.devices import DEVICES, configuration, open_decoder
from firmware_bridge.events import Damaged, Frame
from firmware_bridge.leads import counts_of, lead_map
from firmware_bridge.records import pack
from firmware_bridge.wire import configuration_body, data_body, seal

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
    counters = decoder.counters
    assert told == counters.damaged_octets
    assert counters.data_octets == octets_of(name) * (counters.samples + counters.duplicates)
    assert counters.octets == counters.data_octets + counters.damaged_octets == len(octets)
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
