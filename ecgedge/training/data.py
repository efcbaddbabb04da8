"""What the trainer draws from: conditioned signals, report grams, label columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from ecgedge.corpora.ptbxl import CorpusRecord
from ecgedge.errors import EcgedgeError, InputError
from ecgedge.formats import find_recordings, read
from ecgedge.imaging import get_encoding
from ecgedge.imaging.base import window
from ecgedge.recording import FloatArray
from ecgedge.signal.conditioning import Conditioned, condition
from ecgedge.training.augment import augment
from ecgedge.training.config import TrainConfig

T = TypeVar("T")
Keys = NDArray[np.int64]


class Progress(Protocol):
    """Passes items through while showing how far it is."""

    def __call__(self, items: Iterable[T], label: str, /) -> Iterable[T]: ...


@dataclass(frozen=True)
class SignalSet:
    """Recordings of some folds, ready to be augmented.

    signals: float32 (n, 12, 1000), cond-1, NaN where missing.
    records: the n records. skipped: record id and reason of each unreadable one.
    """

    signals: FloatArray
    records: tuple[CorpusRecord, ...]
    skipped: tuple[tuple[str, str], ...]


def load_signals(records: Sequence[CorpusRecord], progress: Progress) -> SignalSet:
    """Read and condition every record; unreadable ones are listed, never dropped silently."""
    signals, kept, skipped = [], [], []
    for record in progress(records, "conditioning"):
        assert record.signal is not None
        try:
            signals.append(window(condition(read(record.signal))))
            kept.append(record)
        except EcgedgeError as error:
            skipped.append((record.record_id, str(error)))
    if not kept:
        raise InputError(f"none of the {len(records)} recordings can be read")
    return SignalSet(np.stack(signals), tuple(kept), tuple(skipped))


def load_folder(folder: Path, progress: Progress) -> FloatArray:
    """Every recording directly in a folder, conditioned: float32 (n, 12, 1000), in any unit.

    For stage 0, which needs no label: one that cannot be read is left out. Raises
    InputError if none can.
    """
    signals = []
    for path in progress(find_recordings(folder), "conditioning"):
        try:
            signals.append(window(condition(read(path))))
        except EcgedgeError:
            continue
    if not signals:
        raise InputError(f"{folder} holds no recording that can be read")
    return np.stack(signals)


@dataclass(frozen=True)
class Batch:
    """images: float32 (B, C, H, W). rows: int64 (B,), which training records they are."""

    images: torch.Tensor
    rows: NDArray[np.int64]


class _Augmented(Dataset[torch.Tensor]):
    """Augmented images of one epoch; record i's draw depends on (seed, epoch, i) alone."""

    def __init__(self, signals: FloatArray, config: TrainConfig, epoch: int) -> None:
        self.signals, self.config, self.epoch = signals, config, epoch
        self.encode = get_encoding(config.encoding).encode

    def __len__(self) -> int:
        return len(self.signals)

    def __getitem__(self, row: int) -> torch.Tensor:
        rng = np.random.default_rng([self.config.seed, 3, self.epoch, row])
        signal = augment(self.signals[row], self.config.augment, rng)
        return torch.from_numpy(self.encode(Conditioned(signal)))


class BatchLoader:
    """The batches of one epoch: every record at most once, in an order drawn from (seed, epoch)."""

    def __init__(
        self, signals: SignalSet, config: TrainConfig, epoch: int, *, workers: int = 0
    ) -> None:
        order = np.random.default_rng([config.seed, 0, epoch]).permutation(len(signals.records))
        whole = max(1, len(order) // config.batch)
        self.batches = [order[i * config.batch : (i + 1) * config.batch] for i in range(whole)]
        self._loader: DataLoader[torch.Tensor] = DataLoader(
            _Augmented(signals.signals, config, epoch),
            batch_sampler=[batch.tolist() for batch in self.batches],
            num_workers=workers,
        )

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        for images, rows in zip(self._loader, self.batches, strict=True):
            yield Batch(images, rows)
