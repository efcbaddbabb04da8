"""Electrodes that fall off: named within a second, with the leads they take with them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from streaming_builders import DEVICE, frame, frames, play, said

from firmware_bridge.events import Channel

RA_AND_C3 = {"off": 0b1_0001_0000, "off_valid": 0xFFFF}  # negative of channel 0, positive of 4


def test_electrodes_are_named_with_their_leads_within_a_second():
    _, _, notices = play([*frames(0, 300), *frames(300, 500, **RA_AND_C3), *frames(500, 900)])
    off, on = (one for one in notices if one.kind in ("lead_off", "lead_on"))
    assert off.text == "electrodes C3 and RA are off: no lead is left"
    assert 3.0 < off.at_s <= 4.0
    assert on.text == "electrodes C3 and RA are on again"
    assert 5.0 < on.at_s <= 6.0
    only = {"off": 0b1_0000, "off_valid": 0xFF}
    _, _, notices = play(frames(0, 100, **only))
    assert said(notices, "lead_off") == ["electrode C3 is off: V3 is not looked at"]
    leg = {"off": 0b10, "off_valid": 0b10}
    _, _, notices = play(frames(0, 100, configuration=limb_only(), **leg))
    assert said(notices, "lead_off") == [
        "electrode LL is off: II, III, aVR, aVL, aVF are not looked at"
    ]


def limb_only():
    """C1 to C6 against RA: the chest leads need LL as well, through Wilson's terminal."""
    chest = (Channel("NC", "NC", 1.0),) * 6
    return replace(DEVICE, channels=(*DEVICE.channels[:2], *chest))


def test_lead_off_bits_are_read_by_the_wiring_they_came_with():
    other = replace(DEVICE, channels=(*DEVICE.channels[:2], *DEVICE.channels[:1:-1]))
    bit = {"off": 0b100, "off_valid": 0xFF}  # the third channel: C1, then C6
    _, _, notices = play([*frames(0, 300, **bit), *frames(300, 600, configuration=other, **bit)])
    assert said(notices, "lead_off", "lead_on") == [
        "electrode C1 is off: V1 is not looked at",
        "electrode C6 is off: V6 is not looked at",
    ]


def test_a_device_without_any_lead_is_refused_window_by_window():
    none = replace(DEVICE, channels=(Channel("C1", "REF", 1.0),) * 8)
    _, (window,), notices = play(frames(0, 1000, configuration=none))
    assert notices[0].text.endswith("gain 1, none of the 12 leads")
    assert window.refused == "no lead has a sample"
    assert window.missing_s == 10.0


def test_bits_that_mean_nothing_name_nothing():
    _, (window,), notices = play(frames(0, 1000, off=0xFFFF, off_valid=0))
    assert said(notices, "lead_off") == []
    assert window.clean


@settings(max_examples=30)
@given(st.integers(0, 14), st.integers(1, 14), st.integers(0, 7))
def test_a_flicker_is_named_once_and_within_a_second_if_it_is_off_for_a_third(on, off, phase):
    """1-sample frames at 100 Hz: `off` samples off, `on` samples on, for 5 s."""
    states = [(n + phase) % (on + off) < off for n in range(500)]
    sent = [
        frame(n, 1, off=0b1000 if state else 0, off_valid=0xFF) for n, state in enumerate(states)
    ]
    _, _, notices = play(sent, at_once=100)
    told = [notice for notice in notices if notice.kind in ("lead_off", "lead_on")]
    assert len(told) == 1
    if off >= on / 2:
        assert told[0].at_s <= 1.0
