"""Publishing: what carts see is always a whole, signed state; what cannot be is refused."""

import json
import os
import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from publishing_builders import (
    DAY,
    NOW,
    Centre,
    PlaceFetcher,
    add_release,
    make_centre,
    read_by_tuf,
)
from tuf.api.metadata import Metadata

from ecgedge.central.destination import open_destination
from ecgedge.central.keys import KeyRing
from ecgedge.central.publish import Change
from ecgedge.central.repository import read_present
from ecgedge.central.root import read_history
from ecgedge.errors import (
    BusyError,
    DamagedError,
    InputError,
    ReleaseError,
    TrustError,
    UsageError,
)
from ecgedge.sync.folder import FolderSource
from ecgedge.sync.layout import SIGNED_AT
from ecgedge.sync.signing_time import signed_at
from ecgedge.sync.trust import refresh
from ecgedge.sync.trusted import TrustState


@pytest.fixture(params=["folder", "file", "memory"])
def centre(request: pytest.FixtureRequest, tmp_path: Path) -> Centre:
    places = {
        "folder": str(tmp_path / "repository"),
        "file": f"file://{tmp_path}/repository",
        "memory": f"memory://{uuid.uuid4().hex}/repository",
    }
    return make_centre(tmp_path, places[request.param])


@pytest.fixture
def folder(tmp_path: Path) -> Centre:
    return make_centre(tmp_path)


def _files(centre: Centre) -> dict[str, bytes]:
    names = {**centre.destination.sizes("metadata"), **centre.destination.sizes("targets")}
    return {name: centre.destination.read(name) for name in names}


def test_what_was_published_is_read_back_by_python_tufs_client(centre):
    release = add_release(centre.store, "first")
    centre.publish(release)
    found = centre.read()
    manifest = centre.store.manifest(release)
    assert found[f"releases/{release}.json"] == manifest.to_json().encode()
    names = {f"blobs/{name}" for name in manifest.blobs()}
    assert set(found) == names | {f"releases/{release}.json"}
    assert all(
        found[f"blobs/{n}"] == (centre.store.blobs / n).read_bytes() for n in manifest.blobs()
    )


def test_a_second_release_uploads_only_what_is_missing_and_tells_what_carts_fetch(centre):
    first = add_release(centre.store, "first")
    centre.publish(first)
    before = _files(centre)
    second = add_release(centre.store, "second", segments=2)
    report = centre.publish(second)
    new = set(_files(centre)) - set(before)
    segment = centre.store.manifest(second).segments[1]
    blobs = {f"targets/blobs/{name}" for name in (segment.vectors, segment.cases)}
    assert new == {
        *blobs,
        f"targets/releases/{second}.json",
        "metadata/2.targets.json",
        "metadata/2.snapshot.json",
    }
    [fetch] = [one for one in report.fetches if one.before == first]
    sizes = {**centre.destination.sizes("targets")}
    assert fetch.transfer_bytes == sum(
        sizes[path] for path in {*blobs, f"targets/releases/{second}.json"}
    )
    changed = {path for path, data in before.items() if _files(centre).get(path) != data}
    assert changed == {"metadata/timestamp.json"}
    assert centre.releases() == sorted([first, second])


def test_publishing_the_same_again_writes_only_a_new_timestamp(centre):
    release = add_release(centre.store, "first")
    centre.publish(release)
    report = centre.publish(release)
    assert [one.path for one in report.uploaded] == ["metadata/timestamp.json"]
    assert report.versions == {"root": 1, "targets": 1, "snapshot": 1, "timestamp": 2}


def test_the_same_input_and_moment_give_the_same_bytes(folder, tmp_path):
    release = add_release(folder.store, "first")
    folder.publish(release)
    other = Centre(folder.keys, open_destination(str(tmp_path / "other")), folder.store)
    other.publish(release)
    assert _files(folder) == _files(other)


