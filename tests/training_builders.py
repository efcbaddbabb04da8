"""A tiny corpus and the settings of a run that takes a second."""

import dataclasses

import evaluation_builders as build
import numpy as np
import torch

from ecgedge.training.augment import AugmentConfig
from ecgedge.training.config import TrainConfig
from ecgedge.training.train import Trainer

#: No augmentation at all.
STILL = AugmentConfig(0, 0, 0, 0, 0, 0, 0, 0)


def tiny_config(**changes):
    """Fold 1 to learn from, fold 2 to choose on, the smallest towers."""
    settings = {
        "encoding": "leads-1",
        "train_folds": (1,),
        "valid_folds": (2,),
        "epochs": 3,
        "batch": 8,
        "extra_reports": 4,
        "text_epochs": 1,
        "width": 32,
        "depth": 1,
        "heads": 2,
        "dim": 16,
        "stem": 8,
        "text_buckets": 256,
        "text_width": 8,
    }
    return TrainConfig(**settings | changes)


def write_tiny(root):
    """18 rows in fold 1 of which 16 have signals, 8 in fold 2; four kinds of heart."""
    train = build.rows(18, first=1, fold=1, unheard=2)
    return build.write_corpus(root, [*train, *build.rows(8, first=101, fold=2)])


def silent(items, label):
    """Progress that shows nothing."""
    return items


def trainer(corpus, folder, config=None, *, workers=0):
    """A Trainer on the CPU in an existing folder."""
    folder.mkdir(parents=True, exist_ok=True)
    config = config or tiny_config()
    return Trainer(corpus, config, folder, progress=silent, device="cpu", workers=workers)


def weights(run):
    """Everything a run has learnt, by name."""
    parts = {
        "image": run.image_tower,
        "averaged": run.averaged,
        "text": run.text_tower,
        "objective": run.objective,
    }
    return {
        f"{part}.{name}": value.clone()
        for part, module in parts.items()
        for name, value in module.state_dict().items()
    }


def same_bits(left, right):
    """Whether two results of `weights` are equal to the last bit."""
    return left.keys() == right.keys() and all(torch.equal(left[n], right[n]) for n in left)


def relabelled(corpus, fold, statements, report):
    """The corpus with other statements and reports in one fold."""
    records = tuple(
        dataclasses.replace(record, statements=statements, report=report)
        if record.fold == fold
        else record
        for record in corpus.records
    )
    return dataclasses.replace(corpus, records=records)


def unit_rows(rng, count, dim):
    """float32 (count, dim), rows of length 1."""
    rows = rng.standard_normal((count, dim))
    return torch.tensor(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=torch.float32)
