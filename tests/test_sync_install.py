"""A whole sync against a centre in memory: what it brings, and what goes on answering."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections import namedtuple
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sync_builders import Cart

from ecgedge import disk
from ecgedge.atomic import sha256_of
from ecgedge.casebase.pointer import Pointer
from ecgedge.casebase.release import Store, builtin_store
from ecgedge.errors import (
    BusyError,
    DamagedError,
    EcgedgeError,
    MismatchError,
    NetworkError,
    NothingNew,
    TrustError,
    UsageError,
)
from ecgedge.sync import fetch, install, places
from ecgedge.sync.last import read_last
from ecgedge.sync.layout import TARGETS, blob_target, manifest_target
from ecgedge.sync.lock import locked
from ecgedge.sync.offers import share


@pytest.fixture
def cart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cart:
    """A cart with nothing, and a centre that offers nothing. No try is waited for."""
    monkeypatch.setattr(fetch, "WAITS_S", ())
    monkeypatch.setattr(fetch, "_SMALL_WAITS_S", ())
    return Cart.at(tmp_path)


@pytest.fixture
def synced(cart: Cart) -> Cart:
    """A cart that has the release "first"."""
    cart.offer("first")
    cart.sync()
    cart.fetched()
    return cart


def ended(cart: Cart) -> str:
    """How the last sync ended, as `status` will read it."""
    last = read_last(places.status(cart.store.root))
    assert last is not None
    return last.outcome


# -- what it brings


def test_a_store_without_any_release_gets_its_first(cart: Cart) -> None:
    release = cart.offer("first")
    done = cart.sync()
    assert (done.kind, done.release, done.before) == ("installed", release, None)
    assert cart.whole() == release
    assert cart.store.pointer() == Pointer(release)
    assert cart.probed == [release]
    assert done.notes == ("this is first",)


def test_progress_ends_where_all_missing_bytes_are_here(cart: Cart) -> None:
    cart.offer("first")
    done = cart.sync()
    assert cart.shown[-1] == (done.fetch_bytes, done.fetch_bytes)
    assert done.received_bytes >= done.fetch_bytes
    assert done.received_bytes == cart.source.sent_bytes


def test_only_what_is_missing_is_fetched_and_the_release_before_stays(synced: Cart) -> None:
    first = synced.store.current_id()
    second = synced.offer("second", segments=2)
    done = synced.sync()
    new = set(synced.store.manifest(second).blobs()) - set(synced.store.manifest(first).blobs())
    assert sorted(synced.fetched()) == sorted(new)
    assert (done.before, synced.whole()) == (first, second)
    assert synced.store.pointer() == Pointer(second, previous=first)
    assert synced.store.release_ids() == sorted([first, second])


def test_what_neither_the_active_nor_the_last_good_release_needs_is_removed(synced: Cart) -> None:
    first = synced.store.manifest()
    second = synced.offer("second")
    synced.sync()
    third = synced.offer("third")
    done = synced.sync()
    assert done.freed_bytes > 0
    assert synced.store.release_ids() == sorted([second, third])
    own = set(first.blobs()) - set(synced.store.manifest(second).blobs())
    assert own
    assert not [name for name in own if (synced.store.blobs / name).exists()]
    assert synced.whole() == third


def test_nothing_new_fetches_no_file_and_changes_nothing_that_answers(synced: Cart) -> None:
    before = (synced.store.root / "current").stat()
    with pytest.raises(NothingNew, match="answers and is whole"):
        synced.sync()
    assert not synced.fetched()
    assert (synced.store.root / "current").stat() == before
    assert ended(synced) == "nothing new"


def test_check_tells_what_there_is_and_installs_nothing(synced: Cart) -> None:
    first, second = synced.store.current_id(), synced.offer("second")
    done = synced.sync(check=True)
    assert (done.kind, done.release, done.before) == ("available", second, first)
    assert done.fetch_bytes > 0
    assert not synced.fetched()
    assert synced.store.pointer() == Pointer(first)
    assert ended(synced) == "available"
    synced.sync()
    with pytest.raises(NothingNew):
        synced.sync(check=True)


def test_what_lies_in_the_package_is_copied_and_not_fetched(
    cart: Cart, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = cart.offer("first")
    monkeypatch.setattr(install, "builtin_store", lambda: cart.made)
    done = cart.sync()
    assert not cart.fetched()
    assert (done.fetch_bytes, cart.whole()) == (0, release)
    assert done.copied_bytes == sum(path.stat().st_size for path in cart.store.blobs.iterdir())


def test_a_damaged_file_in_the_package_is_fetched_instead(
    cart: Cart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = cart.offer("first")
    package = Store(shutil.copytree(cart.made.root, tmp_path / "package"))
    odd = package.manifest(release).encoder.model
    (package.blobs / odd).write_bytes(b"model Bytes")
    monkeypatch.setattr(install, "builtin_store", lambda: package)
    cart.sync()
    assert cart.fetched() == [odd]
    assert cart.whole() == release


def test_the_release_inside_the_package_is_never_synced(cart: Cart) -> None:
    cart.offer("first")
    cart.store = builtin_store()
    with pytest.raises(UsageError, match="configure a store"):
        cart.sync()


def test_a_pilot_cart_takes_what_a_stable_one_does_not_see(synced: Cart) -> None:
    second = synced.offer("second", "pilot")
    with pytest.raises(NothingNew):
        synced.sync()
    assert synced.sync(channel="pilot").release == second
    with pytest.raises(UsageError, match="no channel 'stabel', only stable and pilot"):
        synced.sync(channel="stabel")


def test_a_staged_release_reaches_only_its_share_of_carts(synced: Cart) -> None:
    second = synced.offer("second", percent=30)
    ids = [f"cart {number}" for number in range(40)]
    first_in = next(one for one in ids if share(one, second) < 30)
    later = next(one for one in ids if share(one, second) >= 30)
    with pytest.raises(NothingNew):
        synced.sync(cart=later)
    assert synced.sync(cart=first_in).release == second


def test_a_release_that_the_centre_takes_back_is_followed_by_the_one_before(synced: Cart) -> None:
    first, second = synced.store.current_id(), synced.offer("second")
    synced.sync()
    synced.centre.withdraw(second)
    done = synced.sync()
    assert (done.release, done.fetch_bytes) == (first, 0)
    assert synced.store.pointer() == Pointer(first, previous=second)


def test_where_nothing_is_offered_what_answers_stays(synced: Cart, cart: Cart) -> None:
    release = synced.store.current_id()
    synced.centre.withdraw(release)
    with pytest.raises(NothingNew, match="whole, though no longer on offer"):
        synced.sync()
    assert synced.whole() == release


@pytest.mark.parametrize("what", ["manifest", "file"])
def test_a_damaged_release_that_is_no_longer_offered_is_named_and_none_of_it_is_removed(
    synced: Cart, what: str
) -> None:
    release, manifest = synced.store.current_id(), synced.store.manifest()
    synced.centre.withdraw(release)
    path = synced.store.root / "releases" / f"{release}.json"
    if what == "file":
        path = synced.store.blobs / manifest.segments[0].cases
    path.write_bytes(b"rubbish")
    with pytest.raises(DamagedError, match="ecgedge rollback"):
        synced.sync()
    assert all((synced.store.blobs / name).exists() for name in manifest.blobs())


def test_a_store_without_a_release_is_told_that_none_is_offered_yet(cart: Cart) -> None:
    with pytest.raises(NothingNew, match="offers this cart no release in channel stable yet"):
        cart.sync()
    assert not cart.warned


# -- what was rolled back from


def test_a_held_release_is_not_taken_again_until_another_is_offered(synced: Cart) -> None:
    first, second = synced.store.current_id(), synced.offer("second")
    synced.sync()
    synced.store.point(Pointer(first, previous=second, held=second))
    with pytest.raises(NothingNew, match=f"{second} is held until the centre offers another"):
        synced.sync()
    assert synced.store.pointer() == Pointer(first, previous=second, held=second)
    third = synced.offer("third")
    assert synced.sync().release == third
    assert synced.store.pointer() == Pointer(third, previous=first)


# -- what goes wrong


def test_a_release_that_does_not_answer_its_probes_is_not_switched_to(synced: Cart) -> None:
    first, second = synced.store.current_id(), synced.offer("second")
    synced.failure = DamagedError("probe 1 is answered otherwise here")
    for _ in range(2):
        with pytest.raises(DamagedError, match="probe 1"):
            synced.sync()
    assert len(synced.fetched()) == len(set(synced.made.manifest(second).blobs())) - 2, "once"
    assert synced.whole() == first
    last = read_last(places.status(synced.store.root))
    assert last is not None
    assert (last.outcome, last.release, last.code) == ("failed", second, 7)
    assert "probe 1" in last.error
    assert last.confirmed == synced.now, "the sync before went well"
    synced.failure = None
    assert synced.sync().release == second


def test_a_failed_release_goes_when_another_is_offered(synced: Cart) -> None:
    first, second = synced.store.current_id(), synced.offer("second")
    synced.failure = DamagedError("no")
    with pytest.raises(DamagedError):
        synced.sync()
    synced.failure = None
    third = synced.offer("third")
    synced.centre.withdraw(second)
    synced.sync()
    assert synced.store.release_ids() == sorted([first, third])


def test_a_release_of_a_newer_format_asks_for_an_update_before_anything_is_fetched(
    synced: Cart,
) -> None:
    first = synced.store.current_id()
    synced.centre.publish(
        b'{"format": "ecgedge-release/2"}', [b"blob"], channels={"stable": (9, 100)}
    )
    with pytest.raises(MismatchError, match="update ecgedge"):
        synced.sync()
    assert not synced.fetched()
    assert synced.whole() == first


def test_a_manifest_whose_files_were_not_signed_is_refused(synced: Cart) -> None:
    first, second = synced.store.current_id(), synced.offer("second")
    model = synced.made.manifest(second).segments[0].vectors
    del synced.centre.targets.targets[blob_target(model)]
    synced.centre.sign_all()
    with pytest.raises(TrustError, match="did not sign"):
        synced.sync()
    assert not synced.fetched()
    assert synced.whole() == first


def test_a_manifest_under_anothers_name_is_refused(synced: Cart) -> None:
    other = synced.made.add_release(replace(synced.store.manifest(), notes=("other",)))
    data = synced.made.manifest(other).to_json().encode()
    synced.centre.publish(data, release="0123456789abcdef", channels={"stable": (9, 100)})
    with pytest.raises(TrustError, match=f"signed release {other} under the name 0123456789abcdef"):
        synced.sync()


def test_signed_rubbish_in_the_place_of_a_manifest_is_refused(synced: Cart) -> None:
    synced.centre.publish(b"\xff no manifest", channels={"stable": (9, 100)})
    with pytest.raises(TrustError, match="signed a manifest that is none"):
        synced.sync()


@pytest.mark.parametrize("what", ["manifest", "blob"])
@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), TrustError),
        (lambda data: data + b"more", TrustError),
        (lambda data: data[:-5], NetworkError),
        (lambda data: None, NetworkError),
    ],
    ids=["changed", "longer", "shorter", "missing"],
)
def test_a_file_that_is_not_the_signed_one_is_refused(
    synced: Cart, what: str, change: object, error: type[EcgedgeError]
) -> None:
    first, second = synced.store.current_id(), synced.offer("second")
    name = synced.made.manifest(second).segments[0].cases
    path = f"{TARGETS}/{manifest_target(second) if what == 'manifest' else blob_target(name)}"
    synced.source.replaced[path] = change(synced.centre.files[path])  # type: ignore[operator]
    with pytest.raises(error):
        synced.sync()
    assert synced.whole() == first
    assert not (synced.store.blobs / name).exists()
    assert ended(synced) == "failed"
    synced.source.replaced.clear()
    assert synced.sync().release == second


def test_a_link_that_breaks_is_gone_on_with_by_the_next_sync(
    cart: Cart, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = cart.offer("first")
    name = cart.made.manifest(release).segments[0].cases
    length = (cart.made.blobs / name).stat().st_size
    cart.source.broken[f"{TARGETS}/{blob_target(name)}"] = length // 2
    cart.source.chunk_bytes = 1000
    monkeypatch.setattr(fetch, "_PROGRESS_BYTES", length)
    with pytest.raises(NetworkError):
        cart.sync()
    with pytest.raises(DamagedError if cart.store.release_ids() else EcgedgeError):
        cart.store.current_id()
    cart.source.broken.clear()
    cart.source.asked.clear()
    before = cart.source.sent_bytes
    done = cart.sync()
    assert cart.fetched()[0] == name, "what was begun is ended first"
    assert cart.source.sent_bytes - before < done.fetch_bytes
    assert cart.whole() == release
    assert not list(places.parts(cart.store.root).iterdir())


def test_metadata_that_cannot_be_believed_leaves_what_answers(synced: Cart) -> None:
    first = synced.store.current_id()
    synced.now += timedelta(days=8)
    with pytest.raises(TrustError, match="expired"):
        synced.sync()
    assert synced.whole() == first
    last = read_last(places.status(synced.store.root))
    assert last is not None
    assert (last.code, last.confirmed) == (6, synced.now - timedelta(days=8))


def test_a_source_that_cannot_be_reached_leaves_what_answers(synced: Cart) -> None:
    first = synced.store.current_id()
    synced.source.reachable = False
    with pytest.raises(NetworkError):
        synced.sync()
    assert synced.whole() == first
    assert ended(synced) == "failed"


def test_a_second_sync_is_told_at_once_that_another_runs(synced: Cart) -> None:
    synced.offer("second")
    told = []

    def another() -> None:
        with pytest.raises(BusyError, match="another ecgedge sync or rollback works on") as caught:
            synced.sync()
        told.append(caught.value.exit_code)

    synced.during = another
    done = synced.sync()
    assert told == [5]
    assert synced.whole() == done.release
    assert ended(synced) == "installed", "the one that was refused says nothing"


def test_the_lock_is_gone_with_a_process_that_died(synced: Cart) -> None:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        with locked(synced.store.root):
            os.write(write_end, b"held")
            os._exit(9)
    os.read(read_end, 4)
    os.waitpid(child, 0)
    with locked(synced.store.root):
        handle = os.open(places.lock(synced.store.root), os.O_RDONLY)
        with pytest.raises(OSError, match="unavailable"):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)


# -- the disk


def test_the_room_is_looked_at_before_anything_is_fetched(
    synced: Cart, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = synced.store.current_id()
    synced.offer("second")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1 << 30, 1 << 30, 12_345_678))
    with pytest.raises(UsageError, match=r"needs 17 MB, 12 MB are free on .*: free 5 MB and run"):
        synced.sync()
    assert not synced.fetched()
    assert synced.whole() == first
    monkeypatch.undo()
    assert synced.sync().kind == "installed"


@pytest.mark.parametrize("call", ["create", "write", "fsync", "rename", "fsync_folder", "reopen"])
def test_a_disk_that_refuses_at_any_moment_is_told_and_leaves_what_answers(
    synced: Cart, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Each call of this kind fails once, the first in the first run, the second in the second."""
    first, second = synced.store.current_id(), synced.offer("second")
    real, runs = getattr(disk, call), 0
    while True:
        left = runs

        def refusing(*arguments: object) -> object:
            nonlocal left
            left -= 1
            if left == -1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments)

        monkeypatch.setattr(disk, call, refusing)
        told = refusal(synced)
        assert told is None or ("\n" not in told and "No space left on device" in told)
        monkeypatch.setattr(disk, call, real)
        assert synced.whole() in (first, second)
        if left >= 0:
            break
        runs += 1
    assert runs > 0
    with suppress(NothingNew):
        synced.sync()
    assert synced.whole() == second


