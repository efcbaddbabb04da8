"""Every attack is refused, what was trusted stays, and the honest centre is heard afterwards.

`python tests/test_sync_attacks.py > docs/sync-attacks.md` writes the page of what a cart says.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import pytest
from attack_scene import DAY, Attack, Scene
from faulty_server import Behaviour, Handler, drops_after, endless, honest, page, refuses, serving
from sim_repository import SimCart, SimRepository, SimSource
from sync_attacks import ATTACKS
from sync_builders import Cart

from ecgedge.errors import EcgedgeError, NetworkError, TrustError
from ecgedge.sync import fetch, places
from ecgedge.sync.http import HttpSource
from ecgedge.sync.state import read_state

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "sync-attacks.md"
ON_METADATA = [one for one in ATTACKS if not one.files]


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is tried again at once."""
    monkeypatch.setattr(fetch, "WAITS_S", (0.0,))
    monkeypatch.setattr(fetch, "_SMALL_WAITS_S", (0.0,))


def refusal_of(cart: Cart) -> EcgedgeError:
    with pytest.raises(EcgedgeError) as refused:
        cart.sync()
    return refused.value


def recover(scene: Scene, attack: Attack) -> None:
    """What an honest centre does the next day; after a theft it changes its keys first."""
    scene.centre.now += DAY
    if attack.stolen:
        for role in ("targets", "snapshot", "timestamp"):
            scene.centre.rotate(role)
    scene.centre.sign_all()


# -- the metadata alone


def opened() -> tuple[Scene, SimCart]:
    centre = SimRepository()
    centre.publish(b"first manifest", [b"blob"])
    cart = SimCart(centre)
    cart.refresh()
    early = dict(centre.files)
    centre.publish(b"second manifest", [b"another"], channels={"stable": (2, 100)})
    return Scene(centre, SimSource(centre.files), early, centre.now), cart


@pytest.mark.parametrize("attack", ON_METADATA, ids=lambda one: one.name)
def test_an_attack_on_metadata_is_refused_and_the_centre_is_heard_afterwards(attack):
    scene, cart = opened()
    before = cart.versions()
    attack.arrange(scene)
    cart.source, cart.now = scene.source, scene.now
    with pytest.raises(EcgedgeError) as refused:
        cart.refresh()
    assert isinstance(refused.value, attack.error)
    assert attack.says in str(refused.value)
    after = cart.versions()
    assert all(after.get(role, version) >= version for role, version in before.items())
    recover(scene, attack)
    cart.source, cart.now = SimSource(scene.centre.files), scene.centre.now
    assert cart.refresh().offers[-1].order == 2


# -- a whole sync


def installed(folder: Path) -> tuple[Scene, Cart, str]:
    """A cart with the first release, a centre that has a second one, and its id."""
    cart = Cart.at(folder)
    cart.offer("first")
    cart.sync()
    early = dict(cart.centre.files)
    second = cart.offer("second", segments=2)
    return Scene(cart.centre, SimSource(cart.centre.files), early, cart.now), cart, second


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.name)
def test_a_sync_under_attack_leaves_the_release_and_the_next_honest_one_installs(attack, tmp_path):
    scene, cart, second = installed(tmp_path)
    first, pointer = cart.whole(), (cart.store.root / "current").read_bytes()
    attack.arrange(scene)
    cart.source, cart.now = scene.source, scene.now
    refused = refusal_of(cart)
    assert isinstance(refused, attack.error)
    assert attack.says in str(refused)
    assert cart.whole() == first
    assert (cart.store.root / "current").read_bytes() == pointer
    assert cart.probed == [first]
    recover(scene, attack)
    cart.source, cart.now = SimSource(scene.centre.files), scene.centre.now
    assert cart.sync().release == second == cart.whole()


# -- what only a real server can do


def drips(handler: Handler) -> None:
    handler.begin(200, Content_Length=1000)
    handler.send(b"{")
    handler.wait_for_hang_up()


def moved(handler: Handler) -> None:
    refuses(302, Location="http://elsewhere.example/timestamp.json")(handler)


#: Name -> (a part of the sentence, its kind, what the server does with every request from the
#: second on, the first being for a root that is not there).
ON_THE_WAY: dict[str, tuple[str, type[EcgedgeError], Behaviour]] = {
    "A redirect to another host, without TLS (with TLS: 6)": ("log in", NetworkError, moved),
    "A server that sends a byte now and then": ("too slow", NetworkError, drips),
    "A connection that drops in the metadata": ("try again", NetworkError, drops_after(50)),
    "A login page over HTTP": ("login page", NetworkError, page),
    "A server that never stops sending": ("no honest source", TrustError, endless),
    "A server out of order": ("503", NetworkError, refuses(503)),
}


def served_badly(cart: Cart, behaviour: Behaviour) -> EcgedgeError:
    clock = iter(range(0, 10**6, 70))  # each look at the clock is 70 s after the last
    with serving(cart.centre.files, honest, *[behaviour] * 20) as log:
        slow = {"clock": lambda: float(next(clock))} if behaviour is drips else {}
        cart.source = HttpSource(log.url, **slow)
        return refusal_of(cart)


@pytest.mark.parametrize("name", ON_THE_WAY)
def test_a_server_that_misbehaves_leaves_the_release_and_is_heard_once_it_behaves(name, tmp_path):
    says, error, behaviour = ON_THE_WAY[name]
    _, cart, second = installed(tmp_path)
    first = cart.whole()
    refused = served_badly(cart, behaviour)
    assert isinstance(refused, error)
    assert says in str(refused)
    assert cart.whole() == first
    with serving(cart.centre.files) as log:
        cart.source = HttpSource(log.url)
        assert cart.sync().release == second


# -- stolen online keys


