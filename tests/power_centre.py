"""A centre in memory with three small releases, and machines that sync with it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
from power import Recorder, Refusal, recording, tree_of
from power_release import Answers, tiny_releases
from sim_repository import EPOCH, SimRepository, SimSource

from ecgedge.casebase.release import Store
from ecgedge.errors import NothingNew
from ecgedge.sync import install
from ecgedge.sync.fetch import fetch
from ecgedge.sync.install import synchronise
from ecgedge.sync.parts import Flushing

STORE = "store"  # below the folder that is recorded; new on the first day
LOCK = frozenset({f"{STORE}/sync/lock"})  # empty, only ever locked


@dataclass
class Centre:
    """offered: what the centre serves while its newest release is the one of this number."""

    root: bytes
    ids: list[str]
    store: Store
    offered: list[dict[str, bytes]]
    now: datetime
    answers: Answers = field(default_factory=Answers)

    def sync(self, machine: Path, newest: int, chunk_bytes: int = 1 << 16) -> SimSource:
        """One sync; the source that was asked. That there is nothing new is an end too."""
        source = SimSource(self.offered[newest])
        source.chunk_bytes = chunk_bytes
        with suppress(NothingNew):
            synchronise(
                Store(machine / STORE),
                source,
                self.root,
                channel="stable",
                cart="cart-1",
                now=self.now,
                probe=self.probe,
            )
        return source

    def probe(self, store: Store, release: str) -> None:
        self.answers(store, release)

    def written(self, folder: Path, newest: int) -> Path:
        """The repository as files, with the first root beside it; the folder."""
        for path, data in self.offered[newest].items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        (folder / "root.json").write_bytes(self.root)
        return folder

    def cart(self, machine: Path, *newest: int) -> Path:
        """A machine that synced when these were the newest releases, one after another."""
        machine.mkdir(exist_ok=True)
        for number in newest:
            self.sync(machine, number)
        return machine


def open_centre(folder: Path, now: datetime = EPOCH) -> Centre:
    stores, ids = tiny_releases(folder, 3)
    repository = SimRepository(now)
    offered = []
    for order, release in enumerate(ids):
        repository.publish_store(stores, release, {"stable": (order, 100)})
        offered.append(dict(repository.files))
    return Centre(repository.root_file, ids, stores, offered, repository.now)


def flush_every(monkeypatch: pytest.MonkeyPatch, count_bytes: int) -> None:
    """Flush what comes in so often, and never because of the time."""
    often = Flushing(every_bytes=count_bytes, every_s=float("inf"))
    monkeypatch.setattr(install, "fetch", partial(fetch, flushing=often))


@dataclass(frozen=True)
class Expected:
    """What must be so after a cut, and after the sync that follows. Numbers of releases."""

    before: int | None
    after: int
    kept: tuple[int, ...]


def check_clean(centre: Centre, machine: Path, expected: Expected) -> None:
    """The store holds the kept releases and what a sync notes, and nothing else."""
    store = Store(machine / STORE)
    assert centre.answers(store) == centre.ids[expected.after]
    kept = [centre.ids[number] for number in expected.kept]
    assert store.release_ids() == sorted(kept)
    blobs = {name for release in kept for name in store.manifest(release).blobs()}
    for name in blobs:
        store.blob(name)
    files = {f"{STORE}/blobs/{name}" for name in blobs}
    files |= {f"{STORE}/releases/{release}.json" for release in kept}
    files |= {f"{STORE}/{name}" for name in ("current", "sync/trust.json", "sync/status.json")}
    left = {path for path, content in tree_of(machine).items() if content is not None}
    assert left - LOCK == files


def recorded(
    machine: Path, act: Callable[[Path], object], refuse: Refusal | None = None
) -> Recorder:
    """What an act does to a machine."""
    with recording(machine, refuse, LOCK) as recorder:
        act(machine)
    return recorder


def command(repository: str | Path, root: Path, machine: Path) -> list[str]:
    """`ecgedge sync` of a machine as it is called there."""
    store = str(machine / STORE)
    options = ["--from", str(repository), "--root", str(root), "--store", store, "--cart", "c"]
    return [sys.executable, "-m", "ecgedge", "sync", *options]
