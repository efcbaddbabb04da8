"""What a list of releases may say, and what is refused although it is signed."""

import pytest
from sim_repository import SimRepository

from ecgedge.errors import TrustError
from ecgedge.sync.layout import CHANNELS_FIELD, manifest_target
from ecgedge.sync.offers import Offer

RELEASE = "0123456789abcdef"
PATH = manifest_target(RELEASE)


def listed(centre: SimRepository, path: str = PATH, custom: object = None) -> None:
    centre.add_target(path, b"x", custom)
    centre.sign_all()


def test_harmless_names_unknown_channels_and_further_fields_are_passed_over(cart, centre):
    listed(centre, "extras/readme.txt")
    terms = {"order": 9, "percent": 5, "hours": [3]}
    custom = {CHANNELS_FIELD: {"stable": terms, "night": "whatever"}, "note": "x"}
    listed(centre, custom=custom)
    trusted = cart.refresh()
    assert trusted.offers[-1] == Offer(RELEASE, "stable", 9, 5)
    assert "extras/readme.txt" not in trusted.targets


@pytest.mark.parametrize("custom", [None, {}, {CHANNELS_FIELD: {}}])
def test_a_manifest_in_no_channel_is_listed_and_not_offered(cart, centre, custom):
    listed(centre, custom=custom)
    trusted = cart.refresh()
    assert PATH in trusted.targets
    assert RELEASE not in [offer.release for offer in trusted.offers]


@pytest.mark.parametrize(
    "custom",
    [
        [],
        "stable",
        {CHANNELS_FIELD: ["stable"]},
        {CHANNELS_FIELD: {"stable": 5}},
        {CHANNELS_FIELD: {"stable": {"order": 2}}},
        {CHANNELS_FIELD: {"stable": {"percent": 100}}},
        *(
            {CHANNELS_FIELD: {"pilot": {"order": order, "percent": percent}}}
            for order, percent in [
                (-1, 5),
                (True, 5),
                ("2", 5),
                (2, -1),
                (2, 101),
                (2, "9"),
                (2, None),
            ]
        ),
    ],
    ids=str,
)
def test_an_offer_of_the_wrong_form_is_refused(cart, centre, custom):
    listed(centre, custom=custom)
    with pytest.raises(TrustError, match=r"whole numbers|in which channels"):
        cart.refresh()


def test_two_releases_in_one_place_are_refused_and_one_in_two_channels_is_not(cart, centre):
    centre.publish(b"b", channels={"stable": (2, 50), "pilot": (2, 100)})
    cart.refresh()
    centre.publish(b"c", channels={"pilot": (2, 100)})
    with pytest.raises(TrustError, match=r"in the same place \(2\)"):
        cart.refresh()
