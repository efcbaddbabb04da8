"""The wire decoder: what it reads, what it calls damaged, and that it finds its way back."""

import struct
import zlib

import numpy as np
import pytest
from bridge_streams import accounted, configuration, counts, data, decode, numbers, plain, told

from firmware_bridge.cobs import stuff, unstuff
from firmware_bridge.decoder import WireDecoder
from firmware_bridge.events import Configuration, Damaged, Frame, Gap
from firmware_bridge.wire import (
    CONFIGURATION_HEADER,
    DATA_HEADER,
    MAX_STUFFED,
    configuration_body,
    data_body,
    seal,
)

TOLD = configuration()


def test_a_frame_comes_out_as_it_was_sent() -> None:
    sent = counts(40, 10)
    sent[0] = -(2**23), 2**23 - 1
    body = data_body(sent, first=40, t_us=2**63, tag=TOLD.tag, off=0x0103, off_valid=0x0303)
    (frame,), counters = decode(told(TOLD) + seal(body))
    assert isinstance(frame, Frame)
    assert frame.counts.dtype == np.int32
    assert frame.counts.tolist() == sent.tolist()
    assert (frame.first, frame.end, frame.t_us) == (40, 50, 2**63)
    assert (frame.off, frame.off_valid, frame.configuration) == (0x0103, 0x0303, TOLD)
    assert (counters.frames, counters.samples, counters.unconfigured) == (1, 10, 0)


def test_a_configuration_comes_out_as_it_was_sent() -> None:
    decoder = WireDecoder()
    sent = configuration(8, encoding="offset", full_scale=0xB964F0, amplitude_known=False)
    assert decoder.feed(told(sent)) == []
    assert decoder.configuration == sent


def test_offset_counts_have_no_sign() -> None:
    offset = configuration(encoding="offset", full_scale=0xFFFFFF)
    body = data_body(np.array([[0, 0xFFFFFF]], np.int32), first=0, t_us=0, tag=offset.tag)
    (frame,), _ = decode(told(offset) + seal(body))
    assert isinstance(frame, Frame)
    assert frame.counts.tolist() == [[0, 0xFFFFFF]]
    assert frame.counts.dtype == np.int32


def test_a_frame_without_its_configuration_comes_out_without_one() -> None:
    (first, second), counters = decode(data(0, configuration=TOLD) + told(TOLD) + data(10))
    assert isinstance(first, Frame)
    assert isinstance(second, Frame)
    assert first.configuration is second.configuration is None  # the second has another tag
    assert counters.unconfigured == 20


def test_counts_keep_the_configuration_that_their_tag_names() -> None:
    before, after = configuration(), configuration(channels=3)
    stream = told(before) + data(0, configuration=before) + told(after)
    stream += data(10, configuration=after) + data(20, configuration=before)
    events, counters = decode(stream)
    assert [one.configuration for one in events if isinstance(one, Frame)] == [
        before,
        after,
        before,
    ]
    assert counters.restarts == 0


def test_a_time_that_means_nothing_is_none() -> None:
    (frame,), _ = decode(data(0, t_us=None))
    assert isinstance(frame, Frame)
    assert frame.t_us is None


def test_reserved_flags_are_ignored() -> None:
    body = bytearray(data_body(counts(0, 10), first=0, t_us=5, tag=1))
    body[1] = 0xFE
    (frame,), counters = decode(seal(bytes(body)))
    assert isinstance(frame, Frame)
    assert frame.t_us == 5
    assert counters.damaged == 0


def changed(body: bytes, at: int, value: int) -> bytes:
    return seal(body[:at] + bytes([value]) + body[at + 1 :])


DATA_BODY = data_body(counts(0, 10), first=0, t_us=5, tag=1)
CONFIGURATION_BODY = configuration_body(TOLD)
HEADER = CONFIGURATION_HEADER


