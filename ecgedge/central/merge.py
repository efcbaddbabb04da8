"""Merging a release's segments: where `tiers` says that it pays, or all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecgedge.casebase.manifest import Manifest
from ecgedge.casebase.merging import Part, merge_segments
from ecgedge.casebase.release import Store
from ecgedge.casebase.scan import Keys
from ecgedge.casebase.search import CaseBase
from ecgedge.casebase.segment import Segment, SegmentRef
from ecgedge.central.revise import successor
from ecgedge.central.tiers import Group, merges
from ecgedge.errors import NothingNew, UsageError
from ecgedge.textsearch import case_words


@dataclass(frozen=True)
class Merged:
    """A release's segments after merging. groups: how many cases of how many segments became
    one, each. dropped: withdrawn cases that are in no file of the release any more.
    fetched_bytes: the new files, which every cart has to fetch.
    """

    segments: tuple[SegmentRef, ...]
    groups: tuple[tuple[int, int], ...]
    dropped: int
    fetched_bytes: int


@dataclass(frozen=True)
class MergeResult:
    """The release made, how many cases it shows, and what became of its segments."""

    release: str
    cases: int
    merged: Merged


def merge_release(store: Store, before: Manifest, created: str, *, every: bool) -> MergeResult:
    """Make a release of fewer segments out of `before`. every: of one, whether it pays or not.

    Raises NothingNew where there is nothing to merge, and what `merge_refs` raises.
    """
    merged = merge_refs(
        store, before.encoder.id, before.segments, frozenset(before.withdrawn), every=every
    )
    if merged.segments == before.segments:
        count = len(before.segments)
        raise NothingNew(
            f"release {before.id} of {count} segment{'s' if count > 1 else ''} stays as it is: "
            f"{'there is nothing to merge' if every else 'merging does not pay yet'}"
        )
    after = successor(store, before, created, segments=merged.segments)
    return MergeResult(after.id, after.corpus["cases"], merged)


def merge_refs(
    store: Store,
    encoder_id: str,
    refs: Sequence[SegmentRef],
    withdrawn: frozenset[str],
    *,
    every: bool,
) -> Merged:
    """Merge segments of a store; the files of the old ones stay, older releases need them.

    A segment whose cases are all withdrawn is left out. Raises UsageError when no case is
    left, MismatchError as `merge_segments`.
    """
    opened = [Segment.open(store.blobs, ref, encoder_id) for ref in refs]
    parts = [(segment, _staying(gone, segment)) for segment, gone in _gone(opened, withdrawn)]
    live = [part for part in parts if len(part[1])]
    if not live:
        raise UsageError("no case would be left: a release needs at least one")
    groups = _groups(live, every)
    made = {
        group[0]: merge_segments(
            store.blobs,
            [live[place] for place in group],
            encoder_id=encoder_id,
            words_of=case_words,
        )
        for group in groups
    }
    absorbed = {place for group in groups for place in group[1:]}
    after = tuple(
        made.get(place, segment.ref)
        for place, (segment, _) in enumerate(live)
        if place not in absorbed
    )
    names = {name for ref in made.values() for name in (ref.vectors, ref.cases)}
    names -= {name for ref in refs for name in (ref.vectors, ref.cases)}
    return Merged(
        after,
        tuple((sum(len(live[place][1]) for place in group), len(group)) for group in groups),
        sum(ref.count for ref in refs) - sum(ref.count for ref in after),
        sum((store.blobs / name).stat().st_size for name in names),
    )


def _gone(opened: Sequence[Segment], withdrawn: frozenset[str]) -> list[Part]:
    return CaseBase(opened, withdrawn).parts()


def _staying(gone: Keys, segment: Segment) -> Keys:
    return np.setdiff1d(np.arange(len(segment), dtype=np.int64), gone)


def _groups(live: Sequence[Part], every: bool) -> tuple[Group, ...]:
    if not every:
        return merges([len(keys) for _, keys in live])
    whole = len(live) == 1 and len(live[0][1]) == len(live[0][0])
    return () if whole else (tuple(range(len(live))),)
