"""Attacks on a cart, each as something done to what it is served or to its clock.

A scene opens after an honest release was taken and a second one was published, of which the
cart knows nothing yet.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sim_repository import SimRepository, SimSource, time_text

from ecgedge.errors import EcgedgeError, NetworkError, TrustError
from ecgedge.sync.layout import CHANNELS_FIELD, METADATA, SIGNED_AT, TARGETS

DAY = timedelta(days=1)
TIMESTAMP = f"{METADATA}/timestamp.json"


@dataclass
class Scene:
    """centre: honest, with both releases, by its clock. source: what the cart is served.
    early: all files as they were when only the first release was out. now: the cart's clock.
    """

    centre: SimRepository
    source: SimSource
    early: dict[str, bytes]
    now: datetime

    def serve(self, path: str, data: bytes | None) -> None:
        """In the place of a file; None: it is not there."""
        self.source.replaced[path] = data

    def serve_all(self, thief: SimRepository) -> None:
        self.source.files = thief.files

    def newest(self, role: str) -> str:
        """The path of a role's newest file."""
        version = getattr(self.centre, role).version
        return TIMESTAMP if role == "timestamp" else f"{METADATA}/{version}.{role}.json"

    def new(self, kind: str) -> str:
        """The path of the largest file of this kind that the second release brings."""
        paths = [path for path in self.centre.files if path.startswith(f"{TARGETS}/{kind}/")]
        return max(set(paths) - set(self.early), key=lambda path: len(self.centre.files[path]))


@dataclass(frozen=True)
class Attack:
    """name: for the table. says: a part of the sentence. files: whether it is on a release's
    files, so that refreshing the metadata alone does not meet it. stolen: whether keys were,
    so that the centre has to change its keys before the cart can hear it again.
    """

    name: str
    says: str
    arrange: Callable[[Scene], None]
    error: type[EcgedgeError] = TrustError
    files: bool = False
    stolen: bool = False


def attacks() -> list[Attack]:
    return [*_KEYS_AND_SIGNATURES, *_OLD_AS_NEW, *_BROKEN, *_LISTS, *_FILES, *_by_role()]


# -- keys and signatures


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


_KEYS_AND_SIGNATURES = [
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


# -- old for new


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


_OLD_AS_NEW = [
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


# -- broken, endless, in the way


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


_BROKEN = [
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
_LISTS = [
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


_FILES = [
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
