"""What a verified list of targets offers: strictly read, although the centre signed it.

A signature says who wrote a list, not that it makes sense. Names become paths on the cart and
numbers decide what is installed, so both have exactly the agreed form or nothing is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ecgedge.errors import TrustError
from ecgedge.sync.layout import BLOBS, CHANNELS_FIELD, RELEASES, release_of
from ecgedge.sync.offers import CHANNELS, Offer
from ecgedge.sync.trusted import Target

if TYPE_CHECKING:
    from tuf.api.metadata import TargetFile

_SHA256 = re.compile(r"[0-9a-f]{64}")
_RELEASE = re.compile(r"[0-9a-f]{16}")
_ODD_NAME = re.compile(r"[\x00-\x1f\x7f\\]|(^|/)\.{0,2}(/|$)")


def read_targets(listed: Mapping[str, TargetFile]) -> dict[str, Target]:
    """Every blob and manifest on the list, by its target path.

    Other harmless names are passed over, so that a later centre may list more. Raises
    TrustError for a name that leaves its folder, a blob that is not named by its own SHA-256,
    a manifest that is not named by a release id, a missing SHA-256 or a length that is none.
    """
    return {path: _target(path, one) for path, one in listed.items() if _is_ours(path)}


def read_offers(listed: Mapping[str, TargetFile]) -> tuple[Offer, ...]:
    """Which releases are offered in the channels that this version knows, sorted by order.

    Unknown channels and further fields are passed over. Raises TrustError for an order or
    percentage of the wrong kind, and where two releases stand in the same place: the list's
    own order is not signed, so it must not decide.
    """
    offers = [
        offer
        for path, one in listed.items()
        if _is_ours(path) and (release := release_of(path)) is not None
        for offer in _offers(release, one.custom)
    ]
    places: dict[int, str] = {}
    for offer in offers:
        other = places.setdefault(offer.order, offer.release)
        if other != offer.release:
            first, second = sorted((other, offer.release))
            raise _refused(f"offers {first} and {second} in the same place ({offer.order})")
    return tuple(sorted(offers, key=lambda one: (one.order, one.channel)))


def _is_ours(path: str) -> bool:
    if _ODD_NAME.search(path):
        raise _refused(f"names a file {_short(path)}, which leaves its folder")
    if path.startswith(BLOBS):
        if not _SHA256.fullmatch(path.removeprefix(BLOBS)):
            raise _refused(f"names a blob {_short(path)}, which is no SHA-256")
        return True
    if path.startswith(RELEASES):
        if not _RELEASE.fullmatch(release_of(path) or ""):
            raise _refused(f"names a release {_short(path)}, which is no release id")
        return True
    return False


def _target(path: str, one: TargetFile) -> Target:
    sha256 = one.hashes.get("sha256", "")
    if not _SHA256.fullmatch(sha256):
        raise _refused(f"gives no SHA-256 for {path}")
    if type(one.length) is not int or one.length < 0:
        raise _refused(f"gives {path} a length of {_short(one.length)}")
    if path.startswith(BLOBS) and path != BLOBS + sha256:
        raise _refused(f"gives {path} another SHA-256 than its name says")
    return Target(path, one.length, sha256)


def _offers(release: str, custom: Any) -> Iterator[Offer]:
    if custom is None:
        return
    channels = custom.get(CHANNELS_FIELD, {}) if isinstance(custom, dict) else None
    if not isinstance(channels, dict):
        raise _refused(f"does not say in which channels it offers {release}")
    for channel in CHANNELS:
        if channel in channels:
            yield _offer(release, channel, channels[channel])


def _offer(release: str, channel: str, terms: Any) -> Offer:
    order = terms.get("order") if isinstance(terms, dict) else None
    percent = terms.get("percent") if isinstance(terms, dict) else None
    # TUF's canonical JSON knows no fractions; True is an int to Python.
    if type(order) is not int or type(percent) is not int or not 0 <= percent <= 100 or order < 0:
        raise _refused(
            f"offers {release} in {channel} with order {_short(order)} to {_short(percent)} "
            "percent, both of which must be whole numbers, percent at most 100"
        )
    return Offer(release, channel, order, percent)


def _short(value: object) -> str:
    """For a message: what was signed may be megabytes long."""
    return repr(value)[:90]


def _refused(why: str) -> TrustError:
    return TrustError(
        f"the centre's list of releases (targets) {why}: the installed release goes on "
        "answering; tell the centre to publish anew"
    )
