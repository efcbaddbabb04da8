"""The evaluation protocol, points 1, 2, 3, 5 and 9, over a folder in PTB-XL's layout.

Three releases answer the same queries through the same code: the device's int8
release, its fp32 twin, and a control whose encoder was never trained. Every
figure is patient-disjoint and carries its interval, n and chance level.

Points 4 (prompts), 6 (draft report), 7 (calibration) and 8 (robustness) are not
measured here; their names are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgedge.casebase.search import Hit
from ecgedge.corpora.ptbxl import TASKS, Corpus, CorpusRecord
from ecgedge.errors import InputError
from ecgedge.evaluation import cases, reports
from ecgedge.evaluation.figures import (
    DRAWS,
    LEVEL,
    SEED,
    Figure,
    Floats,
    difference,
    mean_figure,
    missing,
    patient_weights,
)
from ecgedge.evaluation.subject import (
    DEPTH,
    Progress,
    Queries,
    Subject,
    embed_split,
    retrieve,
)
from ecgedge.recording import FloatArray

COVERED, LATER = (1, 2, 3, 5, 9), (4, 6, 7, 8)
#: A cosine this high between records of different patients is not two people.
_SAME_RECORDING = 0.9995

Absent = str  # why a release is not there


@dataclass(frozen=True)
class Evaluation:
    """Everything measured. metrics: "int8" and "fp32", each name -> Figure."""

    dataset: Mapping[str, Any]
    releases: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Figure]]
    differences: Mapping[str, Figure]
    left_out: Mapping[str, Sequence[str]]
    notes: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "dataset": dict(self.dataset),
            "releases": dict(self.releases),
            "points": {"covered": list(COVERED), "not_covered": list(LATER)},
            "bootstrap": {"unit": "patient", "draws": DRAWS, "seed": SEED, "level": LEVEL},
            "left_out": {task: list(names) for task, names in self.left_out.items()},
            "notes": list(self.notes),
            "metrics": {
                role: {name: figure.to_dict() for name, figure in figures.items()}
                for role, figures in self.metrics.items()
            },
            "difference": {name: figure.to_dict() for name, figure in self.differences.items()},
        }


@dataclass(frozen=True)
class Measured:
    """One release on the split: its figures, what it retrieved, its embeddings."""

    figures: Mapping[str, Figure]
    hits: Sequence[Sequence[Hit]]
    embeddings: FloatArray
    left_out: Mapping[str, Sequence[str]]


def evaluate(
    corpus: Corpus,
    folds: Collection[int] | None,
    int8: Subject,
    fp32: Subject | Absent,
    control: Subject | Absent,
    progress: Progress,
) -> Evaluation:
    """Measure the releases on these folds (all when None).

    fp32, control: the release, or one sentence on why there is none; what needs
    it is then null with that sentence.

    Raises InputError when the folds hold no record or no readable signal.
    """
    split = corpus.select(folds)
    if not split:
        known = ", ".join(str(fold) for fold in sorted({record.fold for record in corpus.records}))
        raise InputError(f"{corpus.root} has no record in these folds; it has folds {known}")
    subjects = {"int8": int8, "fp32": fp32, "control": control}
    present = {role: subject for role, subject in subjects.items() if isinstance(subject, Subject)}
    queries = embed_split(split, list(present.values()), progress)
    weights = patient_weights([corpus.group(record) for record in queries.records])
    embeddings = dict(zip(present, queries.embeddings, strict=True))
    roles = [role for role in present if role != "control"]
    measured = {
        role: _measure(corpus, split, queries, present[role], embeddings[role], weights)
        for role in progress(roles, "scoring releases", len(roles))
    }
    twin = measured.get("fp32") or str(fp32)
    shared = _control(corpus, queries, control, embeddings.get("control"), weights)
    shared |= _parity(measured["int8"], twin, weights)
    ours = measured["int8"].figures
    theirs = _twin_figures(twin, ours)
    return Evaluation(
        _dataset_facts(corpus, folds, split, queries),
        {role: _release_facts(subject) for role, subject in subjects.items()},
        {"int8": {**ours, **shared}, "fp32": {**theirs, **shared}},
        {name: difference(figure, theirs[name]) for name, figure in ours.items()},
        measured["int8"].left_out,
        _notes(corpus, queries, int8, measured["int8"]),
    )


def _twin_figures(twin: Measured | Absent, names: Collection[str]) -> Mapping[str, Figure]:
    """The twin's figures, or every name as missing."""
    return twin.figures if isinstance(twin, Measured) else {name: missing(twin) for name in names}


