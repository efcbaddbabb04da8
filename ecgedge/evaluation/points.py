"""The points of the protocol that look at one release: a list of functions, in its order.

Point 9, int8 beside fp32, is what `protocol` does with what these give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecgedge.corpora.ptbxl import TASKS, Corpus, CorpusRecord
from ecgedge.evaluation import cases, drafts, reports, robust, strangers, trust, zeroshot
from ecgedge.evaluation.figures import Figure, Floats, mean_of
from ecgedge.evaluation.subject import Progress, Subject, retrieve, vote
from ecgedge.recording import FloatArray


@dataclass(frozen=True)
class Scene:
    """One release on one split, with what every point needs of it.

    split: all rows; records: those with an embedding, (n,). embeddings: (n, dim).
    weights: (draws, n) bootstrap weights. degraded: condition -> what the encoder made
    of the recordings under it. found, tasks: what was retrieved, and its support.
    others: a folder of recordings of other populations. progress: for what takes long.
    """

    corpus: Corpus
    split: Sequence[CorpusRecord]
    records: Sequence[CorpusRecord]
    subject: Subject
    embeddings: FloatArray
    weights: Floats
    degraded: Mapping[str, robust.Degraded]
    found: cases.Found
    tasks: Mapping[str, cases.Labelled]
    others: Path | None
    progress: Progress


def set_scene(
    corpus: Corpus,
    split: Sequence[CorpusRecord],
    records: Sequence[CorpusRecord],
    subject: Subject,
    embeddings: FloatArray,
    weights: Floats,
    degraded: Mapping[str, robust.Degraded],
    others: Path | None,
    progress: Progress,
) -> Scene:
    """Retrieve for every query, and let the retrieved cases vote."""
    hits = retrieve(subject, corpus, records, embeddings)
    found = cases.Found(corpus, records, hits, subject.engine.casebase.all_cases())
    tasks = {task: vote(subject, found, task) for task in TASKS}
    rows = (corpus, split, records, subject, embeddings, weights, degraded)
    return Scene(*rows, found, tasks, others, progress)


def _reports(scene: Scene) -> dict[str, Figure]:
    return reports.measure(
        scene.corpus,
        scene.split,
        scene.records,
        scene.embeddings,
        scene.subject.text,
        scene.weights,
    )


def _cases(scene: Scene) -> dict[str, Figure]:
    return cases.retrieval_figures(scene.found, scene.weights)


def _aucs(scene: Scene) -> dict[str, Figure]:
    return cases.auc_figures(scene.tasks, scene.weights)


def _zero_shot(scene: Scene) -> dict[str, Figure]:
    trained_on = scene.subject.engine.manifest.corpus.get("name")
    told = zeroshot.figures(
        scene.corpus,
        scene.records,
        scene.embeddings,
        scene.subject.text,
        scene.weights,
        in_domain=trained_on == scene.corpus.name,
    )
    return told | {"zeroshot_mean": mean_of(told.values())}


def _hard_labels(scene: Scene) -> dict[str, Figure]:
    thresholds = scene.subject.engine.manifest.calibration.thresholds
    return cases.hard_figures(scene.tasks["super"], thresholds, scene.weights)


def _draft(scene: Scene) -> dict[str, Figure]:
    return drafts.figures(scene.found, scene.weights)


def _trust(scene: Scene) -> dict[str, Figure]:
    others = strangers.populations(scene.others) if scene.others else None
    return trust.figures(scene.found, scene.subject, scene.weights, scene.progress, others)


def _robustness(scene: Scene) -> dict[str, Figure]:
    return robust.figures(
        scene.subject, scene.found, scene.tasks["super"], scene.degraded, scene.weights
    )


#: Point of the protocol -> what measures it.
POINTS: Mapping[int, Callable[[Scene], dict[str, Figure]]] = {
    1: _reports,
    2: _cases,
    3: _aucs,
    4: _zero_shot,
    5: _hard_labels,
    6: _draft,
    7: _trust,
    8: _robustness,
}
