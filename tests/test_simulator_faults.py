"""What each fault of a simulated device looks like to who decodes it, and how it is written."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.errors import UsageError
from ecgedge.recording import LEADS, Recording
from ecgedge.signal.corrupt import drop_leads, resample
from ecgedge.signal.synthetic import synthesize
from firmware_bridge.decoder import WireDecoder
from firmware_bridge.devices import DEVICES, configuration, open_decoder
from firmware_bridge.events import Frame, Gap
from firmware_bridge.leads import lead_map
from firmware_bridge.simulator import Faults, Sent, Unplugged, parse, simulate
from firmware_bridge.simulator.faults import GRAMMAR, ClockStep, LeadOff, Silence

RATE_HZ = 250.0
RECORDING = synthesize(rate_hz=RATE_HZ, duration_s=4.0)
UNKNOWN = replace(RECORDING, unit="NU")


def sent(
    faults: str = "",
    recordings: Sequence[Recording] = (RECORDING,),
    seconds: float | None = None,
    name: str = "ecgedge",
    rate_hz: float = RATE_HZ,
) -> list[Sent | Unplugged]:
    return list(
        simulate(
            recordings,
            configuration(name, rate_hz=rate_hz),
            parse(faults),
            seconds=seconds,
            device=name,
            resample=resample,
        )
    )


def frames(pieces: Sequence[Sent | Unplugged]) -> list[Frame]:
    return [event for event in events(pieces) if isinstance(event, Frame)]


def events(pieces: Sequence[Sent | Unplugged]) -> list[object]:
    decoder = WireDecoder()
    fed = [
        event for piece in pieces if isinstance(piece, Sent) for event in decoder.feed(piece.octets)
    ]
    return [*fed, *decoder.finish()]


def leads(frame: Frame) -> np.ndarray:
    assert frame.configuration is not None
    return lead_map(frame.configuration).derive(frame.counts)


def signal(decoded: Sequence[Frame]) -> np.ndarray:
    return np.concatenate([leads(one) for one in decoded], axis=1)


# --- without faults -----------------------------------------------------------------------


def count_mv(name: str, rate_hz: float) -> float:
    told = configuration(name, rate_hz=rate_hz)
    half = told.full_scale / (2 if told.encoding == "offset" else 1)
    return told.reference_mv / told.channels[0].gain / half


@pytest.mark.parametrize("name", DEVICES)
def test_every_devices_stream_decodes_to_the_recording_within_a_count_or_two(name: str) -> None:
    rate_hz = min(rate for rate, _ in DEVICES[name].rates if rate >= 200)
    recording = synthesize(rate_hz=rate_hz, duration_s=4.0)
    pieces = sent("", [recording], seconds=12.0, name=name, rate_hz=rate_hz)
    decoder = open_decoder(name) if name == "ecgedge" else open_decoder(name, rate_hz=rate_hz)
    found = [
        event for piece in pieces if isinstance(piece, Sent) for event in decoder.feed(piece.octets)
    ]
    found += decoder.finish()
    assert all(isinstance(event, Frame) for event in found)
    decoded = signal([event for event in found if isinstance(event, Frame)])
    played = np.tile(recording.signal, 3)
    assert abs(decoded.shape[1] - 12 * rate_hz) < 1
    told = np.isfinite(decoded).all(axis=1)
    assert told[:6].all()
    error = np.abs(decoded[told] - played[told, : decoded.shape[1]])
    # A lead of a device against a common reference is made of up to four channels.
    assert error.max() < 2.5 * count_mv(name, rate_hz)


def test_recordings_follow_each_other_and_begin_anew_without_a_seam() -> None:
    other = replace(RECORDING, signal=-RECORDING.signal[:, :333])
    decoded = frames(sent("", [RECORDING, other], seconds=11.0))
    assert [one.first for one in decoded[1:]] == [one.end for one in decoded[:-1]]
    played = np.concatenate([RECORDING.signal, other.signal] * 3, axis=1)
    found = signal(decoded)
    assert np.abs(found - played[:, : found.shape[1]]).max() < 2.5 * count_mv("ecgedge", RATE_HZ)


def test_once_through_holds_every_sample_though_the_last_frame_is_short() -> None:
    short = replace(RECORDING, signal=RECORDING.signal[:, :333])
    decoded = frames(sent("", [short]))
    assert decoded[-1].end == 333
    assert [len(one.counts) for one in decoded[-2:]] == [10, 3]


def test_an_amplitude_nobody_knows_is_told_so() -> None:
    told = frames(sent("", [UNKNOWN]))[0].configuration
    assert told is not None
    assert not told.amplitude_known


def test_what_was_not_recorded_is_sent_as_an_electrode_that_is_off() -> None:
    holed = drop_leads(RECORDING, ["V3"])
    holed.signal[LEADS.index("V5"), 500:] = np.nan
    for one in frames(sent("", [holed])):
        assert one.configuration is not None
        named, lost = lead_map(one.configuration).off(one.off, one.off_valid)
        assert named == ({"C3"} if one.end <= 500 else {"C3", "C5"})
        assert lost.sum() == len(named)


# --- each fault ---------------------------------------------------------------------------


def test_a_loose_chest_electrode_is_told_and_leaves_the_other_leads_alone() -> None:
    decoded = frames(sent("lead_off=1:1:V1"))
    for one in decoded:
        assert one.configuration is not None
        named, lost = lead_map(one.configuration).off(one.off, one.off_valid)
        assert bool(named) == (1 <= one.first / RATE_HZ < 2)
        assert named <= {"C1"}
        assert lost[LEADS.index("V1")] == bool(named)
    found = signal(decoded)
    others = [row for row in range(12) if LEADS[row] != "V1"]
    played = RECORDING.signal[others]
    assert np.abs(found[others] - played).max() < 2.5 * count_mv("ecgedge", RATE_HZ)
    loose = found[LEADS.index("V1"), 260:490]
    assert loose.max() > 390  # the rail: 2.4 V at a gain of 6


def test_a_loose_limb_electrode_takes_wilsons_terminal_with_it() -> None:
    one = frames(sent("lead_off=1:1:LA"))[30]
    assert one.configuration is not None
    named, lost = lead_map(one.configuration).off(one.off, one.off_valid)
    assert named == {"LA"}
    assert [lead for lead, gone in zip(LEADS, lost, strict=True) if not gone] == ["II"]


@pytest.mark.parametrize("change", ["gain=2:12", "map=2:reversed", "gain=2:1,map=2:reversed"])
def test_a_change_of_gain_or_map_gives_the_same_leads_by_another_configuration(
    change: str,
) -> None:
    decoded = frames(sent(change))
    assert len({one.configuration for one in decoded}) == 2
    assert np.abs(signal(decoded) - RECORDING.signal).max() < 15 * count_mv("ecgedge", RATE_HZ)


def test_fewer_channels_leave_the_leads_that_they_give() -> None:
    last = frames(sent("map=2:2"))[-1]
    found = np.isfinite(leads(last)).all(axis=1)
    assert found.tolist() == [True] * 6 + [False] * 6


def test_another_rate_plays_the_same_seconds() -> None:
    decoded = frames(sent("rate=2:500", seconds=4.0))
    assert [one.first for one in decoded[1:]] == [one.end for one in decoded[:-1]]
    assert decoded[-1].end == 2 * 250 + 2 * 500
    after = signal([one for one in decoded if one.first >= 500])
    expected = resample(RECORDING, 500.0).signal[:, 1000:]
    assert np.abs(after - expected).max() < 2.5 * count_mv("ecgedge", RATE_HZ)


@pytest.mark.parametrize(("option", "missing"), [("", 0), (":overrun", 250)])
def test_a_stall_is_silence_and_then_all_at_once_or_a_gap(option: str, missing: int) -> None:
    pieces = sent(f"stall=1:1{option}")
    assert not [one for one in pieces if 1.0 + 0.05 < one.t_s < 2.0 - 1e-6]
    lost = [one.samples for one in events(pieces) if isinstance(one, Gap)]
    assert sum(filter(None, lost)) == missing


def test_a_reboot_begins_numbers_and_the_clock_anew() -> None:
    pieces = sent("unplug=1:1:reboot,clock_back=0.5:0.2")
    assert [one.seconds for one in pieces if isinstance(one, Unplugged)] == [1.0]
    found = events(pieces)
    restarts = [n for n, one in enumerate(found) if isinstance(one, Gap) and one.samples is None]
    (at,) = restarts
    after = found[at + 1]
    assert isinstance(after, Frame)
    assert (after.first, after.t_us) == (0, 0)
    before = [one for one in found[:at] if isinstance(one, Frame)]
    assert after.configuration is not None
    assert before[-1].configuration is not None
    assert after.configuration.boot != before[-1].configuration.boot


def test_a_clock_that_goes_back_does_so_once_and_no_sample_is_lost() -> None:
    decoded = frames(sent("clock_back=2:1"))
    times = [one.t_us or 0 for one in decoded]
    assert sum(after < before for before, after in pairwise(times)) == 1
    assert decoded[-1].end == 1000


def test_drift_makes_the_hosts_seconds_longer_and_jitter_never_turns_them_round() -> None:
    slow = sent("drift=-1000,jitter=30", seconds=40.0)
    times = [one.t_s for one in slow]
    assert times == sorted(times)
    assert 40.0 / (1 - 1e-3) <= times[-1] < 40.0 / (1 - 1e-3) + 0.03
    assert (frames(slow)[-1].t_us or 0) < 40e6


def test_electrode_offsets_stand_on_the_leads_and_can_saturate_the_converter() -> None:
    found = signal(frames(sent("offset=300")))
    shift = found - RECORDING.signal
    assert 50 < np.abs(np.median(shift, axis=1)).max() <= 600
    assert np.ptp(shift, axis=1).max() < 0.01


def test_common_mode_is_in_the_counts_of_a_reference_and_not_in_the_leads() -> None:
    plain, hummed = (sent(text, name="cyton") for text in ("", "common_mode=5"))
    decoded = []
    for pieces in (plain, hummed):
        decoder = open_decoder("cyton")
        found = decoder.feed(b"".join(one.octets for one in pieces if isinstance(one, Sent)))
        decoded.append([one for one in [*found, *decoder.finish()] if isinstance(one, Frame)])
    assert np.abs(signal(decoded[0]) - signal(decoded[1])).max() < 0.01


def test_a_configuration_that_never_comes_leaves_frames_without_one() -> None:
    decoded = frames(sent("no_configuration"))
    assert decoded[-1].end == 1000
    assert {one.configuration for one in decoded} == {None}


# --- the grammar --------------------------------------------------------------------------


def test_a_plan_is_read_from_its_text() -> None:
    text = " lost=0.01, stall=30:5,unplug=60:5:reboot,lead_off=20:3:v1,clock_back=7:0.5,drift=-50"
    assert parse(text) == Faults(
        lost=0.01,
        silences=(Silence(30, 5, keeps=True), Silence(60, 5, unplugged=True, reboots=True)),
        lead_offs=(LeadOff(20, 3, "C1"),),
        clock_steps=(ClockStep(7, 0.5),),
        drift_ppm=-50,
    )
    assert parse("") == Faults()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "'nonsense' is no fault"),
        ("lost", "lost=P"),
        ("lost=x", "lost=P"),
        ("lost=nan", "lost=P"),
        ("lost=1.5", "lost=P"),
        ("lost=0.1,lost=0.1", "lost is given twice"),
        ("lost=0.6,flipped=0.6", "add up to 1 at most"),
        ("stall=5", "stall=AT:S[:overrun]"),
        ("stall=5:1:maybe", "stall=AT:S[:overrun]"),
        ("stall=-1:1", "stall=AT:S[:overrun]"),
        ("stall=inf:1", "stall=AT:S[:overrun]"),
        ("lead_off=1:2:V7", "lead_off=AT:S:ELECTRODE"),
        ("gain=1:0", "gain=AT:G"),
        ("rate=1:5000", "rate=AT:HZ"),
        ("map=1:9", "map=AT:reversed|N"),
        ("no_configuration=1", "no_configuration"),
        ("stall=5:3,unplug=7:1", "the silence at 7 s"),
        ("stall=5:3,gain=8.5:12", "the change at 8.5 s"),
    ],
)
def test_a_text_that_is_no_plan_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


WORDS = [one for one, _, _ in GRAMMAR] + [*"=,:-0159", ".5", "1e9", "nan", "V1", "reboot", "²"]


@given(st.lists(st.sampled_from(WORDS), max_size=12).map("".join))
def test_any_text_is_a_plan_or_a_sentence(text: str) -> None:
    with suppress(UsageError):
        assert isinstance(parse(text), Faults)


def test_the_page_names_every_fault() -> None:
    page = (Path(__file__).parent.parent / "docs" / "simulator.md").read_text()
    for _, form, _ in GRAMMAR:  # a bar parts the columns of a table
        assert f"`{form}`".replace("|", "\\|") in page


# --- what cannot be played ----------------------------------------------------------------


def test_what_cannot_be_played_is_refused_in_a_sentence() -> None:
    told = configuration("ecgedge", rate_hz=RATE_HZ)
    with pytest.raises(UsageError, match="no sample"):
        simulate([], told)
    with pytest.raises(UsageError, match="mV and in NU"):
        simulate([RECORDING, UNKNOWN], told)
    with pytest.raises(UsageError, match="1 to 15 samples"):
        simulate([RECORDING], told, samples_per_frame=16)
    with pytest.raises(UsageError, match="250 samples a second"):
        simulate([RECORDING], configuration("ecgedge", rate_hz=500))
    with pytest.raises(UsageError, match="250 samples a second"):
        simulate([RECORDING], told, parse("rate=1:500"))
