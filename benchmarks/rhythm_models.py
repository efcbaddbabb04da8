"""What the rhythm benchmark compares: recordings of the four groups, and ways to compare them."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks import rhythm_task as task
from benchmarks.training_runs import to_the_last_epoch
from ecgedge.corpora.ptbxl import Corpus, CorpusRecord
from ecgedge.evaluation.subject import open_subject
from ecgedge.imaging import get_encoding
from ecgedge.recording import FloatArray
from ecgedge.signal.conditioning import Conditioned
from ecgedge.training import checkpoint, validate
from ecgedge.training.data import SignalSet
from ecgedge.training.measured import rhythm_targets

T = TypeVar("T")
#: name -> (folds learnt from, folds asked)
Halves = Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]


def quiet(items: Iterable[T], label: str, /) -> Iterable[T]:
    """Progress that only names the step."""
    print(f"{label} ...", file=sys.stderr, flush=True)
    return items


@dataclass(frozen=True)
class Data:
    """The recordings of one of the four groups. truth, fold: (n,); signals: (n, 12, samples)."""

    records: tuple[CorpusRecord, ...]
    signals: FloatArray
    truth: task.Labels
    fold: task.Labels
    patient: NDArray[Any]

    @classmethod
    def of(cls, read: SignalSet) -> Data:
        groups = [task.group_of(record.statements) for record in read.records]
        rows = [row for row, group in enumerate(groups) if group is not None]
        kept = tuple(read.records[row] for row in rows)
        truth = [task.NAMES.index(groups[row] or "") for row in rows]
        return cls(
            kept,
            read.signals[rows],
            np.array(truth, dtype=np.intp),
            np.array([record.fold for record in kept], dtype=np.intp),
            np.array([record.patient_id for record in kept]),
        )

    def within(self, folds: Iterable[int]) -> task.Labels:
        """Rows of these folds."""
        return np.flatnonzero(np.isin(self.fold, list(folds)))

    def ask(self, similarity: task.Floats, queries: task.Labels, cases: task.Labels) -> task.Asked:
        """These rows asked of those, patients kept apart. similarity: (n, n)."""
        apart = task.keep_apart(
            similarity[np.ix_(queries, cases)], self.patient[queries], self.patient[cases]
        )
        return task.Asked(apart, self.truth[queries], self.truth[cases])


@dataclass(frozen=True)
class Model:
    """One way to compare recordings. similarity: (n, n), higher is more alike.

    halves: similarities by the same recipe trained on each half of the folds; for what is
    not trained, its own.
    """

    facts: dict[str, Any]
    similarity: task.Floats
    halves: dict[str, task.Floats]


def cosine(vectors: FloatArray) -> task.Floats:
    """(n, dim) unit vectors -> (n, n)."""
    return np.asarray(vectors @ vectors.T, dtype=np.float64)


def halves_of(folds: Sequence[int]) -> Halves:
    """The 1st, 3rd ... fold to learn from and the others to ask, and the reverse."""
    odd, even = tuple(folds[::2]), tuple(folds[1::2])
    return {"odd": (odd, even), "even": (even, odd)}


def rr_model(data: Data, halves: Halves) -> Model:
    """Minus the squared distance of three standardised figures of the RR intervals."""
    figures = np.nan_to_num(rhythm_targets(data.signals)).astype(np.float64)
    similarity = -((figures[:, None] - figures[None]) ** 2).sum(axis=2)
    facts = {"encoding": None, "note": "log mean RR, log mean and median change from beat to beat"}
    return Model(facts, similarity, dict.fromkeys(halves, similarity))


def trained_model(data: Data, run: Path, halves: dict[str, task.Floats]) -> Model:
    """The checkpoint of a run, in float32."""
    held = checkpoint.load(run / "best.pt")
    vectors = validate.embed(held.image_tower, data.signals, held.imaging)
    facts = {
        "encoding": held.imaging,
        "epochs": held.config.epochs,
        "train_folds": list(held.config.train_folds),
        "parameters": sum(p.numel() for p in held.image_tower.parameters()),
        "arithmetic": "float32",
    }
    return Model(facts, cosine(vectors), halves)


def builtin_model(data: Data, store: Path | None) -> Model:
    """The encoder of a release as the device runs it, but without its quality gate."""
    engine = open_subject(store).engine
    encode = get_encoding(engine.encoder.spec.imaging).encode
    vectors = [engine.encoder.encode(encode(Conditioned(one))[None])[0] for one in data.signals]
    facts = {
        "encoding": engine.encoder.spec.imaging,
        "release": engine.manifest.id,
        "arithmetic": engine.encoder.spec.quantization,
    }
    return Model(facts, cosine(np.stack(vectors)), {})


def crossfit(
    corpus: Corpus, data: Data, run: Path, folder: Path, epochs: int, halves: Halves
) -> dict[str, task.Floats]:
    """The RUN's recipe on each half of the folds: similarities of all recordings."""
    config = checkpoint.load(run / "best.pt").config
    found = {}
    for half, (learn, asked) in halves.items():
        settled = dataclasses.replace(config, train_folds=learn, valid_folds=asked, epochs=epochs)
        where = folder / f"crossfit-{config.encoding}" / half
        to_the_last_epoch(corpus, settled, where, progress=quiet, device="cpu")
        tower = checkpoint.load(where / "best.pt").image_tower
        found[half] = cosine(validate.embed(tower, data.signals, config.encoding))
    return found
