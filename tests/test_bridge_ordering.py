"""Numbers of frames: order, loss, duplicates, late frames and restarts, one rule a test."""

from typing import Any

import pytest
from bridge_streams import configuration, data, decode, numbers, told

from firmware_bridge.decoder import WireDecoder
from firmware_bridge.events import Frame, Gap
from firmware_bridge.ordering import FAR, HOLD, LATE, ODD, REMEMBERED, RESTART

TOLD = configuration()


def sent(*firsts: int, **fields: Any) -> bytes:
    return b"".join(data(first, configuration=TOLD, **fields) for first in firsts)


def gaps(events: list[Any]) -> list[tuple[int, int | None, str]]:
    return [(one.first, one.samples, one.why) for one in events if isinstance(one, Gap)]


def test_the_first_frame_begins_the_run_wherever_it_is() -> None:
    events, counters = decode(sent(5000, 5010))
    assert numbers(events) == list(range(5000, 5020))
    assert counters.lost == 0


def test_a_loss_is_counted_to_the_sample_with_frames_of_any_length() -> None:
    stream = data(0, 7) + data(7, 15) + data(50, 1) + data(51, 3)
    events, counters = decode(stream)
    assert gaps(events) == [(22, 28, "lost")]
    assert counters.lost == 28


def test_a_loss_is_told_as_soon_as_more_frames_wait_than_may() -> None:
    decoder = WireDecoder()
    decoder.feed(sent(0))
    ahead = [20 + 10 * number for number in range(HOLD + 1)]
    assert decoder.feed(sent(*ahead[:HOLD])) == []
    gap, *frames = decoder.feed(sent(ahead[HOLD]))
    assert gap == Gap(10, 10, "lost")
    assert [one.first for one in frames if isinstance(one, Frame)] == ahead


@pytest.mark.parametrize("ahead", range(1, HOLD + 1))
def test_a_frame_that_up_to_four_overtake_is_no_loss(ahead: int) -> None:
    later = [20 + 10 * number for number in range(ahead)]
    events, counters = decode(sent(0, *later, 10, 1000))
    assert gaps(events[: ahead + 2]) == []
    assert numbers(events[: ahead + 2]) == list(range(20 + 10 * ahead))
    assert (counters.reordered, counters.late) == (1, 0)


def test_a_frame_that_five_overtake_is_lost_and_late() -> None:
    events, counters = decode(sent(0, 20, 30, 40, 50, 60, 10, 70))
    assert gaps(events) == [(10, 10, "lost")]
    assert numbers(events) == [*range(10), *range(20, 80)]
    assert (counters.late, counters.duplicates, counters.stray) == (1, 0, 0)


def test_two_losses_with_frames_between_are_two_gaps() -> None:
    events, _ = decode(sent(0, 20, 40, 50))
    assert gaps(events) == [(10, 10, "lost"), (30, 10, "lost")]


def test_the_same_octets_again_are_a_duplicate_also_while_they_wait() -> None:
    events, counters = decode(sent(0, 0, 10, 30, 30, 20, 0, 30, 40))
    assert numbers(events) == list(range(50))
    assert (counters.duplicates, counters.lost) == (4, 0)


def test_a_second_of_frames_replayed_is_no_restart() -> None:
    run = range(0, 2000, 10)
    events, counters = decode(sent(*run, *run[-50:], 2000))
    assert numbers(events) == list(range(2010))
    assert (counters.duplicates, counters.restarts) == (50, 0)


def test_other_samples_for_numbers_that_were_had_are_stray() -> None:
    events, counters = decode(sent(0, 10) + data(0, t_us=5) + sent(20))
    assert numbers(events) == list(range(30))
    assert (counters.stray, counters.duplicates) == (1, 0)


