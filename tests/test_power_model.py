"""The model of a disk agrees with a real one while it has power, and with POSIX on the rest."""

from __future__ import annotations

import errno
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from power import Recorder, cuts, digest, lay_out, recording, refusing, tree_of
from power_model import Disk, Op, Tree

from ecgedge import disk
from ecgedge.atomic import write_atomic
from ecgedge.errors import UsageError

FOLDERS = ("", "a", "b", "a/deep")
FILES = ("one", "two")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("mkdir"), st.sampled_from(FOLDERS[1:])),
        st.tuples(st.just("sync"), st.sampled_from(FOLDERS)),
        st.tuples(st.just("unlink"), st.sampled_from(FOLDERS), st.sampled_from(FILES)),
        st.tuples(
            st.just("write"), st.sampled_from(FOLDERS), st.sampled_from(FILES),
            st.lists(st.binary(max_size=4), max_size=3), st.booleans(),
        ),
        st.tuples(
            st.just("append"), st.sampled_from(FOLDERS), st.sampled_from(FILES),
            st.integers(0, 5), st.binary(max_size=4), st.booleans(),
        ),
        st.tuples(
            st.just("rename"), st.sampled_from(FOLDERS), st.sampled_from(FILES),
            st.sampled_from(FOLDERS), st.sampled_from(FILES),
        ),
    ),
    max_size=14,
)  # fmt: skip


def perform(root: Path, steps: list[tuple]) -> None:
    """Run random steps through the file layer; one that has nothing to work on is left out."""
    for kind, folder, *rest in steps:
        where = root / folder
        if kind == "mkdir" and where.parent.is_dir():
            disk.mkdir(where)
        elif not where.is_dir():
            continue
        elif kind == "sync":
            disk.fsync_folder(where)
        elif kind == "unlink":
            disk.unlink(where / rest[0])
        elif kind == "write":
            put(disk.create(where / rest[0]), rest[1], rest[2])
        elif kind == "append" and (where / rest[0]).is_file():
            put(disk.reopen(where / rest[0], rest[1]), [rest[2]], rest[3])
        elif kind == "rename":
            rename(where / rest[0], root / rest[1] / rest[2])


def rename(source: Path, target: Path) -> None:
    if source != target and source.is_file() and target.parent.is_dir():
        disk.rename(source, target)


def put(handle: int, pieces: list[bytes], durable: bool) -> None:
    for piece in pieces:
        disk.write(handle, piece)
    if durable:
        disk.fsync(handle)
    disk.close(handle)


def recorded(steps: list[tuple]) -> Recorder:
    folder = Path(tempfile.mkdtemp(dir=FAST))
    try:
        with recording(folder) as recorder:
            perform(folder, steps)
        return recorder
    finally:
        shutil.rmtree(folder)


FAST = "/dev/shm" if Path("/dev/shm").is_dir() else None


@given(STEPS)
def test_while_there_is_power_the_model_holds_what_a_real_folder_holds(steps: list[tuple]) -> None:
    recorded(steps)  # `recording` compares the two at its end


@given(STEPS)
def test_all_arrived_is_one_of_the_states_after_every_cut(steps: list[tuple]) -> None:
    recorder = recorded(steps)
    model = Disk(recorder.before)
    for op in recorder.ops:
        model.do(op)
        assert digest(model.tree()) in {digest(tree) for tree in model.after_cut()}


@given(STEPS)
def test_what_is_fully_synced_has_one_state(steps: list[tuple]) -> None:
    model = recorded(steps).disk()
    for number, (path, content) in enumerate(model.tree().items()):
        if content is None:
            model.do(Op("fsync_folder", path))
        else:
            handle = 1000 + number
            model.do(Op("reopen", path, handle=handle, length=len(content)))
            model.do(Op("fsync", handle=handle))
    model.do(Op("fsync_folder", ""))
    assert {digest(tree) for tree in model.after_cut()} == {digest(model.tree())}


@given(STEPS, STEPS)
def test_a_durable_file_that_nobody_touches_is_in_every_state(
    before: list[tuple], after: list[tuple]
) -> None:
    tree = {**recorded(before).disk().tree(), "kept": b"safe"}
    model = Disk(tree)
    folder = Path(tempfile.mkdtemp(dir=FAST))
    try:
        laid = lay_out(tree, folder / "store")
        with recording(laid) as recorder:
            perform(laid, after)
    finally:
        shutil.rmtree(folder)
    for op in recorder.ops:
        model.do(op)
    assert all(found["kept"] == b"safe" for found in model.after_cut())


def states(before: Tree, ops: list[Op]) -> list[dict[str, bytes | None]]:
    return [dict(tree) for tree in list(cuts(before, ops))[-1][1]]