@pytest.mark.parametrize(
    ("stream", "kind", "words"),
    [
        (b"\x09\x02\x03\0", "framing", "stuffed"),
        (stuff(DATA_BODY + b"1234") + b"\0", "crc", "checksum"),
        (stuff(b"\x11") + b"\0", "length", "too short"),
        (seal(b""), "length", "too short"),
        (seal(DATA_BODY[:20]), "length", "shorter than its header"),
        (seal(DATA_BODY[:-1]), "length", "10 samples of 2 channels"),
        (seal(DATA_BODY + b"\1"), "length", "10 samples of 2 channels"),
        (seal(CONFIGURATION_BODY[:20]), "length", "shorter than its header"),
        (seal(CONFIGURATION_BODY[:-1]), "length", "2 channels"),
        (
            changed(DATA_BODY, 0, 0x21),
            "version",
            "frames of version 2; this ecgedge reads version 1",
        ),
        (changed(DATA_BODY, 0, 0x13), "shape", "type 3"),
        (changed(DATA_BODY, 6, 9), "shape", "9 channels"),
        (changed(DATA_BODY, 6, 0), "shape", "0 channels"),
        (changed(DATA_BODY, 7, 16), "shape", "16 samples"),
        (changed(DATA_BODY, 7, 0), "shape", "0 samples"),
        (changed(CONFIGURATION_BODY, HEADER.size - 1, 0), "configuration", "0 channels"),
        (changed(CONFIGURATION_BODY, HEADER.size - 1, 9), "configuration", "9 channels"),
        (changed(CONFIGURATION_BODY, HEADER.size, 12), "configuration", "electrode 12"),
        (changed(CONFIGURATION_BODY, HEADER.size + 5, 12), "configuration", "electrode 12"),
        (changed(CONFIGURATION_BODY, 22, 2), "configuration", "encoding 2"),
    ],
)
def test_what_cannot_be_read_is_damaged_with_its_reason(
    stream: bytes, kind: str, words: str
) -> None:
    (damage,), counters = decode(stream)
    assert isinstance(damage, Damaged)
    assert (damage.kind, damage.octets) == (kind, len(stream) - 1)
    assert words in damage.reason
    assert counters.damaged_kinds == {kind: 1}
    assert accounted(counters) == counters.octets == len(stream)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rate_hz": 0.0}, "0 Hz is outside"),
        ({"rate_hz": 4000.0}, "4000 Hz is outside"),
        ({"reference_mv": 0.0}, "reference of 0"),
        ({"full_scale": 0}, "full scale of 0"),
        ({"full_scale": 2**23 + 1}, "full scale"),
        ({"encoding": "offset", "full_scale": 2**24}, "full scale"),
    ],
)
def test_a_configuration_no_device_can_mean_is_refused(
    changes: dict[str, object], words: str
) -> None:
    wrong = configuration(**changes)
    (damage, frame), _ = decode(told(wrong) + data(0, configuration=wrong))
    assert isinstance(damage, Damaged)
    assert damage.kind == "configuration"
    assert words in damage.reason
    assert isinstance(frame, Frame)
    assert frame.configuration is None


def test_a_gain_of_zero_is_refused_with_its_channel() -> None:
    body = CONFIGURATION_BODY[:-2] + b"\0\0"
    (damage,), _ = decode(seal(body))
    assert isinstance(damage, Damaged)
    assert damage.reason == "a gain of 0 in channel 2"


def test_a_frame_with_other_channels_than_its_configuration_is_damaged_and_its_samples_lost() -> (
    None
):
    wrong = data_body(counts(10, 10, 3), first=10, t_us=5, tag=TOLD.tag)
    stream = told(TOLD) + data(0, configuration=TOLD) + seal(wrong) + data(20, configuration=TOLD)
    events, counters = decode(stream)
    assert [type(one) for one in events] == [Frame, Damaged, Gap, Frame]
    assert counters.damaged_kinds == {"configuration": 1}
    assert counters.lost == 10


def test_the_next_frame_after_garbage_and_a_zero_is_read() -> None:
    events, _ = decode(b"ets Jul 29 2019 12:21:46\r\n\0" + data(0))
    assert [type(one) for one in events] == [Damaged, Frame]


def test_nothing_between_delimiters_is_no_event() -> None:
    assert decode(b"\0\0\0")[0] == []


@pytest.mark.parametrize("length", [MAX_STUFFED + 1, 10 * MAX_STUFFED])
def test_a_run_without_a_delimiter_is_dropped_up_to_the_next_zero(length: int) -> None:
    stream = b"\x05" * length + b"\0" + data(0)
    events, counters = decode(stream)
    assert numbers(events) == list(range(10))
    damaged = [one for one in events if isinstance(one, Damaged)]
    assert {one.kind for one in damaged} == {"framing"}
    assert sum(one.octets for one in damaged) == length
    assert accounted(counters) == counters.octets
    assert plain(decode(stream, range(0, len(stream), 7))[0]) == plain(events)


