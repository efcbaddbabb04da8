"""What a case base keeps of one past recording: its record and its report's vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecgedge.casebase.segment import CaseRecord
from ecgedge.casebase.texts import CaseTexts
from ecgedge.casebase.vectors import quantize
from ecgedge.corpora.ptbxl import Corpus, CorpusRecord
from ecgedge.encoders.text import TextEncoder, normalise


def case_texts(text: TextEncoder, reports: Sequence[str]) -> CaseTexts:
    """The reports' vectors, also where the reports themselves are not kept: what they mean
    can be searched for, and their sentences cannot be read back from 128 small numbers.
    """
    spoken = [bool(normalise(report)) for report in reports]
    vectors = np.zeros((len(reports), text.spec.embedding_dim), dtype=np.int8)
    vectors[spoken] = quantize(
        text.encode([report for report, told in zip(reports, spoken, strict=True) if told])
    )
    return CaseTexts(text.spec.sha256, vectors)


def case_record(corpus: Corpus, record: CorpusRecord, reports: bool) -> CaseRecord:
    """Likeliest statement first; the patient's number only as a pseudonym."""
    ranked = sorted(record.statements.items(), key=lambda item: (-item[1], item[0]))
    return CaseRecord(
        case_id=corpus.case_id(record),
        statements=dict(ranked),
        report=(record.report or None) if reports else None,
        age=record.age,
        sex=record.sex,
        source=f"{corpus.name} record {record.record_id}",
        group=corpus.group(record),
    )
