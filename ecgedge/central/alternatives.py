"""Further encoders of a release: encoded with, measured beside the primary, refused or kept.

Both ask the case base that the primary made, with the validation recordings and the
release's own number of neighbours and temperature: what a cart would do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ecgedge.casebase.alternatives import Alternative, EncoderRef, Parity
from ecgedge.casebase.manifest import Calibration
from ecgedge.casebase.release import Store
from ecgedge.casebase.search import CaseBase
from ecgedge.central.calibrate import MIN_POSITIVES, Queries, look_around
from ecgedge.central.encode import Progress, encode_records
from ecgedge.central.workforce import Workforce
from ecgedge.corpora.ptbxl import CorpusRecord, StatementTable
from ecgedge.encoders import Encoder, EncoderSpec, load_encoder
from ecgedge.encoders.bundles import bundle_files
from ecgedge.errors import MismatchError, ReleaseError, UsageError
from ecgedge.evaluation.metrics import macro_auc
from ecgedge.evaluation.parity import cosine_p1, set_overlap
from ecgedge.evaluation.subject import DEPTH
from ecgedge.recording import FloatArray


@dataclass(frozen=True)
class Candidate:
    """The model and the sidecar of an encoder that shall stand in for the primary."""

    model: Path
    spec: Path

    @classmethod
    def parse(cls, text: str) -> Candidate:
        """As `bundle_files` reads it."""
        return cls(*bundle_files(text))

    def load(self) -> Encoder:
        """Raises what `load_encoder` raises."""
        return load_encoder(self.model, self.spec)


def check_candidates(candidates: Sequence[Candidate], primary: EncoderSpec) -> None:
    """Raises what loading raises, MismatchError for another image or vector length,
    UsageError for the primary itself or one encoder twice.
    """
    seen = {primary.id}
    for candidate in candidates:
        spec = candidate.load().spec
        wanted = (primary.conditioning, primary.imaging, primary.embedding_dim)
        if (spec.conditioning, spec.imaging, spec.embedding_dim) != wanted:
            raise MismatchError(
                f"{candidate.model} cannot stand in for {primary.id}: it makes "
                f"{spec.embedding_dim} numbers of {spec.conditioning} and {spec.imaging}, not "
                f"{wanted[2]} of {wanted[0]} and {wanted[1]}"
            )
        if spec.id in seen:
            raise UsageError(f"{candidate.model} is named twice as an encoder of this release")
        seen.add(spec.id)


@dataclass(frozen=True)
class Asked:
    """The validation recordings as the primary saw them."""

    records: Sequence[CorpusRecord]
    queries: Queries


def make_alternatives(
    candidates: Sequence[Candidate],
    store: Store,
    base: CaseBase,
    asked: Asked,
    calibration: Calibration,
    table: StatementTable,
    work: Path,
    *,
    workforce: Workforce | None = None,
    progress: Progress = lambda items, _label, _count: items,
) -> tuple[Alternative, ...]:
    """Measure each candidate and keep its files in the store.

    Raises UsageError without validation recordings, ReleaseError for one that breaks a bound
    or refuses other recordings than the primary.
    """
    if candidates and not asked.records:
        raise UsageError("an alternative encoder needs validation recordings: see --valid-folds")
    kept = []
    for candidate in candidates:
        load = partial(load_encoder, candidate.model, candidate.spec)
        told = encode_records(asked.records, load, work, workforce=workforce, progress=progress)
        spec = candidate.load().spec
        if told.skipped:
            raise ReleaseError(f"{spec.id} does not encode {told.skipped[0].reason}")
        parity = measure_parity(base, calibration, table, asked.queries, told.embeddings)
        if parity.failures():
            raise ReleaseError(
                f"{candidate.model} asks otherwise than the primary encoder: "
                f"{', '.join(parity.failures())}"
            )
        names = store.put_blob(candidate.model), store.put_blob(candidate.spec)
        kept.append(Alternative(EncoderRef(spec.id, *names), parity))
    return tuple(kept)


def measure_parity(
    base: CaseBase,
    calibration: Calibration,
    table: StatementTable,
    primary: Queries,
    other: FloatArray,
) -> Parity:
    """How alike the primary's and the other's embeddings, float32 (n, dim), ask `base`.

    Cases of a query's own patient neither count as found nor vote.
    """
    second = Queries(other, primary.groups, primary.codes)
    before, after = (_macro_auc(base, calibration, table, one) for one in (primary, second))
    change = round(after - before, 6) if np.isfinite(before) and np.isfinite(after) else None
    found = zip(_nearest(base, primary), _nearest(base, second), strict=True)
    overlap = [set_overlap(left, right) for left, right in found]
    return Parity(
        cosine_p1=round(cosine_p1(primary.embeddings, other), 6),
        top10_overlap=round(float(np.nanmean(overlap)), 6),
        auc_change=change,
        queries=len(other),
    )


def _macro_auc(
    base: CaseBase, calibration: Calibration, table: StatementTable, queries: Queries
) -> float:
    """Of the superclasses, by the votes of the release's own calibration."""
    around = look_around(base, queries, table, calibration.neighbours)
    votes = around.votes("super", calibration.neighbours, calibration.temperature)
    return macro_auc(votes.labels, votes.shares, MIN_POSITIVES)


def _nearest(base: CaseBase, queries: Queries) -> list[set[tuple[int, int]]]:
    """(segment, key) of the nearest cases of each query."""
    found = [
        base.search(query, DEPTH, exclude_groups=frozenset({group}))
        for query, group in zip(queries.embeddings, queries.groups, strict=True)
    ]
    return [set(zip(one.places.tolist(), one.keys.tolist(), strict=True)) for one in found]
