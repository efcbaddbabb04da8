"""Everything a training run is decided by; saved in its checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ecgedge.training.augment import AugmentConfig


@dataclass(frozen=True)
class TrainConfig:
    """One run. Folds are sorted; weights multiply their loss.

    pretrain_epochs: passes over all signals in which the image tower alone fills in what
        was hidden. batch: ECGs a step. extra_reports: reports without a signal added to each step's
        text side. text_epochs: passes over all reports of the training folds in which
        the text tower alone learns the statements.
    clip_weight, statement_weight, word_weight, vote_weight, rhythm_weight, beat_weight:
        contrastive, statement, word, vote, rhythm and beat loss.
    validate_every: epochs between two looks at the validation folds.
    activation: of the image tower's blocks, see `ViTConfig`.
    """

    encoding: str
    train_folds: tuple[int, ...]
    valid_folds: tuple[int, ...]
    seed: int = 0
    pretrain_epochs: int = 0
    epochs: int = 48
    batch: int = 64
    extra_reports: int = 256
    text_epochs: int = 6
    learning_rate: float = 1e-3
    text_rate: float = 0.1
    weight_decay: float = 0.05
    warmup: float = 0.1
    ema: float = 0.995
    clip_weight: float = 0.7
    statement_weight: float = 5.0
    word_weight: float = 5.0
    vote_weight: float = 5.0
    rhythm_weight: float = 3.0
    beat_weight: float = 2.0
    vote_scale: float = 10.0
    validate_every: int = 2
    width: int = 192
    depth: int = 6
    heads: int = 4
    dim: int = 128
    stem: int = 64
    dropout: float = 0.1
    drop_path: float = 0.1
    activation: str = "relu"
    text_buckets: int = 16384
    text_width: int = 96
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """The inverse of to_dict; names this version does not know are an error."""
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"unknown training settings {', '.join(unknown)}")
        sequences = {name: tuple(values[name]) for name in ("train_folds", "valid_folds")}
        return cls(**{**values, **sequences, "augment": AugmentConfig(**values["augment"])})
