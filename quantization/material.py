"""Recordings to calibrate with, to search in and to compare on, from a corpus."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ecgedge.corpora.ptbxl import TASKS, Corpus, CorpusRecord
from ecgedge.errors import EcgedgeError, InputError, UsageError
from ecgedge.imaging import ImageEncoding
from ecgedge.imaging.base import window
from ecgedge.recording import FloatArray
from ecgedge.signal.conditioning import Conditioned, condition

Progress = Callable[[Iterable[CorpusRecord], str], Iterable[CorpusRecord]]

T = TypeVar("T")

_BATCH = 32


@dataclass(frozen=True)
class Ecgs:
    """signals: float32 (n, 12, 1000), conditioned. labels: (n, super classes).

    unreadable: record ids that could not be read, never silently dropped.
    further: labels of the other tasks of the evaluation, (n, classes) each.
    """

    signals: FloatArray
    labels: NDArray[np.bool_]
    unreadable: tuple[str, ...] = ()
    further: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.signals)

    def images(self, encoding: ImageEncoding, rows: slice = slice(None)) -> FloatArray:
        """float32 (m, C, H, W) of these rows."""
        return np.stack([encoding.encode(Conditioned(signal)) for signal in self.signals[rows]])

    def batches(self, encoding: ImageEncoding) -> Iterable[FloatArray]:
        """All images, a few at a time, so that large encodings need not fit in memory."""
        for start in range(0, len(self), _BATCH):
            yield self.images(encoding, slice(start, start + _BATCH))


@dataclass(frozen=True)
class Material:
    """calibration is a part of gallery; validation shares no fold with either."""

    calibration: Ecgs
    gallery: Ecgs
    validation: Ecgs


def load_material(
    corpus: Corpus,
    calibration_folds: Collection[int],
    validation_folds: Collection[int],
    *,
    calibration_records: int,
    most_records: int,
    progress: Progress,
) -> Material:
    """Read the signals of both sides, at most `most_records` of each, evenly spread.

    Raises UsageError for folds on both sides, InputError where a side is empty.
    """
    common = sorted(set(calibration_folds) & set(validation_folds))
    if common:
        raise UsageError(f"fold {common[0]} cannot both calibrate and validate")
    if calibration_records < 1 or most_records < 1:
        raise UsageError("the number of records must be at least 1")
    sides = []
    for folds, label in (
        (calibration_folds, "calibration folds"),
        (validation_folds, "validation"),
    ):
        records = spread(corpus.select(folds, with_signal=True), most_records)
        sides.append(_read(corpus, records, label, progress))
    gallery, validation = sides
    chosen = spread(range(len(gallery)), calibration_records)
    calibration = Ecgs(gallery.signals[chosen], gallery.labels[chosen])
    return Material(calibration, gallery, validation)


def spread(items: Sequence[T], most: int) -> list[T]:
    """At most `most` items at even distances, in order."""
    if len(items) <= most:
        return list(items)
    return [items[index * len(items) // most] for index in range(most)]


def _read(corpus: Corpus, records: Sequence[CorpusRecord], label: str, progress: Progress) -> Ecgs:
    from ecgedge.formats import read

    signals, kept, unreadable = [], [], []
    for record in progress(records, label):
        assert record.signal is not None
        try:
            signals.append(window(condition(read(record.signal))))
            kept.append(record)
        except EcgedgeError:
            unreadable.append(record.record_id)
    if not kept:
        raise InputError(f"{corpus.root} has no readable recording for the {label}")
    codes = [record.statements for record in kept]
    further = {task: corpus.table.matrix(codes, task) for task in TASKS[1:]}
    labels = corpus.table.matrix(codes, "super")
    return Ecgs(np.stack(signals), labels, tuple(unreadable), further)