def fast_forwarded(centre: SimRepository) -> SimRepository:
    """A thief's repository whose versions and signing time lie as far ahead as they can."""
    thief = centre.fork()
    far = centre.now.replace(year=2199)
    thief.snapshot.meta["targets.json"].version = thief.targets.version = 10**9
    thief.reseal("targets", thief.signed(thief.targets))
    thief.snapshot.version = thief.timestamp.version = 10**9
    thief.sign_snapshot(far)
    thief.sign_timestamp(far, signed_at=far - DAY)
    return thief


@pytest.mark.parametrize("rotated", [("timestamp",), ("snapshot", "timestamp")])
def test_after_a_fast_forward_attack_new_keys_bring_versions_and_time_back(rotated):
    scene, cart = opened()
    cart.source = SimSource(fast_forwarded(scene.centre).files)
    with pytest.raises(TrustError):  # its other roles have expired by the time it claims
        cart.refresh()
    assert cart.versions()["timestamp"] > 10**9
    assert cart.state.floor.year == 2199
    scene.centre.now = cart.now = scene.centre.now + DAY
    scene.centre.sign_all()
    cart.source = SimSource(scene.centre.files)
    with pytest.raises(TrustError, match="does not follow what the centre signed before"):
        cart.refresh()
    for role in rotated:
        scene.centre.rotate(role)
    scene.centre.sign_all()
    assert cart.refresh().offers[-1].order == 2
    assert cart.state.floor == cart.now
    assert cart.versions()["timestamp"] < 10


def test_new_snapshot_keys_alone_bring_back_versions_that_an_honest_timestamp_repeated():
    scene, cart = opened()
    thief = scene.centre.fork()
    thief.snapshot.version = 10**9
    thief.sign_snapshot()
    thief.sign_timestamp()
    cart.source = SimSource(thief.files)
    cart.refresh()
    scene.centre.sign_all()
    scene.centre.sign_all()
    cart.source = SimSource(scene.centre.files)
    with pytest.raises(TrustError, match="does not follow"):
        cart.refresh()
    scene.centre.rotate("snapshot")
    scene.centre.sign_all()
    assert cart.refresh().offers[-1].order == 2
    assert cart.versions()["snapshot"] < 10


def test_recovery_goes_on_where_the_network_failed_between_the_new_root_and_the_timestamp():
    scene, cart = opened()
    cart.source = SimSource(fast_forwarded(scene.centre).files)
    with pytest.raises(TrustError):
        cart.refresh()
    scene.centre.rotate("timestamp")
    scene.centre.sign_all()
    cart.source = SimSource(scene.centre.files)
    cart.source.broken["metadata/timestamp.json"] = 5
    with pytest.raises(NetworkError):
        cart.refresh()
    cart.source = SimSource(scene.centre.files)
    assert cart.refresh().offers[-1].order == 2
    assert cart.state.floor == cart.now


def test_a_clock_set_back_does_not_reopen_the_freeze(tmp_path):
    scene, cart, _ = installed(tmp_path)
    begun = cart.now
    cart.source, cart.now = SimSource(scene.early), begun + 10 * DAY
    assert "expired on 2026-11-29" in str(refusal_of(cart))
    for clock in (begun, begun.replace(year=1970), begun - DAY):
        cart.now = clock
        assert "does not count" in str(refusal_of(cart))
    assert read_state(places.trust(cart.store.root)).floor == begun + 7 * DAY


# -- the page


def document() -> str:
    """The table of attacks, each carried out to hear what the cart says."""
    lines = [
        "# Attacks on a sync, and what the cart says",
        "",
        f"{len(ATTACKS) + len(ON_THE_WAY)} attacks, each carried out against a whole sync by "
        "`tests/test_sync_attacks.py`, which also",
        "checks this page. After each of them the installed release answers as before, and the",
        "next sync with the honest centre installs the new one. Exit 6: something is not what the",
        "centre signed, do not retry; 5: a later try may help. Where keys were stolen (marked *)",
        "the centre changes them first (`ecgedge keys`).",
        "",
        "| attack | what the cart says | exit |",
        "|---|---|---|",
    ]
    for attack in ATTACKS:
        with tempfile.TemporaryDirectory() as folder:
            scene, cart, _ = installed(Path(folder))
            attack.arrange(scene)
            cart.source, cart.now = scene.source, scene.now
            lines.append(row(attack.name + " *" * attack.stolen, refusal_of(cart)))
    for name, (_, _, behaviour) in ON_THE_WAY.items():
        with tempfile.TemporaryDirectory() as folder:
            _, cart, _ = installed(Path(folder))
            lines.append(row(name, served_badly(cart, behaviour)))
    return "\n".join(lines) + "\n"


def row(name: str, refused: EcgedgeError) -> str:
    """Without what differs from run to run, hashes, and lengths of made-up files."""
    told = re.sub(r"http://127\.0\.0\.1:\d+", "http://centre.example", str(refused))
    told = re.sub(r"[0-9a-f]{12,}(\.\.\.)?", "...", told)
    told = re.sub(r" \(IncompleteRead\(.*?\)\)", "", told)
    told = re.sub(r"\b\d{4,5}\b(?= bytes (of|as) (targets|blobs)|: it may| that the)", "N", told)
    return f"| {name} | {told} | {refused.exit_code} |".replace("\\", "\\\\")


def test_the_page_of_attacks_is_what_the_cart_says():
    stale = f"{DOCUMENT} is stale: python tests/test_sync_attacks.py > docs/sync-attacks.md"
    assert DOCUMENT.is_file(), stale
    assert DOCUMENT.read_text(encoding="utf-8") == document(), stale


if __name__ == "__main__":
    fetch.WAITS_S = fetch._SMALL_WAITS_S = (0.0,)
    sys.stdout.write(document())
