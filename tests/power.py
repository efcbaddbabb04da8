"""A recorder in the place of `ecgedge.disk`, and disks laid out as they may be after a cut.

The recorder does what it is asked and notes it; it can also refuse, as a full disk does. An audit
hook, and the comparison of the folder with the model, see to it that nothing is written past it.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from power_model import Disk, Op, Tree

from ecgedge import disk

#: Asked before each operation; raises OSError to refuse it.
Refusal = Callable[[Op], None]

FUNCTIONS = (
    "create", "reopen", "write", "fsync", "close", "rename", "unlink", "mkdir", "fsync_folder",
)  # fmt: skip


class Recorder:
    """What was done below a folder, in `ops`; done there by others, in `strays`."""

    def __init__(
        self, root: Path, refuse: Refusal | None = None, ignored: Collection[str] = ()
    ) -> None:
        self.root = root
        self.ignored = ignored
        self.ops: list[Op] = []
        self.strays: list[str] = []
        self.before = {path: one for path, one in tree_of(root).items() if path not in ignored}
        self._refuse = refuse
        self._real = {name: getattr(disk, name) for name in FUNCTIONS}
        self._numbers = itertools.count()
        self._open: dict[int, int] = {}  # the system's handle -> ours
        self._inside = False

    def disk(self) -> Disk:
        """A model to which all of it has happened."""
        model = Disk(self.before)
        for op in self.ops:
            model.do(op)
        return model

    def create(self, path: Path) -> int:
        return self._opened(Op("create", self._name(path)), path)

    def reopen(self, path: Path, length: int) -> int:
        return self._opened(Op("reopen", self._name(path), length=length), path, length)

    def write(self, handle: int, data: bytes) -> None:
        op = Op("write", handle=self._open.get(handle, -1), data=bytes(data))
        try:
            self._do(op, handle, data)
        except OSError as error:
            if error.errno == errno.ENOSPC and self._open.get(handle, -1) >= 0:
                half = op.data[: len(op.data) // 2]  # a full disk takes what still fits
                self._really(Op("write", handle=op.handle, data=half), handle, half)
            raise

    def fsync(self, handle: int) -> None:
        self._do(Op("fsync", handle=self._open.get(handle, -1)), handle)

    def close(self, handle: int) -> None:
        op = Op("close", handle=self._open.pop(handle, -1))
        self._really(op, handle)  # the handle is gone, whatever close says
        self._ask(op)

    def rename(self, source: Path, target: Path) -> None:
        self._do(Op("rename", self._name(source), self._name(target)), source, target)

    def unlink(self, path: Path) -> None:
        self._do(Op("unlink", self._name(path)), path)

    def mkdir(self, path: Path) -> None:
        self._do(Op("mkdir", self._name(path)), path)

    def fsync_folder(self, path: Path) -> None:
        self._do(Op("fsync_folder", self._name(path)), path)

    def saw(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Told by the audit hook what any code in this process is about to do."""
        if self._inside:
            return
        for path in _changed_by(event, arguments):
            if (
                path.startswith(f"{self.root}{os.sep}")
                and self._name(Path(path)) not in self.ignored
            ):
                self.strays.append(f"{event} {path}")

    def _name(self, path: Path) -> str:
        """Relative to the root; what lies elsewhere is not recorded and has no name."""
        path = path.absolute()
        if path == self.root:
            return ""
        return path.relative_to(self.root).as_posix() if self.root in path.parents else ELSEWHERE

    def _opened(self, op: Op, *arguments: Any) -> int:
        op = Op(op.kind, op.path, handle=next(self._numbers), length=op.length)
        handle: int = self._do(op, *arguments)
        self._open[handle] = op.handle if op.path != ELSEWHERE else -1
        return handle

    def _do(self, op: Op, *arguments: Any) -> Any:
        self._ask(op)
        return self._really(op, *arguments)

    def _ask(self, op: Op) -> None:
        if self._refuse and not _elsewhere(op):
            self._refuse(op)

    def _really(self, op: Op, *arguments: Any) -> Any:
        self._inside = True
        try:
            result = self._real[op.kind](*arguments)
        finally:
            self._inside = False
        if not _elsewhere(op):
            self.ops.append(op)
        return result


ELSEWHERE = "\0elsewhere"


