"""Every attack is refused, what was trusted stays, and the honest centre is heard afterwards."""

import pytest
from sim_repository import SimCart, SimRepository, SimSource
from sync_attacks import BLOB, DAY, Attack, Scene, attacks

from ecgedge.errors import EcgedgeError

ATTACKS = [pytest.param(one, id=one.name) for one in attacks() if not one.files]


def opened() -> tuple[Scene, SimCart]:
    centre = SimRepository()
    centre.publish(b"first manifest 2026", [b"blob"])
    cart = SimCart(centre)
    cart.refresh()
    early = dict(centre.files)
    centre.publish(b"second manifest 2026", [BLOB], channels={"stable": (2, 100)})
    return Scene(centre, SimSource(centre.files), early, centre.now), cart


def recover(scene: Scene, attack: Attack) -> None:
    """What an honest centre does the next day; after a theft it changes its keys first."""
    scene.centre.now += DAY
    if attack.stolen:
        for role in ("targets", "snapshot", "timestamp"):
            scene.centre.rotate(role)
    scene.centre.sign_all()


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_on_metadata_is_refused_and_the_centre_is_heard_afterwards(attack: Attack):
    scene, cart = opened()
    before = cart.versions()
    attack.arrange(scene)
    cart.source, cart.now = scene.source, scene.now
    with pytest.raises(EcgedgeError) as refused:
        cart.refresh()
    assert type(refused.value) is attack.error
    assert attack.says in str(refused.value)
    after = cart.versions()
    assert all(after.get(role, version) >= version for role, version in before.items())
    recover(scene, attack)
    cart.source, cart.now = SimSource(scene.centre.files), scene.centre.now
    assert cart.refresh().offers[-1].order == 2