@pytest.mark.parametrize(
    "stream",
    [
        data(0) + data(5) + data(10),  # overlaps what was delivered
        data(0) + data(15) + data(10) + data(20),  # waited, and overlaps what came in its place
        data(0) + data(20) + data(25) + data(10) + data(30),  # overlaps what waits
    ],
)
def test_a_frame_that_overlaps_another_is_dropped_whole(stream: bytes) -> None:
    events, counters = decode(stream)
    assert counters.stray == 1
    assert len(set(numbers(events))) == len(numbers(events))
    assert numbers(events) == list(range(len(numbers(events))))


def test_the_sequence_wraps_around_and_numbers_do_not() -> None:
    run = range(2**32 - 30, 2**32 + 30, 10)
    events, counters = decode(sent(*run[:2], run[3], run[2], *run[4:]))
    assert numbers(events) == list(range(2**32 - 30, 2**32 + 30))
    assert (counters.lost, counters.restarts, counters.reordered) == (0, 0, 1)


def test_a_loss_across_the_wrap_is_counted() -> None:
    events, _ = decode(sent(2**32 - 20, 2**32 + 10))
    assert gaps(events) == [(2**32 - 10, 20, "lost")]


def test_another_boot_begins_a_new_run_at_once() -> None:
    after = configuration(boot=8)
    stream = told(TOLD) + sent(5000, 5020) + told(after) + data(0, configuration=after)
    events, counters = decode(stream)
    assert gaps(events) == [(5010, 10, "lost"), (5030, None, "restarted")]
    assert numbers(events) == [*range(5000, 5010), *range(5020, 5030), *range(10)]
    assert (counters.restarts, counters.lost) == (1, 10)


def test_another_boot_begins_a_new_run_also_where_its_numbers_would_fit() -> None:
    after = configuration(boot=8)
    stream = told(TOLD) + sent(0) + told(after) + data(10, configuration=after)
    assert gaps(decode(stream)[0]) == [(10, None, "restarted")]


def test_a_frame_left_over_from_the_boot_before_does_not_bring_it_back() -> None:
    after = configuration(boot=8)
    stream = told(TOLD) + sent(5000) + told(after)
    stream += data(0, configuration=after) + sent(5010) + data(10, configuration=after)
    events, counters = decode(stream)
    assert numbers(events) == [*range(5000, 5010), *range(20)]
    assert (counters.restarts, counters.stray) == (1, 1)


def test_another_device_and_back_are_two_restarts() -> None:
    other = configuration(device="00000000000000bb")
    stream = told(TOLD) + sent(5000) + told(other) + data(0, configuration=other)
    stream += sent(*range(6000, 6000 + 10 * RESTART, 10))
    events, counters = decode(stream)
    assert counters.restarts == 2
    assert numbers(events)[-10 * RESTART :] == list(range(6000, 6000 + 10 * RESTART))


def test_a_change_of_rate_goes_on_with_the_numbers() -> None:
    after = configuration(rate_hz=250.0)
    stream = told(TOLD) + sent(0) + told(after) + data(10, configuration=after)
    events, counters = decode(stream)
    assert gaps(events) == []
    assert [one.configuration for one in events if isinstance(one, Frame)] == [TOLD, after]
    assert counters.restarts == 0


@pytest.mark.parametrize("configured", [b"", told(TOLD)])
def test_a_device_that_starts_anew_without_saying_so_is_followed_and_loses_nothing(
    configured: bytes,
) -> None:
    run = range(3, 3 + 10 * (RESTART + 1), 10)
    events, counters = decode(configured + sent(5000, 5010, *run))
    assert gaps(events) == [(5020, None, "restarted")]
    assert numbers(events) == [*range(5000, 5020), *range(3, run[-1] + 10)]
    assert (counters.restarts, counters.stray) == (1, 0)


def test_fewer_than_eight_frames_of_another_run_are_stray() -> None:
    events, counters = decode(sent(5000, *range(0, 10 * (RESTART - 1), 10), 5010))
    assert numbers(events) == list(range(5000, 5020))
    assert (counters.restarts, counters.stray) == (0, RESTART - 1)


