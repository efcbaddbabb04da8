"""Back to the last good release, in one atomic step, without a network.

What was rolled back from stays on the disk and is held: a sync does not take it again until
the centre offers another. A second rollback undoes the first and lets go of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ecgedge.casebase.pointer import Pointer
from ecgedge.casebase.release import Store, builtin_store
from ecgedge.errors import DamagedError, UsageError
from ecgedge.sync.holdings import damaged_files
from ecgedge.sync.lock import locked


@dataclass(frozen=True)
class Rollback:
    """release: what answers now. before: what answered until then. held: whether a sync leaves
    `before` alone until the centre offers another.
    """

    release: str
    before: str
    held: bool


def roll_back(store: Store, probe: Callable[[Store, str], None]) -> Rollback:
    """Switch to the release that answered before, once it was seen whole and answering.

    probe: raises where a release of a store does not answer as it should.

    Raises UsageError where there is nothing to go back to or the store cannot be written,
    ReleaseError where what was before is damaged or what is active is unknown, BusyError where
    a sync runs. What answered goes on answering then.
    """
    if store.root.resolve() == builtin_store().root.resolve():
        raise UsageError("the release inside the package is the only one there: nothing to do")
    pointer = store.pointer()
    with locked(store.root):
        pointer = store.pointer()  # a sync may have ended in between
        if pointer.previous is None:
            raise UsageError(
                f"{store.root} holds no earlier release than {pointer.active}: there is nothing "
                "to go back to"
            )
        check_whole(store, pointer.previous)
        probe(store, pointer.previous)
        after = turned_back(pointer)
        store.point(after)
    return Rollback(after.active, pointer.active, after.held is not None)


def turned_back(pointer: Pointer) -> Pointer:
    """The pointer after a rollback; that of a rollback of a rollback is held no more."""
    assert pointer.previous is not None
    undone = pointer.held == pointer.previous
    return Pointer(
        active=pointer.previous,
        previous=pointer.active,
        held=None if undone else pointer.active,
    )


def check_whole(store: Store, release: str) -> None:
    """Raise ReleaseError unless each file of a release is there and has the right bytes."""
    bad = damaged_files(store, release)
    if bad:
        raise DamagedError(
            f"release {release} cannot be gone back to, file {bad[0][:12]}... is missing or "
            "damaged: run `ecgedge sync` to mend what answers now"
        )
