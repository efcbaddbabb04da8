"""When merging pays: a bounded number of segments, and few cases fetched again."""

import math

from hypothesis import given
from hypothesis import strategies as st

from ecgedge.central.tiers import FANOUT, merges

COUNTS = st.lists(st.integers(1, 200_000), min_size=1, max_size=80)
FANOUTS = st.integers(2, 16)


def after(counts: list[int], fanout: int) -> list[int]:
    """Sizes of the segments once the planned groups are merged."""
    groups = merges(counts, fanout)
    merged = {place for group in groups for place in group}
    alone = [count for place, count in enumerate(counts) if place not in merged]
    return alone + [sum(counts[place] for place in group) for group in groups]


@given(COUNTS, FANOUTS)
def test_every_case_stays_and_no_segment_is_in_two_groups(counts, fanout):
    groups = merges(counts, fanout)
    places = [place for group in groups for place in group]
    assert len(places) == len(set(places))
    assert all(len(group) >= fanout and list(group) == sorted(group) for group in groups)
    assert sum(after(counts, fanout)) == sum(counts)


@given(COUNTS, FANOUTS)
def test_what_was_planned_leaves_nothing_more_to_plan(counts, fanout):
    assert merges(after(counts, fanout), fanout) == ()


@given(COUNTS, FANOUTS)
def test_the_number_of_segments_grows_with_the_logarithm_of_the_sizes_alone(counts, fanout):
    left = after(counts, fanout)
    tiers = math.ceil(math.log(max(left) / min(left) + 1, fanout)) + 1
    assert len(left) <= (fanout - 1) * tiers


@given(COUNTS, FANOUTS)
def test_the_order_in_which_segments_stand_does_not_decide_their_sizes(counts, fanout):
    assert sorted(after(counts, fanout)) == sorted(after(counts[::-1], fanout))


def test_a_large_base_is_not_fetched_again_for_small_additions():
    counts = [50_000]
    fetched = 0
    for _ in range(60):
        counts.append(500)
        groups = merges(counts)
        fetched += sum(counts[place] for group in groups for place in group)
        counts = after(counts, FANOUT)
        assert 50_000 in counts
    assert sum(counts) == 80_000
    assert fetched <= 60 * 500  # each new case at most once more


def test_fewer_than_a_tier_are_left_alone_and_a_full_tier_becomes_one():
    assert merges([500] * (FANOUT - 1)) == ()
    assert merges([500] * FANOUT) == (tuple(range(FANOUT)),)


def test_a_merge_that_fills_the_next_tier_is_one_group_with_it():
    counts = [4_000] * (FANOUT - 1) + [500] * FANOUT
    assert merges(counts) == (tuple(range(len(counts))),)
