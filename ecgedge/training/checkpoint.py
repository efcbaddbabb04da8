"""Checkpoints: what export needs (towers, config, facts) and what resuming needs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ecgedge.atomic import replacing
from ecgedge.errors import InputError
from ecgedge.imaging import get_encoding
from ecgedge.training.config import TrainConfig
from ecgedge.training.model import EcgViT, TextTower, ViTConfig

FORMAT = "ecgedge-checkpoint/1"


@dataclass(frozen=True)
class Checkpoint:
    """A trained pair of towers in eval mode, and the facts that go into the sidecar.

    learnt: the words the text tower saw, as `encoders.text.learnt_grams` tells them.
    """

    config: TrainConfig
    image_tower: EcgViT
    text_tower: TextTower | None
    training: Mapping[str, Any]
    learnt: str = ""

    @property
    def imaging(self) -> str:
        return self.config.encoding


def build_towers(config: TrainConfig) -> tuple[EcgViT, TextTower]:
    """Fresh towers for a run; initialised from torch's current random state."""
    encoding = get_encoding(config.encoding)
    vit = ViTConfig(
        shape=encoding.shape,
        patch=encoding.patch,
        width=config.width,
        depth=config.depth,
        heads=config.heads,
        dim=config.dim,
        stem=config.stem,
        dropout=config.dropout,
        drop_path=config.drop_path,
        activation=config.activation,
    )
    return EcgViT(vit), TextTower(config.text_buckets, config.text_width, config.dim)


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write atomically: a run that is killed while saving keeps its last checkpoint."""
    with replacing(path) as temporary:
        torch.save({"format": FORMAT, **state}, temporary)


def read(path: Path) -> dict[str, Any]:
    """The raw state of a checkpoint file; raises InputError for anything else."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks on files that are refused below
            state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception:  # other bytes taken for a pickle can raise anything
        raise InputError(f"{path} is not a checkpoint of ecgedge train") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(f"{path} is not a checkpoint of this version of ecgedge train")
    return state


def config_of(state: Mapping[str, Any], path: Path | str) -> TrainConfig:
    """The settings a checkpoint was made with; raises InputError for another version's."""
    try:
        return TrainConfig.from_dict(state["config"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} has other settings than this version: {error}") from None


def load(path: Path | str) -> Checkpoint:
    """Open a checkpoint for export or evaluation; raises InputError."""
    state = read(Path(path))
    config = config_of(state, path)
    try:
        image_tower, text_tower = build_towers(config)
        image_tower.load_state_dict(state["averaged"])
        text_tower.load_state_dict(state["text_tower"])
        facts = dict(state["facts"])
        learnt = str(state.get("learnt", ""))  # older checkpoints do not say
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        told = str(error).partition("\n")[0]
        raise InputError(f"{path} does not fit this version of the model: {told}") from None
    return Checkpoint(config, image_tower.eval(), text_tower.eval(), facts, learnt)


def untrained(config: TrainConfig) -> Checkpoint:
    """The same image tower before training: the control that every figure is shown beside."""
    torch.manual_seed(config.seed)
    image_tower, _ = build_towers(config)
    facts = {"corpus": None, "note": "random weights, the control of the evaluation"}
    return Checkpoint(config, image_tower.eval(), None, facts)
