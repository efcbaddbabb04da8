"""A store that lost files or holds others: what a sync mends, and what it says."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sync_builders import Cart

from ecgedge.atomic import sha256_of
from ecgedge.casebase.pointer import Pointer
from ecgedge.casebase.release import Store
from ecgedge.errors import (
    EcgedgeError,
    MismatchError,
    NothingNew,
)
from ecgedge.sync import places


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
    assert synced.ended() == "repaired"


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
