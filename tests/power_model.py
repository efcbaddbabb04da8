"""What a disk may hold after the power failed: a pure model of files, names and fsync.

After Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014), whose abstract
persistence model this is, and Mohan et al., "Finding Crash-Consistency Bugs with Bounded
Black-Box Crash Testing" (OSDI 2018). What POSIX promises, and no more:

- A file's bytes are safe after fsync of the file, a name after fsync of the folder it is in.
  fsync of a file says nothing of its name.
- Until then each change of a name may have arrived or not, later ones before earlier ones.
  A rename within a folder is one change; one across folders is two, of which either may come
  alone: the file under both names, or under none. (ext4's journal never does the latter; a
  file system without one may.)
- Until then a file's bytes may be what they were at the last fsync, or any mixture of that and
  what was written since: see VARIANTS.

What a process reads while there is power is always what was written last (`Disk.tree`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

Kind = Literal[
    "mkdir", "create", "reopen", "write", "fsync", "close", "rename", "unlink", "fsync_folder"
]
#: Path below the root (with slashes, "" for the root itself) -> a file's bytes, None for a folder.
Tree = Mapping[str, bytes | None]

#: Up to so many changes of names all their combinations are tried (2 to the power of it).
ALL_SUBSETS_UP_TO = 4


@dataclass(frozen=True)
class Op:
    """One call of the file layer. path: of rename the old name, whose new one is target.
    handle: a number of its own for every opening of a file.
    """

    kind: Kind
    path: str = ""
    target: str = ""
    handle: int = -1
    length: int = 0
    data: bytes = b""


@dataclass(frozen=True)
class Change:
    """Of a file's bytes: cut (or extended by zeros) to `start` where data is None, else data
    written there.
    """

    start: int
    data: bytes | None

    def on(self, content: bytes) -> bytes:
        kept = content[: self.start].ljust(self.start, b"\0")
        if self.data is None:
            return kept
        return kept + self.data + content[self.start + len(self.data) :]


def _torn(changes: Sequence[Change]) -> list[Change]:
    last = changes[-1]
    if last.data is None:
        return list(changes[:-1])
    return [*changes[:-1], replace(last, data=last.data[: len(last.data) // 2])]


def _with(byte: bytes) -> Callable[[Sequence[Change]], list[Change]]:
    return lambda changes: [
        one if one.data is None else replace(one, data=byte * len(one.data)) for one in changes
    ]


#: What may arrive of the changes of a file since its last fsync.
VARIANTS: Mapping[str, Callable[[Sequence[Change]], Sequence[Change]]] = {
    "all": lambda changes: changes,
    "none": lambda changes: [],
    "the cuts alone": lambda changes: [one for one in changes if one.data is None],
    "the last one torn": _torn,
    "the length with zeros": _with(b"\0"),
    "the length with garbage": _with(b"\xa5"),
    "the last one alone": lambda changes: changes[-1:],
    "all but the first": lambda changes: changes[1:],
}

#: Of a name: the folder's number, the name, the number of what it names (None: nothing).
Slot = tuple[int, str, int | None]


@dataclass
class _File:
    live: bytes = b""
    durable: bytes = b""
    unsynced: list[Change] = field(default_factory=list)

    def change(self, change: Change) -> None:
        self.live = change.on(self.live)
        self.unsynced.append(change)


class Disk:
    """A folder and what was done to it. tree: what lies there, durably, at the beginning."""

    def __init__(self, tree: Tree) -> None:
        self._files: dict[int, _File] = {}
        self._live: dict[int, dict[str, int]] = {0: {}}  # folder -> names; 0 is the root
        self._unsynced: list[tuple[Slot, ...]] = []
        self._handles: dict[int, tuple[int, int]] = {}  # handle -> file, where to write next
        for path in sorted(tree):
            content = tree[path]
            node = self._node(folder=content is None)
            self._apply([(*self._place(path), node)], self._live)
            if content is not None:
                self._files[node] = _File(content, content)
        self._durable = {folder: dict(names) for folder, names in self._live.items()}

    def do(self, op: Op) -> None:
        """Let this have happened."""
        getattr(self, f"_do_{op.kind}")(op)

    def tree(self) -> Tree:
        """What a process sees, and what is there if everything arrived."""
        return self._contents(self._live, {number: one.live for number, one in self._files.items()})

    def after_cut(self) -> Iterator[Tree]:
        """Each way the disk may be found if the power fails now; some may be alike."""
        for arrived in _choices(self._unsynced):
            names = {folder: dict(entries) for folder, entries in self._durable.items()}
            for slots in arrived:
                self._apply(slots, names)
            reachable = set(_reachable(names))
            torn = [number for number in reachable if self._unsynced_in(number)]
            durable = {number: one.durable for number, one in self._files.items()}
            for variants in _per_file(len(torn)):
                found = dict(durable)
                for number, variant in zip(torn, variants, strict=True):
                    found[number] = self._arrived(number, variant)
                yield self._contents(names, found)

    def _unsynced_in(self, number: int) -> bool:
        return number in self._files and bool(self._files[number].unsynced)

    def _arrived(self, number: int, variant: str) -> bytes:
        file = self._files[number]
        content = file.durable
        for change in VARIANTS[variant](file.unsynced):
            content = change.on(content)
        return content

    def _do_mkdir(self, op: Op) -> None:
        folder, name = self._place(op.path)
        if name not in self._live[folder]:
            self._rename((folder, name, self._node(folder=True)))

    def _do_create(self, op: Op) -> None:
        folder, name = self._place(op.path)
        number = self._live[folder].get(name)
        if number is None:
            number = self._node(folder=False)
            self._rename((folder, name, number))
        else:
            self._files[number].change(Change(0, None))
        self._handles[op.handle] = number, 0

    def _do_reopen(self, op: Op) -> None:
        number = self._lookup(op.path)
        self._files[number].change(Change(op.length, None))
        self._handles[op.handle] = number, op.length

    def _do_write(self, op: Op) -> None:
        number, place = self._handles[op.handle]
        self._files[number].change(Change(place, op.data))
        self._handles[op.handle] = number, place + len(op.data)

    def _do_fsync(self, op: Op) -> None:
        file = self._files[self._handles[op.handle][0]]
        file.durable = file.live
        file.unsynced.clear()

    def _do_close(self, op: Op) -> None:
        del self._handles[op.handle]

    def _do_rename(self, op: Op) -> None:
        (source, old), (target, new) = self._place(op.path), self._place(op.target)
        number = self._live[source][old]
        if source == target:
            self._rename((source, old, None), (target, new, number))
        else:
            self._rename((target, new, number))
            self._rename((source, old, None))

    def _do_unlink(self, op: Op) -> None:
        folder, name = self._place(op.path)
        if name in self._live[folder]:
            self._rename((folder, name, None))

    def _do_fsync_folder(self, op: Op) -> None:
        folder = self._lookup(op.path)
        for slots in self._unsynced:
            self._apply([slot for slot in slots if slot[0] == folder], self._durable)
        self._unsynced = [slots for slots in self._unsynced if slots[0][0] != folder]

    def _rename(self, *slots: Slot) -> None:
        self._apply(slots, self._live)
        self._unsynced.append(slots)

    def _node(self, *, folder: bool) -> int:
        number = len(self._files) + len(self._live)
        if folder:
            self._live[number] = {}
        else:
            self._files[number] = _File()
        return number

    def _lookup(self, path: str) -> int:
        number = 0
        for name in filter(None, path.split("/")):
            number = self._live[number][name]
        return number

    def _place(self, path: str) -> tuple[int, str]:
        above, _, name = path.rpartition("/")
        return self._lookup(above), name

    @staticmethod
    def _apply(slots: Iterable[Slot], names: dict[int, dict[str, int]]) -> None:
        for folder, name, number in slots:
            entries = names.setdefault(folder, {})
            if number is None:
                entries.pop(name, None)
            else:
                entries[name] = number

    def _contents(self, names: Mapping[int, Mapping[str, int]], files: Mapping[int, bytes]) -> Tree:
        return {
            path: None if number in self._live else files[number]
            for number, path in _walk(names, 0, "")
        }


def _walk(
    names: Mapping[int, Mapping[str, int]], folder: int, above: str
) -> Iterator[tuple[int, str]]:
    for name, number in names.get(folder, {}).items():
        yield number, f"{above}{name}"
        yield from _walk(names, number, f"{above}{name}/")


def _reachable(names: Mapping[int, Mapping[str, int]]) -> Iterator[int]:
    return (number for number, _ in _walk(names, 0, ""))


def _choices(unsynced: Sequence[tuple[Slot, ...]]) -> Iterator[Sequence[tuple[Slot, ...]]]:
    """Which changes of names arrived: every combination where they are few, else all the
    beginnings, all but one, and one alone.
    """
    count = len(unsynced)
    if count <= ALL_SUBSETS_UP_TO:
        for size in range(count + 1):
            yield from itertools.combinations(unsynced, size)
        return
    yield from (unsynced[:end] for end in range(count + 1))
    yield from ([*unsynced[:out], *unsynced[out + 1 :]] for out in range(count - 1))
    yield from ([one] for one in unsynced[1:])


def _per_file(count: int) -> Iterator[tuple[str, ...]]:
    """A variant for each of these files: every combination of two, else the same for all."""
    if count <= 2:
        return itertools.product(VARIANTS, repeat=count)
    return ((variant,) * count for variant in VARIANTS)