def _elsewhere(op: Op) -> bool:
    of_handle = op.kind in ("write", "fsync", "close") and op.handle < 0
    return of_handle or ELSEWHERE in (op.path, op.target)


_RECORDING: list[Recorder] = []
_PATHS = {
    "os.rename": 2, "os.link": 2, "os.symlink": 2, "os.remove": 1, "os.mkdir": 1, "os.rmdir": 1,
    "os.truncate": 1, "sqlite3.connect": 1,
}  # fmt: skip
_CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _changed_by(event: str, arguments: tuple[Any, ...]) -> Iterable[str]:
    """The paths that an audit event announces a change of."""
    if event == "open":
        path, _, flags = arguments
        return _paths([path]) if isinstance(flags, int) and flags & _CHANGING else []
    if event == "sqlite3.connect" and "immutable=1" in str(arguments[0]):
        return []
    return _paths(arguments[: _PATHS.get(event, 0)])


def _paths(arguments: Sequence[Any]) -> list[str]:
    names = (os.fsdecode(one) for one in arguments if isinstance(one, str | bytes | os.PathLike))
    return [str(Path(name.removeprefix("file:")).absolute()) for name in names]


@lru_cache(maxsize=1)
def _listen() -> None:
    """Audit hooks stay until the process ends, so there is one for all recorders."""

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        for recorder in _RECORDING:
            recorder.saw(event, arguments)

    sys.addaudithook(hear)


@contextmanager
def recording(
    root: Path, refuse: Refusal | None = None, ignored: Collection[str] = ()
) -> Iterator[Recorder]:
    """Note all that is done below `root`; at the end nothing was done there past the file layer,
    and the folder and the model of it agree, byte for byte.

    refuse: see `Refusal`. ignored: files that anyone may make.
    """
    recorder = Recorder(root.absolute(), refuse, ignored)
    _listen()
    for name in FUNCTIONS:
        setattr(disk, name, getattr(recorder, name))
    _RECORDING.append(recorder)
    process, os.getpid = os.getpid, lambda: 4_000_001  # what goes on afterwards is another one
    try:
        yield recorder
    finally:
        os.getpid = process
        _RECORDING.remove(recorder)
        for name, real in recorder._real.items():
            setattr(disk, name, real)
    assert recorder.strays == []
    there = {path: content for path, content in tree_of(root).items() if path not in ignored}
    assert there == {**recorder.disk().tree()}


def tree_of(folder: Path) -> Tree:
    """What lies below a folder."""
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
    }


def lay_out(tree: Tree, folder: Path) -> Path:
    """Make a new folder that holds this."""
    folder.mkdir()
    for path in sorted(tree):
        content = tree[path]
        if content is None:
            (folder / path).mkdir()
        else:
            (folder / path).write_bytes(content)
    return folder


def digest(tree: Tree) -> bytes:
    """The same for equal trees alone."""
    parts = sorted(
        f"{path}\0{'' if content is None else _sha256(content)}" for path, content in tree.items()
    )
    return hashlib.sha256("\n".join(parts).encode()).digest()


@lru_cache(maxsize=256)
def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def different(trees: Iterable[Tree]) -> list[Tree]:
    """Each different tree once."""
    return list({frozenset(tree.items()): tree for tree in trees}.values())


def cuts(before: Tree, ops: Sequence[Op]) -> Iterator[tuple[int, list[Tree]]]:
    """For each prefix of what was done, its length and the different disks a cut there leaves."""
    model = Disk(before)
    for done, op in enumerate([None, *ops]):
        if op is not None:
            model.do(op)
        yield done, different(model.after_cut())


#: What a disk that is full, read-only or failing goes on refusing.
_REFUSED = {
    errno.ENOSPC: {"create", "write", "mkdir"},
    errno.EROFS: {"create", "reopen", "write", "rename", "unlink", "mkdir"},
    errno.EIO: set(FUNCTIONS) - {"close"},
}


def refusing(number: int, code: int, *, ever_after: bool = False) -> Refusal:
    """Refuse the operation of this number (from 0) with this errno, whatever it is; ever_after:
    and of those that follow each that such a disk refuses.
    """
    count = itertools.count()

    def refuse(op: Op) -> None:
        at = next(count)
        if at == number or (ever_after and at > number and op.kind in _REFUSED[code]):
            raise OSError(code, os.strerror(code))

    return refuse
