"""What stays on offer after a change: rules that hold for any sequence of changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.central.offering import ALL, kept, releases, to_custom, with_release, without_release
from ecgedge.errors import UsageError
from ecgedge.sync.offers import CHANNELS, Offer, choose

steps = st.lists(
    st.tuples(
        st.sampled_from("abcdef"),
        st.sampled_from(CHANNELS),
        st.integers(min_value=0, max_value=100),
    ),
    max_size=12,
)


def _after(changes, keep=2):
    offers = ()
    for order, (release, channel, percent) in enumerate(changes, start=1):
        offers = kept(with_release(offers, release, channel, percent, order), keep)
    return offers


@given(steps)
def test_no_two_releases_ever_share_an_order(changes):
    offers = _after(changes)
    places = {}
    for one in offers:
        assert places.setdefault(one.order, one.release) == one.release
    assert len({(one.release, one.channel) for one in offers}) == len(offers)


@given(steps, st.sampled_from("abcdef"), st.sampled_from(CHANNELS))
def test_what_is_offered_anew_is_the_latest_of_its_channel_unless_it_stood_there(
    changes, release, channel
):
    offers = _after(changes)
    stood = {one.release: one for one in offers if one.channel == channel}.get(release)
    after = with_release(offers, release, channel, 100, len(changes) + 1)
    mine = [one for one in after if one.channel == channel]
    if stood:
        assert {one.order for one in mine if one.release == release} == {stood.order}
    else:
        assert max(mine, key=lambda one: one.order).release == release


@given(steps, st.text(min_size=1, max_size=4), st.sampled_from(CHANNELS))
def test_a_cart_that_found_something_finds_something_after_older_offers_were_dropped(
    changes, cart, channel
):
    every, few = _after(changes, keep=99), None
    if any(one.percent >= ALL and one.channel == "stable" for one in every):
        few = choose(kept(every, 1), channel, cart)
        assert few is not None
    whole = choose(every, channel, cart)
    if few is not None and whole is not None and few.release != whole.release:
        assert few.order < whole.order  # nobody is sent forward to what was not meant for him


@given(steps, st.integers(min_value=1, max_value=4))
def test_no_more_stay_than_asked_for_and_one_for_every_cart(changes, keep):
    offers = _after(changes, keep=99)
    left = kept(offers, keep)
    for channel in CHANNELS:
        own = [one for one in left if one.channel == channel]
        late = sorted((one.order for one in offers if one.channel == channel), reverse=True)
        assert [one.order for one in own if one.order in late[:keep]] == sorted(late[:keep])
        assert len(own) <= keep + 1


def test_a_promoted_release_keeps_its_place_so_that_pilot_carts_do_not_move():
    offers = with_release((), "a", "stable", 100, 1)
    offers = with_release(offers, "b", "pilot", 100, 2)
    offers = with_release(offers, "c", "pilot", 100, 3)
    assert choose(offers, "pilot", "cart").release == "c"
    offers = with_release(offers, "b", "stable", 100, 4)
    assert choose(offers, "pilot", "cart").release == "c"
    assert choose(offers, "stable", "cart").release == "b"


def test_a_release_behind_its_new_channel_is_put_at_its_end():
    offers = with_release((), "a", "pilot", 100, 1)
    offers = with_release(offers, "fix", "stable", 100, 2)
    offers = with_release(offers, "a", "stable", 100, 3)
    assert choose(offers, "stable", "cart").release == "a"


def test_withdrawing_needs_a_release_for_every_stable_cart():
    offers = with_release((), "a", "stable", 100, 1)
    offers = with_release(offers, "b", "stable", 20, 2)
    assert releases(without_release(offers, "b")) == ["a"]
    with pytest.raises(UsageError, match="publish another one first"):
        without_release(offers, "a")


def test_what_is_signed_has_whole_numbers_alone():
    offers = (Offer("a", "stable", 3, 20.0), Offer("a", "pilot", 2, 100.0))
    custom = to_custom(offers, "a")
    assert custom == {
        "channels": {"stable": {"order": 3, "percent": 20}, "pilot": {"order": 2, "percent": 100}}
    }
    assert all(type(v) is int for one in custom["channels"].values() for v in one.values())
