"""A store that is written to without sync: after a cut anywhere it holds whole releases alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from power import Recorder, recording
from power_trial import cut_everywhere, kill_everywhere
from test_release import make_release

from ecgedge.casebase.manifest import Manifest
from ecgedge.casebase.release import Store

STORE = "new/store"  # both folders are new to the machine
Releases = tuple[Store, Manifest, Manifest]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """A store with the files of two releases, which share some of them."""
    store = Store(tmp_path_factory.mktemp("centre"))
    old = make_release(store)
    return store, old, replace(old, notes=("new",), novelty=store.put_blob(b"novelty" * 100))


def put_in(source: Store, store: Store, manifest: Manifest) -> None:
    for name in manifest.blobs():
        store.put_blob(source.blobs / name)
    store.activate(store.add_release(manifest))


def whole(store: Store) -> str | None:
    """The current release, whose files are all as they must be, or None where there is none."""
    if not (store.root / "current").exists():
        return None
    manifest = store.manifest()
    for name in manifest.blobs():
        store.blob(name)
    return manifest.id


def recorded(releases: Releases, place: Path, *, first: bool) -> Recorder:
    """The new release put into a store that held the old one, or that was not there."""
    source, old, new = releases
    place.mkdir()
    if not first:
        put_in(source, Store(place / STORE), old)
    with recording(place) as recorder:
        put_in(source, Store(place / STORE), new)
    return recorder


@pytest.mark.parametrize("first", [True, False])
def test_after_a_cut_anywhere_a_store_has_its_old_release_or_the_new_one_and_can_go_on(
    releases: Releases, tmp_path: Path, first: bool
) -> None:
    source, old, new = releases
    recorder = recorded(releases, tmp_path / "machine", first=first)
    found: list[tuple[int, str | None]] = []

    def check(root: Path, done: int) -> None:
        store = Store(root / STORE)
        found.append((done, whole(store)))
        put_in(source, store, new)
        assert whole(store) == new.id

    cut_everywhere(recorder, check)
    assert {release for _, release in found} == {None if first else old.id, new.id}
    assert {release for done, release in found if done == len(recorder.ops)} <= {new.id}


@pytest.mark.parametrize("first", [True, False])
def test_what_a_killed_process_left_unsynced_is_no_half_release_after_a_cut_in_the_next(
    releases: Releases, tmp_path: Path, first: bool
) -> None:
    source, old, new = releases
    recorder = recorded(releases, tmp_path / "machine", first=first)

    def go_on(root: Path) -> None:
        put_in(source, Store(root / STORE), new)

    def check(root: Path, ended: bool) -> None:
        assert whole(Store(root / STORE)) in (
            {new.id} if ended else {None if first else old.id, new.id}
        )

    kill_everywhere(recorder, go_on, check)
