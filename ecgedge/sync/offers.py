"""Which release a cart takes: channels, and staged rollout by the cart's own id.

The centre signs, for each release it offers, in which channels, in which order, and to how
many percent of the carts. The cart decides alone; its id is never sent anywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

STABLE, PILOT = "stable", "pilot"
CHANNELS = (STABLE, PILOT)


@dataclass(frozen=True)
class Offer:
    """A release in a channel. order: later ones are higher, over all channels.
    percent: how many of a hundred carts take it, 0 to 100.
    """

    release: str
    channel: str
    order: int
    percent: float


def share(cart: str, release: str) -> float:
    """Where a cart stands in a release's rollout: evenly spread over 0 up to 100, always the same.

    Another release draws another place, so that no cart is always the first to try.
    """
    digest = hashlib.sha256(f"{release} {cart}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * 100


def choose(offers: Iterable[Offer], channel: str, cart: str) -> Offer | None:
    """The latest release that is offered to this cart, or None.

    A cart of the pilot channel takes what is stable too, where that is later.
    """
    wanted = {STABLE, channel}
    mine = [
        one for one in offers if one.channel in wanted and share(cart, one.release) < one.percent
    ]
    return max(mine, key=lambda one: one.order, default=None)
