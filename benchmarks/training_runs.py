"""Training runs that a benchmark makes for itself: resumable, and never picking an epoch."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ecgedge.corpora.ptbxl import Corpus
from ecgedge.training.config import TrainConfig
from ecgedge.training.data import Progress
from ecgedge.training.train import Trainer


def to_the_last_epoch(
    corpus: Corpus,
    config: TrainConfig,
    run: Path,
    *,
    progress: Progress,
    device: str = "auto",
    workers: int = 0,
) -> Trainer:
    """Train, or go on where a killed run stopped, or only load a finished one.

    Validates after the last epoch alone, so that `best.pt` is the last epoch and no
    figure on the validation folds is a maximum over epochs. Raises UsageError when
    `run` holds another run.
    """
    run.mkdir(parents=True, exist_ok=True)
    settled = dataclasses.replace(config, validate_every=config.epochs)
    trainer = Trainer(corpus, settled, run, progress=progress, device=device, workers=workers)
    if (run / "last.pt").exists():
        trainer.resume()
    trainer.fit()
    return trainer
