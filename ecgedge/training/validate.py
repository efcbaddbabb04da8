"""How good the towers are so far: retrieval from the training folds, on the validation folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ecgedge.casebase.voting import vote_weights
from ecgedge.corpora.ptbxl import TASKS, Corpus, CorpusRecord
from ecgedge.evaluation.cases import MIN_POSITIVES
from ecgedge.evaluation.metrics import macro_auc
from ecgedge.imaging import get_encoding
from ecgedge.recording import FloatArray
from ecgedge.signal.conditioning import Conditioned
from ecgedge.training.model import EcgViT, TextTower

NEIGHBOURS, TEMPERATURE = 100, 0.1


def images_of(signals: FloatArray, encoding_id: str) -> torch.Tensor:
    """(n, 12, samples) conditioned -> float32 (n, C, H, W)."""
    encode = get_encoding(encoding_id).encode
    return torch.from_numpy(np.stack([encode(Conditioned(signal)) for signal in signals]))


@torch.no_grad()
def embed(net: EcgViT, signals: FloatArray, encoding_id: str, batch: int = 64) -> FloatArray:
    """float32 (n, dim) of unit norm, without augmentation."""
    device = next(net.parameters()).device
    parts = [
        net(images_of(signals[first : first + batch], encoding_id).to(device)).float().cpu()
        for first in range(0, len(signals), batch)
    ]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)


def votes(
    corpus: Corpus,
    gallery: FloatArray,
    gallery_records: Sequence[CorpusRecord],
    queries: FloatArray,
    query_records: Sequence[CorpusRecord],
) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.float64]]]:
    """Task -> (truth, the neighbours' votes), both (queries, classes); patients kept apart."""
    similarity = queries @ gallery.T
    owner = np.array([record.patient_id for record in gallery_records])
    asker = np.array([record.patient_id for record in query_records])
    similarity = np.where(asker[:, None] == owner[None, :], -2.0, similarity)
    nearest = np.argsort(-similarity, axis=1)[:, :NEIGHBOURS]
    weight = vote_weights(np.take_along_axis(similarity, nearest, axis=1), TEMPERATURE)
    tasks = {}
    for task in TASKS:
        held = corpus.table.matrix([r.statements for r in gallery_records], task)
        truth = corpus.table.matrix([r.statements for r in query_records], task)
        shares = np.einsum("qk,qkc->qc", weight, held[nearest].astype(np.float64))
        tasks[task] = truth, shares
    return tasks


def retrieval_scores(
    corpus: Corpus, tasks: Mapping[str, tuple[NDArray[np.bool_], NDArray[np.float64]]]
) -> dict[str, float]:
    """Macro AUC of `votes` on each task, and of AFIB alone."""
    scores = {}
    for task, (truth, shares) in tasks.items():
        scores[f"auc_{task}"] = macro_auc(truth, shares, MIN_POSITIVES)
        if task == "rhythm" and "AFIB" in corpus.table.rhythm:
            column = corpus.table.classes(task).index("AFIB")
            scores["auc_AFIB"] = macro_auc(truth[:, [column]], shares[:, [column]])
    return scores


@torch.no_grad()
def report_found(
    text_tower: TextTower, queries: FloatArray, own: NDArray[np.int64], ids: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(n,): whether each query's own report (column own[i]) is among the ten nearest of all."""
    device = next(text_tower.parameters()).device
    texts = text_tower(torch.from_numpy(ids).to(device)).float().cpu().numpy()
    similarity = queries @ texts.T
    target = np.take_along_axis(similarity, own[:, None], axis=1)
    return np.asarray((similarity > target).sum(axis=1) < 10)


def summary(scores: dict[str, float]) -> float:
    """The one number a checkpoint is chosen by: the mean of the tasks that can be scored."""
    values: list[Any] = [scores[f"auc_{task}"] for task in TASKS]
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else 0.0
