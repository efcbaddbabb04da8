"""What a reader must know of an evaluation beside its figures."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from ecgedge.corpora.ptbxl import Corpus, CorpusRecord
from ecgedge.evaluation.cases import Found
from ecgedge.evaluation.subject import Queries

#: A cosine this high between records of different patients is not two people.
_SAME_RECORDING = 0.9995


def dataset_facts(
    corpus: Corpus,
    folds: Collection[int] | None,
    split: Sequence[CorpusRecord],
    queries: Queries,
) -> dict[str, Any]:
    """What was evaluated, in numbers."""
    return {
        "path": str(corpus.root),
        "name": corpus.name,
        "folds": sorted({record.fold for record in split} if folds is None else folds),
        "rows": len(split),
        "with_signal": sum(record.signal is not None for record in split),
        "evaluated": len(queries.records),
        "patients": len({corpus.group(record) for record in queries.records}),
        "unreadable": [{"record": name, "why": why} for name, why in queries.unreadable],
        "refused_on_device": list(queries.refused),
    }


def notes(corpus: Corpus, queries: Queries, found: Found) -> list[str]:
    """What a reader must know before believing the figures."""
    told = []
    ids = {case.case_id for case in found.cases}
    own = sum(corpus.case_id(record) in ids for record in queries.records)
    if own:
        told.append(
            f"{own} of {len(queries.records)} queries are cases of this release: each is kept "
            "from finding itself, but the encoder may have been trained on it"
        )
    twins = sum(bool(hits) and hits[0].similarity > _SAME_RECORDING for hits in found.hits)
    if twins:
        told.append(
            f"{twins} queries have a case of another patient at a cosine over {_SAME_RECORDING}: "
            "is this corpus the case base's own under another --name?"
        )
    if queries.refused:
        told.append(
            f"{len(queries.refused)} recordings would be refused for quality on the device; "
            "they are evaluated here"
        )
    if queries.unreadable:
        told.append(f"{len(queries.unreadable)} signals could not be evaluated")
    return told
