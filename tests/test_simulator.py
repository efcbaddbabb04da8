"""The simulated device: what it sends is what it says; its ledger tells exactly what is lost."""

from __future__ import annotations

import random
import struct
import tracemalloc
import zlib
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgedge.signal.corrupt import resample
from ecgedge.signal.synthetic import Heart, synthesize
from firmware_bridge import wire
from firmware_bridge.decoder import WireDecoder
from firmware_bridge.events import Channel, Configuration
from firmware_bridge.simulator import Faults, Sent, Simulation, Unplugged, parse, simulate

CHEST = [Channel("C6", "WCT", 6), Channel("LA", "RA", 6), Channel("LL", "RA", 6)] + [
    Channel(name, "WCT", 6)
    for name in ("C2", "C3", "C4", "C5", "C1")  # type: ignore[arg-type]
]
RATE_HZ = 250.0
RECORDING = synthesize(Heart(jitter=0.2), rate_hz=RATE_HZ, duration_s=4.0)


def device(rate_hz: float = RATE_HZ) -> Configuration:
    return Configuration("0123456789abcdef", 0, rate_hz, 2400.0, "twos", 2**23 - 1, tuple(CHEST))


def play(
    faults: Faults | str = "", seconds: float | None = 8.0, seed: int = 1, **how: object
) -> tuple[Simulation, list[Sent | Unplugged]]:
    plan = parse(faults) if isinstance(faults, str) else faults
    simulation = simulate(
        [RECORDING],
        device(),
        plan,
        seed=seed,
        seconds=seconds,
        resample=resample,
        **how,  # type: ignore[arg-type]
    )
    return simulation, list(simulation)


def octets(sent: list[Sent | Unplugged]) -> bytes:
    return b"".join(one.octets for one in sent if isinstance(one, Sent))


# --- an independent reading of the octets: all at once, by sets ------------------------


def unstuff(segment: bytes) -> bytes | None:
    """COBS, as its definition says."""
    out = bytearray()
    while segment:
        code, segment = segment[0], segment[1:]
        if code == 0 or len(segment) < code - 1:
            return None
        out += segment[: code - 1]
        segment = segment[code - 1 :]
        if code < 255 and segment:
            out.append(0)
    return bytes(out)


@dataclass
class Recount:
    damaged_octets: int = 0
    configurations: int = 0
    frames: list[tuple[int, int, bytes]] = field(default_factory=list)  # boot, first, body
    bodies: list[bytes] = field(default_factory=list)

    @property
    def boots(self) -> list[int]:
        return list(dict.fromkeys(boot for boot, _, _ in self.frames))

    def delivered(self, boot: int) -> set[int]:
        return {
            first + n for one, first, body in self.frames if one == boot for n in range(body[7])
        }

    @property
    def samples(self) -> int:
        return sum(len(self.delivered(boot)) for boot in self.boots)

    @property
    def lost(self) -> int:
        spans = [self.delivered(boot) for boot in self.boots]
        return sum(max(span) + 1 - min(span) - len(span) for span in spans)


def recount(data: bytes) -> Recount:
    found = Recount()
    boots: dict[int, int] = {}
    for segment in data.split(b"\0"):
        body = unstuff(segment)
        if not segment:
            continue
        if (
            body is None
            or len(body) < 5
            or zlib.crc32(body[:-4]) != struct.unpack("<I", body[-4:])[0]
        ):
            found.damaged_octets += len(segment)
            continue
        body = body[:-4]
        if body[0] & 0xF == wire.CONFIGURATION:
            found.configurations += 1
            boots[zlib.crc32(body)] = wire.CONFIGURATION_HEADER.unpack_from(body)[3]
        else:
            tag, first = wire.DATA_HEADER.unpack_from(body)[6:8]
            found.frames.append((boots.get(tag, 0), first, body))
    return found


# --- plans ------------------------------------------------------------------------------

SHARES = st.floats(0, 0.16)
EVENTS = st.sampled_from([
    "stall=2:0.5", "stall=2:0.5:overrun", "unplug=2:0.5", "unplug=2:0.5:reboot", "reboot=2:0.5",
    "gain=2:12", "rate=2:500", "map=2:reversed", "map=2:3", "lead_off=2:1:V3", "clock_back=2:1",
    "unplug=1.001:0",
])  # fmt: skip
LATER = st.sampled_from(
    ["", "gain=5:1", "unplug=5:0.1:reboot", "stall=4.9:1:overrun", "rate=5:100"]
)


@st.composite
def plans(draw: st.DrawFn) -> str:
    names = ("lost", "duplicated", "reordered", "late", "flipped", "slipped")
    shares = [f"{name}={draw(SHARES)}" for name in names if draw(st.booleans())]
    return ",".join(filter(None, [*shares, draw(st.one_of(st.just(""), EVENTS)), draw(LATER)]))


