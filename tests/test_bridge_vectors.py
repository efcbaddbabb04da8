"""The vectors' files are what the encoder in Python gives, and what the format says."""

import json
import zlib
from dataclasses import asdict

import numpy as np
import pytest

from firmware_bridge import vectors
from firmware_bridge.cobs import stuff
from firmware_bridge.decoder import WireDecoder
from firmware_bridge.events import Channel, Configuration
from firmware_bridge.vectors.stuffing import PUBLISHED
from firmware_bridge.wire import configuration_body, data_body


@pytest.mark.parametrize("kind", vectors.KINDS)
def test_the_committed_vectors_are_those_the_generator_gives(kind, tmp_path):
    """If not: `python -m firmware_bridge.vectors`, and say why the wire changed."""
    vectors.write(tmp_path)
    committed = vectors.FOLDER / f"{kind}.json"
    assert committed.read_bytes() == (tmp_path / committed.name).read_bytes()


@pytest.mark.parametrize("kind", vectors.KINDS)
def test_names_of_vectors_are_unique_and_files_are_plain_json(kind):
    loaded = vectors.load(kind)
    assert len({one["name"] for one in loaded}) == len(loaded) >= 5
    assert loaded == json.loads(json.dumps(vectors.generate()[kind]))


@pytest.mark.parametrize("number", range(len(PUBLISHED)))
def test_stuffing_gives_what_was_published(number):
    data, stuffed = PUBLISHED[number]
    assert stuff(data) == stuffed


def test_frames_are_cobs_of_a_body_its_zlib_crc_and_one_zero():
    for one in vectors.load("data") + vectors.load("configuration"):
        frame = bytes.fromhex(one["hex"])
        assert frame.count(0) == 1
        assert frame.endswith(b"\0")
        body = _unstuffed(frame[:-1])
        assert zlib.crc32(body[:-4]) == int.from_bytes(body[-4:], "little"), one["name"]


def _unstuffed(stuffed: bytes) -> bytes:
    """COBS undone as its paper describes it; written here so that no code of ours judges itself."""
    out, at = b"", 0
    while at < len(stuffed):
        code = stuffed[at]
        out += stuffed[at + 1 : at + code]
        at += code
        if code < 255 and at < len(stuffed):
            out += b"\0"
    return out


@pytest.mark.parametrize("one", vectors.load("configuration"), ids=lambda one: one["name"])
def test_the_decoder_reads_each_configuration_as_the_vector_says(one):
    decoder = WireDecoder()
    assert decoder.feed(bytes.fromhex(one["hex"])) == []
    assert asdict(decoder.configuration) == one["fields"] | {
        "channels": tuple(one["fields"]["channels"])
    }


@pytest.mark.parametrize("one", vectors.load("data"), ids=lambda one: one["name"])
def test_the_decoder_reads_each_data_frame_as_the_vector_says(one):
    decoder, fields = WireDecoder(), one["fields"]
    known = {told["fields"]["tag"]: told["hex"] for told in vectors.load("configuration")}
    decoder.feed(bytes.fromhex(known.get(fields["tag"], "")))
    (frame,) = decoder.feed(bytes.fromhex(one["hex"])) + decoder.finish()
    told = {name: fields[name] for name in ("first", "t_us", "off", "off_valid")}
    assert told == {name: getattr(frame, name) for name in told}
    assert frame.counts.tolist() == fields["counts"]
    assert (frame.configuration is None) == (one["name"] == "a configuration that was never told")
    assert frame.configuration is None or frame.configuration.tag == fields["tag"]


def test_a_data_frame_written_by_hand_is_what_the_encoder_gives():
    """Each octet typed from the page's diagram: three channels, one sample."""
    body = bytes.fromhex(
        "11 00"  # version 1, data; no flags
        "02 01 ff 03"  # inputs 1+ and 0- off, of ten inputs known
        "03 01"  # channels, samples
        "78 56 34 12"  # tag
        "ff ff ff ff"  # number of the first sample
        "08 07 06 05 04 03 02 01"  # microseconds
        "01 00 00 ff ff ff 00 00 80"  # 1, -1, -8388608
    )
    built = data_body(
        np.array([[1, -1, -(2**23)]], dtype=np.int32),
        first=2**32 - 1,
        t_us=0x0102030405060708,
        tag=0x12345678,
        off=0x0102,
        off_valid=0x03FF,
    )
    assert built == body


def test_a_configuration_frame_written_by_hand_is_what_the_encoder_gives():
    body = bytes.fromhex(
        "12 00"  # version 1, configuration; counts are voltages
        "ef cd ab 89 67 45 23 01"  # device
        "2a 00 00 00"  # boot
        "20 a1 07 00"  # 500,000 mHz
        "00 9f 24 00"  # 2,400,000 uV
        "01 f0 64 b9 00"  # offset binary, ADCMAX
        "01 02 01 5e 01"  # one channel: LA, RA, 350 hundredths
    )
    told = Configuration(
        "0123456789abcdef",
        42,
        500.0,
        2400.0,
        "offset",
        0xB964F0,
        (Channel("LA", "RA", 3.5),),
    )
    assert configuration_body(told) == body
