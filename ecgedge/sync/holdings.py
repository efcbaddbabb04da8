"""What of a store is there and whole, and what may go."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ecgedge.atomic import sha256_of, sweep_temporaries
from ecgedge.casebase.pointer import Pointer
from ecgedge.casebase.release import Store
from ecgedge.errors import EcgedgeError, ReleaseError
from ecgedge.sync import places
from ecgedge.sync.parts import parse_name, sweep


def pointer_of(store: Store) -> Pointer | None:
    """What answers now; None where nothing does, or what says so is damaged."""
    try:
        return store.pointer()
    except ReleaseError:
        return None


def is_whole(store: Store, name: str) -> bool:
    """Whether a blob is there and its bytes, all of which are read, hash to its name."""
    path = store.blobs / name
    try:
        return path.is_file() and sha256_of(path) == name
    except OSError:  # a medium that cannot read it back
        return False


def readable(store: Store, release: str) -> bool:
    """Whether a release's manifest is there and intact."""
    try:
        store.manifest(release)
    except ReleaseError:
        return False
    return True


def is_whole_release(store: Store, release: str) -> bool:
    """Whether a release's manifest and every byte of its files are right."""
    return readable(store, release) and not damaged_files(store, release)


def damaged_files(store: Store, release: str) -> list[str]:
    """SHA-256 names of the files that are missing or damaged. Raises as `Store.manifest`."""
    names = dict.fromkeys(store.manifest(release).blobs())
    return [name for name in names if not is_whole(store, name)]


def complete(store: Store, release: str) -> bool:
    """Whether a release's files are all there; none is read but the manifest."""
    try:
        return all((store.blobs / name).is_file() for name in store.manifest(release).blobs())
    except ReleaseError:
        return False


def begun(parts: Path) -> dict[str, int]:
    """SHA-256 name -> bytes of the files whose fetching began in an earlier sync."""
    found: dict[str, int] = {}
    with suppress(OSError):
        for path in parts.iterdir():
            parsed = parse_name(path.name)
            if parsed and parsed[1]:
                found[parsed[0]] = max(parsed[1], found.get(parsed[0], 0))
    return found


def kept(store: Store, pointer: Pointer | None) -> list[str]:
    """The releases that stay: the active one and the last good one, where they can be read."""
    names = (pointer.active, pointer.previous) if pointer else ()
    return [name for name in names if name is not None and readable(store, name)]


def make_room(store: Store, pointer: Pointer | None, wanted: Collection[str]) -> int:
    """Remove what neither a kept release nor the wanted one needs (one that failed, say).

    wanted: its blobs. Where it is not known what must be kept, all is kept. Bytes freed.
    Raises UsageError where the disk refuses.
    """
    sweep(places.parts(store.root), wanted)
    for folder in (store.root, store.blobs, places.folder(store.root)):
        sweep_temporaries(folder)
    stay = kept(store, pointer)
    if pointer is None or pointer.active not in stay:
        return 0
    return store.collect(stay, wanted)


def tidy(store: Store, warn: Callable[[str], None]) -> int:
    """After a switch: remove what nobody needs any more; bytes freed. What the disk refuses is
    told and left for the next time.

    The switch may have been that of a sync which was killed before it was durable.
    """
    pointer = pointer_of(store)
    if pointer is None:
        return 0
    try:
        store.seal()
        return make_room(store, pointer, ())
    except EcgedgeError as error:
        warn(f"old files could not be removed: {error}")
        return 0


def following(store: Store, pointer: Pointer | None, release: str) -> Pointer:
    """The pointer after a switch to this release.

    An active release that lost files is nothing to go back to: the good one before it stays.
    """
    if pointer is None:
        return Pointer(release)
    after = pointer.followed_by(release)
    if after.previous == pointer.active and not complete(store, pointer.active):
        return replace(after, previous=None if pointer.previous == release else pointer.previous)
    return after
