"""A disk refuses one operation of a sync, or all from one on: one sentence, and nothing is lost.

ENOSPC, EROFS and EIO at every operation through the file layer; and for real, as far as this
machine lets us mount: a small file system that fills up, one that is mounted read-only.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from power import Refusal, lay_out, refusing, tree_of
from power_centre import (
    STORE,
    Centre,
    Expected,
    check_clean,
    command,
    flush_every,
    open_centre,
    recorded,
)
from power_model import Tree
from power_trial import laid_out

from ecgedge.casebase.release import Store
from ecgedge.errors import EcgedgeError, UsageError
from ecgedge.sync import install
from ecgedge.sync.status import read_status

UPDATED = Expected(0, 1, (0, 1))
CODES = {"full": errno.ENOSPC, "read-only": errno.EROFS, "failing": errno.EIO}
#: Besides the releases a store holds the names and notes of a sync.
NOTES_BYTES = 32 << 10


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Centre:
    return open_centre(tmp_path_factory.mktemp("centre") / "store")


@pytest.fixture(scope="module")
def machine_before(centre: Centre, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A machine with the first release."""
    return tree_of(centre.cart(tmp_path_factory.mktemp("machine"), 0))


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    flush_every(monkeypatch, 8192)
    # Another program takes the room after the sync has looked whether there is enough.
    monkeypatch.setattr(install, "check_room", lambda *_: None)


def refusal(centre: Centre, machine: Path, refuse: Refusal | None = None) -> EcgedgeError | None:
    """What the update says of a disk that refuses; None where it goes well."""
    found: list[EcgedgeError] = []

    def update(place: Path) -> None:
        try:
            centre.sync(place, 1, chunk_bytes=4096)
        except EcgedgeError as error:
            found.append(error)

    if refuse is None:
        update(machine)
    else:
        recorded(machine, update, refuse)
    return found[0] if found else None


def check_refusal(centre: Centre, machine: Path, error: EcgedgeError | None, code: int) -> None:
    """One sentence and exit code 2; what answered answers, and the disk is not filled up."""
    store = Store(machine / STORE)
    # Where only the last step failed, to make the switch durable, the new one may answer already.
    assert centre.answers(store) in (centre.ids[:2] if error else centre.ids[1:2])
    read_status(store, centre.now)
    if error is not None:
        assert isinstance(error, UsageError)
        assert os.strerror(code) in str(error)
        assert "\n" not in str(error)
    releases = sum(path.stat().st_size for path in centre.store.blobs.iterdir())
    assert size(machine) <= releases + NOTES_BYTES


def size(machine: Path) -> int:
    return sum(len(content) for content in tree_of(machine).values() if content is not None)


@pytest.mark.parametrize("ever_after", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("kind", CODES)
def test_a_disk_that_refuses_anywhere_is_told_in_a_sentence_and_loses_nothing(
    centre: Centre, machine_before: Tree, kind: str, ever_after: bool, power_cuts: dict[str, object]
) -> None:
    with laid_out(machine_before) as machine:
        update = recorded(machine, lambda place: centre.sync(place, 1, chunk_bytes=4096))
    told, operations = 0, len(update.ops)
    for number in range(operations):
        with laid_out(machine_before) as machine:
            refuse = refusing(number, CODES[kind], ever_after=ever_after)
            error = refusal(centre, machine, refuse)
            check_refusal(centre, machine, error, CODES[kind])
            told += error is not None
            centre.sync(machine, 1)
            check_clean(centre, machine, UPDATED)
    assert told > operations / 2
    when = "from then on" if ever_after else "once"
    power_cuts[f"a {kind} disk, {when}"] = f"{operations} operations, {told} ended the sync"


@pytest.fixture(params=["tmpfs", "ext4"])
def mounted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    place, image = tmp_path / "mounted", tmp_path / "image"
    place.mkdir()
    if request.param == "tmpfs":
        what = ["-t", "tmpfs", "-o", "size=1m", "tmpfs"]
    else:
        image.write_bytes(bytes(4 << 20))
        run(["mkfs.ext4", "-q", "-F", "-m", "0", str(image)])
        what = ["-o", "loop", str(image)]
    run(["mount", *what, str(place)])
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def run(command: list[str]) -> None:
    """Skip where this machine cannot do it, or does not let us."""
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no {command[0]} here: {error}")


def test_a_file_system_that_is_full_at_any_point_is_told_and_loses_nothing(
    centre: Centre, machine_before: Tree, mounted: Path
) -> None:
    told: list[int] = []
    for left_bytes in range(0, 80 << 10, 4096):
        machine = lay_out(machine_before, mounted / "machine")
        ballast = mounted / "ballast"
        fill(ballast, left_bytes)
        error = refusal(centre, machine)
        check_refusal(centre, machine, error, errno.ENOSPC)
        told += [left_bytes] if error else []
        ballast.unlink()
        centre.sync(machine, 1)
        check_clean(centre, machine, UPDATED)
        shutil.rmtree(machine)
    assert len(told) >= 5
    assert told == list(range(0, len(told) * 4096, 4096))  # and with enough room it goes well


def fill(path: Path, left_bytes: int) -> None:
    """Write a file until so much is free."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while (free := shutil.disk_usage(path.parent).free) > left_bytes:
            file.write(bytes(min(free - left_bytes, 4096)))


def test_a_file_system_mounted_read_only_is_told_by_the_command_and_answers(
    centre: Centre, machine_before: Tree, mounted: Path, tmp_path: Path
) -> None:
    repository = centre.written(tmp_path / "repository", 1)
    machine = lay_out(machine_before, mounted / "machine")
    run(["mount", "-o", "remount,ro", str(mounted)])
    found = tree_of(machine)
    sync = command(repository, repository / "root.json", machine)
    ended = subprocess.run(sync, capture_output=True, text=True, check=False)
    assert ended.returncode == UsageError.exit_code, ended
    assert os.strerror(errno.EROFS) in ended.stderr
    assert "make it writable" in ended.stderr
    assert ended.stderr.count("\n") == 1
    store = Store(machine / STORE)
    assert centre.answers(store) == centre.ids[0]
    assert any("read-only" in told for told in read_status(store, centre.now).problems)
    assert tree_of(machine) == found
    run(["mount", "-o", "remount,rw", str(mounted)])
    centre.sync(machine, 1)
    check_clean(centre, machine, UPDATED)
