"""A corpus and an encoder -> a store with one release, ready to copy to a cart."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ecgedge.atomic import write_atomic
from ecgedge.casebase.alternatives import Alternative
from ecgedge.casebase.release import Calibration, EncoderRef, Manifest, Store, TextRef
from ecgedge.casebase.search import CaseBase
from ecgedge.casebase.segment import Segment, SegmentRef, write_segment
from ecgedge.central.alternatives import Asked, Candidate, check_candidates, make_alternatives
from ecgedge.central.calibrate import Queries, Tuned, tune, untuned
from ecgedge.central.cases import case_record, case_texts
from ecgedge.central.encode import Encoded, Progress, Skipped, encode_records
from ecgedge.central.novelty import fit_novelty
from ecgedge.central.probes import make_probes
from ecgedge.central.signals import packed_ecgs
from ecgedge.corpora.ptbxl import Corpus, CorpusRecord
from ecgedge.encoders import MODEL_NAME, SPEC_NAME, load_bundle
from ecgedge.encoders.text import (
    TEXT_MODEL_NAME,
    TEXT_SPEC_NAME,
    TextEncoder,
    load_text,
)
from ecgedge.errors import InputError, UsageError
from ecgedge.novelty import NoveltyModel
from ecgedge.textsearch import case_words

T = TypeVar("T")

PTBXL_ATTRIBUTION = (
    "PTB-XL, Wagner et al. 2020, doi:10.13026/x4td-x982, CC BY 4.0; embeddings and statements "
    "derived from it"
)
UNTUNED = (
    "There were no validation recordings: the votes use defaults, supports are evidence (so many "
    "of the nearest cases), not probabilities, and novelty was scaled on the case base itself, "
    "each patient left out in turn."
)
UNJUDGED = (
    "The validation recordings hold no statement often enough to judge its probability: supports "
    "are evidence (so many of the nearest cases), not probabilities."
)
NO_NOVELTY = (
    "There were too few whole recordings to learn what is usual: novelty goes by the nearest case "
    "alone."
)
ONE_OUTCOME = (
    "The validation recordings have no diagnostic superclass with both outcomes: the votes use "
    "defaults."
)


@dataclass(frozen=True)
class BuildRequest:
    """What to build.

    bundle: folder with model.onnx and model.json. text: folder with text.onnx and
    text.json, or None. folds go into the case base, valid_folds tune it and stay out.
    withdrawn: case ids to leave out and to name as withdrawn. created: YYYY-MM-DD.
    signals: keep each case's ECG, for pictures of what was found. alternatives: encoders
    that may ask in the place of the bundle's, each measured beside it.
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
    workers: int = 1
    attribution: str = ""
    signals: bool = False
    alternatives: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class BuildResult:
    """What was built. skipped: recordings that gave no embedding. without_signal: rows of
    the chosen folds whose signal file the corpus does not hold. unknown_withdrawn: ids
    asked to be withdrawn that the corpus does not know. validation_auc: macro superclass.
    """

    release: str
    cases: int
    skipped: tuple[Skipped, ...]
    without_signal: int
    unknown_withdrawn: tuple[str, ...]
    calibration: Calibration
    validation_auc: float | None
    alternatives: tuple[Alternative, ...] = ()


def build_release(
    request: BuildRequest, *, progress: Progress = lambda items, _label, _count: items
) -> BuildResult:
    """Encode, write the segment, tune, probe, and activate the release in `request.out`.

    Started again after a kill it goes on where it stopped. Raises InputError when the
    corpus gives nothing to build from, UsageError for a request that cannot be met.
    """
    encoder = load_bundle(request.bundle)
    check_candidates(request.alternatives, encoder.spec)
    chosen = _choose(request)
    work = request.out / ".work"
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{request.out} cannot be written: {error.strerror or error}") from None
    store = Store(request.out)
    text_tower = _load_text(request.text)  # refuses a damaged one before hours are spent
    text = _put_text(store, request.text)
    encoded = encode_records(
        chosen,
        partial(load_bundle, request.bundle),
        work,
        workers=request.workers,
        progress=progress,
    )
    _write_skipped(request.out / "skipped.csv", request.corpus, encoded.skipped)

    inside = [record.fold in request.folds for record in encoded.records]
    ref = _write_base(request, store, encoded, inside, encoder.spec.id, text_tower, progress)
    base = CaseBase([Segment.open(store.blobs, ref, encoder.spec.id)])
    tuned, novelty, notes = _calibrate(request.corpus, base, encoded, inside)
    alternatives = make_alternatives(
        request.alternatives,
        store,
        base,
        _asked(request.corpus, encoded, [not one for one in inside]),
        tuned.calibration,
        request.corpus.table,
        work,
        workers=request.workers,
        progress=progress,
    )
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
        calibration=tuned.calibration,
        segments=(ref,),
        withdrawn=tuple(sorted(request.withdrawn)),
        probes=make_probes(base, encoder),
        corpus=_facts(request, encoded, inside, tuned.auc),
        notes=notes,
        novelty=None if novelty is None else store.put_blob(novelty.to_json().encode()),
        alternatives=alternatives,
    )
    store.activate(store.add_release(manifest))
    shutil.rmtree(work, ignore_errors=True)
    known = {request.corpus.case_id(record) for record in request.corpus.records}
    return BuildResult(
        release=manifest.id,
        cases=len(base),
        skipped=encoded.skipped,
        without_signal=_without_signal(request),
        unknown_withdrawn=tuple(sorted(request.withdrawn - known)),
        calibration=tuned.calibration,
        validation_auc=tuned.auc,
        alternatives=alternatives,
    )


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
    return TextRef(
        store.put_blob(folder / TEXT_MODEL_NAME), store.put_blob(folder / TEXT_SPEC_NAME)
    )


