"""A release's successor: other segments or tombstones, the same encoder, votes and models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ecgedge.casebase.manifest import Manifest
from ecgedge.casebase.release import Store
from ecgedge.casebase.search import CaseBase
from ecgedge.casebase.segment import Segment, SegmentRef
from ecgedge.central.facts import counted, notes_after
from ecgedge.central.probes import make_probes
from ecgedge.encoders import Encoder, load_encoder
from ecgedge.errors import UsageError


def successor(
    store: Store,
    before: Manifest,
    created: str,
    *,
    segments: Sequence[SegmentRef] | None = None,
    withdrawn: frozenset[str] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Manifest:
    """The release after `before`, kept and made the active one.

    Segments, withdrawn ids and facts stay where they are not given. The cases are counted and
    the probes answered anew. created: YYYY-MM-DD, as `not_before` gives it.

    Raises UsageError when no case would be left, DamagedError for changed files.
    """
    refs = before.segments if segments is None else tuple(segments)
    gone = frozenset(before.withdrawn) if withdrawn is None else withdrawn
    opened = [Segment.open(store.blobs, ref, before.encoder.id) for ref in refs]
    base = CaseBase(opened, gone)
    if not len(base):
        raise UsageError("no case would be left: a release needs at least one")
    told = counted(before.corpus if facts is None else facts, base)
    manifest = replace(
        before,
        created=created,
        segments=refs,
        withdrawn=tuple(sorted(gone)),
        probes=make_probes(base, encoder_of(store, before)),
        corpus=told,
        notes=notes_after(before.notes, told),
    )
    store.activate(store.add_release(manifest))
    return manifest


def encoder_of(store: Store, manifest: Manifest) -> Encoder:
    """The primary encoder of a release. Raises what `load_encoder` raises."""
    return load_encoder(store.blob(manifest.encoder.model), store.blob(manifest.encoder.spec))


def not_before(created: str | None, today: str, before: Manifest) -> str:
    """The date of a release's successor, YYYY-MM-DD: as given, else today, never an earlier
    one than its predecessor's. Raises UsageError where an earlier one is asked for.
    """
    if created is None:
        return max(today, before.created)
    if created < before.created:
        raise UsageError(
            f"the active release is of {before.created}: its successor cannot be of {created}"
        )
    return created