def test_losses_within_the_frames_that_tell_a_restart_are_counted() -> None:
    run = [10 * number for number in range(RESTART + 1) if number != 3]
    events, counters = decode(sent(5000, *run))
    assert gaps(events) == [(5010, None, "restarted"), (30, 10, "lost")]
    assert counters.lost == 10


def test_an_outage_is_a_gap_and_a_longer_one_than_a_device_runs_is_a_restart() -> None:
    far = range(10 + FAR, 10 + FAR + 10 * RESTART, 10)
    assert gaps(decode(sent(0, *far))[0]) == [(10, FAR, "lost")]
    further = range(11 + FAR, 11 + FAR + 10 * RESTART, 10)
    assert gaps(decode(sent(0, *further))[0]) == [(10, None, "restarted")]


def test_one_frame_with_a_number_far_ahead_is_dropped() -> None:
    run = range(0, 10 * (ODD + 4), 10)
    events, counters = decode(sent(0, 100_000, *run[1:]))
    assert numbers(events) == list(range(10 * len(run)))
    assert (counters.stray, counters.lost) == (1, 0)


def test_more_late_frames_than_a_restart_takes_are_no_restart() -> None:
    late = range(10, 10 * 20, 10)
    ahead = range(200, 250, 10)
    events, counters = decode(sent(0, *ahead, *late, 250))
    assert numbers(events) == [*range(10), *range(200, 260)]
    assert (counters.late, counters.restarts) == (len(late), 0)


def test_a_restart_into_numbers_that_were_lost_is_found_when_they_cannot_be_late_any_more() -> None:
    """The device loses 100 s, restarts and counts through the numbers that were lost."""
    stream = sent(0, *range(50_000, 50_050, 10))
    again = range(100, 100 + 10 * (LATE + 40), 10)
    events, counters = decode(stream + sent(*again, t_us=1))
    assert counters.restarts == 1
    assert numbers(events)[-1] == again[-1] + 9
    assert counters.late <= LATE


def test_a_duplicate_older_than_what_is_remembered_is_dropped_all_the_same() -> None:
    run = range(0, 10 * (REMEMBERED + 2), 10)
    events, counters = decode(sent(*run, 0, run[-1] + 10))
    assert numbers(events) == list(range(10 * len(run) + 10))
    assert counters.stray == 1


def test_frames_that_change_places_behind_a_loss_are_in_order() -> None:
    events, counters = decode(sent(0, 30, 20, 40, 50, 60))
    assert gaps(events) == [(10, 10, "lost")]
    assert numbers(events) == [*range(10), *range(20, 70)]
    assert counters.reordered == 1


def test_of_two_waiting_frames_that_overlap_the_one_that_came_first_stays() -> None:
    events, counters = decode(data(0) + data(25) + data(20) + data(10))
    assert numbers(events) == [*range(20), *range(25, 35)]
    assert (counters.stray, counters.lost) == (1, 5)


@pytest.mark.parametrize("fitting", [5010, 5020])
def test_one_frame_that_fits_ends_a_row_of_suspects(fitting: int) -> None:
    seven = range(0, 10 * (RESTART - 1), 10)
    _, counters = decode(sent(5000, *seven, fitting, 10 * (RESTART - 1)))
    assert (counters.restarts, counters.stray) == (0, RESTART)


def test_after_a_restart_numbers_are_the_devices_also_behind_a_wrap() -> None:
    run = range(2**31, 2**31 + 10 * RESTART, 10)
    events, _ = decode(sent(2**32 - 10, 2**32, 2**32 + 10, *run))
    assert numbers(events)[-10 * RESTART :] == list(range(run[0], run[-1] + 10))


def test_a_gap_of_the_run_before_makes_no_frame_late() -> None:
    after = configuration(boot=8)
    stream = told(TOLD) + sent(0, *range(50, 100, 10)) + told(after)
    stream += data(100, configuration=after) + data(20, configuration=after)
    _, counters = decode(stream)
    assert (counters.late, counters.stray) == (0, 1)
