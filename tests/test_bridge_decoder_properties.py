"""What holds of the decoder on any octets, and that it counts as an independent ledger does."""

import pickle
from dataclasses import dataclass

import numpy as np
from bridge_streams import accounted, configuration, counts, data, decode, numbers, plain, told
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge import vectors
from firmware_bridge.cobs import stuff, unstuff
from firmware_bridge.decoder import WireDecoder
from firmware_bridge.events import Channel, Configuration, Damaged, Frame, Gap
from firmware_bridge.ordering import HOLD
from firmware_bridge.wire import configuration_body, data_body, seal, tagged

CONFIGURATIONS = [configuration(), configuration(boot=8), configuration(3, rate_hz=250.0)]
good = st.builds(
    lambda first, samples, which: data(first, samples, configuration=CONFIGURATIONS[which]),
    st.one_of(st.integers(0, 60), st.integers(0, 2**32 - 1)),
    st.integers(1, 15),
    st.integers(0, 2),
)
#: Streams from nonsense to nearly right: what cannot be told apart by a random octet can.
streams = st.lists(
    st.one_of(
        good,
        good,
        st.sampled_from([told(one) for one in CONFIGURATIONS]),
        st.binary(max_size=40),
        st.binary(max_size=40).map(seal),
        st.integers(300, 1200).map(lambda length: b"\x07" * length),
        st.just(b"\0"),
        st.tuples(good, st.integers(0, 60)).map(lambda cut: cut[0][: cut[1]]),
    ),
    max_size=30,
).map(b"".join)


@given(streams, st.data())
def test_how_a_stream_is_cut_changes_nothing(stream, draw):
    pieces = draw.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    events, counters = decode(stream)
    cut, counted = decode(stream, pieces)
    assert plain(cut) == plain(events)
    assert counted == counters


@given(streams)
def test_every_octet_is_accounted_for_and_every_sample_comes_once(stream):
    events, counters = decode(stream)
    assert accounted(counters) == counters.octets == len(stream)
    assert counters.damaged_octets == sum(one.octets for one in events if isinstance(one, Damaged))
    at = None
    for one in events:
        if isinstance(one, Frame):
            assert at in (None, one.first)
            at = one.end
        elif isinstance(one, Gap):
            assert at == one.first
            at = None if one.samples is None else at + one.samples
    gaps = [one.samples for one in events if isinstance(one, Gap)]
    assert counters.lost == sum(samples or 0 for samples in gaps)
    assert counters.restarts == gaps.count(None)


@given(st.binary(max_size=3000))
def test_no_octets_raise(stream):
    _, counters = decode(stream)
    assert accounted(counters) == len(stream)


@given(streams, st.integers(0, 2**32 - 1))
def test_after_anything_and_a_zero_a_good_frame_is_read(stream, first):
    decoder = WireDecoder()
    decoder.feed(stream + b"\0")
    read = decoder.counters.data_octets
    frame = data(first, t_us=1)
    decoder.feed(frame)
    assert decoder.counters.data_octets == read + len(frame) - 1


@given(st.binary(max_size=1200))
def test_stuffing_is_undone(octets):
    assert unstuff(stuff(octets)) == octets


@given(st.lists(st.sampled_from([1, 253, 254, 255, 508]), max_size=4), st.booleans())
def test_stuffing_is_undone_around_full_blocks(runs, ends):
    octets = b"\0".join(b"\x07" * run for run in runs) + b"\0" * ends
    assert unstuff(stuff(octets)) == octets


@given(st.binary(max_size=600))
def test_what_can_be_unstuffed_holds_the_same_octets_as_a_slow_reading(octets):
    out, at = bytearray(), 0
    while at < len(octets):
        code = octets[at]
        if code == 0 or at + code > len(octets) or 0 in octets[at + 1 : at + code]:
            assert unstuff(octets) is None
            return
        out += octets[at + 1 : at + code]
        at += code
        out += b"\0" * (code < 255 and at < len(octets))
    assert unstuff(octets) == (bytes(out) if octets else None)


