"""A whole sync: what is trusted, what is offered, what is missing, then one atomic switch.

Until the switch nothing that answers is touched, so that whatever goes wrong, at whatever
moment, leaves the release that answered before.
"""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from ecgedge.atomic import make_folder
from ecgedge.casebase.manifest import Manifest
from ecgedge.casebase.pointer import Pointer
from ecgedge.casebase.release import Store, builtin_store
from ecgedge.errors import DamagedError, EcgedgeError, NothingNew, UsageError
from ecgedge.sync import holdings, last, places
from ecgedge.sync.counted import Counted
from ecgedge.sync.fetch import fetch
from ecgedge.sync.last import LastSync, read_last, write_last
from ecgedge.sync.layout import manifest_target
from ecgedge.sync.lock import locked
from ecgedge.sync.offered import signed_manifest, wanted
from ecgedge.sync.offers import CHANNELS
from ecgedge.sync.plan import Plan, check_room, make_plan, signed_files
from ecgedge.sync.state import read_state, write_state
from ecgedge.sync.transport import Source
from ecgedge.sync.trust import refresh
from ecgedge.sync.trusted import Trusted

#: Raises an EcgedgeError where a release of a store does not answer as it should.
Probe = Callable[[Store, str], None]
#: Told (bytes that are here, bytes of all files that were missing) again and again.
Progress = Callable[[int, int], None]
#: Told in a sentence what a person should know and what stops nothing.
Warn = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a sync did, or with `check` would do.

    kind: "installed", "repaired" or "available". before: what answered until then.
    fetch_bytes: length of the files that were missing; copied_bytes: of those that lay
    elsewhere on this machine. received_bytes: all that came from the source, metadata included.
    freed_bytes: of releases nobody keeps any more. notes: the release's own.
    """

    kind: str
    release: str
    before: str | None
    fetch_bytes: int
    received_bytes: int
    copied_bytes: int = 0
    freed_bytes: int = 0
    notes: tuple[str, ...] = ()


@dataclass
class _Run:
    """One sync under way. `seen` and `release`: how far it came, for the record."""

    store: Store
    source: Counted
    channel: str
    cart: str
    now: datetime.datetime
    probe: Probe
    progress: Progress
    warn: Warn
    nearby: tuple[Store, ...]
    seen: Trusted | None = None
    release: str | None = None


def synchronise(
    store: Store,
    source: Source,
    root: bytes,
    *,
    channel: str,
    cart: str,
    now: datetime.datetime,
    probe: Probe,
    progress: Progress = lambda done, total: None,
    warn: Warn = lambda text: None,
    check: bool = False,
) -> Outcome:
    """Bring the release that the centre offers this cart, and switch to it once it answers.

    root: the root of trust that was installed with the cart. now: this machine's clock, UTC.
    check: stop before anything but metadata is fetched. How it ended is kept for `status`.

    Raises NothingNew; BusyError where another sync runs; NetworkError where a later try may
    help; TrustError for what the centre did not sign; MismatchError for a release of a newer
    ecgedge; UsageError where the disk is full or refuses; and what `probe` raises. In every
    case the release that answered before does so still.
    """
    if store.root.resolve() == builtin_store().root.resolve():
        raise UsageError("the release inside the package is not synced: configure a store")
    if channel not in CHANNELS:
        raise UsageError(f"there is no channel {channel!r}, only {' and '.join(CHANNELS)}")
    with locked(store.root):
        run = _Run(
            store, Counted(source), channel, cart, now, probe, progress, warn, (builtin_store(),)
        )
        try:
            run.seen = _trusted(run, root)
            outcome = _available(run) if check else _installed(run)
        except BaseException as error:
            _record_end(run, error)
            raise
        _record(run, LastSync(now, outcome.kind, source.name, outcome.release))
        return outcome


def _trusted(run: _Run, root: bytes) -> Trusted:
    path = places.trust(run.store.root)
    state = read_state(path, run.warn)
    return refresh(run.source, root, state, run.now, keep=partial(write_state, path))


def _available(run: _Run) -> Outcome:
    """As `_installed`, up to the plan."""
    manifest, plan, pointer = _planned(run)
    before = pointer.active if pointer else None
    return Outcome(
        last.AVAILABLE,
        manifest.id,
        before,
        fetch_bytes=plan.fetch_bytes - plan.begun_bytes,
        received_bytes=run.source.received_bytes,
        notes=manifest.notes,
    )


def _installed(run: _Run) -> Outcome:
    try:
        manifest, plan, pointer = _planned(run)
    except NothingNew:
        holdings.tidy(run.store, run.warn)  # a sync may have been cut short after its switch
        raise
    store, before = run.store, pointer.active if pointer else None
    freed = holdings.make_room(store, pointer, manifest.blobs())
    check_room(plan, shutil.disk_usage(store.root).free, str(store.root))
    copied = _copy(run, plan)
    _fetch(run, plan)
    store.add_release(manifest)
    run.probe(store, manifest.id)
    # Also where the same release was mended: whoever keeps it open looks at this file.
    store.point(holdings.following(store, pointer, manifest.id))
    freed += holdings.tidy(store, run.warn)
    return Outcome(
        last.REPAIRED if before == manifest.id else last.INSTALLED,
        manifest.id,
        before,
        fetch_bytes=plan.fetch_bytes,
        received_bytes=run.source.received_bytes,
        copied_bytes=copied,
        freed_bytes=freed,
        notes=manifest.notes,
    )


def _planned(run: _Run) -> tuple[Manifest, Plan, Pointer | None]:
    """What to do. Raises NothingNew where the release that should answer does, and is whole."""
    assert run.seen is not None
    store, targets, pointer = run.store, run.seen.targets, holdings.pointer_of(run.store)
    release = run.release = wanted(run.seen.offers, pointer, run.channel, run.cart)
    active = pointer is not None and pointer.active == release
    if active and manifest_target(release) not in targets:
        raise _unobtainable(run, release, pointer)
    manifest = signed_manifest(run.source, run.seen, release, store)
    files = signed_files(manifest, targets)
    whole = {name for name in files if holdings.is_whole(store, name)}
    if active and len(whole) == len(files) and holdings.readable(store, release):
        raise _nothing_new(pointer)
    missing = [name for name in files if name not in whole]
    nearby = {name for name in missing if _elsewhere(run, name)}
    begun = holdings.begun(places.parts(store.root))
    return manifest, make_plan(files, whole, nearby, begun), pointer


def _unobtainable(run: _Run, release: str, pointer: Pointer | None) -> EcgedgeError:
    """What to tell where the active release stays and the source does not have it any more."""
    if holdings.is_whole_release(run.store, release):
        return _nothing_new(pointer, ", though no longer on offer")
    return DamagedError(
        f"release {release} is damaged here and {run.source.name} does not have it any more: run "
        "`ecgedge rollback`, or ask the centre to offer a release to this cart"
    )


def _nothing_new(pointer: Pointer | None, remark: str = "") -> NothingNew:
    assert pointer is not None
    held = f"; {pointer.held} is held until the centre offers another" if pointer.held else ""
    return NothingNew(f"nothing new: release {pointer.active} answers and is whole{remark}{held}")


def _elsewhere(run: _Run, name: str) -> Store | None:
    return next((one for one in run.nearby if holdings.is_whole(one, name)), None)


def _copy(run: _Run, plan: Plan) -> int:
    """Take files from elsewhere on this machine; their bytes."""
    copied = 0
    for name in plan.copy:
        there = next(one for one in run.nearby if (one.blobs / name).is_file())
        run.store.put_blob(there.blobs / name)
        copied += (run.store.blobs / name).stat().st_size
    return copied


def _fetch(run: _Run, plan: Plan) -> None:
    """Fetch the missing files, each whole and verified, one after another."""
    if not plan.fetch:
        return
    parts = places.parts(run.store.root)
    make_folder(parts)
    make_folder(run.store.blobs)
    done, total = 0, plan.fetch_bytes

    def tick(count: int) -> None:
        nonlocal done
        done += count
        run.progress(done, total)

    for target in plan.fetch:
        fetch(run.source, target, parts, run.store.blobs, tick=tick)


def _record_end(run: _Run, error: BaseException) -> None:
    name = run.source.name
    if isinstance(error, NothingNew):
        _record(run, LastSync(run.now, last.NOTHING_NEW, name, run.release))
    else:
        _record(run, replace(last.failed(run.now, name, error), release=run.release))


def _record(run: _Run, end: LastSync) -> None:
    """Keep how it ended, if the disk lets us: its own refusal must not hide the real end."""
    path = places.status(run.store.root)
    before = None
    with suppress(EcgedgeError):
        before = read_last(path)
    current = end.outcome in (last.INSTALLED, last.REPAIRED, last.NOTHING_NEW)
    confirmed = run.now if current else (before.confirmed if before else None)
    expires = run.seen.expires if run.seen else (before.expires if before else None)
    with suppress(EcgedgeError, OSError):
        write_last(path, replace(end, confirmed=confirmed, expires=expires))