def _measure(
    corpus: Corpus,
    split: Sequence[CorpusRecord],
    queries: Queries,
    subject: Subject,
    embeddings: FloatArray,
    weights: Floats,
) -> Measured:
    found = _find(corpus, queries, subject, embeddings)
    tasks = _tasks(found, subject)
    thresholds = subject.engine.manifest.calibration.thresholds
    figures = (
        reports.measure(corpus, split, queries.records, embeddings, subject.text, weights)
        | cases.retrieval_figures(found, weights)
        | cases.auc_figures(tasks, weights)
        | cases.hard_figures(tasks["super"], thresholds, weights)
    )
    left_out = {
        task: [name for name, kept in zip(held.names, held.kept, strict=True) if not kept]
        for task, held in tasks.items()
    }
    return Measured(figures, found.hits, embeddings, left_out)


def _find(
    corpus: Corpus, queries: Queries, subject: Subject, embeddings: FloatArray
) -> cases.Found:
    hits = retrieve(subject, corpus, queries.records, embeddings)
    return cases.Found(corpus, queries.records, hits, subject.engine.casebase.all_cases())


def _tasks(found: cases.Found, subject: Subject) -> dict[str, cases.Labelled]:
    calibration = subject.engine.manifest.calibration
    return {
        task: cases.support_table(found, task, calibration.neighbours, calibration.temperature)
        for task in TASKS
    }


def _control(
    corpus: Corpus,
    queries: Queries,
    control: Subject | Absent,
    embeddings: FloatArray | None,
    weights: Floats,
) -> dict[str, Figure]:
    name = "random_encoder_auc_super"
    if not isinstance(control, Subject) or embeddings is None:
        return {name: missing(str(control), len(queries.records))}
    found = _find(corpus, queries, control, embeddings)
    calibration = control.engine.manifest.calibration
    held = cases.support_table(found, "super", calibration.neighbours, calibration.temperature)
    return {name: cases.auc_figures({"super": held}, weights)["auc_super"]}


def _parity(int8: Measured, fp32: Measured | Absent, weights: Floats) -> dict[str, Figure]:
    """How alike the two releases are on the same recordings."""
    names = ("parity_cosine_p1", "parity_top10")
    if not isinstance(fp32, Measured):
        return {name: missing(fp32) for name in names}
    if int8.embeddings.shape != fp32.embeddings.shape:
        return {name: missing("the two encoders' vectors differ in length") for name in names}
    cosine = np.einsum("nd,nd->n", int8.embeddings, fp32.embeddings, dtype=np.float64)
    overlap = [
        _overlap(left[:DEPTH], right[:DEPTH])
        for left, right in zip(int8.hits, fp32.hits, strict=True)
    ]
    return {
        "parity_cosine_p1": Figure(
            float(np.percentile(cosine, 1)), len(cosine), _percentile_draws(cosine, weights)
        ),
        "parity_top10": mean_figure(np.array(overlap), weights),
    }


def _overlap(left: Sequence[Hit], right: Sequence[Hit]) -> float:
    """Share of case ids in common; NaN where nothing was found."""
    longest = max(len(left), len(right))
    common = {hit.case.case_id for hit in left} & {hit.case.case_id for hit in right}
    return len(common) / longest if longest else float("nan")


def _percentile_draws(values: Floats, weights: Floats) -> Floats:
    """The 1st percentile of each bootstrap draw."""
    rows = np.arange(len(values))
    return np.array(
        [np.percentile(values[np.repeat(rows, draw.astype(int))], 1) for draw in weights]
    )


def _dataset_facts(
    corpus: Corpus,
    folds: Collection[int] | None,
    split: Sequence[CorpusRecord],
    queries: Queries,
) -> dict[str, Any]:
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


def _release_facts(subject: Subject | Absent) -> dict[str, Any]:
    return subject.facts() if isinstance(subject, Subject) else {"release": None, "why": subject}


def _notes(corpus: Corpus, queries: Queries, subject: Subject, measured: Measured) -> list[str]:
    """What a reader must know before believing the figures."""
    notes = []
    ids = {case.case_id for case in subject.engine.casebase.all_cases()}
    own = sum(corpus.case_id(record) in ids for record in queries.records)
    if own:
        notes.append(
            f"{own} of {len(queries.records)} queries are cases of this release: each is kept "
            "from finding itself, but the encoder may have been trained on it"
        )
    twins = sum(bool(hits) and hits[0].similarity > _SAME_RECORDING for hits in measured.hits)
    if twins:
        notes.append(
            f"{twins} queries have a case of another patient at a cosine over {_SAME_RECORDING}: "
            "is this corpus the case base's own under another --name?"
        )
    if queries.refused:
        notes.append(
            f"{len(queries.refused)} recordings would be refused for quality on the device; "
            "they are evaluated here"
        )
    if queries.unreadable:
        notes.append(f"{len(queries.unreadable)} signals could not be evaluated")
    return notes