inputs = st.builds(
    lambda positive, negative, gain: Channel(positive, negative, gain / 100),
    st.sampled_from(["RA", "LA", "LL", "C1", "C6", "NC"]),
    st.sampled_from(["WCT", "REF", "RA"]),
    st.integers(1, 65535),
)
configurations = st.builds(
    lambda device, boot, rate, reference, encoding, full_scale, channels, known: tagged(
        Configuration(
            f"{device:016x}", boot, rate / 1000, reference / 1000, encoding, full_scale,
            tuple(channels), known,
        )
    ),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(100_000, 2_000_000),
    st.integers(1, 2**32 - 1),
    st.sampled_from(["twos", "offset"]),
    st.integers(1, 2**23),
    st.lists(inputs, min_size=1, max_size=8),
    st.booleans(),
)  # fmt: skip


@given(configurations, st.data())
def test_what_the_encoder_writes_is_read(sent, draw):
    low, high = (0, 2**24 - 1) if sent.encoding == "offset" else (-(2**23), 2**23 - 1)
    samples = draw.draw(st.integers(1, 15))
    seed = draw.draw(st.integers(0, 2**32))
    size = (samples, len(sent.channels))
    given_counts = np.random.default_rng(seed).integers(low, high, size, np.int32, endpoint=True)
    given_counts.flat[0] = draw.draw(st.sampled_from([low, high, 0]))
    words = st.integers(0, 2**16 - 1)
    first, off, valid = draw.draw(st.tuples(st.integers(0, 2**32 - 1), words, words))
    t_us = draw.draw(st.one_of(st.none(), st.integers(0, 2**64 - 1)))
    body = data_body(given_counts, first=first, t_us=t_us, tag=sent.tag, off=off, off_valid=valid)
    decoder = WireDecoder()
    (frame,) = decoder.feed(seal(configuration_body(sent)) + seal(body))
    assert isinstance(frame, Frame)
    assert decoder.configuration == frame.configuration == sent
    assert (frame.first, frame.t_us, frame.off, frame.off_valid) == (first, t_us, off, valid)
    np.testing.assert_array_equal(frame.counts, given_counts)


@dataclass
class Ledger:
    """What became of each frame, written down where the fault was made."""

    arrived: list[range]  # numbers of the samples of each good frame, as they came

    @property
    def delivered(self) -> list[int]:
        """Samples from the first that came on, each once, in order."""
        had = {number for frame in self.arrived for number in frame}
        return sorted(number for number in had if number >= self.arrived[0].start)

    @property
    def lost(self) -> int:
        return self.delivered[-1] - self.delivered[0] + 1 - len(self.delivered)


FAULTS = ["none"] * 12 + ["lost", "lost", "twice", "swapped", "flipped", "slipped", "cut", "again"]
plans = st.lists(
    st.tuples(st.sampled_from(FAULTS), st.integers(1, 15), st.integers(0, 2**16)),
    min_size=2,
    max_size=120,
)


def suffered(plan, start: int) -> tuple[bytes, Ledger]:
    """A stream with these faults and what they did. No fault hits the octets of another."""
    sent: list[tuple[bytes, range | None]] = [(told(CONFIGURATIONS[0]), None)]
    number, swap = start, False
    for fault, samples, where in plan:
        mine = range(number, number + samples)
        octets = data(number, samples, configuration=CONFIGURATIONS[0])
        number += samples
        ok = (octets, mine)
        if fault == "lost":
            continue
        if fault in ("flipped", "slipped", "cut"):
            place = where % (len(octets) - 1)  # the delimiter stays
            if fault == "flipped":
                bit = bytes([octets[place] ^ 1 << where % 8])
                octets = octets[:place] + bit + octets[place + 1 :]
            elif fault == "slipped":
                octets = octets[:place] + octets[place + 1 :]
            else:
                octets = octets[:place] + b"\0"
            sent.append((octets, None))
        elif fault == "again":
            sent += [ok, *(one for one in sent[-20:] if one[1])]  # with all that came lately
        else:
            sent += [ok] * (2 if fault == "twice" else 1)
        if swap:
            sent[-1], sent[-2] = sent[-2], sent[-1]
        swap = fault == "swapped"
    ledger = Ledger([mine for _, mine in sent if mine is not None])
    return b"".join(octets for octets, _ in sent), ledger


