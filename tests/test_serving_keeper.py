"""The kept engine: a switched release, a broken one, and files damaged under it."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from serving_builders import broken_release, copy_store, next_release

from ecgedge.casebase.release import Store
from ecgedge.engine import Engine
from ecgedge.errors import ReleaseError
from ecgedge.serving import keeper as module
from ecgedge.serving.keeper import Keeper
from ecgedge.signal.synthetic import synthesize


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return copy_store(tmp_path / "store")


def _answering(keeper: Keeper) -> tuple[str, tuple[str, ...]]:
    """(release, notes about it); the engine truly answers."""
    with keeper.opened() as (engine, notes):
        return engine.query(synthesize()).release, notes


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by the release at each opening."""
    opened: list[str] = []
    real = Engine.open.__func__  # type: ignore[attr-defined]

    def count(cls: type[Engine], *args: object, **options: object) -> object:
        opened.append(str(options["release"]))
        return real(cls, *args, **options)

    monkeypatch.setattr(Engine, "open", classmethod(count))
    return opened


def test_nothing_is_opened_again_while_nothing_changes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = _counted(monkeypatch)
    keeper = Keeper(store.root)
    for _ in range(3):
        assert _answering(keeper) == (store.current_id(), ())
    store.activate(store.current_id())  # written anew, the same release
    assert _answering(keeper) == (store.current_id(), ())
    assert opened == [store.current_id()]


def test_a_broken_release_is_not_tried_at_every_request(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, keeper = store.current_id(), Keeper(store.root)
    second = next_release(store, "whole again")
    store.activate(broken_release(store))
    opened = _counted(monkeypatch)
    for _ in range(3):
        release, notes = _answering(keeper)
        assert release == first
        assert len(notes) == 1
    assert len(opened) == 1
    store.activate(second)
    assert _answering(keeper) == (second, ())


def test_memory_that_runs_out_while_opening_leaves_the_old_release(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, keeper = store.current_id(), Keeper(store.root)
    store.activate(next_release(store, "too large"))

    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(Engine, "open", exhausted)
        release, notes = _answering(keeper)
    assert release == first
    assert "MemoryError" in notes[0]


def test_a_file_damaged_in_place_stops_the_answers_until_it_is_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    keeper = Keeper(store.root)
    vectors = store.blobs / store.manifest().segments[0].vectors
    whole = vectors.read_bytes()
    with vectors.open("r+b") as file:
        file.seek(100)
        file.write(b"\x7f" * 100)
    with pytest.raises(ReleaseError, match="damaged"):
        _answering(keeper)
    assert keeper.check(1.0) == ""  # no fault of the process: restarting would mend nothing
    assert "damaged" in keeper.problem
    with vectors.open("r+b") as file:
        file.write(whole)
    assert _answering(keeper) == (store.current_id(), ())


def test_files_that_are_deleted_live_on_in_an_open_engine(store: Store) -> None:
    keeper = Keeper(store.root)
    expected = _answering(keeper)
    for blob in store.blobs.iterdir():
        blob.unlink()
    assert _answering(keeper) == expected


def test_the_check_notices_another_answer_and_a_request_that_does_not_end(store: Store) -> None:
    keeper = Keeper(store.root)
    assert keeper.check(1.0) == ""
    with keeper.opened():
        assert "has not ended" in keeper.check(0.01)
    assert keeper._kept is not None
    keeper._kept = replace(keeper._kept, known=(("another case", 1.0),))
    assert "otherwise" in keeper.check(1.0)


def test_a_switch_is_noticed_although_size_and_time_are_the_same(store: Store) -> None:
    keeper = Keeper(store.root)
    current = store.root / "current"
    before = current.stat()
    second = next_release(store, "second")
    store.activate(second)
    os.utime(current, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert _answering(keeper) == (second, ())
