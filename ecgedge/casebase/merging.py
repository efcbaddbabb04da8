"""Several segments -> one, without the cases that were withdrawn.

Vectors are copied as they are stored, so that no case is found otherwise than before. What the
graph of a large segment ranks by beyond int8 is kept where it was stored; a case from a small
segment, which stores none, is ranked by int8 as before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ecgedge.casebase.scan import Int8Array, Keys
from ecgedge.casebase.segment import CaseRecord, Segment, SegmentRef
from ecgedge.casebase.texts import CaseTexts
from ecgedge.casebase.vectors import EXACT_BELOW
from ecgedge.casebase.writing import write_rows
from ecgedge.errors import MismatchError

#: A segment, and the sorted keys of its cases that stay.
Part = tuple[Segment, Keys]


def merge_segments(
    directory: Path,
    parts: Sequence[Part],
    *,
    encoder_id: str,
    words_of: Callable[[CaseRecord], str],
) -> SegmentRef:
    """Write the cases that stay into one segment, in the order of segments and keys.

    words_of: what a search by keywords looks at, for a merged index where any segment had one.
    Raises MismatchError for report vectors of several text towers, UsageError when no case
    stays or one stays twice.
    """
    cases = [case for segment, keys in parts for case in _records(segment, keys)]
    rows = np.concatenate([segment.vectors.rows[keys] for segment, keys in parts])
    words = any(segment.has_words for segment, _ in parts)
    return write_rows(
        directory,
        rows,
        _fine(parts) if len(rows) >= EXACT_BELOW else None,
        cases,
        encoder_id=encoder_id,
        texts=_texts(parts),
        words=[words_of(case) for case in cases] if words else (),
        ecgs=_ecgs(parts),
    )


def _records(segment: Segment, keys: Keys) -> list[CaseRecord]:
    found = segment.all_records()
    return [found[key] for key in keys.tolist()]


def _fine(parts: Sequence[Part]) -> Int8Array | None:
    """What is known beyond int8: 0 for cases of which nothing is, None where it is of none."""
    if all(segment.vectors.fine is None for segment, _ in parts):
        return None
    return np.concatenate(
        [
            np.zeros((len(keys), segment.ref.dim), np.int8)
            if segment.vectors.fine is None
            else segment.vectors.fine[keys]
            for segment, keys in parts
        ]
    )


def _texts(parts: Sequence[Part]) -> CaseTexts | None:
    """The reports' vectors; all zero for the cases of a segment that has none."""
    held = [(segment.texts, len(keys), keys) for segment, keys in parts]
    known = [texts for texts, _, _ in held if texts is not None]
    if not known:
        return None
    first = known[0]
    dim = first.vectors.shape[1]
    if any((one.model, one.vectors.shape[1]) != (first.model, dim) for one in known):
        raise MismatchError(
            "the segments' report vectors are of several text towers: build the case base anew"
        )
    vectors = [
        np.zeros((count, dim), np.int8) if texts is None else texts.vectors[keys]
        for texts, count, keys in held
    ]
    return CaseTexts(first.model, np.concatenate(vectors))


def _ecgs(parts: Sequence[Part]) -> list[bytes | None] | None:
    held = [(segment.packed_ecgs(), keys.tolist()) for segment, keys in parts]
    if not any(packed for packed, _ in held):
        return None
    return [packed.get(key) for packed, keys in held for key in keys]
