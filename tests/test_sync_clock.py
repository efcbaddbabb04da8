"""The time floor: what holds for any clock, however it jumps."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ecgedge.sync.clock import effective_time, next_floor, restarted_floor

T0 = datetime(2026, 11, 22, tzinfo=UTC)
LIFETIME = timedelta(days=7)

clocks = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))
moments = st.integers(0, 10**8).map(lambda seconds: T0 + timedelta(seconds=seconds))
floors = st.none() | moments
#: What a cart meets, in any order: its clock, and when the timestamp it verified was signed.
histories = st.lists(st.tuples(clocks, moments), max_size=8)


def floor_after(history, floor=None):
    for now, signed_at in history:
        floor = next_floor(floor, now, signed_at, signed_at + LIFETIME)
    return floor


@given(floors, clocks, st.none() | moments, st.none() | moments)
def test_the_floor_never_goes_back_and_the_effective_time_never_lies_before_it(
    floor, now, signed_at, expires
):
    after = next_floor(floor, now, signed_at, expires)
    assert floor is None or (after is not None and after >= floor)
    assert effective_time(now, after) >= max(now, after or now)


@given(histories)
def test_a_floor_is_never_later_than_what_the_centre_signed(history):
    floor = floor_after(history)
    assert (floor is None) == (not history)
    assert floor is None or floor <= max(signed_at for _, signed_at in history) + LIFETIME


@given(clocks)
def test_a_clock_alone_leaves_no_floor(now):
    assert next_floor(None, now, None, None) is None


@given(floors, moments, st.timedeltas(timedelta(0), timedelta(days=9999)), histories, clocks)
def test_what_was_seen_expired_once_stays_expired_whatever_the_clock_says_later(
    floor, signed_at, late, history, clock
):
    expires = signed_at + LIFETIME
    seen = next_floor(floor, expires + late, signed_at, expires)
    assert effective_time(clock, floor_after(history, seen)) >= expires


@given(histories, st.timedeltas(timedelta(seconds=1), LIFETIME), st.data())
def test_no_jump_ahead_ever_locks_out_what_the_centre_signs_afterwards(history, after, data):
    newest = max((signed_at for _, signed_at in history), default=T0)
    signed_at = newest + after
    expires = signed_at + LIFETIME
    right = data.draw(st.timedeltas(timedelta(0), LIFETIME - timedelta(seconds=1)))
    assert effective_time(signed_at + right, floor_after(history)) < expires


@given(floors, st.none() | moments)
def test_under_new_keys_the_floor_steps_back_to_what_these_say_and_never_forward(floor, signed_at):
    after = restarted_floor(floor, signed_at)
    assert after in (None, floor, signed_at)
    if floor is not None and signed_at is not None:
        assert after is not None
        assert after <= floor
        assert after <= signed_at
