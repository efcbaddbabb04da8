"""Attacks by what is broken, endless or withheld, and by lists that nobody should have signed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from attack_scene import TIMESTAMP, Attack, Scene
from sim_repository import time_text

from ecgedge.errors import NetworkError
from ecgedge.sync.layout import CHANNELS_FIELD, METADATA, SIGNED_AT


def _endless(role: str) -> Callable[[Scene], None]:
    def arrange(scene: Scene) -> None:
        path = f"{METADATA}/2.root.json" if role == "root" else scene.newest(role)
        scene.source.endless.add(path)

    return arrange


def _longer(scene: Scene) -> None:
    path = scene.newest("targets")
    scene.serve(path, scene.centre.files[path] + b" " * 100)


def _deep(scene: Scene) -> None:
    scene.serve(TIMESTAMP, b'{"a":' * 2000 + b"1" + b"}" * 2000)


def _huge_number(scene: Scene) -> None:
    scene.serve(TIMESTAMP, b'{"signed":{"version":' + b"9" * 6000 + b"}}")


def _login_page(scene: Scene) -> None:
    page = b"<!DOCTYPE html><html><body>Welcome to the hotel</body></html>"
    for path in (TIMESTAMP, f"{METADATA}/2.root.json"):
        scene.serve(path, page)


def _gone(role: str) -> Callable[[Scene], None]:
    return lambda scene: scene.serve(scene.newest(role), None)


BROKEN = [
    Attack("An endless root", "no honest source does", _endless("root")),
    Attack("An endless timestamp", "no honest source does", _endless("timestamp")),
    Attack("An endless snapshot", "no honest source does", _endless("snapshot")),
    Attack("Targets longer than signed", "is longer than it may be", _longer),
    Attack("JSON nested 2,000 deep", "no TUF metadata", _deep),
    Attack("A number of 6,000 digits", "no TUF metadata", _huge_number),
    Attack("The login page of a network", "login page", _login_page, NetworkError),
    Attack(
        "The timestamp is withheld",
        "check that it is the address",
        _gone("timestamp"),
        NetworkError,
    ),
    Attack(
        "The snapshot is withheld",
        "has no metadata/3.snapshot.json",
        _gone("snapshot"),
        NetworkError,
    ),
]


# -- lists that should never have been signed


def _listed(path: str, custom: object | None = None) -> Callable[[Scene], None]:
    """All keys are in a thief's hands, who lists this."""

    def arrange(scene: Scene) -> None:
        thief = scene.centre.fork()
        thief.add_target(path, b"evil", custom)
        thief.sign_all()
        scene.serve_all(thief)

    return arrange


def _signed_at(moment: str) -> Callable[[Scene], None]:
    def arrange(scene: Scene) -> None:
        thief = scene.centre.fork()
        thief.timestamp.version += 1
        thief.timestamp.unrecognized_fields[SIGNED_AT] = moment
        thief.files[TIMESTAMP] = thief.signed(thief.timestamp)
        scene.serve_all(thief)

    return arrange


def _without_sha256(scene: Scene) -> None:
    thief = scene.centre.fork()
    thief.add_target("releases/00000000000000aa.json", b"evil")
    thief.targets.targets["releases/00000000000000aa.json"].hashes = {"md5": "0" * 32}
    thief.sign_all()
    scene.serve_all(thief)


_WHOLE_OFFER = {CHANNELS_FIELD: {"stable": {"order": 9, "percent": 1000}}}
LISTS = [
    Attack(
        "A signed name climbs out: ../../etc/cron.d/x",
        "leaves its folder",
        _listed("../../etc/cron.d/x"),
        stolen=True,
    ),
    Attack(
        "A signed name climbs out: blobs/../../current",
        "leaves its folder",
        _listed("blobs/../../current"),
        stolen=True,
    ),
    Attack(
        "A signed name is absolute: /etc/passwd",
        "leaves its folder",
        _listed("/etc/passwd"),
        stolen=True,
    ),
    Attack(
        "A signed name with a backslash",
        "leaves its folder",
        _listed("blobs\\..\\current"),
        stolen=True,
    ),
    Attack(
        "A signed blob is not named by its content",
        "another SHA-256",
        _listed("blobs/" + "0" * 64),
        stolen=True,
    ),
    Attack(
        "A signed release without an id",
        "no release id",
        _listed("releases/latest.json"),
        stolen=True,
    ),
    Attack("A signed file with MD5 alone", "no SHA-256", _without_sha256, stolen=True),
    Attack(
        "A signed offer to 1000 percent",
        "whole numbers",
        _listed("releases/00000000000000aa.json", _WHOLE_OFFER),
        stolen=True,
    ),
    Attack(
        "A timestamp signed after its own end",
        "does not say sensibly",
        _signed_at(time_text(datetime(2099, 1, 1, tzinfo=UTC))),
        stolen=True,
    ),
]


# -- files


def _file(kind: str, change: Callable[[bytes], bytes | None]) -> Callable[[Scene], None]:
    def arrange(scene: Scene) -> None:
        path = scene.new(kind)
        scene.serve(path, change(scene.centre.files[path]))

    return arrange


def _endless_blob(scene: Scene) -> None:
    """What begins as the signed file is taken up to its signed length; this does not."""
    scene.serve(scene.new("blobs"), b"")
    scene.source.endless.add(scene.new("blobs"))


FILES = [
    Attack(
        "A file of the release is changed",
        "sends other bytes",
        _file("blobs", lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        files=True,
    ),
    Attack(
        "A file of the release is longer",
        "sends more bytes",
        _file("blobs", lambda data: data + b"x"),
        files=True,
    ),
    Attack("A file of the release never ends", "sends more bytes", _endless_blob, files=True),
    Attack(
        "A file of the release is shorter",
        "may not have all of the release yet",
        _file("blobs", lambda data: data[:-9]),
        NetworkError,
        files=True,
    ),
    Attack(
        "A file of the release is withheld",
        "has no targets/blobs/",
        _file("blobs", lambda data: None),
        NetworkError,
        files=True,
    ),
    Attack(
        "The release's manifest is changed",
        "not the one the centre signed",
        _file("releases", lambda data: data.replace(b"2026", b"2027")),
        files=True,
    ),
    Attack(
        "The release's manifest never ends",
        "no honest source does",
        lambda scene: scene.source.endless.add(scene.new("releases")),
        files=True,
    ),
]


def _changed(role: str) -> Callable[[Scene], None]:
    def arrange(scene: Scene) -> None:
        if role == "root":
            scene.centre.sign_root()
        path = scene.newest(role)
        scene.serve(path, scene.centre.files[path].replace(b'"expires":"20', b'"expires":"29'))

    return arrange


def _cut(role: str) -> Callable[[Scene], None]:
    def arrange(scene: Scene) -> None:
        if role == "root":
            scene.centre.sign_root()
        path = scene.newest(role)
        scene.serve(path, scene.centre.files[path][:-40])

    return arrange


def _by_role() -> list[Attack]:
    found = []
    for role in ("root", "timestamp", "snapshot", "targets"):
        checked = "length or content" if role in ("snapshot", "targets") else "is not signed"
        found.append(Attack(f"{role}.json is changed", checked, _changed(role)))
        found.append(
            Attack(f"{role}.json is cut short", "ended too early", _cut(role), NetworkError)
        )
    return found


BY_ROLE = _by_role()
