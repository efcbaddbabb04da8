"""What `ecgedge status` finds, on a store in every condition; it never raises."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sync_builders import Cart

from ecgedge.casebase.pointer import Pointer
from ecgedge.casebase.release import Store
from ecgedge.errors import DamagedError, ReleaseError
from ecgedge.sync import places
from ecgedge.sync.status import Status, read_status


@pytest.fixture
def cart(tmp_path: Path) -> Cart:
    """A cart after two syncs."""
    made = Cart.at(tmp_path)
    for name in ("first", "second"):
        made.offer(name)
        made.sync()
    return made


def status(cart: Cart, now: datetime | None = None) -> Status:
    return read_status(cart.store, now or cart.now)


def test_a_store_that_is_well_has_no_problem(cart: Cart) -> None:
    found = status(cart, cart.now + timedelta(days=3))
    assert found.failure is None
    assert found.problems == ()
    assert found.release is not None
    assert found.release.id == cart.store.current_id()
    assert (found.release.cases, found.release.age_days) == (10, 3)
    assert found.pointer == cart.store.pointer()
    assert found.expires == cart.now + timedelta(days=7)
    assert found.parts_bytes == 0


def test_the_cases_are_those_the_release_counts_itself(cart: Cart) -> None:
    manifest = replace(cart.store.manifest(), corpus={"cases": 7}, withdrawn=("gone/1", "gone/2"))
    cart.store.activate(cart.store.add_release(manifest))
    release = status(cart).release
    assert release is not None
    assert (release.cases, release.withdrawn) == (7, 2)


def test_a_date_that_is_none_has_no_age(cart: Cart) -> None:
    cart.store.activate(
        cart.store.add_release(replace(cart.store.manifest(), created="last summer"))
    )
    release = status(cart).release
    assert release is not None
    assert release.age_days is None


def test_a_clock_behind_what_the_centre_signed_is_named(cart: Cart) -> None:
    (problem,) = status(cart, cart.now - timedelta(days=300)).problems
    assert "set the clock" in problem


def test_metadata_that_has_expired_is_named_also_by_a_clock_that_jumped_back(cart: Cart) -> None:
    (problem,) = status(cart, cart.now + timedelta(days=8)).problems
    assert "run `ecgedge sync`" in problem


def test_a_release_before_that_lost_a_file_is_named(cart: Cart) -> None:
    previous = cart.store.pointer().previous
    assert previous is not None
    (cart.store.blobs / cart.store.manifest(previous).segments[0].cases).unlink()
    (problem,) = status(cart).problems
    assert f"{previous}, is not whole: there is no going back to it" in problem
    assert status(cart).failure is None


def test_an_active_release_that_lost_files_cannot_answer_and_says_how_many(cart: Cart) -> None:
    for name in cart.store.manifest().blobs()[:2]:
        (cart.store.blobs / name).unlink()
    failure = status(cart).failure
    assert isinstance(failure, ReleaseError)
    assert "lost 2 of its files: run `ecgedge sync`" in str(failure)


def test_a_full_or_read_only_disk_is_named(cart: Cart, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1 << 30, 1 << 30, 3_000_000))
    flags = namedtuple("flags", "f_flag")
    monkeypatch.setattr(os, "statvfs", lambda path: flags(os.ST_RDONLY))
    read_only, full = status(cart).problems
    assert "read-only" in read_only
    assert full.startswith("3 MB are free")


def test_what_is_on_its_way_is_weighed(cart: Cart) -> None:
    parts = places.parts(cart.store.root)
    (parts / f"{'a' * 64}.5.part").write_bytes(b"12345")
    assert status(cart).parts_bytes == 5


def test_a_store_that_is_not_there_cannot_answer(cart: Cart, tmp_path: Path) -> None:
    found = read_status(Store(tmp_path / "nowhere"), cart.now)
    assert isinstance(found.failure, ReleaseError)
    assert (found.release, found.pointer, found.last, found.free_bytes) == (None, None, None, None)
    assert len(found.problems) == 1


def test_a_damaged_pointer_cannot_answer(cart: Cart) -> None:
    (cart.store.root / "current").write_bytes(b"\xff")
    found = status(cart)
    assert isinstance(found.failure, DamagedError)
    assert found.last is not None


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_whatever_stops_it(cart: Cart, tmp_path: Path, data: st.DataObject) -> None:
    copy = Store(tmp_path / "copy")
    shutil.rmtree(copy.root, ignore_errors=True)
    shutil.copytree(cart.store.root, copy.root)
    paths = sorted(copy.root.rglob("*"))
    for path in data.draw(st.lists(st.sampled_from(paths), max_size=6)):
        if path.is_dir():
            shutil.rmtree(path)
        elif path.is_file():
            content = data.draw(st.none() | st.binary(max_size=40))
            path.unlink() if content is None else path.write_bytes(content)
        elif path.parent.is_dir():
            path.mkdir()  # a folder where a file should be
    found = read_status(copy, cart.now)
    assert (found.failure is None) <= (found.release is not None)


def test_what_is_held_is_told(cart: Cart) -> None:
    pointer = cart.store.pointer()
    assert pointer.previous is not None
    held = Pointer(pointer.previous, previous=pointer.active, held=pointer.active)
    cart.store.point(held)
    assert status(cart).pointer == held
