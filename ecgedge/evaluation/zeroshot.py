"""Point 4: a recording against our prompts, one a class, without any training on labels.

A class scores by the cosine of its prompt's embedding with the recording's; several
wordings are averaged, and a superclass or subclass scores as the likeliest of its
statements, softly (`prompts.scoring`). The text tower learnt from reports of the corpus
that is usually evaluated: then the figures are in-domain, and say so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecgedge.corpora.ptbxl import TASKS, Corpus, CorpusRecord, StatementTable
from ecgedge.encoders.text import TextEncoder
from ecgedge.evaluation import metrics
from ecgedge.evaluation.cases import MIN_POSITIVES, Labelled, auc_figures
from ecgedge.evaluation.figures import Figure, Floats, missing
from ecgedge.evaluation.ranking import Bools
from ecgedge.prompts import shipped_prompts
from ecgedge.prompts.scoring import PromptVectors, embed_prompts
from ecgedge.recording import FloatArray


def figures(
    corpus: Corpus,
    records: Sequence[CorpusRecord],
    embeddings: FloatArray,
    text: TextEncoder | None,
    weights: Floats,
    *,
    in_domain: bool = True,
) -> dict[str, Figure]:
    """zeroshot_<task>: macro AUC over the classes with enough positives and a prompt.

    records, embeddings (n, dim): the queries. weights: (draws, n) from `patient_weights`.
    in_domain: whether the text tower learnt from reports of this corpus.
    """
    names = [f"zeroshot_{task}" for task in TASKS]
    if text is None:
        return {name: missing("the release has no text tower", len(records)) for name in names}
    prompts = embed_prompts(shipped_prompts(), text, drop=True)
    scores = prompts.scores(embeddings)
    found = {}
    for task, name in zip(TASKS, names, strict=True):
        held = _labelled(corpus.table, records, task, prompts, scores)
        figure = auc_figures({task: held}, weights)[f"auc_{task}"]
        figure.facts["in_domain"] = in_domain
        found[name] = figure
    return found


def _labelled(
    table: StatementTable,
    records: Sequence[CorpusRecord],
    task: str,
    prompts: PromptVectors,
    scores: FloatArray,
) -> Labelled:
    """The task's classes that have a prompt, with what the queries hold and score."""
    names = table.classes(task)
    labels: Bools = table.matrix([record.statements for record in records], task)
    prefix = f"{task}:" if task in ("super", "sub") else ""
    place = {name: column for column, name in enumerate(prompts.prompts.names)}
    kept = [column for column, name in enumerate(names) if f"{prefix}{name}" in place]
    labels = labels[:, kept]
    classes = [names[column] for column in kept]
    columns = [place[f"{prefix}{name}"] for name in classes]
    return Labelled(
        names=classes,
        codes=[frozenset({f"{prefix}{name}"}) for name in classes],
        labels=labels,
        supports=scores[:, columns].astype(np.float64),
        kept=metrics.scorable(labels, MIN_POSITIVES),
    )
