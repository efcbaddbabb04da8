"""New cases as a further immutable segment of the release that a store has active.

Encoder, text tower, votes, probabilities, novelty and the other encoders' measurements stay the
release's own. What tuned it stays out of its cases: folds it was validated on are refused, and
recordings of patients who have others there are left out.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ecgedge.atomic import sha256_of
from ecgedge.casebase.manifest import Manifest
from ecgedge.casebase.release import Store
from ecgedge.casebase.segment import SegmentRef
from ecgedge.central.build import open_work
from ecgedge.central.encode import Encoded, Progress, Skipped, encode_records
from ecgedge.central.facts import with_added, write_skipped
from ecgedge.central.merge import Merged, merge_refs
from ecgedge.central.revise import successor
from ecgedge.central.segments import Kept, write_segments
from ecgedge.central.withdraw import cases_held
from ecgedge.central.workforce import LocalWorkforce, Workforce
from ecgedge.corpora.ptbxl import Corpus, CorpusRecord
from ecgedge.encoders import load_bundle, load_encoder
from ecgedge.encoders.text import TEXT_MODEL_NAME
from ecgedge.errors import InputError, MismatchError, NothingNew, UsageError


@dataclass(frozen=True)
class AddRequest:
    """What to add to the active release of `out`.

    bundle, text: folders that must hold the release's own models, None to trust the store.
    reports, signals: None for what the release says of its own cases. merge:
    "auto", "never" or "all".
    The rest as of `BuildRequest`.
    """

    corpus: Corpus
    out: Path
    folds: frozenset[int]
    created: str
    bundle: Path | None = None
    text: Path | None = None
    reports: bool | None = None
    signals: bool | None = None
    withdrawn: frozenset[str] = frozenset()
    workforce: Workforce = field(default_factory=LocalWorkforce)
    attribution: str = ""
    segment_cases: int | None = None
    merge: str = "auto"


@dataclass(frozen=True)
class Choice:
    """records: to encode. present: recordings that are cases already. held_back: of patients
    whose other recordings tuned the release. withdrawn: asked for or told before.
    """

    records: tuple[CorpusRecord, ...]
    present: int
    held_back: int
    withdrawn: int
    without_signal: int


@dataclass(frozen=True)
class AddResult:
    """added: new cases. new: their segments before any merge. segments: of the release.
    unknown_withdrawn: ids asked to be withdrawn that neither corpus nor release knows.
    """

    release: str
    cases: int
    added: int
    choice: Choice
    skipped: tuple[Skipped, ...]
    new: tuple[SegmentRef, ...]
    segments: int
    merged: Merged | None
    unknown_withdrawn: tuple[str, ...]


def add_to_release(
    request: AddRequest, *, progress: Progress = lambda items, _label, _count: items
) -> AddResult:
    """Encode what is new, write its segments, probe, and activate the successor.

    Started again after a kill it goes on where it stopped. Raises NothingNew without a new
    case or withdrawal, MismatchError for another encoder or text tower than the release's,
    UsageError for folds that tuned it.
    """
    store = Store(request.out)
    before = store.manifest()
    _check_models(request, before)
    withdrawn = frozenset(before.withdrawn) | request.withdrawn
    choice = _choose(request, store, before, withdrawn)
    work = open_work(request.out)
    encoded = _encode(request, store, before, choice, work, progress)
    if encoded is None and withdrawn == set(before.withdrawn):
        raise NothingNew(_nothing(request, before, choice))
    skipped = encoded.skipped if encoded else ()
    write_skipped(request.out / "skipped.csv", request.corpus, skipped)
    new = _write(request, store, before, encoded, work, progress) if encoded else ()
    refs, merged = (*before.segments, *new), None
    if request.merge != "never" and new:
        merged = merge_refs(store, before.encoder.id, refs, withdrawn, every=request.merge == "all")
        refs = merged.segments
    facts = _facts(request, store, before, choice, encoded) if encoded else before.corpus
    after = successor(
        store, before, request.created, segments=refs, withdrawn=withdrawn, facts=facts
    )
    shutil.rmtree(work, ignore_errors=True)
    return AddResult(
        release=after.id,
        cases=after.corpus["cases"],
        added=sum(ref.count for ref in new),
        choice=choice,
        skipped=skipped,
        new=new,
        segments=len(after.segments),
        merged=merged if merged and merged.groups else None,
        unknown_withdrawn=_unknown(request, store, before),
    )


def _check_models(request: AddRequest, before: Manifest) -> None:
    if request.bundle is not None:
        given = load_bundle(request.bundle).spec.id
        if given != before.encoder.id:
            raise MismatchError(
                f"release {before.id} was made with encoder {before.encoder.id}, not with {given}: "
                "cases can only be added with the release's own, so leave --encoder out, or build "
                "a new release without --add"
            )
    if request.text is None:
        return
    path = request.text / TEXT_MODEL_NAME
    if not path.is_file():
        raise MismatchError(f"{path} is missing: leave --text out, the release has its own")
    if before.text is None or sha256_of(path) != before.text.model:
        raise MismatchError(
            f"release {before.id} was not made with the text tower {path}: leave --text out, or "
            "build a new release without --add"
        )


def _choose(
    request: AddRequest, store: Store, before: Manifest, withdrawn: frozenset[str]
) -> Choice:
    corpus = request.corpus
    facts = before.corpus
    tuning = set(facts.get("valid_folds", ())) if facts.get("name") == corpus.name else set()
    if tuning & request.folds:
        raise UsageError(
            f"fold {min(tuning & request.folds)} of {corpus.name} tuned release {before.id} and "
            "cannot be among its cases: leave it out of --folds, or build a new release without "
            "--add and with other --valid-folds"
        )
    rows = corpus.select(request.folds)
    if not rows:
        raise InputError(f"{corpus.root} holds no recording of folds {sorted(request.folds)}")
    asked = {corpus.group(record) for record in corpus.select(tuning)}
    known = cases_held(store, before, [corpus.case_id(record) for record in rows])
    kept: list[CorpusRecord] = []
    present = held_back = gone = without_signal = 0
    for record in rows:
        name = corpus.case_id(record)
        if name in withdrawn:
            gone += 1
        elif name in known:
            present += 1
        elif corpus.group(record) in asked:
            held_back += 1
        elif record.signal is None:
            without_signal += 1
        else:
            kept.append(record)
    return Choice(tuple(kept), present, held_back, gone, without_signal)


def _encode(
    request: AddRequest,
    store: Store,
    before: Manifest,
    choice: Choice,
    work: Path,
    progress: Progress,
) -> Encoded | None:
    """None where there is nothing to encode, or nothing of it can be that was not tried before."""
    if not choice.records:
        return None
    load = partial(load_encoder, store.blob(before.encoder.model), store.blob(before.encoder.spec))
    try:
        return encode_records(
            choice.records, load, work, workforce=request.workforce, progress=progress
        )
    except InputError:
        if choice.present:  # what the base could not use when it was built
            return None
        raise


def _write(
    request: AddRequest,
    store: Store,
    before: Manifest,
    encoded: Encoded,
    work: Path,
    progress: Progress,
) -> tuple[SegmentRef, ...]:
    text = None
    if before.text:
        text = store.blob(before.text.model), store.blob(before.text.spec)
    return write_segments(
        store.blobs,
        request.corpus,
        encoded.records,
        encoded.embeddings,
        encoder_id=before.encoder.id,
        kept=Kept(text, **_keeping(request, before)),
        work=work,
        most_cases=request.segment_cases,
        workforce=request.workforce,
        progress=progress,
    )


def _keeping(request: AddRequest, before: Manifest) -> dict[str, bool]:
    """Reports and signals as asked for, else as the release keeps its own."""
    asked = {"reports": request.reports, "signals": request.signals}
    return {
        name: bool(before.corpus.get(name, False)) if value is None else value
        for name, value in asked.items()
    }


def _facts(
    request: AddRequest, store: Store, before: Manifest, choice: Choice, encoded: Encoded
) -> dict[str, Any]:
    one = {
        "name": request.corpus.name,
        "folds": sorted(request.folds),
        "cases": len(encoded.records),
        "patients": len({request.corpus.group(record) for record in encoded.records}),
        "skipped": len(encoded.skipped),
        "without_signal": choice.without_signal,
        **_keeping(request, before),
        "created": request.created,
    }
    tuned_on = len(store.casebase(before))
    return with_added(before.corpus, one, tuned_on, request.attribution)


def _nothing(request: AddRequest, before: Manifest, choice: Choice) -> str:
    counts: Sequence[tuple[int, str]] = (
        (choice.present, "are in it"),
        (len(choice.records), "cannot be encoded"),
        (choice.held_back, "are of patients who tuned it"),
        (choice.withdrawn, "are withdrawn"),
        (choice.without_signal, "have no signal"),
    )
    told = ", ".join(f"{count:,} {what}" for count, what in counts if count)
    return f"{request.corpus.root} has no new case for release {before.id}: {told}"


def _unknown(request: AddRequest, store: Store, before: Manifest) -> tuple[str, ...]:
    known = {request.corpus.case_id(record) for record in request.corpus.records}
    known |= cases_held(store, before, request.withdrawn) | set(before.withdrawn)
    return tuple(sorted(request.withdrawn - known))
