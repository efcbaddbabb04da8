"""What each recording and report of the training folds must tell: the targets of a batch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ecgedge.corpora.ptbxl import Corpus, CorpusRecord
from ecgedge.training.config import TrainConfig
from ecgedge.training.data import SignalSet
from ecgedge.training.measured import beat_targets, rhythm_targets
from ecgedge.training.objective import Objective, Targets
from ecgedge.training.reports import LabelColumns, ReportSet, WordColumns

Rows = NDArray[np.int64]


class Lessons:
    """The training folds' reports and targets, as tensors of one device."""

    def __init__(
        self,
        corpus: Corpus,
        records: list[CorpusRecord],
        signals: SignalSet,
        config: TrainConfig,
        device: str,
    ) -> None:
        """records: all of the folds, also those without a signal."""
        self.config, self.device = config, device
        self.reports = ReportSet.of(records, signals.records, config.text_buckets)
        columns = LabelColumns.of(corpus, signals.records)
        words = WordColumns.of(records)
        self.ids = self._tensor(self.reports.ids)  # (M, longest)
        self.labels = self._tensor(columns.matrix(corpus, records))  # (M, L)
        self.words = self._tensor(words.matrix(records))  # bool (M, G): a byte each
        self.rhythm = self._tensor(rhythm_targets(signals.signals))  # (n, R)
        self.beat = self._tensor(beat_targets(signals.signals))  # (n, T)

    def __len__(self) -> int:
        """How many reports there are."""
        return len(self.ids)

    def objective(self) -> Objective:
        """A fresh objective with a head for each kind of target."""
        tables = (self.labels, self.words, self.rhythm, self.beat)
        return Objective(self.config, *(table.shape[1] for table in tables))

    def of_reports(self, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
        """(ids, labels, words) of these reports."""
        chosen = torch.from_numpy(rows)
        return self.ids[chosen], self.labels[chosen], self.words[chosen].float()

    def of_batch(self, rows: Rows, extra: Rows) -> tuple[Tensor, Targets]:
        """(gram ids (M, longest), targets): the recordings' own reports, then the extra ones."""
        own = self.reports.owner[rows]
        reports = np.concatenate([own, extra])
        ids, labels, words = self.of_reports(reports)
        same = self._tensor(self.reports.same(own, reports))
        chosen = torch.from_numpy(rows)
        return ids, Targets(same, labels, words, self.rhythm[chosen], self.beat[chosen])

    def _tensor(self, table: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(table).to(self.device)