def refusal(cart: Cart) -> str | None:
    """What a sync says of a disk that refuses, None where it goes well or finds nothing new."""
    try:
        cart.sync()
    except NothingNew:
        return None
    except UsageError as error:
        return str(error)
    return None


def test_a_record_that_cannot_be_written_does_not_hide_the_real_failure(
    synced: Cart, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced.source.reachable = False

    def full(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(disk, "create", full)
    with pytest.raises((NetworkError, UsageError)) as caught:
        synced.sync()
    assert str(places.status(synced.store.root)) not in str(caught.value)


# -- what is damaged here


@pytest.mark.parametrize("damage", ["changed", "missing", "empty"])
def test_the_same_release_is_mended_where_its_files_are_damaged(synced: Cart, damage: str) -> None:
    release = synced.store.current_id()
    name = synced.store.manifest().segments[0].vectors
    path = synced.store.blobs / name
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"" if damage == "empty" else data[:-1] + bytes([data[-1] ^ 1]))
    done = synced.sync()
    assert (done.kind, done.release, done.fetch_bytes) == ("repaired", release, len(data))
    assert synced.fetched() == [name]
    assert synced.whole() == release
    assert ended(synced) == "repaired"


@pytest.mark.parametrize("lost", ["current", "releases", "blobs", "sync"])
@pytest.mark.parametrize("how", ["gone", "rubbish"])
def test_a_half_deleted_store_is_made_whole_again(synced: Cart, lost: str, how: str) -> None:
    release = synced.store.current_id()
    path = synced.store.root / lost
    if how == "rubbish":
        for file in [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]:
            file.write_bytes(b"rubbish")
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with suppress(NothingNew):
        synced.sync()
    assert synced.whole() == release
    if (lost, how) == ("sync", "rubbish"):
        assert "trust starts anew" in synced.warned[0]


def test_a_release_that_lost_files_is_not_kept_to_go_back_to(synced: Cart) -> None:
    first, second = synced.store.current_id(), synced.offer("second")
    synced.sync()
    (synced.store.blobs / synced.store.manifest().segments[0].vectors).unlink()
    third = synced.offer("third")
    synced.sync()
    assert synced.store.pointer() == Pointer(third, previous=first)
    assert second not in synced.store.release_ids()


def test_a_state_of_a_newer_ecgedge_is_left_alone(synced: Cart) -> None:
    first = synced.store.current_id()
    path = places.trust(synced.store.root)
    path.write_text('{"schema": "ecgedge-sync/2"}')
    synced.offer("second")
    with pytest.raises(MismatchError, match="update ecgedge"):
        synced.sync()
    assert synced.whole() == first
    assert path.read_text() == '{"schema": "ecgedge-sync/2"}'


def test_a_part_of_a_file_nobody_wants_is_swept(synced: Cart) -> None:
    parts = places.parts(synced.store.root)
    parts.mkdir(exist_ok=True)
    (parts / f"{'a' * 64}.5.part").write_bytes(b"12345")
    synced.offer("second")
    synced.sync()
    assert not list(parts.iterdir())


def test_what_is_left_of_a_blob_by_a_power_cut_is_removed(synced: Cart) -> None:
    name = sha256_of(synced.store.root / "current")
    left = synced.store.blobs / f".{name}.4711.tmp"
    left.write_bytes(b"half")
    synced.offer("second")
    synced.sync()
    assert not left.exists()


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_files_that_were_lost_or_changed_are_mended_by_one_sync(
    synced: Cart, tmp_path: Path, data: st.DataObject
) -> None:
    """Of the files that make a release; folders may go too."""
    release, whole = synced.store.current_id(), synced.store
    copy = Store(tmp_path / "copy")
    shutil.rmtree(copy.root, ignore_errors=True)
    shutil.copytree(whole.root, copy.root)
    for path in data.draw(st.lists(st.sampled_from(sorted(copy.root.rglob("*"))), max_size=6)):
        if path.is_dir():
            shutil.rmtree(path)
        elif path.is_file():
            content = data.draw(st.none() | st.binary(max_size=40))
            path.unlink() if content is None else path.write_bytes(content)
    synced.store = copy
    try:
        with suppress(NothingNew):
            synced.sync()
        assert synced.whole() == release
    finally:
        synced.store = whole


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_rubbish_anywhere_in_a_store_ends_in_a_sentence(
    synced: Cart, tmp_path: Path, data: st.DataObject
) -> None:
    """Also folders where files should be and files where folders should be."""
    whole, copy = synced.store, Store(tmp_path / "copy")
    shutil.rmtree(copy.root, ignore_errors=True)
    shutil.copytree(whole.root, copy.root)
    for path in data.draw(st.lists(st.sampled_from(sorted(copy.root.rglob("*"))), max_size=3)):
        if path.is_dir():
            shutil.rmtree(path)
            path.write_bytes(b"")
        elif path.is_file():
            path.unlink()
            path.mkdir()
    synced.store, told = copy, ""
    try:
        synced.sync()
    except EcgedgeError as error:
        told = str(error)
    finally:
        synced.store = whole
    assert "\n" not in told
