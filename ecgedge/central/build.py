"""A corpus and an encoder -> a store with one release, ready to copy to a cart."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ecgedge.casebase.alternatives import Alternative
from ecgedge.casebase.release import Calibration, EncoderRef, Manifest, Store, TextRef
from ecgedge.casebase.search import CaseBase
from ecgedge.casebase.segment import Segment, SegmentRef
from ecgedge.central.alternatives import Candidate, check_candidates, make_alternatives
from ecgedge.central.encode import Encoded, Progress, Skipped, encode_records
from ecgedge.central.facts import write_skipped
from ecgedge.central.probes import make_probes
from ecgedge.central.segments import Kept, write_segments
from ecgedge.central.settle import asked_with, settle, those
from ecgedge.central.workforce import LocalWorkforce, Workforce
from ecgedge.corpora.ptbxl import Corpus, CorpusRecord
from ecgedge.encoders import MODEL_NAME, SPEC_NAME, load_bundle
from ecgedge.encoders.text import TEXT_MODEL_NAME, TEXT_SPEC_NAME, load_text
from ecgedge.errors import InputError, UsageError


@dataclass(frozen=True)
class BuildRequest:
    """What to build.

    bundle: folder with model.onnx and model.json. text: folder with text.onnx and
    text.json, or None. folds go into the case base, valid_folds tune it and stay out.
    withdrawn: case ids to leave out and to name as withdrawn. created: YYYY-MM-DD.
    signals: keep each case's ECG, for pictures of what was found. alternatives: encoders
    that may ask in the place of the bundle's, each measured beside it. segment_cases: most
    cases of a segment, None for one segment of all.
    """

    corpus: Corpus
    bundle: Path
    out: Path
    folds: frozenset[int]
    valid_folds: frozenset[int]
    created: str
    text: Path | None = None
    reports: bool = True
    withdrawn: frozenset[str] = frozenset()
    workforce: Workforce = field(default_factory=LocalWorkforce)
    attribution: str = ""
    signals: bool = False
    alternatives: tuple[Candidate, ...] = ()
    segment_cases: int | None = None


@dataclass(frozen=True)
class BuildResult:
    """What was built. skipped: recordings that gave no embedding. without_signal: rows of
    the chosen folds whose signal file the corpus does not hold. unknown_withdrawn: ids
    asked to be withdrawn that the corpus does not know. validation_auc: macro superclass.
    """

    release: str
    cases: int
    segments: int
    skipped: tuple[Skipped, ...]
    without_signal: int
    unknown_withdrawn: tuple[str, ...]
    calibration: Calibration
    validation_auc: float | None
    alternatives: tuple[Alternative, ...] = ()


def build_release(
    request: BuildRequest, *, progress: Progress = lambda items, _label, _count: items
) -> BuildResult:
    """Encode, write the segments, tune, probe, and activate the release in `request.out`.

    Started again after a kill it goes on where it stopped. Raises InputError when the
    corpus gives nothing to build from, UsageError for a request that cannot be met.
    """
    encoder = load_bundle(request.bundle)
    check_candidates(request.alternatives, encoder.spec)
    chosen = _choose(request)
    work = open_work(request.out)
    store = Store(request.out)
    text = _put_text(store, request.text)  # refuses a damaged one before hours are spent
    load = partial(load_bundle, request.bundle)
    workforce = request.workforce
    encoded = encode_records(chosen, load, work, workforce=workforce, progress=progress)
    write_skipped(request.out / "skipped.csv", request.corpus, encoded.skipped)

    inside = [record.fold in request.folds for record in encoded.records]
    refs = _write_base(request, store, encoded, inside, encoder.spec.id, work, progress)
    base = CaseBase([Segment.open(store.blobs, ref, encoder.spec.id) for ref in refs])
    settled = settle(request.corpus, base, encoded, inside)
    alternatives = make_alternatives(
        request.alternatives,
        store,
        base,
        asked_with(request.corpus, encoded, [not one for one in inside]),
        settled.tuned.calibration,
        request.corpus.table,
        work,
        workforce=workforce,
        progress=progress,
    )
    novelty = settled.novelty
    manifest = Manifest(
        created=request.created,
        encoder=EncoderRef(
            encoder.spec.id,
            store.put_blob(request.bundle / MODEL_NAME),
            store.put_blob(request.bundle / SPEC_NAME),
        ),
        text=text,
        conditioning=encoder.spec.conditioning,
        imaging=encoder.spec.imaging,
        calibration=settled.tuned.calibration,
        segments=refs,
        withdrawn=tuple(sorted(request.withdrawn)),
        probes=make_probes(base, encoder),
        corpus=_facts(request, encoded, inside, settled.tuned.auc),
        notes=settled.notes,
        novelty=None if novelty is None else store.put_blob(novelty.to_json().encode()),
        alternatives=alternatives,
    )
    store.activate(store.add_release(manifest))
    shutil.rmtree(work, ignore_errors=True)
    return _result(request, manifest, encoded, len(base), settled.tuned.auc)


def open_work(out: Path) -> Path:
    """The folder for what is finished of a build. Raises UsageError where it cannot be made."""
    work = out / ".work"
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror or error}") from None
    return work


def _choose(request: BuildRequest) -> list[CorpusRecord]:
    """The recordings to encode: base and validation, withdrawn ones left out."""
    both = request.folds & request.valid_folds
    if both:
        raise UsageError(f"fold {min(both)} is asked for both in the case base and for validation")
    chosen = [
        record
        for record in request.corpus.select(request.folds | request.valid_folds, with_signal=True)
        if request.corpus.case_id(record) not in request.withdrawn
    ]
    if not any(record.fold in request.folds for record in chosen):
        raise InputError(
            f"{request.corpus.root} holds no recording of folds {sorted(request.folds)}"
        )
    return chosen


def _without_signal(request: BuildRequest) -> int:
    rows = request.corpus.select(request.folds | request.valid_folds)
    return sum(record.signal is None for record in rows)


def _put_text(store: Store, folder: Path | None) -> TextRef | None:
    if folder is None:
        return None
    load_text(folder / TEXT_MODEL_NAME, folder / TEXT_SPEC_NAME)
    return TextRef(
        store.put_blob(folder / TEXT_MODEL_NAME), store.put_blob(folder / TEXT_SPEC_NAME)
    )


def _write_base(
    request: BuildRequest,
    store: Store,
    encoded: Encoded,
    inside: Sequence[bool],
    encoder_id: str,
    work: Path,
    progress: Progress,
) -> tuple[SegmentRef, ...]:
    text = request.text and (request.text / TEXT_MODEL_NAME, request.text / TEXT_SPEC_NAME)
    return write_segments(
        store.blobs,
        request.corpus,
        those(encoded.records, inside),
        encoded.embeddings[inside],
        encoder_id=encoder_id,
        kept=Kept(text or None, request.reports, request.signals),
        work=work,
        most_cases=request.segment_cases,
        workforce=request.workforce,
        progress=progress,
    )


def _facts(
    request: BuildRequest, encoded: Encoded, inside: Sequence[bool], auc: float | None
) -> dict[str, Any]:
    patients = {request.corpus.group(record) for record in those(encoded.records, inside)}
    return {
        "name": request.corpus.name,
        "folds": sorted(request.folds),
        "valid_folds": sorted(request.valid_folds),
        "cases": sum(inside),
        "patients": len(patients),
        "validation_recordings": len(inside) - sum(inside),
        "validation_auc_super": None if auc is None else round(auc, 4),
        "skipped": len(encoded.skipped),
        "without_signal": _without_signal(request),
        "reports": request.reports,
        "signals": request.signals,
        "attribution": request.attribution,
    }


def _result(
    request: BuildRequest, manifest: Manifest, encoded: Encoded, cases: int, auc: float | None
) -> BuildResult:
    known = {request.corpus.case_id(record) for record in request.corpus.records}
    return BuildResult(
        release=manifest.id,
        cases=cases,
        segments=len(manifest.segments),
        skipped=encoded.skipped,
        without_signal=_without_signal(request),
        unknown_withdrawn=tuple(sorted(request.withdrawn - known)),
        calibration=manifest.calibration,
        validation_auc=auc,
        alternatives=manifest.alternatives,
    )
