"""The power fails, or the process dies, at every single point of a sync, and the cart goes on.

After each: what is current is a whole release that answers, `status` can tell, and the next sync
ends with exactly the files of a clean install, without fetching again what was safe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from power import Recorder, tree_of
from power_centre import (
    STORE,
    Centre,
    Expected,
    check_clean,
    flush_every,
    open_centre,
    recorded,
)
from power_model import Op, Tree
from power_trial import Tally, cut_everywhere, kill_everywhere
from sim_repository import SimSource

from ecgedge.casebase.pointer import Pointer
from ecgedge.casebase.release import Store
from ecgedge.sync.layout import TARGETS
from ecgedge.sync.parts import parse_name
from ecgedge.sync.rollback import roll_back
from ecgedge.sync.status import read_status


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Centre:
    return open_centre(tmp_path_factory.mktemp("centre") / "store")


@pytest.fixture(autouse=True)
def fine_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release of 60 kB has hundreds of operations then."""
    flush_every(monkeypatch, 256)


def check_machine(centre: Centre, expected: Expected, recorder: Recorder) -> Callable[..., None]:
    """A check of one disk, for `cut_everywhere`."""

    def check(machine: Path, done: int) -> None:
        found = tree_of(machine)
        check_answers(centre, machine, expected, done == len(recorder.ops))
        check_kept(found, recorder.ops[:done])
        source = centre.sync(machine, expected.after)
        check_fetched(source, found)
        check_clean(centre, machine, expected)

    return check


def check_answers(centre: Centre, machine: Path, expected: Expected, ended: bool) -> None:
    """What is current is whole: the release before or the new one, which it is at the end."""
    store = Store(machine / STORE)
    read_status(store, centre.now)
    active = centre.answers(store) if (store.root / "current").exists() else None
    after = centre.ids[expected.after]
    before = (
        after
        if ended
        else expected.before
        if expected.before is None
        else centre.ids[expected.before]
    )
    assert active in {before, after}


def check_kept(found: Tree, ops: Sequence[Op]) -> None:
    """What was flushed of a file that is on its way is there, as a part or already whole: at the
    latest when more is written.
    """
    flushed: dict[str, int] = {}
    named: dict[str, int] = {}
    for op in ops:
        parsed = parse_name(op.target.rpartition("/")[2])
        if op.kind == "rename" and parsed:
            named[parsed[0]] = parsed[1]
        elif op.kind == "write" or (op.kind == "fsync_folder" and op.path.endswith("/parts")):
            flushed |= named
    parts = best_parts(found)
    for sha256, length in flushed.items():
        assert f"{STORE}/blobs/{sha256}" in found or parts.get(sha256, 0) >= length


def best_parts(found: Tree) -> dict[str, int]:
    """SHA-256 -> how many bytes of it a part holds by its name."""
    best: dict[str, int] = {}
    for path, content in found.items():
        parsed = parse_name(path.rpartition("/")[2])
        if parsed and content is not None and len(content) >= parsed[1]:
            best[parsed[0]] = max(parsed[1], best.get(parsed[0], 0))
    return best


def check_fetched(source: SimSource, found: Tree) -> None:
    """Nothing that was there was fetched again: no blob, and of a part only the rest."""
    parts = best_parts(found)
    for path, start in source.asked:
        if path.startswith(f"{TARGETS}/blobs/"):
            sha256 = path.rpartition("/")[2]
            assert f"{STORE}/blobs/{sha256}" not in found
            assert start == parts.get(sha256, 0)


#: name -> the newest release of earlier syncs, that of the recorded one, what is expected, and
#: how many bytes come at once.
SYNCS = {
    "an update": ((0,), 1, Expected(0, 1, (0, 1)), 128),
    "the first sync": ((), 0, Expected(None, 0, (0,)), 2048),
    "a sync that removes an old release": ((0, 1), 2, Expected(1, 2, (1, 2)), 2048),
    "a sync that finds nothing new": ((0,), 0, Expected(0, 0, (0,)), 2048),
}


@pytest.mark.parametrize("name", SYNCS)
def test_a_cut_anywhere_in_a_sync_is_survived(
    centre: Centre, tmp_path: Path, name: str, power_cuts: dict[str, Tally]
) -> None:
    earlier, newest, expected, chunk_bytes = SYNCS[name]
    machine = centre.cart(tmp_path / "machine", *earlier)
    recorder = recorded(machine, lambda place: centre.sync(place, newest, chunk_bytes))
    tally = cut_everywhere(recorder, check_machine(centre, expected, recorder))
    power_cuts[name] = tally
    if name == "an update":
        assert tally.cut_points >= 500


def test_a_cut_anywhere_in_a_rollback_is_survived_and_the_rollback_can_be_done_again(
    centre: Centre, tmp_path: Path, power_cuts: dict[str, Tally]
) -> None:
    machine = centre.cart(tmp_path / "machine", 0, 1)
    old, new = centre.ids[:2]
    back = Pointer(active=old, previous=new, held=new)

    def roll(place: Path) -> None:
        roll_back(Store(place / STORE), centre.probe)

    recorder = recorded(machine, roll)

    def check(place: Path, done: int) -> None:
        store = Store(place / STORE)
        assert centre.answers(store) == store.pointer().active
        assert store.pointer() in {Pointer(new, previous=old), back}
        if store.pointer() != back:
            assert done < len(recorder.ops)
            roll(place)
        centre.sync(place, 1)  # the release that is held is not taken again
        assert store.pointer() == back
        check_clean(centre, place, Expected(None, 0, (0, 1)))

    power_cuts["a rollback"] = cut_everywhere(recorder, check)


@pytest.mark.parametrize(
    "name", sorted(SYNCS.keys() - {"an update"})
)  # a removing one is an update too
def test_a_process_killed_anywhere_leaves_nothing_that_a_cut_takes_from_the_next_sync(
    centre: Centre,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    power_cuts: dict[str, Tally],
) -> None:
    earlier, newest, expected, _ = SYNCS[name]
    flush_every(monkeypatch, 32 << 10)
    machine = centre.cart(tmp_path / "machine", *earlier)
    recorder = recorded(machine, lambda place: centre.sync(place, newest, 32 << 10))

    def check(place: Path, ended: bool) -> None:
        check_answers(centre, place, expected, ended)
        centre.sync(place, newest)
        check_clean(centre, place, expected)

    power_cuts[f"{name}, after a kill"] = kill_everywhere(
        recorder, lambda place: centre.sync(place, newest, 32 << 10), check
    )