def test_a_long_run_is_told_before_it_ends_and_not_kept() -> None:
    decoder = WireDecoder()
    events = decoder.feed(b"\x05" * 100_000)
    held = 100_000 - sum(one.octets for one in events if isinstance(one, Damaged))
    assert 0 <= held <= MAX_STUFFED


def test_the_longest_frame_fits() -> None:
    wide = configuration(8)
    body = data_body(np.full((15, 8), -1, np.int32), first=0xFFFFFFFF, t_us=1, tag=wide.tag)
    assert numbers(decode(told(wide) + seal(body))[0]) == list(range(2**32 - 1, 2**32 + 14))


def test_a_frame_whose_delimiter_was_cut_off_counts_at_the_end() -> None:
    assert numbers(decode(data(0) + data(10)[:-1])[0]) == list(range(20))


def test_half_a_frame_at_the_end_is_damaged() -> None:
    stream = data(0) + data(10)[:-20]
    events, counters = decode(stream)
    assert [type(one) for one in events] == [Frame, Damaged]
    assert accounted(counters) == len(stream)


def test_a_decoder_goes_on_after_its_end() -> None:
    decoder = WireDecoder()
    events = decoder.feed(data(0) + data(10)[:-9]) + decoder.finish()
    events += decoder.feed(data(20)) + decoder.finish()
    assert [type(one) for one in events] == [Frame, Damaged, Gap, Frame]


def test_a_configuration_that_cannot_be_told_by_its_tag_is_forgotten_after_four_others() -> None:
    devices = [configuration(boot=boot) for boot in range(5)]
    stream = b"".join(told(one) for one in devices)
    (old,), _ = decode(stream + data(0, configuration=devices[0]))
    (kept,), _ = decode(stream + data(0, configuration=devices[1]))
    assert isinstance(old, Frame)
    assert isinstance(kept, Frame)
    assert old.configuration is None
    assert kept.configuration == devices[1]


def test_a_configuration_told_again_is_kept_and_is_the_same_object() -> None:
    devices = [configuration(boot=boot) for boot in range(5)]
    decoder = WireDecoder()
    decoder.feed(told(devices[0]))
    first = decoder.configuration
    for one in (*devices[1:4], devices[0], devices[4]):
        decoder.feed(told(one))
    (frame,) = decoder.feed(data(0, configuration=devices[0]))
    assert isinstance(frame, Frame)
    assert frame.configuration is first


@pytest.mark.parametrize(
    ("plain", "stuffed"),
    [
        ("00", "0101"),
        ("0000", "010101"),
        ("11220033", "0311220233"),
        ("11223344", "0511223344"),
        ("11000000", "0211010101"),
        (bytes(range(1, 255)).hex(), "ff" + bytes(range(1, 255)).hex()),
        (bytes(range(255)).hex(), "01ff" + bytes(range(1, 255)).hex()),
        (bytes(range(1, 256)).hex(), "ff" + bytes(range(1, 255)).hex() + "02ff"),
        (bytes([*range(2, 256), 0]).hex(), "ff" + bytes(range(2, 256)).hex() + "0101"),
    ],
)
def test_cobs_is_that_of_the_paper(plain: str, stuffed: str) -> None:
    """Examples of Cheshire and Baker's paper as Wikipedia lists them."""
    assert stuff(bytes.fromhex(plain)).hex() == stuffed
    assert unstuff(bytes.fromhex(stuffed)) == bytes.fromhex(plain)


@pytest.mark.parametrize(
    "broken", [b"", b"\0", b"\x02", b"\x03\x01", b"\x02\0", b"\xff\x01", b"\x01\xff"]
)
def test_what_is_no_cobs_is_none(broken: bytes) -> None:
    assert unstuff(broken) is None


def test_the_tag_is_the_checksum_of_the_configuration() -> None:
    assert TOLD.tag == zlib.crc32(CONFIGURATION_BODY)
    assert isinstance(TOLD, Configuration)
    assert struct.unpack_from("<I", DATA_BODY, DATA_HEADER.size - 16)[0] == 1
