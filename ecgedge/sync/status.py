"""What `ecgedge status` tells: what answers, how old it is, what a sync last did, what is wrong.

Looks and never hashes, so that it is quick on a slow card; whether every byte is right is
`ecgedge verify`'s question. Nothing is written, and nothing that is damaged stops it.
"""

from __future__ import annotations

import datetime
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from ecgedge.casebase.manifest import Manifest
from ecgedge.casebase.pointer import Pointer
from ecgedge.casebase.release import Store
from ecgedge.errors import EcgedgeError, ReleaseError
from ecgedge.sync import holdings, places
from ecgedge.sync.last import LastSync, read_last
from ecgedge.sync.plan import RESERVE_BYTES
from ecgedge.sync.state import read_state


@dataclass(frozen=True)
class Release:
    """The release that answers. age_days: by this machine's clock, None where the manifest's
    date is no date. cases: withdrawn ones not counted.
    """

    id: str
    created: str
    age_days: int | None
    cases: int
    withdrawn: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Status:
    """failure: why nothing here can answer, None where something can. expires, floor: UTC; until
    when the centre's word holds that was seen last, and before when it cannot be now.
    problems: in words, what a person should look at. Sizes in bytes.
    """

    release: Release | None
    pointer: Pointer | None
    failure: ReleaseError | None
    last: LastSync | None
    expires: datetime.datetime | None
    floor: datetime.datetime | None
    blobs_bytes: int
    parts_bytes: int
    free_bytes: int | None
    problems: tuple[str, ...] = field(default=())


def read_status(store: Store, now: datetime.datetime) -> Status:
    """Everything at once. now: this machine's clock, UTC. Raises nothing for what is damaged."""
    problems: list[str] = []
    manifest, failure = _active(store)
    pointer = holdings.pointer_of(store)
    if pointer and pointer.previous and not holdings.complete(store, pointer.previous):
        problems.append(
            f"the release before, {pointer.previous}, is not whole: there is no going back to it"
        )
    last = _last(store, problems)
    floor = _floor(store, problems)
    expires = last.expires if last else None
    free = _free_bytes(store.root)
    problems += _of_disk(store.root, free) + _of_clock(now, floor, expires)
    return Status(
        release=_described(manifest, now) if manifest else None,
        pointer=pointer,
        failure=failure,
        last=last,
        expires=expires,
        floor=floor,
        blobs_bytes=_size(store.blobs),
        parts_bytes=_size(places.parts(store.root)),
        free_bytes=free,
        problems=tuple(problems),
    )


def _active(store: Store) -> tuple[Manifest | None, ReleaseError | None]:
    """The release that should answer as far as it can be read, and why it cannot answer."""
    try:
        manifest = store.manifest()
    except ReleaseError as error:
        return None, error
    lost = sum(1 for name in set(manifest.blobs()) if not (store.blobs / name).is_file())
    if lost:
        told = f"release {manifest.id} lost {lost} of its files: run `ecgedge sync` or reinstall"
        return manifest, ReleaseError(told)
    return manifest, None


def _described(manifest: Manifest, now: datetime.datetime) -> Release:
    try:
        created = datetime.date.fromisoformat(manifest.created[:10])
        age_days = (now.date() - created).days
    except ValueError:
        age_days = None
    withdrawn = len(manifest.withdrawn)
    # The release's own count: an id may stay withdrawn after its case has left the segments.
    cases = manifest.corpus.get("cases")
    if not isinstance(cases, int):
        cases = sum(segment.count for segment in manifest.segments) - withdrawn
    return Release(manifest.id, manifest.created, age_days, cases, withdrawn, manifest.notes)


def _last(store: Store, problems: list[str]) -> LastSync | None:
    try:
        return read_last(places.status(store.root))
    except EcgedgeError as error:
        problems.append(str(error))
        return None


def _floor(store: Store, problems: list[str]) -> datetime.datetime | None:
    try:
        return read_state(places.trust(store.root), problems.append).floor
    except EcgedgeError as error:
        problems.append(str(error))
        return None


def _of_disk(root: Path, free: int | None) -> list[str]:
    problems = []
    try:
        if os.statvfs(root).f_flag & os.ST_RDONLY:
            problems.append(f"{root} lies on a read-only file system: no sync can install there")
    except OSError as error:
        problems.append(f"{root} cannot be looked at: {error.strerror or error}")
    if free is not None and free < RESERVE_BYTES:
        problems.append(f"{free // 1_000_000} MB are free on {root}: too few for any new release")
    return problems


def _of_clock(
    now: datetime.datetime, floor: datetime.datetime | None, expires: datetime.datetime | None
) -> list[str]:
    problems = []
    if floor is not None and now < floor:
        problems.append(
            f"this machine's clock says {now:%Y-%m-%d %H:%M}, but it is {floor:%Y-%m-%d %H:%M} "
            "UTC or later: set the clock"
        )
    if expires is not None and max(now, floor or now) >= expires:
        problems.append(
            f"what the centre signed last, as far as is known here, held until "
            f"{expires:%Y-%m-%d}: run `ecgedge sync`"
        )
    return problems


def _free_bytes(root: Path) -> int | None:
    try:
        return shutil.disk_usage(root).free
    except OSError:
        return None


def _size(folder: Path) -> int:
    """Bytes of the files right in a folder, as far as it can be read."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                total += entry.stat().st_size if entry.is_file() else 0
    except OSError:
        pass
    return total
