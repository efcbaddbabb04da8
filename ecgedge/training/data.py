"""What the trainer draws from: conditioned signals, report grams, label columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from ecgedge.corpora.ptbxl import Corpus, CorpusRecord
from ecgedge.encoders.text import normalise, pad_ids
from ecgedge.errors import EcgedgeError, InputError
from ecgedge.formats import read
from ecgedge.imaging import get_encoding
from ecgedge.imaging.base import window
from ecgedge.recording import FloatArray
from ecgedge.signal.beats import r_peaks
from ecgedge.signal.conditioning import RATE_HZ, Conditioned, condition
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


@dataclass(frozen=True)
class LabelColumns:
    """Columns of the supervised part: every statement seen often enough, and the classes.

    names: e.g. "AFIB", "super:CD", "sub:IMI".
    """

    names: tuple[str, ...]

    @classmethod
    def of(cls, corpus: Corpus, records: Sequence[CorpusRecord], minimum: int = 3) -> LabelColumns:
        """Columns that at least `minimum` of the records carry."""
        count: dict[str, int] = {}
        for record in records:
            for name in label_names(corpus, record):
                count[name] = count.get(name, 0) + 1
        return cls(tuple(sorted(name for name, n in count.items() if n >= minimum)))

    def matrix(self, corpus: Corpus, records: Sequence[CorpusRecord]) -> FloatArray:
        """float32 (n, columns) of 0 and 1."""
        held = [label_names(corpus, record) for record in records]
        return np.array([[name in row for name in self.names] for row in held], dtype=np.float32)


def label_names(corpus: Corpus, record: CorpusRecord) -> set[str]:
    """The codes a record carries and the diagnostic classes they belong to."""
    codes = set(record.statements)
    super_ = {f"super:{name}" for name in corpus.table.labels(codes, "super")}
    sub = {f"sub:{name}" for name in corpus.table.labels(codes, "sub")}
    return codes | super_ | sub


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


@dataclass(frozen=True)
class ReportSet:
    """Every report of some folds, with or without a signal.

    ids: int64 (M, longest), padded gram ids. owner: int64 (n,), the row of each recording's
    own report. text_key, set_key: int64 (M,), see `equivalence_keys`.
    """

    records: tuple[CorpusRecord, ...]
    ids: NDArray[np.int64]
    owner: NDArray[np.int64]
    text_key: NDArray[np.int64]
    set_key: NDArray[np.int64]

    @classmethod
    def of(
        cls, records: Sequence[CorpusRecord], recorded: Sequence[CorpusRecord], buckets: int
    ) -> ReportSet:
        """records: all of the folds; recorded: those with a signal, in their order."""
        place = {record.record_id: row for row, record in enumerate(records)}
        owner = np.array([place[record.record_id] for record in recorded], dtype=np.int64)
        ids = pad_ids([record.report for record in records], buckets)
        return cls(tuple(records), ids, owner, *equivalence_keys(records))

    def same(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.bool_]:
        """bool (len(left), len(right)): which pairs of reports are equivalent."""
        same_text = self.text_key[left][:, None] == self.text_key[right]
        return np.asarray(same_text | (self.set_key[left][:, None] == self.set_key[right]))


def rhythm_targets(signals: FloatArray) -> FloatArray:
    """float32 (n, 3), standardised: log mean RR, log mean and log median RR-to-RR change.

    Measured from the R peaks of each recording, not from its labels: they teach the
    image tower to compare intervals, which a net this small is slow to find by itself.
    NaN where fewer than four beats are found. The changes are relative to the mean RR.
    """
    rows = []
    for signal in signals:
        rr_s = np.diff(r_peaks(Conditioned(signal))) / RATE_HZ
        if len(rr_s) < 3:
            rows.append([np.nan] * 3)
            continue
        change = np.abs(np.diff(rr_s)) / rr_s.mean()
        rows.append(list(np.log([rr_s.mean(), 0.01 + change.mean(), 0.01 + np.median(change)])))
    table = np.array(rows)
    if not np.isfinite(table).any():
        return np.asarray(table, dtype=np.float32)
    spread = np.maximum(np.nanstd(table, axis=0), 1e-6)
    scaled = np.clip((table - np.nanmean(table, axis=0)) / spread, -3, 3)
    return np.asarray(scaled, dtype=np.float32)


def equivalence_keys(records: Sequence[CorpusRecord]) -> tuple[Keys, Keys]:
    """Two int64 (n,) keys; records are equivalent when either is equal.

    The first numbers the normalised texts, the second the sets of statements.
    """
    texts: dict[str, int] = {}
    sets: dict[frozenset[str], int] = {}
    text_key = [texts.setdefault(normalise(r.report), len(texts)) for r in records]
    set_key = [sets.setdefault(frozenset(r.statements), len(sets)) for r in records]
    return np.array(text_key, dtype=np.int64), np.array(set_key, dtype=np.int64)


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