@settings(max_examples=60)
@given(plans(), st.integers(0, 2**32), st.sampled_from([1, 5, 10, 15]))
def test_the_ledger_says_what_an_independent_recount_of_the_octets_finds(
    plan: str, seed: int, samples: int
) -> None:
    simulation, sent = play(plan, seed=seed, samples_per_frame=samples)
    ledger, expected = simulation.ledger, simulation.ledger.expected
    found = recount(octets(sent))
    assert expected.octets == len(octets(sent))
    assert expected.damaged_octets == found.damaged_octets
    assert expected.delimiters == octets(sent).count(0)
    assert expected.configurations == found.configurations
    assert expected.frames + expected.duplicates + expected.late >= len(found.frames)
    # A late frame is delivered for the recount, which waits for ever, and lost for a decoder.
    late = sum(body[7] for boot, first, body in late_frames(found))
    assert expected.samples == found.samples - late
    assert expected.lost == found.lost + late
    assert ledger.taken == expected.samples + expected.lost + ledger.unseen
    assert ledger.unseen >= 0


@settings(max_examples=150)
@given(plans(), st.integers(0, 2**32), st.sampled_from([1, 5, 10, 15]))
def test_the_decoder_reports_what_the_ledger_says_field_by_field(
    plan: str, seed: int, samples: int
) -> None:
    simulation, sent = play(plan, seed=seed, samples_per_frame=samples)
    decoder = WireDecoder()
    for one in sent:
        if isinstance(one, Sent):
            decoder.feed(one.octets)
    decoder.finish()
    reported = vars(decoder.counters) | {"damaged_kinds": {}}
    assert simulation.ledger.exact
    assert reported == vars(simulation.ledger.expected)


@settings(max_examples=60)
@given(plans(), st.integers(0, 2**32), st.floats(0, 0.3))
def test_what_a_reader_does_not_take_is_counted_as_lost(plan: str, seed: int, share: float) -> None:
    simulation = simulate(
        [RECORDING], device(), parse(plan), seed=seed, seconds=8.0, resample=resample
    )
    decoder, draw = WireDecoder(), random.Random(seed)
    for one in simulation:
        if isinstance(one, Sent):
            one.dropped = draw.random() < share
            decoder.feed(b"" if one.dropped else one.octets)
    decoder.finish()
    reported = vars(decoder.counters) | {"damaged_kinds": {}}
    # Not reading what tells of a change leaves room for doubt, and the ledger says so.
    assert not simulation.ledger.exact or reported == vars(simulation.ledger.expected)


def test_frames_dropped_amid_a_stream_leave_the_ledger_exact() -> None:
    simulation = simulate([RECORDING], device(), seconds=8.0)
    decoder = WireDecoder()
    for number, one in enumerate(simulation):
        assert isinstance(one, Sent)
        one.dropped = number % 7 == 3
        decoder.feed(b"" if one.dropped else one.octets)
    decoder.finish()
    assert simulation.ledger.exact
    assert decoder.counters.lost == simulation.ledger.expected.lost > 200


def test_a_long_stream_takes_no_more_memory_than_a_short_one() -> None:
    def peak(seconds: float) -> int:
        simulation = simulate(
            [RECORDING], device(), parse("lost=0.01,flipped=0.01"), seconds=seconds
        )
        tracemalloc.start()
        for _ in simulation:
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)  # caches
    assert peak(400) < peak(40) + 20_000


def late_frames(found: Recount) -> list[tuple[int, int, bytes]]:
    """Frames that come when more than four later ones of their start have."""
    late, seen = [], set[tuple[int, int]]()
    for boot, first, body in found.frames:
        ahead = {one for one in seen if one[0] == boot and one[1] > first}
        if (boot, first) not in seen and len(ahead) > 4:
            late.append((boot, first, body))
        seen.add((boot, first))
    return late


def test_the_same_seed_gives_the_same_octets_and_another_seed_others() -> None:
    plan = "lost=0.1,flipped=0.1,jitter=5,offset=100"
    assert play(plan, seed=3)[1] == play(plan, seed=3)[1]
    assert octets(play(plan, seed=3)[1]) != octets(play(plan, seed=4)[1])


@pytest.mark.parametrize("samples", [1, 7, 10, 15])
def test_frames_are_the_octets_of_the_one_by_one_encoder(samples: int) -> None:
    _, sent = play(seconds=4.0, samples_per_frame=samples)
    for _, first, body in recount(octets(sent)).frames:
        _, _, off, valid, channels, n, tag, _, t_us = wire.DATA_HEADER.unpack_from(body)
        numbers = np.frombuffer(body[24:], np.uint8).reshape(-1, 3).astype(np.int32)
        counts = numbers @ np.array([1, 256, 65536])
        again = wire.data_body(
            counts.reshape(n, channels).astype(np.int32),
            first=first, t_us=t_us, tag=tag, off=off, off_valid=valid,
        )  # fmt: skip
        assert again == body
        assert wire.seal(again) in octets(sent)
