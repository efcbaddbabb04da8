"""What is evaluated: a release, the queries of a split, and what it retrieves for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgedge.casebase.release import open_store
from ecgedge.casebase.search import Hit
from ecgedge.corpora.ptbxl import Corpus, CorpusRecord
from ecgedge.encoders.text import TextEncoder
from ecgedge.engine import Engine
from ecgedge.errors import EcgedgeError, InputError
from ecgedge.evaluation import cases
from ecgedge.formats import read
from ecgedge.recording import FloatArray
from ecgedge.sight import embed_recording
from ecgedge.signal.quality import assess
from ecgedge.textsearch import open_text

#: Passes items through while showing how far it is: (items, label, length).
Progress = Callable[[Iterable[Any], str, int], Iterable[Any]]

#: The deepest list a figure looks at (nDCG@10, top-10 overlap).
DEPTH = 10


@dataclass(frozen=True)
class Subject:
    """One release: its engine, and its text encoder where it ships one."""

    engine: Engine
    text: TextEncoder | None

    def facts(self) -> dict[str, Any]:
        """What JSON says about it."""
        manifest, spec = self.engine.manifest, self.engine.encoder.spec
        return {
            "release": manifest.id,
            "encoder": spec.id,
            "quantization": spec.quantization,
            "text": self.text is not None,
            "cases": len(self.engine.casebase),
            "neighbours": manifest.calibration.neighbours,
            "temperature": manifest.calibration.temperature,
        }


def open_subject(store: Path | None, release: str | None = None) -> Subject:
    """Open the release of a store (None: the built-in one).

    Raises ReleaseError and its children as Engine.open does.
    """
    engine = Engine.open(store, release=release)
    opened = open_store(store)
    return Subject(engine, open_text(opened, engine.manifest))


@dataclass(frozen=True)
class Queries:
    """The split's records whose signal could be read and embedded by every subject.

    embeddings: one array (n, dim) a subject, rows as `records`.
    unreadable: (record id, reason) of those that could not.
    refused: record ids a device would refuse for their quality; they are evaluated.
    """

    records: tuple[CorpusRecord, ...]
    embeddings: tuple[FloatArray, ...]
    unreadable: tuple[tuple[str, str], ...]
    refused: tuple[str, ...]


def embed_split(
    records: Sequence[CorpusRecord], subjects: Sequence[Subject], progress: Progress
) -> Queries:
    """Read each record once and embed it with every subject. Raises InputError if none can be."""
    with_signal = [record for record in records if record.signal is not None]
    kept: list[CorpusRecord] = []
    rows: list[list[FloatArray]] = [[] for _ in subjects]
    unreadable: list[tuple[str, str]] = []
    refused: list[str] = []
    for record in progress(with_signal, "embedding queries", len(with_signal)):
        try:
            recording = read(Path(f"{record.signal}.hea"))
            quality = assess(recording)
            vectors = [
                embed_recording(recording, subject.engine.encoder, quality) for subject in subjects
            ]
        except EcgedgeError as error:
            unreadable.append((record.record_id, str(error)))
            continue
        kept.append(record)
        if quality.verdict == "refuse":
            refused.append(record.record_id)
        for row, vector in zip(rows, vectors, strict=True):
            row.append(vector)
    if not kept:
        first = f"; the first: {unreadable[0][1]}" if unreadable else ""
        raise InputError(
            f"no signal of the split can be evaluated: {len(records)} rows, "
            f"{len(with_signal)} with a signal file, {len(unreadable)} of them unreadable{first}"
        )
    return Queries(
        tuple(kept), tuple(np.stack(row) for row in rows), tuple(unreadable), tuple(refused)
    )


def retrieve(
    subject: Subject, corpus: Corpus, records: Sequence[CorpusRecord], embeddings: FloatArray
) -> list[Sequence[Hit]]:
    """Each query's nearest cases, best first, none of them its own or its patient's."""
    depth = max(DEPTH, subject.engine.manifest.calibration.neighbours)
    return [
        subject.engine.casebase.search(
            vector,
            depth,
            exclude_groups=frozenset({corpus.group(record)}),
            exclude_cases=frozenset({corpus.case_id(record)}),
        )
        for record, vector in zip(records, embeddings, strict=True)
    ]


def vote(subject: Subject, found: cases.Found, task: str) -> cases.Labelled:
    """The support that what was found gives to a task's classes, as the release weighs it."""
    calibration = subject.engine.manifest.calibration
    return cases.support_table(found, task, calibration.neighbours, calibration.temperature)
