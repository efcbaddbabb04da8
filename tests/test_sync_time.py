"""Expiry, the floor, and clocks that jump, against a centre that signs for real."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_repository import EPOCH, SimCart, SimRepository, SimSource

from ecgedge.errors import NetworkError, TrustError

DAY = timedelta(days=1)


pytestmark = pytest.mark.usefixtures("no_waits")


def test_only_the_time_that_is_handed_in_counts():
    centre = SimRepository(datetime(2001, 1, 1, tzinfo=UTC))
    cart = SimCart(centre)
    cart.refresh()
    cart.now += 8 * DAY
    with pytest.raises(TrustError, match="expired on 2001-01-08"):
        cart.refresh()


def test_a_fresh_cart_whose_clock_stands_in_1970_judges_by_when_its_root_file_was_signed(
    cart, centre
):
    cart.now = datetime(1970, 1, 1, tzinfo=UTC)
    centre.now += 20 * DAY
    centre.sign_root()
    cart.root = centre.files["metadata/2.root.json"]
    with pytest.raises(TrustError, match="expired on 2026-11-29"):
        cart.refresh()
    assert cart.state.floor == EPOCH + 20 * DAY
    centre.sign_timestamp()
    cart.refresh()


def test_an_expired_timestamp_is_remembered_so_that_no_earlier_clock_makes_it_good(cart, centre):
    cart.now = EPOCH + 8 * DAY
    with pytest.raises(TrustError, match="expired on 2026-11-29"):
        cart.refresh()
    assert cart.state.floor == EPOCH + 7 * DAY
    cart.now = EPOCH
    with pytest.raises(TrustError, match="says 2026-11-22 and does not count"):
        cart.refresh()
    centre.now = EPOCH + 8 * DAY
    centre.sign_timestamp()
    cart.refresh()


def test_an_offline_cart_learns_from_its_clock_that_what_it_remembers_has_expired(cart):
    cart.refresh()
    cart.source.reachable, cart.now = False, EPOCH + 9 * DAY
    with pytest.raises(NetworkError):
        cart.refresh()
    cart.source.reachable, cart.now = True, EPOCH
    with pytest.raises(TrustError, match="expired on 2026-11-29"):
        cart.refresh()


def test_a_clock_years_ahead_says_to_set_it_and_locks_nothing_out_once_it_is_set(cart, centre):
    cart.refresh()
    cart.now = datetime(2037, 1, 1, tzinfo=UTC)
    with pytest.raises(TrustError, match="set this cart's clock, if today is not 2037-01-01"):
        cart.refresh()
    cart.now = centre.now = EPOCH + DAY
    centre.sign_timestamp()
    cart.refresh()


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("root", "list of the centre's keys"),
        ("snapshot", "table of contents"),
        ("targets", "list of releases"),
    ],
)
def test_every_role_must_be_in_date_and_is_named(cart, centre, role, words):
    cart.refresh()
    live = {"root": centre.root, "snapshot": centre.snapshot, "targets": centre.targets}
    centre.now = live[role].expires
    for other in ("targets", "snapshot"):
        if other != role:
            getattr(centre, f"sign_{other}")()
    if role == "targets":
        centre.sign_root()
    if role != "snapshot":
        centre.sign_snapshot()
    centre.sign_timestamp()
    cart.now = centre.now
    with pytest.raises(TrustError, match=rf"{words} \({role}\) .* expired on"):
        cart.refresh()


#: Days after the epoch on which the centre signs; a timestamp holds for seven.
SIGNED_ON = (0, 1, 5, 12, 13, 40)


@pytest.fixture(scope="module")
def signed_states() -> tuple[SimRepository, list[dict[str, bytes]]]:
    """A centre, and what its server had on each of these days."""
    centre, found = SimRepository(), []
    for day in SIGNED_ON:
        centre.now = EPOCH + day * DAY
        centre.sign_all()
        found.append(dict(centre.files))
    return centre, found


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(0, len(SIGNED_ON) - 1), st.integers(-20_000, 90)),
        min_size=1,
        max_size=8,
    )
)
def test_any_history_of_replays_and_clocks_accepts_just_the_newest_unless_it_was_seen_expired(
    signed_states, history
):
    centre, states = signed_states
    cart = SimCart(centre)
    newest, seen_expired = 0, set()
    for served, day in history:
        cart.source, cart.now = SimSource(states[served]), EPOCH + day * DAY
        newest = max(newest, served)
        if day >= SIGNED_ON[newest] + 7:
            seen_expired.add(newest)
        if served == newest and newest not in seen_expired:
            assert cart.refresh().expires == EPOCH + (SIGNED_ON[served] + 7) * DAY
        else:
            with pytest.raises(TrustError):
                cart.refresh()
