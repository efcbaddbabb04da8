"""What a session says: one scenario a test, in the words and numbers a person would read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streaming_builders import DEVICE, Played, frame, frames, play, said, with_gain

from ecgedge.streaming.session import Session
from firmware_bridge.events import Damaged, Gap

S = 1_000_000


def test_a_device_is_introduced_once():
    _, _, notices = play(frames(0, 1000))
    assert said(notices, "configuration") == [
        "device 00000000000000aa: 100 Hz, 8 channels, gain 1, 12 leads"
    ]
    assert notices[0].facts["rate_hz"] == 100
    assert len(notices) == 1


def test_leads_a_device_cannot_give_are_named_and_stay_nan():
    seven = replace(DEVICE, channels=DEVICE.channels[:7])
    sent = [replace(one, counts=one.counts[:, :7]) for one in frames(0, 1000, configuration=seven)]
    _, (window,), notices = play(sent)
    assert said(notices, "configuration")[0].endswith("gain 1, 12 leads but V6")
    assert np.isnan(window.recording.signal[11]).all()
    assert np.isfinite(window.recording.signal[:11]).all()
    assert window.clean


def test_a_device_without_amplitude_gives_windows_without_a_unit():
    unknown = replace(DEVICE, amplitude_known=False)
    _, (window,), notices = play(frames(0, 1000, configuration=unknown))
    assert window.recording.unit == "NU"
    assert "amplitude unknown" in notices[0].text


@pytest.mark.parametrize("rate_hz", [50.0, 4000.0])
def test_a_rate_no_ecg_has_is_said_and_makes_no_window(rate_hz):
    strange = replace(DEVICE, rate_hz=rate_hz)
    session, windows, notices = play(frames(0, 50_000, 100, configuration=strange))
    assert windows == []
    assert "no window is made" in notices[0].text
    assert session.summary().samples == 50_000


def test_losses_are_said_at_once_and_then_ever_less_often_with_their_sums():
    events = []
    for number in range(40):  # every tenth of a second one is lost
        at = number * 20
        events += [frame(at), Gap(at + 10, 10, "lost")]
    _, _, notices = play([*events, *frames(800, 1000)])
    assert said(notices, "gap") == [
        "0.10 s lost, at 0.1 s",
        "0.40 s lost, 4 times since 0.3 s",
        "1.00 s lost, 10 times since 1.1 s",
        "2.00 s lost, 20 times since 3.1 s",
        "0.50 s lost, 5 times since 7.1 s",
    ]
    assert sum(n.facts["seconds"] for n in notices if n.kind == "gap") == pytest.approx(4.0)


def test_after_a_quiet_while_a_loss_is_said_at_once_again():
    events = []
    for number in range(60):  # 12 s in which something is lost all the time
        events += [frame(number * 20), Gap(number * 20 + 10, 10, "lost")]
    events += [*frames(1200, 6000), Gap(6000, 4, "lost"), *frames(6004, 6104)]
    events += [Gap(6104, 4, "lost"), *frames(6108, 6208), Gap(6208, 4, "lost"), frame(6212)]
    _, _, notices = play(events)
    assert said(notices, "gap")[-3:] == [
        f"40 ms lost, at {at} s" for at in ("60.0", "61.0", "62.1")
    ]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_whatever_was_lost_is_in_the_notices_in_full(lost):
    events, at = [frame(0)], 10
    for number in lost:
        events += [Gap(at, number, "lost"), frame(at + number)]
        at += number + 10
    session, _, notices = play(events)
    told = [notice for notice in notices if notice.kind == "gap"]
    assert sum(one.facts["seconds"] for one in told) == pytest.approx(sum(lost) / 100)
    assert sum(one.facts["gaps"] for one in told) == len(lost)
    assert len(told) <= session.position_s + 2


def test_damage_is_said_with_its_reason_and_not_before_the_first_frame():
    torn, flipped = Damaged(17, "framing", "torn"), Damaged(120, "crc", "the checksum is wrong")
    events = [torn, *frames(0, 50), flipped, *frames(60, 100), flipped, torn, *frames(100, 300)]
    session, _, notices = play(events)
    assert said(notices, "damaged") == [
        "120 bytes damaged, at 0.5 s: the checksum is wrong",
        "137 bytes damaged, 2 times since 1.0 s: the checksum is wrong",
    ]
    assert session.summary().damaged == 4


def test_a_restart_begins_windows_anew_and_is_said():
    again = replace(DEVICE, boot=8, tag=100)
    events = [*frames(5000, 5900), Gap(5900, None, "restarted")]
    session, windows, notices = play([*events, *frames(0, 1000, configuration=again)])
    assert said(notices, "restart") == ["the device restarted, at 9.0 s: windows begin anew"]
    assert [(window.first, window.start_s) for window in windows] == [(0, 9.0)]
    assert said(notices, "configuration")[1:] == []
    assert session.summary().breaks == 1


def test_another_start_of_the_device_is_a_restart_though_its_numbers_go_on():
    again = replace(DEVICE, boot=8, tag=100)
    _, windows, notices = play([*frames(0, 900), *frames(900, 1900, configuration=again)])
    assert said(notices, "restart") == ["the device restarted, at 9.0 s: windows begin anew"]
    assert [window.start_s for window in windows] == [9.0]


def test_numbers_that_go_back_unannounced_never_overwrite_what_came():
    _, windows, notices = play([*frames(0, 900), *frames(500, 1500)])
    assert said(notices, "restart") == ["the device restarted, at 9.0 s: windows begin anew"]
    assert [window.start_s for window in windows] == [9.0]


def test_slips_without_a_counter_are_summed_up():
    events = []
    for number in range(30):
        events += [frame(number * 10), Gap(number * 10 + 10, None, "slipped")]
    _, _, notices = play(events)
    texts = said(notices, "restart")
    assert texts[0].startswith("time was lost and nobody can tell how much, at 0.1 s")
    assert texts[1].startswith("time was lost and nobody can tell how much, 10 times since 0.2 s")
    assert len(texts) == 3


@pytest.mark.parametrize(("pause_us", "breaks"), [(1_270_000, 0), (1_290_000, 1)])
def test_a_short_counter_is_believed_only_within_half_its_period(pause_us, breaks):
    """An 8-bit counter at 100 Hz goes round in 2.56 s."""
    session = Session(Played([*frames(0, 100), Gap(100, 30, "lost", modulus=256), frame(130)]))
    session.feed(bytes(10), 0)
    (notice,) = session.feed(bytes(2), pause_us)
    assert session.summary().breaks == breaks
    assert notice.text == (
        "so long nothing came that the device's counter cannot tell what was lost, at 1.0 s: "
        "windows begin anew"
        if breaks
        else "0.30 s lost, at 1.0 s"
    )


def test_a_change_of_gain_keeps_windows_whole_and_is_said():
    events = [*frames(0, 500), *frames(500, 1000, configuration=with_gain(DEVICE, 2))]
    _, (window,), notices = play(events)
    assert window.clean
    assert said(notices, "configuration")[1] == (
        "changed its gain; device 00000000000000aa: 100 Hz, 8 channels, gain 2, 12 leads"
    )


SWAPPED = (DEVICE.channels[1], DEVICE.channels[0], *DEVICE.channels[2:])


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (replace(DEVICE, rate_hz=200.0), "its rate"),
        (replace(DEVICE, channels=SWAPPED), "its channels"),
        (replace(DEVICE, amplitude_known=False), "whether its amplitude is known"),
        (replace(DEVICE, device="00000000000000bb"), "the device"),
    ],
)
def test_what_no_window_can_bridge_begins_them_anew(other, named):
    _, windows, notices = play([*frames(0, 900), *frames(900, 2900, configuration=other)])
    assert said(notices, "configuration")[1].startswith(f"changed {named}; windows begin anew; ")
    assert windows[0].first == 900
    assert windows[0].start_s == 9.0


def test_a_device_that_changes_its_mind_each_frame_is_said_once_a_second_and_breaks_nothing():
    other = replace(DEVICE, channels=SWAPPED)
    events = [frame(10 * n, configuration=(DEVICE, other)[n % 2]) for n in range(100)]
    session, windows, notices = play(events)
    assert windows == []
    assert len(said(notices, "configuration")) <= 11
    assert session.position_s == pytest.approx(10.0)


def test_samples_without_their_configuration_are_missing_for_that_reason():
    unknown = [replace(one, configuration=None) for one in frames(400, 440)]
    _, (window,), notices = play([*frames(0, 400), *unknown, *frames(440, 1000)])
    assert window.missing_s == 0.4
    assert said(notices, "gap") == [
        "0.10 s came without the configuration they belong to, at 4.0 s",
        "0.30 s came without the configuration they belong to, 3 times since 4.1 s",
    ]


def test_a_configuration_that_never_comes_is_said_after_three_seconds():
    decoder = Played([replace(one, configuration=None) for one in frames(0, 1000)])
    session = Session(decoder)
    assert session.feed(bytes(20), 0) == []
    assert session.feed(bytes(20), 2 * S) == []
    (notice,) = session.feed(bytes(20), 3 * S)
    assert notice.kind == "no_configuration"
    assert "one each second" in notice.text
    assert session.feed(bytes(20), 9 * S) == []


def test_a_log_without_a_configuration_is_said_at_its_end():
    _, windows, notices = play([replace(one, configuration=None) for one in frames(0, 2000)])
    assert windows == []
    assert [notice.kind for notice in notices] == ["no_configuration"]


class Deaf(Played):
    """No byte is ever a frame."""

    def feed(self, data):
        self.counters.octets += len(data)
        return [Damaged(len(data), "framing", "no frame")]


def test_another_format_is_said_after_three_seconds_or_64_kib_and_only_once():
    session = Session(Deaf([]))
    assert session.feed(bytes(2000), 0) == []
    (notice,) = session.feed(bytes(3210), 3 * S)
    assert notice.kind == "not_this_format"
    assert notice.text.startswith("5,210 bytes and no frame among them: is this device's format")
    assert session.feed(bytes(99_999), 4 * S) == []
    (at_once,) = Session(Deaf([])).feed(bytes(70_000), 0)
    assert at_once.kind == "not_this_format"


def test_a_short_log_of_another_format_is_said_at_its_end():
    session = Session(Deaf([]))
    assert session.feed(bytes(5000), 0) == []
    assert [notice.kind for notice in session.finish(1)] == ["not_this_format"]


def test_silence_is_said_once_until_data_are_back():
    session = Session(Played(frames(0, 1000)))
    session.feed(bytes(1), 0)
    assert session.tick(1_999_999) == []
    assert [notice.kind for notice in session.tick(2 * S)] == ["no_data"]
    assert session.tick(9 * S) == []
    assert [notice.kind for notice in session.feed(bytes(1), 10 * S)] == ["data_back"]
    assert [notice.kind for notice in session.tick(12 * S)] == ["no_data"]


def test_a_source_that_never_sends_is_silent_from_the_first_tick():
    session = Session(Played([]))
    assert session.tick(5 * S) == []
    assert [notice.kind for notice in session.tick(7 * S)] == ["no_data"]


def test_a_source_that_is_gone_is_said_once_and_its_silence_is_not():
    session = Session(Played(frames(0, 1500)))
    session.feed(bytes(50), 0)
    (lost,) = session.source_lost(S, "the cable of /dev/ttyACM0 was pulled")
    assert (lost.kind, lost.text) == ("source_lost", "the cable of /dev/ttyACM0 was pulled")
    assert session.tick(60 * S) == []
    assert [notice.kind for notice in session.source_back(88 * S)] == ["source_back"]
    assert session.tick(89 * S) == []
    assert [notice.kind for notice in session.tick(90 * S)] == ["no_data"]
    # Sample numbers are the device's own: nothing was lost, so the window is whole.
    back, window = session.feed(bytes(100), 90 * S)
    assert back.kind == "data_back"
    assert window.clean


def test_a_device_that_does_not_count_begins_anew_after_its_source_was_away():
    bare = replace(DEVICE, tag=0)
    session = Session(Played(frames(0, 2500, configuration=bare)))
    session.feed(bytes(50), 0)
    session.source_lost(S, "gone")
    assert [notice.kind for notice in session.source_back(2 * S)] == ["source_back", "restart"]
    assert [window.first for window in session.feed(bytes(100), 2 * S)] == [500]


def test_a_clock_that_goes_back_or_jumps_is_said_and_moves_no_sample():
    def at(first, us):
        return frame(first, t_us=us)

    steady = [at(n * 10, 10**9 + n * 100_000) for n in range(30)]
    back = [at(300 + n * 10, 10**9 - 10**8 + n * 100_000) for n in range(30)]
    ahead = [at(600 + n * 10, 2**63 + n * 100_000) for n in range(40)]
    session, (window,), notices = play([*steady, *back, *ahead])
    texts = said(notices, "clock")
    assert texts[0].startswith("the device's clock went back by 103.00 s, at 3.0 s; samples stay")
    assert texts[1].startswith("the device's clock went ahead by")
    assert session.summary().clock_steps == session.clock.report().steps == 2
    assert window.clean


def test_a_clock_of_random_numbers_is_counted_and_said_once_a_second():
    random = np.random.default_rng(3)
    sent = [frame(n * 10, t_us=int(random.integers(2**63))) for n in range(200)]
    session, windows, notices = play(sent)
    assert len(windows) == 2
    assert len(said(notices, "clock")) <= 21
    assert session.summary().clock_steps > 100


def test_counts_are_those_of_the_decoder_and_of_the_windows():
    events = [*frames(0, 1000), Gap(1000, 60, "lost"), *frames(1060, 2100)]
    session, windows, _ = play(events)
    summary = session.summary()
    assert (summary.samples, summary.lost, summary.gaps) == (2040, 60, 1)
    assert (summary.windows, summary.clean, summary.refused, summary.empty) == (2, 1, 1, 0)
    assert summary.seconds == 21.0
    assert windows[1].refused == "0.60 s are missing in one place, at most 0.5 s may be"