def writing(path: str, data: bytes, *, durable: bool) -> list[Op]:
    synced = [Op("fsync", handle=0)] if durable else []
    return [Op("create", path, handle=0), Op("write", handle=0, data=data), *synced]


def test_a_rename_over_a_file_without_fsync_may_leave_it_empty() -> None:
    ops = [*writing("new", b"12", durable=False), Op("rename", "new", "old")]
    found = states({"old": b"before"}, ops)
    for content in (b"before", b"", b"1", b"12", b"\0\0", b"\xa5\xa5"):
        assert any(tree["old"] == content for tree in found), content


def test_after_fsync_and_rename_there_is_the_old_file_or_the_new_and_never_none() -> None:
    ops = [*writing("new", b"12", durable=True), Op("rename", "new", "old")]
    found = states({"old": b"before"}, ops)
    assert {tree["old"] for tree in found} == {b"before", b"12"}
    assert any("new" in tree for tree in found)
    assert {"old": b"before"} in found  # neither name arrived
    assert states({"old": b"before"}, [*ops, Op("fsync_folder", "")]) == [{"old": b"12"}]


def test_fsync_of_a_file_does_not_keep_its_name() -> None:
    assert {} in states({}, writing("new", b"1", durable=True))


def test_a_rename_across_folders_may_arrive_as_both_names_or_none() -> None:
    found = states({"a": None, "b": None, "a/x": b"1"}, [Op("rename", "a/x", "b/x")])
    names = {frozenset(tree) for tree in found}
    assert names == {
        frozenset({"a", "b", *extra}) for extra in ((), ("a/x",), ("b/x",), ("a/x", "b/x"))
    }


def test_one_folders_fsync_says_nothing_of_another() -> None:
    ops = [Op("rename", "a/x", "b/x"), Op("fsync_folder", "b")]
    found = states({"a": None, "b": None, "a/x": b"1"}, ops)
    assert all(tree["b/x"] == b"1" for tree in found)
    assert any("a/x" in tree for tree in found)


def test_what_is_fsynced_in_a_new_folder_goes_with_the_folder() -> None:
    ops = [Op("mkdir", "a"), *writing("a/x", b"1", durable=True), Op("fsync_folder", "a")]
    assert {} in states({}, ops)
    assert states({}, [*ops, Op("fsync_folder", "")]) == [{"a": None, "a/x": b"1"}]


def test_later_names_may_arrive_before_earlier_ones() -> None:
    found = states({"x": b"1", "y": b"2"}, [Op("unlink", "x"), Op("unlink", "y")])
    assert {"x": b"1"} in found
    assert {"y": b"2"} in found


def test_a_cut_of_a_file_that_was_not_synced_may_not_have_happened() -> None:
    ops = [Op("reopen", "x", handle=0, length=2), Op("write", handle=0, data=b"..")]
    found = {tree["x"] for tree in states({"x": b"123456"}, ops)}
    assert {b"123456", b"12", b"12..", b"12.", b"12\0\0", b"12..56"} <= found


def test_of_many_changes_each_may_be_missing_and_each_may_be_alone() -> None:
    names = [f"x{number}" for number in range(9)]
    found = states(dict.fromkeys(names, b""), [Op("unlink", name) for name in names])
    for name in names:
        assert {name: b""} in found
        assert dict.fromkeys(set(names) - {name}, b"") in found


def test_what_is_written_past_the_file_layer_is_noticed(tmp_path: Path) -> None:
    def record(careless: object) -> None:
        with recording(tmp_path):
            careless()

    for careless in (
        lambda: (tmp_path / "x").write_bytes(b"1"),
        lambda: (tmp_path / "x").replace(tmp_path / "y"),
        lambda: (tmp_path / "y").unlink(),
        lambda: (tmp_path / "z").mkdir(),
    ):
        with pytest.raises(AssertionError):
            record(careless)
    assert tree_of(tmp_path) == {"z": None}


@pytest.mark.parametrize("number", range(8))
def test_a_refused_operation_is_the_one_asked_for_and_leaves_no_other_trace(
    tmp_path: Path, number: int
) -> None:
    with recording(tmp_path) as plain:
        write_atomic(tmp_path / "x", b"old")
    with (
        recording(tmp_path, refusing(number, errno.ENOSPC)) as recorder,
        pytest.raises(UsageError, match="No space left on device; free some space"),
    ):
        write_atomic(tmp_path / "x", b"new!")
    kinds = [op.kind for op in plain.ops]
    assert kinds[:number] == [op.kind for op in recorder.ops][:number]
    assert tree_of(tmp_path).keys() == {"x"}
