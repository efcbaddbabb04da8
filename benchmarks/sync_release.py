"""A case base of any size that resembles the built-in one, and more cases for it.

Vectors are drawn as for the search benchmark (`search_vectors`), records and report vectors are
the built-in release's own, drawn with replacement under new ids and patients; its models, votes
and novelty are taken as they are. Like the built-in release it holds no report texts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from search_vectors import Floats, release_embeddings, resembling

from ecgedge.casebase.manifest import Manifest
from ecgedge.casebase.release import Store, builtin_store
from ecgedge.casebase.segment import CaseRecord, SegmentRef
from ecgedge.casebase.texts import CaseTexts
from ecgedge.casebase.writing import write_segment
from ecgedge.central.revise import successor
from ecgedge.textsearch import case_words


@dataclass(frozen=True)
class Drawn:
    """Cases for a segment."""

    embeddings: Floats
    cases: list[CaseRecord]
    texts: CaseTexts

    def write(self, blobs: Path, encoder_id: str) -> SegmentRef:
        return write_segment(
            blobs,
            self.embeddings,
            self.cases,
            encoder_id=encoder_id,
            texts=self.texts,
            words=[case_words(case) for case in self.cases],
        )


def draw(count: int, start: int) -> Drawn:
    """So many cases, numbered from `start`, which is their seed as well."""
    store = builtin_store()
    (segment,) = store.segments(store.manifest())
    known = list(segment.all_records().values())
    texts = segment.texts
    assert texts is not None
    chosen = np.random.default_rng(start).integers(len(known), size=count)
    cases = [
        replace(
            known[row],
            case_id=f"drawn/{start + number}",
            source=f"drawn record {start + number}",
            group=f"{start + number:012x}",
        )
        for number, row in enumerate(chosen)
    ]
    vectors = CaseTexts(texts.model, texts.vectors[chosen])
    return Drawn(resembling(release_embeddings(), count, seed=start), cases, vectors)


def write_release(root: Path, drawn: Drawn) -> Manifest:
    """A store whose active release is the built-in one with these cases in one segment."""
    store, original = Store(root), builtin_store()
    before = original.manifest()
    for name in before.blobs():
        store.put_blob(original.blob(name))
    ref = drawn.write(store.blobs, before.encoder.id)
    return successor(store, before, before.created, segments=[ref])


def add_segment(root: Path, drawn: Drawn) -> Manifest:
    """The store's release with these cases as a further segment, now active."""
    store = Store(root)
    before = store.manifest()
    ref = drawn.write(store.blobs, before.encoder.id)
    return successor(store, before, before.created, segments=[*before.segments, ref])


def file_bytes(root: Path, names: list[str] | set[str]) -> int:
    """Bytes of these files of a store."""
    return sum((root / "blobs" / name).stat().st_size for name in names)
