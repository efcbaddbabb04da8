"""Publishing: from the repository as it is to the repository as it should be, one file at a time.

Files whose names are their hashes come first, then metadata under new versions, last the
timestamp, which is the switch. Until then carts see the old state, whole; killed at any moment
and run again, it goes on. Nothing that carts may be reading is changed.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Protocol

from ecgedge.casebase.release import Store
from ecgedge.central.contents import Contents, check_whole, contents, unlisted
from ecgedge.central.destination import Destination, Upload
from ecgedge.central.identity import MaskReport, mask_release
from ecgedge.central.keys import KeyRing
from ecgedge.central.offering import (
    ALL,
    Offers,
    kept,
    releases,
    with_release,
    without_release,
)
from ecgedge.central.repository import (
    TIMESTAMP_PATH,
    Present,
    metadata_path,
    read_present,
    versioned,
)
from ecgedge.central.root import RootHistory
from ecgedge.central.signing import Lifetimes, NextState, Signer, check_time, next_state
from ecgedge.errors import UsageError
from ecgedge.sync.offers import CHANNELS, STABLE


class Progress(Protocol):
    """As `cli.base.progress`: passes items through and shows how far it is."""

    def __call__(
        self, iterable: Iterable[Upload], label: str, length: int | None = None
    ) -> Iterator[Upload]: ...


def _silent(iterable: Iterable[Upload], label: str, length: int | None = None) -> Iterator[Upload]:
    """No progress is shown."""
    return iter(iterable)


def _unchecked(store: Store, release: str) -> None:
    """No further check."""


@dataclass(frozen=True)
class Change:
    """What to publish. Nothing of it: only the timestamp is signed anew (and the snapshot when a
    third of its life or less is left).

    release: to be offered in `channel`, from the store or, where it is on offer, without one.
    percent: share of the carts that take it, a whole number; None: all for a new offer, as it
        was for one that stands.
    withdraw: releases to be taken off offer. keep: offers that stay in each channel.
    renew: sign targets with a new expiry even if nothing else changed.
    """

    store: Store | None = None
    release: str | None = None
    channel: str = STABLE
    percent: int | None = None
    withdraw: tuple[str, ...] = ()
    keep: int = 2
    renew: bool = False
    prune: bool = False
    carry_over: bool = False
    dry_run: bool = False

    @property
    def refresh(self) -> bool:
        return self.release is None and not (self.withdraw or self.renew)


@dataclass(frozen=True)
class Fetch:
    """What a cart of a channel fetches that goes from one release (None: a new cart) to another."""

    channel: str
    before: str | None
    release: str
    transfer_bytes: int


@dataclass(frozen=True)
class Report:
    """What was done, or would be. release: what is on offer now; its id is another than what was
    asked for where reports had to be masked. versions, expires: by role.
    """

    destination: str
    release: str | None
    offers: Offers
    uploaded: tuple[Upload, ...]
    fetches: tuple[Fetch, ...]
    masked: MaskReport | None = None
    removed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    versions: Mapping[str, int] = field(default_factory=dict)
    expires: Mapping[str, datetime.datetime] = field(default_factory=dict)

    @property
    def uploaded_bytes(self) -> int:
        return sum(one.length for one in self.uploaded)


@dataclass(frozen=True)
class Publisher:
    """Who publishes where. now: UTC; everything signed follows from it.

    check: raises an EcgedgeError for a release that does not answer as it should.
    """

    destination: Destination
    history: RootHistory
    ring: KeyRing
    now: datetime.datetime
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    progress: Progress = _silent
    check: Callable[[Store, str], None] = _unchecked

    def publish(self, change: Change) -> Report:
        """Bring the repository to the state that the change asks for.

        Raises UsageError for what the operator must mend, BusyError where another publisher is
        at work, NetworkError where the place does not answer, TrustError for a repository of
        other keys, DamagedError for files that are not whole.
        """
        change, masked = self._prepared(change)
        with nullcontext() if change.dry_run else self.destination.alone():
            present = read_present(self.destination, self.history, carry_over=change.carry_over)
            root = self.history.newest.signed
            warnings = check_time(present, self.history, self.now, refresh=change.refresh)
            warnings += _lost_pointer(present, self.destination.name)
            offers = changed(present, change)
            warnings += _behind(offers, change)
            wanted = contents(present, offers, self.destination, change.store)
            roots = self._missing_roots(present)
            report = Report(
                self.destination.name,
                change.release,
                offers,
                (*wanted.uploads, *roots),
                _fetches(present.offers, offers, wanted),
                masked,
                tuple(self._superfluous(present, wanted, None)) if change.prune else (),
                tuple(warnings),
            )
            if change.dry_run:
                return report
            signer = Signer(root, self.ring, self.now, self.lifetimes)
            state = next_state(present, wanted.files, signer, renew=change.renew)
            uploaded = self._write(present, wanted, roots, state)
            removed = self._superfluous(present, wanted, state) if change.prune else []
            self.destination.remove(removed)
        return replace(
            report,
            uploaded=uploaded,
            removed=tuple(removed),
            versions={**state.versions, "root": self.history.version},
            expires={**state.expires, "root": root.expires},
        )

    def _prepared(self, change: Change) -> tuple[Change, MaskReport | None]:
        """Nothing leaves the house but what went through here: files as they were built, case
        records with known fields alone, reports masked, answers as they should be.
        """
        if change.store is None or change.release is None:
            return change, None
        check_whole(change.store, change.release)
        release, masked = mask_release(change.store, change.release)
        self.check(change.store, release)
        return replace(change, release=release), masked

    def _write(
        self, present: Present, wanted: Contents, roots: list[Upload], state: NextState
    ) -> tuple[Upload, ...]:
        if wanted.uploads:
            for upload in self.progress(wanted.uploads, "uploading", len(wanted.uploads)):
                self.destination.put(upload)
        metadata = [Upload(path, data, len(data)) for path, data in state.files.items()]
        for upload in (*metadata, *roots):  # a new root and its timestamp lie close together
            assert isinstance(upload.content, bytes)
            self.destination.create(upload.path, upload.content)
        self.destination.switch(TIMESTAMP_PATH, state.pointer, present.pointer)
        pointer = Upload(TIMESTAMP_PATH, state.pointer, len(state.pointer))
        return (*wanted.uploads, *metadata, *roots, pointer)

    def _missing_roots(self, present: Present) -> list[Upload]:
        return [
            Upload(path, data, len(data))
            for number, data in enumerate(self.history.texts, start=1)
            if (path := metadata_path("root", number)) not in present.files
        ]

    def _superfluous(
        self, present: Present, wanted: Contents, state: NextState | None
    ) -> list[str]:
        """Files that no cart needs any more: unlisted ones and old metadata, never a root."""
        current = dict(state.versions) if state else {}
        old = [
            path
            for role, version, path in versioned(present.files)
            if role != "root" and version < current.get(role, present.versions[role])
        ]
        return unlisted(present, wanted.files) + sorted(old)


def changed(present: Present, change: Change) -> Offers:
    """The offers after a change. Raises UsageError for one that makes no sense."""
    offers = present.offers
    if change.refresh:
        if present.targets is None:
            raise UsageError("nothing is published there yet: name a store to publish")
        return offers
    release = change.release
    if release is not None:
        standing = [
            one for one in offers if (one.release, one.channel) == (release, change.channel)
        ]
        if change.store is None and release not in releases(offers):
            shown = ", ".join(releases(offers)) or "none"
            raise UsageError(
                f"release {release} is not on offer, only {shown}: name the store that holds it"
            )
        percent = change.percent
        if percent is None:
            percent = int(standing[0].percent if standing else ALL)
        order = present.next_version("targets")
        offers = with_release(offers, release, change.channel, percent, order)
    for one in change.withdraw:
        offers = without_release(offers, one)
    offers = kept(offers, change.keep)
    if release is not None and release not in releases(offers):
        raise UsageError(
            f"release {release} is older than the {change.keep} kept on offer: withdraw the later "
            "ones, or keep more with --keep"
        )
    return offers


def _lost_pointer(present: Present, name: str) -> list[str]:
    if present.pointer is not None or not present.versions.get("snapshot"):
        return []
    return [
        f"{name} has metadata but no timestamp.json: taken for a first publish that was stopped; "
        "if carts have synced from there, restore the file, or rotate the timestamp key, else "
        "they refuse the new one as a step back"
    ]


def _behind(offers: Offers, change: Change) -> list[str]:
    latest = _latest(offers, change.channel)
    if change.release is None or latest in (None, change.release):
        return []
    return [
        f"release {change.release} is on offer, but {change.channel} carts take {latest} first, "
        "which was offered later: withdraw that one to send them back"
    ]


def _fetches(before: Offers, after: Offers, wanted: Contents) -> tuple[Fetch, ...]:
    """For each channel whose latest release changes, bytes for the carts on the last one and for
    new ones.
    """
    told = []
    for channel in CHANNELS:
        old, new = _latest(before, channel), _latest(after, channel)
        if new is None or (channel != STABLE and new == _latest(after, STABLE)):
            continue
        sizes = wanted.of_release[new]
        known = wanted.of_release.get(old or "", {})
        if old is not None and old != new and known:
            missing = sum(size for path, size in sizes.items() if path not in known)
            told.append(Fetch(channel, old, new, missing))
        told.append(Fetch(channel, None, new, sum(sizes.values())))
    return tuple(told)


def _latest(offers: Offers, channel: str) -> str | None:
    mine = [one for one in offers if one.channel in (STABLE, channel)]
    return max(mine, key=lambda one: one.order).release if mine else None