def test_the_timestamp_says_when_it_was_signed_and_everything_expires_as_agreed(folder):
    folder.publish(add_release(folder.store, "first"))
    data = json.loads(folder.destination.read("metadata/timestamp.json"))
    assert data["signed"][SIGNED_AT] == "2026-11-22T12:00:00Z"
    present = read_present(folder.destination, read_history(folder.keys))
    assert signed_at(present.timestamp.unrecognized_fields) == NOW
    assert present.timestamp.expires == NOW + 7 * DAY
    assert present.snapshot.signed.expires == NOW + 30 * DAY
    assert present.targets.signed.expires == NOW + 365 * DAY
    root = Metadata.from_bytes(folder.root()).signed
    assert root.expires == NOW + 730 * DAY
    assert root.unrecognized_fields == {SIGNED_AT: "2026-11-22T12:00:00Z"}


def test_orders_rise_over_all_channels_and_a_changed_share_keeps_its_place(centre):
    first, second = add_release(centre.store, "1"), add_release(centre.store, "2")
    centre.publish(first)
    report = centre.publish(second, channel="pilot", percent=20)
    orders = {one.release: one.order for one in report.offers}
    assert orders[second] > orders[first]
    report = centre.change(release=second, channel="pilot", percent=60)
    assert [(one.order, one.percent) for one in report.offers if one.release == second] == [
        (orders[second], 60.0)
    ]
    report = centre.change(release=second, channel="stable")
    assert {(one.channel, one.order) for one in report.offers if one.release == second} == {
        ("pilot", orders[second]),
        ("stable", orders[second]),
    }


def test_a_withdrawn_release_is_gone_and_its_files_with_prune(centre):
    first, second = add_release(centre.store, "1"), add_release(centre.store, "2", segments=2)
    centre.publish(first)
    centre.publish(second)
    segment = centre.store.manifest(second).segments[1]
    report = centre.change(withdraw=(second,), prune=True)
    assert centre.releases() == [first]
    assert set(report.removed) == {
        f"targets/blobs/{segment.vectors}",
        f"targets/blobs/{segment.cases}",
        f"targets/releases/{second}.json",
        *(f"metadata/{n}.{role}.json" for n in (1, 2) for role in ("targets", "snapshot")),
    }
    assert not set(report.removed) & set(_files(centre))


def test_prune_never_touches_roots_nor_files_that_are_not_ours(folder):
    folder.publish(add_release(folder.store, "1"))
    folder.rotate("timestamp")
    foreign = ["metadata/notes.txt", "targets/README", "targets/other/thing"]
    for path in foreign:
        full = folder.destination.root / path
        full.parent.mkdir(exist_ok=True)
        full.write_text("mine")
    for _ in range(2):  # the second time root 1 is old there
        folder.change(prune=True)
    held = _files(folder)
    assert {"metadata/1.root.json", "metadata/2.root.json", *foreign} <= set(held)


def test_only_the_last_two_of_a_channel_stay_on_offer(centre):
    releases = [add_release(centre.store, str(n)) for n in range(4)]
    for release in releases:
        centre.publish(release)
    assert centre.releases() == sorted(releases[-2:])


def test_a_refresh_needs_online_keys_alone_and_leaves_the_offers(folder, tmp_path):
    folder.publish(add_release(folder.store, "1"))
    online = tmp_path / "online"
    online.mkdir()
    for path in folder.keys.iterdir():
        if path.name.startswith(("snapshot", "timestamp")) or path.suffix == ".json":
            (online / path.name).write_bytes(path.read_bytes())
            (online / path.name).chmod(0o600)
    offers = folder.releases()
    small = Centre(online, folder.destination, folder.store, NOW + 6 * DAY)
    report = small.change()
    assert report.versions == {"root": 1, "targets": 1, "snapshot": 1, "timestamp": 2}
    small.now = NOW + 21 * DAY
    assert small.change().versions["snapshot"] == 2  # a third of its life is left
    assert small.releases() == offers
    with pytest.raises(UsageError, match="targets needs 1 signatures, and 0 of its"):
        small.change(renew=True)


def test_targets_that_were_renewed_hold_another_year(folder):
    folder.publish(add_release(folder.store, "1"))
    folder.now = NOW + 340 * DAY
    report = folder.change()
    assert any("targets expires on 2027-11-22, in 25 days" in one for one in report.warnings)
    report = folder.change(renew=True)
    assert report.expires["targets"] == folder.now + 365 * DAY
    folder.now += 6 * DAY
    assert folder.releases()


