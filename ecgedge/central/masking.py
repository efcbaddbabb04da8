"""Writes a segment's case records anew, with identifiers in their reports masked.

Every file is written anew, also one without a find: what leaves the centre is then what this
writer made of the fields that were checked, and nothing that lay between them. The same
records give the same bytes, so that a segment that needs no mask keeps its name, and one that
does gets the same new name at every publication: no cart fetches it twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from ecgedge.atomic import sha256_of
from ecgedge.casebase.database import SCHEMA
from ecgedge.casebase.release import Store
from ecgedge.casebase.segment import CaseRecord, Segment, SegmentRef
from ecgedge.casebase.texts import NO_FTS5, CaseTexts, check_texts
from ecgedge.casebase.writing import write_cases
from ecgedge.central.cases import case_texts
from ecgedge.central.identifiers import mask
from ecgedge.errors import UsageError
from ecgedge.textsearch import case_words

if TYPE_CHECKING:
    from ecgedge.encoders.text import TextEncoder


@dataclass(frozen=True)
class MaskedSegment:
    """A segment as it may be published. masked: case id -> how many finds of each kind."""

    ref: SegmentRef
    masked: dict[str, Counter[str]]
    reports: int


def mask_segment(
    store: Store, ref: SegmentRef, encoder_id: str, text: TextEncoder | None
) -> MaskedSegment:
    """Mask the reports of a segment in `store` and write its case records anew.

    text: the release's text tower, which reads the masked reports; without one a masked
    report's vector, where there are any, becomes zero. Raises DamagedError and MismatchError
    as `Segment.open`, UsageError where the file cannot be written or has a keyword index and
    this SQLite can make none.
    """
    with closing(Segment.open(store.blobs, ref, encoder_id)) as segment:
        records = list(segment.all_records().values())
        texts, packed, indexed = segment.texts, segment.packed_ecgs(), segment.has_words
    if indexed and not _has_full_text():
        raise UsageError(f"the keyword index cannot be made anew: {NO_FTS5}")
    cases, masked = _masked(records)
    told = _masked_texts(texts, [case.case_id in masked for case in cases], cases, text)
    words = [case_words(case) for case in cases] if indexed else []
    ecgs = [packed.get(key) for key in range(len(cases))] if packed else None
    meta = {"schema": SCHEMA, "encoder_id": encoder_id}
    meta |= {"dim": str(ref.dim), "count": str(ref.count)}
    try:
        # Not in the store: a release that stays as it is can be published from a read-only one.
        with TemporaryDirectory(prefix="ecgedge-masking-") as folder:
            path = Path(folder) / "cases"
            write_cases(path, cases, meta, told, words, ecgs)
            name = sha256_of(path)
            if name != ref.cases:
                store.put_blob(path)
    except OSError as error:
        raise UsageError(
            f"case records cannot be written anew: {error.strerror or error}; free room for "
            "them in the folder for temporary files, or name another with TMPDIR"
        ) from None
    return MaskedSegment(replace(ref, cases=name), masked, sum(bool(one.report) for one in records))


def _masked(records: Sequence[CaseRecord]) -> tuple[list[CaseRecord], dict[str, Counter[str]]]:
    """The cases with masked reports, and the finds of those that had any."""
    cases, masked = [], {}
    for case in records:
        report, counts = mask(case.report or "")
        if counts:
            masked[case.case_id] = counts
            case = replace(case, report=report)
        cases.append(case)
    return cases, masked


def _masked_texts(
    texts: CaseTexts | None,
    changed: Sequence[bool],
    cases: Sequence[CaseRecord],
    text: TextEncoder | None,
) -> CaseTexts | None:
    """The report vectors, those of changed reports made from what is left of them."""
    if texts is None or not any(changed):
        return texts
    vectors = texts.vectors.copy()
    if text is None:
        vectors[np.array(changed)] = 0
        return replace(texts, vectors=vectors)
    check_texts(texts, text.spec.sha256, text.spec.embedding_dim)
    reports = [case.report or "" for case, new in zip(cases, changed, strict=True) if new]
    vectors[np.array(changed)] = case_texts(text, reports).vectors
    return replace(texts, vectors=vectors)


def _has_full_text() -> bool:
    import sqlite3

    with closing(sqlite3.connect(":memory:")) as database:
        try:
            database.execute("CREATE VIRTUAL TABLE words USING fts5(told)")
        except sqlite3.OperationalError:
            return False
    return True