def _load_text(folder: Path | None) -> TextEncoder | None:
    if folder is None:
        return None
    return load_text(folder / TEXT_MODEL_NAME, folder / TEXT_SPEC_NAME)


def _write_base(
    request: BuildRequest,
    store: Store,
    encoded: Encoded,
    inside: Sequence[bool],
    encoder_id: str,
    text: TextEncoder | None,
    progress: Progress,
) -> SegmentRef:
    if not any(inside):
        raise InputError("no recording of the case base's folds could be encoded, see skipped.csv")
    records = _those(encoded.records, inside)
    cases = [case_record(request.corpus, record, request.reports) for record in records]
    ecgs = packed_ecgs(records, progress) if request.signals else None
    reports = [record.report for record in records]
    return write_segment(
        store.blobs,
        encoded.embeddings[inside],
        cases,
        encoder_id=encoder_id,
        texts=case_texts(text, reports) if text and any(reports) else None,
        words=[case_words(case) for case in cases],
        ecgs=ecgs,
    )


def _calibrate(
    corpus: Corpus, base: CaseBase, encoded: Encoded, inside: Sequence[bool]
) -> tuple[Tuned, NoveltyModel | None, tuple[str, ...]]:
    """(what validation settled, novelty model, notes)."""
    outside = [not one for one in inside]
    asked = outside if any(outside) else inside
    queries = _asked(corpus, encoded, asked).queries
    if any(outside):
        tuned = tune(base, queries, corpus.table)
        unjudged = () if tuned.calibration.statements else (UNJUDGED,)
        notes = unjudged if tuned.auc is not None else (ONE_OUTCOME, *unjudged)
    else:
        tuned = untuned(base, queries.embeddings, queries.groups)
        notes = (UNTUNED,)
    usual = _those(encoded.traits, inside)
    novelty = fit_novelty(usual, _those(encoded.traits, asked), tuned.nearest)
    return tuned, novelty, notes if novelty else (*notes, NO_NOVELTY)


def _asked(corpus: Corpus, encoded: Encoded, asked: Sequence[bool]) -> Asked:
    records = _those(encoded.records, asked)
    groups = [corpus.group(record) for record in records]
    codes = [frozenset(record.statements) for record in records]
    return Asked(records, Queries(encoded.embeddings[asked], groups, codes))


def _facts(
    request: BuildRequest, encoded: Encoded, inside: Sequence[bool], auc: float | None
) -> dict[str, Any]:
    patients = {request.corpus.group(record) for record in _those(encoded.records, inside)}
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


def _write_skipped(path: Path, corpus: Corpus, skipped: Iterable[Skipped]) -> None:
    """Always written, so that an empty list says: nothing was left out."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["case_id", "fold", "signal", "reason"])
    for one in skipped:
        record = one.record
        writer.writerow([corpus.case_id(record), record.fold, record.signal, one.reason])
    write_atomic(path, buffer.getvalue().encode())


def _those(items: Sequence[T], mask: Sequence[bool]) -> list[T]:
    return [item for item, kept in zip(items, mask, strict=True) if kept]


def read_withdrawn(path: Path, corpus_name: str) -> frozenset[str]:
    """Case ids from a text file: one a line, bare record numbers allowed, # for remarks."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a list of case ids: {error}") from None
    ids = [line.partition("#")[0].strip() for line in lines]
    return frozenset(one if "/" in one else f"{corpus_name}/{one}" for one in ids if one)