def test_expired_targets_and_roots_are_refused_in_words(folder):
    folder.publish(add_release(folder.store, "1"))
    folder.now = NOW + 366 * DAY
    with pytest.raises(UsageError, match=r"targets expired on 2027-11-22.*publish --renew"):
        folder.change()
    folder.now = NOW + 700 * DAY
    assert any("keys renew" in one for one in folder.change(renew=True).warnings)
    folder.now = NOW + 731 * DAY
    with pytest.raises(UsageError, match=r"root expired on 2028-11-21.*keys renew"):
        folder.change(renew=True)


def test_a_clock_behind_the_last_signature_is_refused(folder):
    folder.publish(add_release(folder.store, "1"))
    folder.now = NOW - timedelta(hours=2)
    with pytest.raises(UsageError, match="set the clock"):
        folder.change()


def test_a_root_that_was_signed_with_a_clock_ahead_is_not_published(folder):
    """Carts would take what is signed in the next year for expired."""
    release = add_release(folder.store, "1")
    folder.now = NOW + 365 * DAY
    folder.rotate("root")
    folder.now = NOW
    with pytest.raises(UsageError, match=r"2\.root\.json was signed at 2027-11-22.*set the clock"):
        folder.publish(release)
    assert _files(folder) == {}


def test_carts_that_saw_a_clock_ahead_come_back_with_a_new_timestamp_key(folder):
    release = add_release(folder.store, "1")
    folder.publish(release)
    source, kept = FolderSource(folder.destination.root), [TrustState()]

    def cart(now):
        return refresh(source, folder.root(), kept[-1], now, kept.append)

    cart(NOW)
    folder.now = NOW + 30 * DAY
    folder.change()  # signed with a clock that runs a month ahead
    cart(NOW)
    folder.now = NOW + DAY
    with pytest.raises(UsageError, match="keys rotate timestamp"):
        folder.change()
    folder.rotate("timestamp")
    folder.change()
    assert [one.release for one in cart(NOW + DAY).offers] == [release]


def test_a_release_behind_a_later_one_is_warned_of(folder):
    first, second = add_release(folder.store, "1"), add_release(folder.store, "2")
    folder.publish(first)
    folder.publish(second)
    [warning] = folder.publish(first).warnings
    assert f"stable carts take {second} first" in warning


def test_a_dry_run_writes_nothing_and_needs_no_private_key(folder, tmp_path):
    release = add_release(folder.store, "1")
    public = tmp_path / "public"
    public.mkdir()
    (public / "1.root.json").write_bytes(folder.root())
    dry = Centre(public, folder.destination, folder.store).publish(release, dry_run=True)
    assert not folder.destination.root.exists()
    report = folder.publish(release)
    written = {one.path for one in report.uploaded} - {one.path for one in dry.uploaded}
    assert {path.partition("/")[0] for path in written} == {"metadata"}
    assert dry.fetches == report.fetches


def test_a_repository_of_other_keys_is_not_touched(centre, tmp_path):
    centre.publish(add_release(centre.store, "1"))
    before = _files(centre)
    (tmp_path / "stranger").mkdir()
    stranger = make_centre(tmp_path / "stranger")
    stranger.destination = centre.destination
    with pytest.raises(TrustError, match="belongs to other keys"):
        stranger.publish(add_release(stranger.store, "2"))
    assert _files(centre) == before


def test_a_folder_of_keys_older_than_the_repository_is_refused(folder, tmp_path):
    folder.publish(add_release(folder.store, "1"))
    old = tmp_path / "old"
    old.mkdir()
    for path in folder.keys.iterdir():
        (old / path.name).write_bytes(path.read_bytes())
        (old / path.name).chmod(0o600)
    folder.rotate("timestamp")
    folder.change()
    with pytest.raises(UsageError, match="use the newest folder of keys"):
        Centre(old, folder.destination, folder.store).change()


@pytest.mark.parametrize("name", ["timestamp", "1.snapshot", "1.targets"])
def test_tampered_metadata_is_not_built_upon(folder, name):
    folder.publish(add_release(folder.store, "1"))
    path = folder.destination.root / f"metadata/{name}.json"
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":9'))
    with pytest.raises(TrustError, match="restore"):
        folder.change()


@pytest.mark.parametrize("name", ["1.snapshot", "1.targets"])
def test_lost_metadata_is_named(folder, name):
    folder.publish(add_release(folder.store, "1"))
    (folder.destination.root / f"metadata/{name}.json").unlink()
    with pytest.raises(DamagedError, match=f"has lost metadata/{name}.json"):
        folder.change()