@settings(max_examples=300)
@given(plans, st.sampled_from([0, 5, 2**32 - 100, 2**31]))
def test_losses_are_those_of_the_ledger(plan, start):
    stream, ledger = suffered(plan, start)
    if not ledger.arrived:
        return
    events, counters = decode(stream)
    assert numbers(events) == ledger.delivered
    assert counters.lost == ledger.lost
    assert counters.samples == len(ledger.delivered)
    good_frames = counters.frames + counters.duplicates + counters.late + counters.stray
    assert good_frames == len(ledger.arrived)
    assert (counters.restarts, counters.late) == (0, 0)
    for one in events:
        if isinstance(one, Frame):
            assert one.counts.tolist() == counts(one.first, len(one.counts)).tolist()


@given(st.integers(5, 60), st.integers(1, 3 * HOLD), st.integers(1, 15))
def test_a_frame_that_comes_later_is_in_order_or_lost_by_how_many_overtook_it(at, behind, samples):
    frames = [data(number * samples, samples) for number in range(at + behind + 10)]
    frames.insert(at + behind, frames.pop(at))
    events, counters = decode(b"".join(frames))
    late = behind > HOLD
    assert counters.lost == (samples if late else 0)
    assert (counters.late, counters.reordered) == ((1, 0) if late else (0, 1))
    assert len(numbers(events)) == counters.samples == len(frames) * samples - counters.lost


@settings(max_examples=50)
@given(st.lists(streams, min_size=1, max_size=6), st.integers(1, 40))
def test_a_decoder_stays_small_whatever_it_is_fed(parts, times):
    decoder = WireDecoder()
    for _ in range(times):
        for part in parts:
            decoder.feed(part)
    assert len(pickle.dumps(decoder)) < 25_000


def test_the_vectors_of_configurations_are_read_as_they_say():
    """A rate that no ECG front end has is refused with the rate."""
    decoder = WireDecoder()
    for one in vectors.load("configuration"):
        sent = _configuration(one["fields"])
        events = decoder.feed(bytes.fromhex(one["hex"]))
        if 100 <= sent.rate_hz <= 2000:
            assert (events, decoder.configuration) == ([], sent), one["name"]
        else:
            (refused,) = events
            assert (refused.kind, "rate" in refused.reason) == ("configuration", True)
    assert decoder.counters.configurations >= 3


def test_the_vectors_of_data_are_read_as_they_say():
    told_of = {one["fields"]["tag"]: one for one in vectors.load("configuration")}
    for one in vectors.load("data"):
        fields, decoder, sent = one["fields"], WireDecoder(), None
        by = told_of.get(fields["tag"])
        if by and len(by["fields"]["channels"]) == len(fields["counts"][0]):
            sent = _configuration(by["fields"])
            assert decoder.feed(bytes.fromhex(by["hex"])) == []
        (frame,) = decoder.feed(bytes.fromhex(one["hex"]))
        assert frame.counts.tolist() == fields["counts"], one["name"]
        told = {name: getattr(frame, name) for name in ("first", "t_us", "off", "off_valid")}
        assert told == {name: fields[name] for name in told}, one["name"]
        assert frame.configuration == sent


def test_the_vectors_of_cobs_are_undone():
    for one in vectors.load("cobs"):
        octets = bytes.fromhex(one["fields"]["data"])
        assert unstuff(bytes.fromhex(one["hex"])) == octets, one["name"]


def _configuration(fields):
    return Configuration(**fields | {"channels": tuple(Channel(**it) for it in fields["channels"])})
