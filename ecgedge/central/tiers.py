"""When merging segments pays: size-tiered, as in log-structured merge trees.

Every further segment costs each search a little; every merge makes every cart fetch cases again
that it had. Segments of about one size are merged once there are FANOUT of them, so that the
number of segments grows with the logarithm of the case base and a case is fetched again once a
tier, not once an addition (O'Neil et al. 1996; size-tiered compaction, Bigtable and Cassandra).
"""

from __future__ import annotations

from collections.abc import Sequence

#: Segments of one tier that are merged into one. docs/segments.md has what each choice costs.
FANOUT = 8

Group = tuple[int, ...]


def merges(counts: Sequence[int], fanout: int = FANOUT) -> tuple[Group, ...]:
    """Which segments, by their places in `counts`, should each become one.

    counts: cases of each segment that are not withdrawn, at least 1 each. fanout: 2 or more.
    A tier is what is less than fanout times as large as its smallest segment; what a merge
    makes may fill the next tier, and is then one group with it.
    """
    held: list[tuple[int, Group]] = [(count, (place,)) for place, count in enumerate(counts)]
    while (tier := _full_tier(held, fanout)) is not None:
        merged = (sum(count for count, _ in tier), tuple(sorted(sum((g for _, g in tier), ()))))
        held = [one for one in held if one not in tier] + [merged]
    return tuple(sorted(group for _, group in held if len(group) > 1))


def _full_tier(held: Sequence[tuple[int, Group]], fanout: int) -> list[tuple[int, Group]] | None:
    """The lowest tier with enough segments, or None."""
    rising = sorted(held)
    start = 0
    while start < len(rising):
        least = rising[start][0]
        tier = [one for one in rising[start:] if one[0] < fanout * least]
        if len(tier) >= fanout:
            return tier
        start += len(tier)
    return None
