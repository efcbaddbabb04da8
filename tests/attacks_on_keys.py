"""Attacks by other keys, too few, revoked ones, and by edits that keep old signatures."""

from __future__ import annotations

import json
from collections.abc import Callable

from attack_scene import TIMESTAMP, Attack, Scene
from sim_repository import SimRepository

from ecgedge.sync.layout import METADATA


def _other_centre(scene: Scene) -> None:
    other = SimRepository(scene.centre.now)
    for _ in range(5):
        other.publish(b"m", [b"b"])
    scene.serve_all(other)


def _new_root_of_thief(scene: Scene) -> None:
    thief = SimRepository(scene.centre.now)
    thief.sign_root()
    scene.serve_all(thief)


def _one_key_of_two(scene: Scene) -> None:
    thief = scene.centre.fork()
    thief.signers["targets"] = thief.signers["targets"][:1]
    thief.publish(b"evil", channels={"stable": (9, 100)})
    scene.serve_all(thief)


def _one_key_twice(scene: Scene) -> None:
    """The one signature that a thief can make, under the names of two keys."""
    thief = scene.centre.fork()
    stolen, other = thief.signers["targets"]
    thief.sign_all()
    forged = json.loads(thief.signed(thief.targets, [stolen]))
    twin = {**forged["signatures"][0], "keyid": other.public_key.keyid}
    forged["signatures"].append(twin)
    thief.reseal("targets", json.dumps(forged).encode())
    scene.serve_all(thief)


def _half_a_root(scene: Scene) -> None:
    """A new root with the thief's keys, signed by these and by one of two old keys."""
    thief = scene.centre.fork()
    old = thief.rotate("root")
    thief.files[f"{METADATA}/2.root.json"] = thief.signed(
        thief.root, old[:1] + thief.signers["root"]
    )
    scene.serve_all(thief)


def _root_signed_by_old_keys_alone(scene: Scene) -> None:
    thief = scene.centre.fork()
    old = thief.rotate("root")
    thief.files[f"{METADATA}/2.root.json"] = thief.signed(thief.root, old)
    scene.serve_all(thief)


def _revoked(role: str) -> Callable[[Scene], None]:
    def arrange(scene: Scene) -> None:
        old = scene.centre.rotate(role)
        scene.centre.sign_all()
        thief = scene.centre.fork()
        thief.signers[role] = old
        thief.publish(b"evil", channels={"stable": (9, 100)})
        scene.serve_all(thief)

    return arrange


def _unknown_scheme(scene: Scene) -> None:
    thief = scene.centre.fork()
    thief.root.version += 1
    root = json.loads(thief.signed(thief.root))
    for key in root["signed"]["keys"].values():
        key["scheme"] = "ed25519-quick"
    scene.serve(f"{METADATA}/2.root.json", json.dumps(root).encode())


def _skipped_root(scene: Scene) -> None:
    """The root after next in the place of the next."""
    for _ in range(2):
        scene.centre.sign_root()
    scene.serve(f"{METADATA}/2.root.json", scene.centre.files[f"{METADATA}/3.root.json"])


def _later_end(scene: Scene) -> None:
    timestamp = json.loads(scene.early[TIMESTAMP])
    timestamp["signed"]["expires"] = "2036-01-01T00:00:00Z"
    timestamp["signed"]["version"] = 99
    scene.serve(TIMESTAMP, json.dumps(timestamp).encode())


def _twice_the_key(scene: Scene) -> None:
    """Two versions in one file: a reader may take the first, another the last."""
    text = scene.early[TIMESTAMP].decode()
    version = f'"version":{json.loads(text)["signed"]["version"]}'
    scene.serve(TIMESTAMP, text.replace(version, f'{version},"version":99').encode())


ON_KEYS = [
    Attack("Metadata by other keys", "is not signed by the keys this cart trusts", _other_centre),
    Attack("A new root by other keys", "0/2 keys", _new_root_of_thief),
    Attack("Signatures below the threshold", "1/2 keys", _one_key_of_two, stolen=True),
    Attack("One stolen key signs twice", "1/2 keys", _one_key_twice, stolen=True),
    Attack("A new root signed by one of two old keys", "1/2 keys", _half_a_root),
    Attack("A new root not signed by itself", "0/2 keys", _root_signed_by_old_keys_alone),
    Attack("A revoked targets key goes on signing", "0/2 keys", _revoked("targets"), stolen=True),
    Attack("A revoked snapshot key goes on signing", "0/1 keys", _revoked("snapshot"), stolen=True),
    Attack(
        "A revoked timestamp key goes on signing", "0/1 keys", _revoked("timestamp"), stolen=True
    ),
    Attack("A root with an unknown signature scheme", "no TUF metadata", _unknown_scheme),
    Attack("A root is left out", "does not follow", _skipped_root),
    Attack("An old timestamp with a later end written into it", "0/1 keys", _later_end),
    Attack("A key twice in one JSON object", "0/1 keys", _twice_the_key),
]
