"""The evaluation protocol, all nine points, over a folder in PTB-XL's layout.

Three releases answer the same queries through the same code: the device's int8
release, its fp32 twin, and a control whose encoder was never trained. Every
figure is patient-disjoint and carries its interval, n and chance level.

What is measured on one release stands in `points`, one function a point.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ecgedge.corpora.ptbxl import Corpus, CorpusRecord
from ecgedge.errors import InputError
from ecgedge.evaluation import cases, curves, parity
from ecgedge.evaluation.facts import dataset_facts, notes
from ecgedge.evaluation.figures import (
    DRAWS,
    LEVEL,
    SEED,
    Figure,
    difference,
    missing,
    patient_weights,
)
from ecgedge.evaluation.points import POINTS, Scene, set_scene
from ecgedge.evaluation.robust import degrade_split
from ecgedge.evaluation.subject import Progress, Subject, embed_split, retrieve, vote
from ecgedge.recording import FloatArray

_PARITY = 9  # int8 beside fp32: what `evaluate` itself does
_ALL_POINTS = (*POINTS, _PARITY)

Absent = str  # why a release is not there


@dataclass(frozen=True)
class Evaluation:
    """Everything measured. metrics: "int8" and "fp32", each name -> Figure.

    covered: points of which the int8 release has a figure. curves: for plots.
    """

    dataset: Mapping[str, Any]
    releases: Mapping[str, Any]
    covered: Sequence[int]
    metrics: Mapping[str, Mapping[str, Figure]]
    differences: Mapping[str, Figure]
    left_out: Mapping[str, Sequence[str]]
    notes: Sequence[str]
    curves: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        others = [point for point in _ALL_POINTS if point not in self.covered]
        return {
            "dataset": dict(self.dataset),
            "releases": dict(self.releases),
            "points": {"covered": list(self.covered), "not_covered": others},
            "bootstrap": {"unit": "patient", "draws": DRAWS, "seed": SEED, "level": LEVEL},
            "left_out": {task: list(names) for task, names in self.left_out.items()},
            "notes": list(self.notes),
            "metrics": {
                role: {name: figure.to_dict() for name, figure in figures.items()}
                for role, figures in self.metrics.items()
            },
            "difference": {name: figure.to_dict() for name, figure in self.differences.items()},
            "curves": dict(self.curves),
        }


@dataclass(frozen=True)
class Measured:
    """One release on the split: its figures, the points that gave any, what they saw."""

    figures: Mapping[str, Figure]
    covered: frozenset[int]
    scene: Scene


def evaluate(
    corpus: Corpus,
    folds: Collection[int] | None,
    int8: Subject,
    fp32: Subject | Absent,
    control: Subject | Absent,
    progress: Progress,
    others: Path | None = None,
) -> Evaluation:
    """Measure the releases on these folds (all when None).

    fp32, control: the release, or one sentence on why there is none; what needs
    it is then null with that sentence. others: recordings of other populations, on which
    novelty is tried too.

    Raises InputError when the folds hold no record or no readable signal.
    """
    split = _select(corpus, folds)
    subjects = {"int8": int8, "fp32": fp32, "control": control}
    present = {role: subject for role, subject in subjects.items() if isinstance(subject, Subject)}
    queries = embed_split(split, list(present.values()), progress)
    weights = patient_weights([corpus.group(record) for record in queries.records])
    embeddings = dict(zip(present, queries.embeddings, strict=True))
    scored = {role: subject for role, subject in present.items() if role != "control"}
    degraded = degrade_split(queries.records, list(scored.values()), progress)
    measured = {}
    for (role, subject), under in zip(scored.items(), degraded, strict=True):
        rows = (queries.records, subject, embeddings[role], weights, under)
        measured[role] = _measure(set_scene(corpus, split, *rows, others, progress), role)
    ours, twin = measured["int8"], measured.get("fp32") or str(fp32)
    shared = parity.figures(ours.scene, twin.scene if isinstance(twin, Measured) else twin)
    shared |= _control(ours.scene, control, embeddings.get("control"))
    theirs = _twin_figures(twin, ours.figures)
    return Evaluation(
        dataset_facts(corpus, folds, split, queries),
        {role: _release_facts(subject) for role, subject in subjects.items()},
        sorted(ours.covered | ({_PARITY} if isinstance(twin, Measured) else set())),
        {"int8": {**ours.figures, **shared}, "fp32": {**theirs, **shared}},
        {name: difference(figure, theirs[name]) for name, figure in ours.figures.items()},
        _left_out(ours.scene),
        notes(corpus, queries, ours.scene.found),
        {"roc": curves.roc_curves(ours.scene.tasks["super"])},
    )


def _select(corpus: Corpus, folds: Collection[int] | None) -> list[CorpusRecord]:
    split = corpus.select(folds)
    if not split:
        known = ", ".join(str(fold) for fold in sorted({record.fold for record in corpus.records}))
        raise InputError(f"{corpus.root} has no record in these folds; it has folds {known}")
    return split


def _measure(scene: Scene, role: str) -> Measured:
    told: dict[str, Figure] = {}
    covered = set()
    for point, measure in scene.progress(POINTS.items(), f"scoring {role}", len(POINTS)):
        found = measure(scene)
        told |= found
        if any(figure.value is not None for figure in found.values()):
            covered.add(point)
    return Measured(told, frozenset(covered), scene)


def _twin_figures(twin: Measured | Absent, names: Collection[str]) -> Mapping[str, Figure]:
    """The twin's figures, or every name as missing."""
    return twin.figures if isinstance(twin, Measured) else {name: missing(twin) for name in names}


def _control(
    scene: Scene, control: Subject | Absent, embeddings: FloatArray | None
) -> dict[str, Figure]:
    """auc_super of the encoder that was never trained, on the scene's queries."""
    name = "random_encoder_auc_super"
    if not isinstance(control, Subject) or embeddings is None:
        return {name: missing(str(control), len(scene.records))}
    hits = retrieve(control, scene.corpus, scene.records, embeddings)
    held = vote(control, replace(scene.found, hits=hits), "super")
    return {name: cases.auc_figures({"super": held}, scene.weights)["auc_super"]}


def _left_out(scene: Scene) -> dict[str, list[str]]:
    """Task -> classes with too few records to be scored."""
    return {
        task: [name for name, kept in zip(held.names, held.kept, strict=True) if not kept]
        for task, held in scene.tasks.items()
    }


def _release_facts(subject: Subject | Absent) -> dict[str, Any]:
    return subject.facts() if isinstance(subject, Subject) else {"release": None, "why": subject}
