"""Which recordings a point of the learning curve is trained on, for how long, with what recipe."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ecgedge.corpora.ptbxl import Corpus, CorpusRecord
from ecgedge.errors import UsageError
from ecgedge.training.augment import AugmentConfig
from ecgedge.training.config import TrainConfig


def draw(records: Sequence[CorpusRecord], size: int | None, seed: int) -> list[CorpusRecord]:
    """Whole patients in an order drawn from the seed, until `size` recordings are together.

    A smaller draw of the same seed is part of a larger one. None: all. A patient's last
    recordings may carry the draw a few past `size`. Raises UsageError where there are
    fewer.
    """
    if size is None:
        return list(records)
    if size > len(records):
        raise UsageError(f"{size} recordings are asked for and the folds have {len(records)}")
    patients = sorted({record.patient_id for record in records})
    order = np.random.default_rng([seed, 4]).permutation(len(patients))
    of_patient: dict[str, int] = {}
    for record in records:
        of_patient[record.patient_id] = of_patient.get(record.patient_id, 0) + 1
    count = np.cumsum([of_patient[patients[place]] for place in order])
    taken = order[: int(np.searchsorted(count, size)) + 1]
    kept = {patients[place] for place in taken}
    return [record for record in records if record.patient_id in kept]


def hide(corpus: Corpus, folds: Iterable[int], kept: Sequence[CorpusRecord]) -> Corpus:
    """The corpus with no signal in these folds but the kept ones; every report stays."""
    heard = {record.record_id for record in kept}
    inside = set(folds)
    records = tuple(
        dataclasses.replace(record, signal=None)
        if record.fold in inside and record.record_id not in heard
        else record
        for record in corpus.records
    )
    return dataclasses.replace(corpus, records=records)


def epochs_for(recordings: int, most: int, epochs: int, batch: int) -> int:
    """Epochs of `recordings` that make as many steps as `epochs` of `most`, rounded."""
    return max(1, round(epochs * steps(most, batch) / steps(recordings, batch)))


def steps(recordings: int, batch: int) -> int:
    """Steps in an epoch, as the trainer counts them."""
    return max(1, recordings // batch)


def parse_setting(text: str) -> tuple[str, Any]:
    """ "width=128" or "augment.gain=0.1" -> name and value; raises UsageError."""
    name, equals, value = text.partition("=")
    known = {item.name for item in dataclasses.fields(TrainConfig)} - {"augment"}
    known |= {f"augment.{item.name}" for item in dataclasses.fields(AugmentConfig)}
    if not equals or name not in known:
        raise UsageError(f"{text!r} is not KEY=VALUE with a setting of a training run as KEY")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def configure(settings: dict[str, Any], **named: Any) -> TrainConfig:
    """A run's configuration from the named settings and those of the command line."""
    inner = {
        name.removeprefix("augment."): value
        for name, value in settings.items()
        if name.startswith("augment.")
    }
    outer = {name: value for name, value in settings.items() if not name.startswith("augment.")}
    return TrainConfig(**{**named, **outer, "augment": AugmentConfig(**inner)})
