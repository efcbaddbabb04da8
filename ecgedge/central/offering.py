"""Which releases stay on offer after a change; pure, so that every rule can be read and tested.

An offer's order is the version of the targets metadata that first made it. So orders rise over
the whole repository, all channels and all time, and nobody has to remember a counter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ecgedge.errors import UsageError
from ecgedge.sync.layout import CHANNELS_FIELD
from ecgedge.sync.offers import CHANNELS, STABLE, Offer

Offers = tuple[Offer, ...]
ALL = 100.0


def with_release(offers: Offers, release: str, channel: str, percent: float, order: int) -> Offers:
    """With a release offered to this share of a channel's carts.

    What is offered in the channel already keeps its order and changes its share. A release that
    comes from the other channel keeps its order too, so that carts there do not move, unless
    something later is offered in the new channel already. order: for what is new.
    """
    mine = [one for one in offers if one.release == release]
    same = [one for one in mine if one.channel == channel]
    if same:
        changed = replace(same[0], percent=percent)
        return _sorted([changed if one is same[0] else one for one in offers])
    latest = max((one.order for one in offers if one.channel == channel), default=0)
    orders = [one.order for one in mine if one.order > latest]
    return _sorted([*offers, Offer(release, channel, max(orders, default=order), percent)])


def without_release(offers: Offers, release: str) -> Offers:
    """Without a release, in no channel. Raises UsageError where it is not on offer, or where
    nothing would be left for the stable carts to go back to.
    """
    left = tuple(one for one in offers if one.release != release)
    if len(left) == len(offers):
        shown = ", ".join(sorted({one.release for one in offers})) or "none"
        raise UsageError(f"release {release} is not on offer, only {shown}")
    was_stable = any(one.channel == STABLE for one in offers)
    if was_stable and not any(one.channel == STABLE and one.percent >= ALL for one in left):
        raise UsageError(
            f"without release {release} no release is left for every stable cart to go back to: "
            "publish another one first"
        )
    return left


def kept(offers: Offers, keep: int) -> Offers:
    """The last few of each channel, and always the last that all of its carts may take: a cart
    outside a staged rollout must find something.
    """
    stay: set[Offer] = set()
    for channel in CHANNELS:
        own = sorted((one for one in offers if one.channel == channel), key=_order, reverse=True)
        stay.update(own[:keep])
        stay.update([one for one in own if one.percent >= ALL][:1])
    return _sorted(stay)


def releases(offers: Iterable[Offer]) -> list[str]:
    """Every release on offer, once, sorted."""
    return sorted({one.release for one in offers})


def to_custom(offers: Offers, release: str) -> dict[str, Any]:
    """What a release's target carries. Percents are whole numbers: TUF's canonical JSON has no
    others.
    """
    return {
        CHANNELS_FIELD: {
            one.channel: {"order": one.order, "percent": int(one.percent)}
            for one in offers
            if one.release == release
        }
    }


def _order(offer: Offer) -> int:
    return offer.order


def _sorted(offers: Iterable[Offer]) -> Offers:
    return tuple(sorted(offers, key=lambda one: (one.order, one.channel, one.release)))
