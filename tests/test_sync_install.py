"""A whole sync against a centre in memory: what it brings, and what goes on answering."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sync_builders import Cart

from ecgedge.casebase.pointer import Pointer
from ecgedge.casebase.release import Store, builtin_store
from ecgedge.errors import (
    DamagedError,
    NothingNew,
    UsageError,
)
from ecgedge.sync import install
from ecgedge.sync.offers import share

# -- what it brings


def test_a_store_without_any_release_gets_its_first(new_cart: Cart) -> None:
    release = new_cart.offer("first")
    done = new_cart.sync()
    assert (done.kind, done.release, done.before) == ("installed", release, None)
    assert new_cart.whole() == release
    assert new_cart.store.pointer() == Pointer(release)
    assert new_cart.probed == [release]
    assert done.notes == ("this is first",)


def test_progress_ends_where_all_missing_bytes_are_here(new_cart: Cart) -> None:
    new_cart.offer("first")
    done = new_cart.sync()
    assert new_cart.shown[-1] == (done.fetch_bytes, done.fetch_bytes)
    assert done.received_bytes >= done.fetch_bytes
    assert done.received_bytes == new_cart.source.sent_bytes


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
    assert synced.ended() == "nothing new"


def test_check_tells_what_there_is_and_installs_nothing(synced: Cart) -> None:
    first, second = synced.store.current_id(), synced.offer("second")
    done = synced.sync(check=True)
    assert (done.kind, done.release, done.before) == ("available", second, first)
    assert done.fetch_bytes > 0
    assert not synced.fetched()
    assert synced.store.pointer() == Pointer(first)
    assert synced.ended() == "available"
    synced.sync()
    with pytest.raises(NothingNew):
        synced.sync(check=True)


def test_what_lies_in_the_package_is_copied_and_not_fetched(
    new_cart: Cart, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = new_cart.offer("first")
    monkeypatch.setattr(install, "builtin_store", lambda: new_cart.made)
    done = new_cart.sync()
    assert not new_cart.fetched()
    assert (done.fetch_bytes, new_cart.whole()) == (0, release)
    assert done.copied_bytes == sum(path.stat().st_size for path in new_cart.store.blobs.iterdir())


def test_a_damaged_file_in_the_package_is_fetched_instead(
    new_cart: Cart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = new_cart.offer("first")
    package = Store(shutil.copytree(new_cart.made.root, tmp_path / "package"))
    odd = package.manifest(release).encoder.model
    (package.blobs / odd).write_bytes(b"model Bytes")
    monkeypatch.setattr(install, "builtin_store", lambda: package)
    new_cart.sync()
    assert new_cart.fetched() == [odd]
    assert new_cart.whole() == release


def test_the_release_inside_the_package_is_never_synced(new_cart: Cart) -> None:
    new_cart.offer("first")
    new_cart.store = builtin_store()
    with pytest.raises(UsageError, match="configure a store"):
        new_cart.sync()


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


def test_where_nothing_is_offered_what_answers_stays(synced: Cart, new_cart: Cart) -> None:
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


def test_a_store_without_a_release_is_told_that_none_is_offered_yet(new_cart: Cart) -> None:
    with pytest.raises(NothingNew, match="offers this cart no release in channel stable yet"):
        new_cart.sync()
    assert not new_cart.warned


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
