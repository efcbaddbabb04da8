"""Attacks that serve genuine metadata in the wrong place or at the wrong time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from attack_scene import DAY, TIMESTAMP, Attack, Scene
from sim_repository import SimRepository

from ecgedge.sync.layout import METADATA


def _stolen_online_keys(point_back: str) -> Callable[[Scene], None]:
    """A thief of the online keys signs anew, but lets one of them name an old state."""

    def arrange(scene: Scene) -> None:
        thief = scene.centre.fork()
        if point_back == "targets":
            thief.snapshot.meta["targets.json"].version = 1
            thief.snapshot.meta["targets.json"].hashes = None
            thief.snapshot.meta["targets.json"].length = None
            thief.sign_snapshot()
        else:
            thief.timestamp.snapshot_meta.version = 1
        thief.sign_timestamp()
        scene.serve_all(thief)

    return arrange


def _replayed(role: str) -> Callable[[Scene], None]:
    def arrange(scene: Scene) -> None:
        old = max(path for path in scene.early if path.endswith(f"{role}.json"))
        scene.serve(scene.newest(role), scene.early[old])

    return arrange


def _older_timestamp(scene: Scene) -> None:
    """One from before the cart's own."""
    thief = scene.centre.fork()
    thief.timestamp.version = 0
    thief.sign_timestamp()
    scene.serve(TIMESTAMP, thief.files[TIMESTAMP])


def _freeze(scene: Scene) -> None:
    scene.source.files = scene.early
    scene.now = scene.centre.now = scene.now + 30 * DAY


def _year_ahead(scene: Scene) -> None:
    scene.now = datetime(2037, 5, 1, tzinfo=UTC)


def _mixed(scene: Scene) -> None:
    """The new snapshot beside the old list of targets, all of them genuine."""
    scene.serve(scene.newest("targets"), scene.early[f"{METADATA}/2.targets.json"])


def _snapshot_for_targets(scene: Scene) -> None:
    scene.serve(scene.newest("targets"), scene.centre.files[scene.newest("snapshot")])


def _snapshot_for_timestamp(scene: Scene) -> None:
    scene.serve(TIMESTAMP, scene.centre.files[scene.newest("snapshot")])


def _targets_of_another_centre(scene: Scene) -> None:
    other = SimRepository(scene.centre.now)
    other.publish(b"m", [b"b"])
    scene.serve(scene.newest("targets"), other.files[f"{METADATA}/2.targets.json"])


OLD_AS_NEW = [
    Attack("An older timestamp is replayed", "does not follow", _older_timestamp),
    Attack("An older snapshot is replayed", "length or content differs", _replayed("snapshot")),
    Attack("Older targets are replayed", "length or content differs", _replayed("targets")),
    Attack(
        "A stolen timestamp key names an older snapshot",
        "does not follow",
        _stolen_online_keys("snapshot"),
        stolen=True,
    ),
    Attack(
        "Stolen online keys name older targets",
        "does not follow",
        _stolen_online_keys("targets"),
        stolen=True,
    ),
    Attack("Freeze: the old state is served for ever", "expired on 2026-11-29", _freeze),
    Attack("The clock runs years ahead", "set this cart's clock", _year_ahead),
    Attack("Mix and match: the new snapshot, the old targets", "content differs", _mixed),
    Attack("Swapped: a snapshot for the targets", "content differs", _snapshot_for_targets),
    Attack("Swapped: a snapshot for the timestamp", "not what it must be", _snapshot_for_timestamp),
    Attack("Swapped: another centre's targets", "content differs", _targets_of_another_centre),
]