def test_a_lost_timestamp_is_warned_of(folder):
    release = add_release(folder.store, "1")
    folder.publish(release)
    (folder.destination.root / "metadata/timestamp.json").unlink()
    [warning] = folder.publish(release).warnings
    assert "rotate the timestamp key" in warning


def test_carts_follow_after_a_lost_timestamp_once_its_key_was_rotated(folder, tmp_path):
    release = add_release(folder.store, "1")
    remembered = tmp_path / "remembered"
    for _ in range(3):
        folder.publish(release)
    fetcher = PlaceFetcher(folder.destination)
    found = read_by_tuf(fetcher, folder.root(), folder=remembered)
    (folder.destination.root / "metadata/timestamp.json").unlink()
    folder.rotate("timestamp")
    folder.publish(release)
    assert read_by_tuf(fetcher, folder.root(), folder=remembered).keys() == found.keys()


def test_a_release_that_a_thief_offered_is_taken_off_with_new_keys(folder):
    mine, strange = add_release(folder.store, "1"), add_release(folder.store, "strange")
    folder.publish(mine)
    folder.publish(strange)  # with the key he stole
    folder.rotate("targets")
    with pytest.raises(UsageError, match=strange):
        folder.change(withdraw=(strange,))
    folder.change(withdraw=(strange,), carry_over=True)
    assert folder.releases() == [mine]


def test_a_blob_that_was_cut_short_there_is_put_anew(centre):
    release = add_release(centre.store, "1")
    centre.publish(release)
    path = f"targets/blobs/{centre.store.manifest(release).segments[0].vectors}"
    whole = centre.destination.read(path)
    if hasattr(centre.destination, "root"):
        (centre.destination.root / path).write_bytes(whole[:-1])
    else:
        centre.destination._fs.pipe_file(centre.destination._full(path), whole[:-1])
    with pytest.raises(DamagedError, match="publish from the store that has it"):
        centre.change(renew=True)
    centre.publish(release)
    assert centre.destination.read(path) == whole


def test_a_store_that_is_damaged_or_not_whole_publishes_nothing(folder):
    release = add_release(folder.store, "1")
    name = folder.store.manifest(release).segments[0].cases
    blob = folder.store.blobs / name
    data = blob.read_bytes()
    blob.write_bytes(data[:-1] + b"!")
    with pytest.raises(DamagedError, match=f"{name} is damaged.*build release {release} again"):
        folder.publish(release)
    blob.unlink()
    with pytest.raises(DamagedError, match=f"{name} is missing: restore the store"):
        folder.publish(release)
    manifest = folder.store.root / "releases" / f"{release}.json"
    manifest.write_text(manifest.read_text()[:-9])
    with pytest.raises(DamagedError, match=f"build release {release} again"):
        folder.publish(release)
    assert _files(folder) == {}


def test_a_release_that_is_nowhere_is_refused_with_those_on_offer(folder):
    first = add_release(folder.store, "1")
    folder.publish(first)
    with pytest.raises(UsageError, match=f"not on offer, only {first}"):
        folder.change(release="0123456789abcdef")
    with pytest.raises(UsageError, match=f"not on offer, only {first}"):
        folder.change(withdraw=("0123456789abcdef",))
    with pytest.raises(UsageError, match="publish another one first"):
        folder.change(withdraw=(first,))


def test_two_publishers_of_one_folder_do_not_mix(folder):
    release = add_release(folder.store, "1")
    with folder.destination.alone(), pytest.raises(BusyError, match="another `ecgedge publish`"):
        folder.publish(release)
    assert _files(folder) == {}


def test_the_second_of_two_publishers_to_a_bucket_notices(tmp_path):
    centre = make_centre(tmp_path, f"memory://{uuid.uuid4().hex}/repository")
    first, second = add_release(centre.store, "1"), add_release(centre.store, "2")
    centre.publish(first)
    slow = centre.publisher()

    def overtaken(iterable, label, length=None):
        centre.publish(second, channel="pilot")  # between the other's reading and its writing
        return iter(iterable)

    third = add_release(centre.store, "3")
    slow = replace(slow, progress=overtaken)
    with pytest.raises(BusyError, match="run it again"):
        slow.publish(Change(store=centre.store, release=third))
    assert centre.releases() == sorted([first, second])
    centre.publish(third)
    assert centre.releases() == sorted([first, second, third])


