"""Verified metadata: what is taken over, what is remembered, what it costs."""

from datetime import timedelta

import pytest
from sim_repository import EPOCH, SimRepository, SimSource

from ecgedge.sync.layout import blob_target, manifest_target
from ecgedge.sync.offers import Offer
from ecgedge.sync.trust import refresh
from ecgedge.sync.trusted import Trusted, TrustState

DAY = timedelta(days=1)


class Cart:
    """A cart that syncs with a centre: what it remembers, and a clock that a test sets."""

    def __init__(self, centre: SimRepository) -> None:
        self.centre, self.source = centre, SimSource(centre.files)
        self.root, self.now, self.state = centre.root_file, centre.now, TrustState()

    def refresh(self) -> Trusted:
        return refresh(self.source, self.root, self.state, self.now, self._keep)

    def _keep(self, state: TrustState) -> None:
        self.state = state


@pytest.fixture
def centre() -> SimRepository:
    centre = SimRepository()
    centre.publish(b"first manifest", [b"one blob", b"another"])
    return centre


@pytest.fixture
def cart(centre: SimRepository) -> Cart:
    return Cart(centre)


def test_a_first_refresh_gives_every_target_and_offer_and_remembers_all_roles(cart, centre):
    trusted = cart.refresh()
    release = next(iter(trusted.offers)).release
    assert trusted.offers == (Offer(release, "stable", 1, 100),)
    assert trusted.targets[manifest_target(release)].length == len(b"first manifest")
    assert len(trusted.targets) == 3
    assert all(
        path in (manifest_target(release), blob_target(target.sha256))
        for path, target in trusted.targets.items()
    )
    assert trusted.expires == EPOCH + 7 * DAY
    names = ["1.root.json", "timestamp.json", "snapshot.json", "targets.json"]
    assert list(cart.state.metadata) == names
    assert cart.state.floor == EPOCH


def test_nothing_new_costs_a_missing_root_and_the_timestamp_far_below_10_kb(cart):
    first = cart.refresh()
    cart.source = SimSource(cart.centre.files)
    assert cart.refresh() == first
    assert cart.source.asked_paths == ["metadata/2.root.json", "metadata/timestamp.json"]
    assert cart.source.sent_bytes < 1_000
