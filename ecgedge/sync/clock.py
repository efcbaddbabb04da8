"""What time it is on a machine without a battery clock: never earlier than what was signed.

A cart's clock may stand in 1970 after every start, or jump. Metadata says until when it
holds, so whoever can set the clock back could serve an old release as the latest for ever (a
freeze attack). The floor is the latest moment known to have passed, from two witnesses: when
the centre signed what the cart has verified, and, where the wall clock said that metadata had
expired, that metadata's own end. The wall clock alone never enters: one that once ran years
ahead leaves a floor no later than the end of a timestamp that the centre signed, and what it
signs afterwards ends later still.
"""

from __future__ import annotations

from datetime import datetime


def effective_time(now: datetime, floor: datetime | None) -> datetime:
    """The time to judge by: the wall clock's, but not before the floor. Both are UTC."""
    return now if floor is None else max(now, floor)


def next_floor(
    floor: datetime | None,
    now: datetime,
    signed_at: datetime | None,
    expires: datetime | None,
) -> datetime | None:
    """The floor after verified metadata was seen; it never goes back.

    now: the wall clock. signed_at, expires: a verified timestamp's, None where there is none
    or it does not say.
    """
    known = [one for one in (floor, signed_at) if one is not None]
    if expires is not None:
        known.append(min(now, expires))
    return max(known, default=None)


def restarted_floor(floor: datetime | None, signed_at: datetime | None) -> datetime | None:
    """The floor once the centre has changed the keys that sign the time.

    A thief of the old keys may have signed a time far ahead, so the floor steps back to what
    the first timestamp under the new keys says, where that is earlier (compare section 5.3.11
    of the TUF specification, recovery from fast-forward attacks). One without a signing time
    tells nothing, and then nothing is known.
    """
    if floor is None or signed_at is None:
        return None
    return min(floor, signed_at)