def test_offers_signed_by_a_dropped_key_are_carried_over_only_when_asked(folder):
    first = add_release(folder.store, "1")
    folder.publish(first)
    folder.rotate("targets")
    for change in ({}, {"renew": True}):
        with pytest.raises(UsageError, match=f"{first}.*--carry-over"):
            folder.change(**change)
    folder.change(renew=True, carry_over=True)
    assert folder.releases() == [first]


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_after_each_rotation_carts_of_the_first_root_follow(folder, role, tmp_path):
    first = add_release(folder.store, "1")
    folder.publish(first)
    old = KeyRing([folder.keys])
    ids = read_history(folder.keys).newest.signed.roles[role].keyids
    folder.rotate(role, drop=(ids[0],))
    folder.now += DAY
    folder.change(renew=True, carry_over=True)
    assert folder.releases() == [first]
    assert old.find(ids[0]) is not None  # the file stays; its signature counts no more
    assert ids[0] not in read_history(folder.keys).newest.signed.roles[role].keyids


def test_a_full_disk_is_told_and_carts_see_the_old_release(folder, monkeypatch):
    first = add_release(folder.store, "1")
    folder.publish(first)
    second = add_release(folder.store, "2", segments=2)

    def full(handle, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ecgedge.disk.write", full)
        with pytest.raises(UsageError, match=r"is full .* make room and run it again"):
            folder.publish(second)
    assert folder.releases() == [first]
    assert list(folder.destination.root.rglob("*.tmp")) == []
    folder.publish(second)
    assert folder.releases() == sorted([first, second])


def test_a_folder_that_cannot_be_written_is_told(folder, tmp_path):
    release = add_release(folder.store, "1")
    (tmp_path / "file").write_text("")
    folder.destination = open_destination(str(tmp_path / "file" / "repository"))
    with pytest.raises(UsageError, match="cannot be read or written"):
        folder.publish(release)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("http://example.org/x", "nothing can be written over HTTP"),
        ("nonsense://x/y", "no place to publish to"),
        ("file://host/x", "three slashes"),
        ("memory://", "names no bucket or folder"),
    ],
)
def test_places_that_are_none_are_refused(text, told):
    with pytest.raises(UsageError, match=told):
        open_destination(text)


def test_an_address_is_told_without_its_password(tmp_path):
    with pytest.raises(UsageError) as refused:
        open_destination("https://me:secret@example.org/x")
    assert "secret" not in str(refused.value)


def test_temporary_files_of_a_killed_publisher_are_swept_up(folder):
    release = add_release(folder.store, "1")
    folder.publish(release)
    left = folder.destination.root / "targets/blobs" / f".{'0' * 64}.{os.getpid()}.tmp"
    left.write_bytes(b"half")
    folder.change()
    assert not left.exists()


def test_reports_are_masked_before_they_leave_and_records_with_unknown_fields_stay(folder):
    release = add_release(folder.store, "c", report="sinus rhythm, Dr. Mustermann, 12.03.1987")
    report = folder.publish(release)
    assert report.masked.release == release
    assert report.release != release
    assert folder.releases() == [report.release]
    published = b"".join(folder.read().values())
    assert b"sinus rhythm" in published
    assert b"Mustermann" not in published
    assert b"1987" not in published
    assert folder.publish(release).release == report.release  # the same again, no new upload
    odd = add_release(folder.store, "odd")
    manifest = folder.store.manifest(odd)
    odd = folder.store.add_release(replace(manifest, corpus={"doctor": "Mustermann"}))
    with pytest.raises(InputError, match="a fact in its corpus that is none of ours"):
        folder.publish(odd)
    assert folder.releases() == [report.release]


def test_a_release_that_does_not_answer_is_not_published(folder):
    release = add_release(folder.store, "1")

    def fails(store, release):
        raise ReleaseError("it does not answer")

    publisher = replace(folder.publisher(), check=fails)
    with pytest.raises(ReleaseError, match="does not answer"):
        publisher.publish(Change(store=folder.store, release=release))
    assert _files(folder) == {}
