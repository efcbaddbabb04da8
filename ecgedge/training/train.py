"""The training loop.

Two stages. The text tower first learns the statements from every report of the
training folds, most of which have no signal here. Then both towers are trained
together on the recordings: contrastive loss between ECG and report, a statement
loss on the ECG embedding, the vote loss, and a rhythm loss against measured RR
intervals. What is validated and exported is a running average of the image tower's
weights.

Every random draw comes from (seed, epoch, record), so a run that is stopped and
resumed makes the same steps as one that is not.
"""

from __future__ import annotations

import copy
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ecgedge.corpora.ptbxl import Corpus
from ecgedge.encoders.text import learnt_grams
from ecgedge.errors import InputError, UsageError
from ecgedge.imaging import get_encoding
from ecgedge.recording import FloatArray
from ecgedge.training import checkpoint, log, validate
from ecgedge.training.config import TrainConfig
from ecgedge.training.data import Batch, BatchLoader, Progress, load_signals
from ecgedge.training.lessons import Lessons
from ecgedge.training.objective import NAMES
from ecgedge.training.pretrain import pretrain
from ecgedge.training.reports import ReportSet


class Trainer:
    """One run in one folder: `last.pt`, `best.pt`, `log.jsonl`."""

    def __init__(
        self,
        corpus: Corpus,
        config: TrainConfig,
        run: Path,
        *,
        progress: Progress,
        device: str = "auto",
        workers: int = 0,
        unlabelled: FloatArray | None = None,
    ) -> None:
        if set(config.train_folds) & set(config.valid_folds):
            raise UsageError("a fold cannot be trained on and validated on at once")
        self.corpus, self.config, self.run_dir, self.workers = corpus, config, run, workers
        self.progress = progress
        self.unlabelled = np.empty((0, 12, 1000), np.float32) if unlabelled is None else unlabelled
        self.device = _pick_device(device)
        get_encoding(config.encoding)  # refuses an unknown one before minutes of conditioning
        self.train = load_signals(corpus.select(config.train_folds, with_signal=True), progress)
        self.valid = load_signals(corpus.select(config.valid_folds, with_signal=True), progress)
        if min(len(self.train.records), config.batch) < 2:
            raise InputError("training needs two recordings or more in a batch: one has no other")
        records = corpus.select(config.train_folds)
        self.lessons = Lessons(corpus, records, self.train, config, self.device)
        texts = corpus.select(config.valid_folds)
        self.valid_reports = ReportSet.of(texts, self.valid.records, config.text_buckets)
        self._build()

    def _build(self) -> None:
        config = self.config
        torch.manual_seed(config.seed)
        image_tower, text_tower = checkpoint.build_towers(config)
        self.image_tower, self.text_tower = image_tower.to(self.device), text_tower.to(self.device)
        self.averaged = copy.deepcopy(self.image_tower).eval()
        self.objective = self.lessons.objective().to(self.device)
        self.steps_per_epoch = max(1, len(self.train.records) // config.batch)
        self.optimizer = torch.optim.AdamW(self._parameter_groups(), betas=(0.9, 0.98))
        self.epoch, self.step, self.best = 0, 0, {"score": -1.0}
        self.seconds = 0.0

    def _parameter_groups(self) -> list[dict[str, Any]]:
        rate, decay = self.config.learning_rate, self.config.weight_decay
        weights = [p for p in self.image_tower.parameters() if p.ndim > 1]
        others = [p for p in self.image_tower.parameters() if p.ndim <= 1]
        others += self.objective.parameters()
        text = list(self.text_tower.parameters())
        return [
            {"params": weights, "peak": rate, "weight_decay": decay},
            {"params": others, "peak": rate, "weight_decay": 0.0},
            {"params": text, "peak": rate * self.config.text_rate, "weight_decay": 1e-3},
        ]

    # The run

    def fit(self, *, stop_after: int | None = None) -> dict[str, Any]:
        """Train to the last epoch (or stop_after); returns the best validation's facts."""
        if self.epoch == 0:
            self._fill_in()
            self._warm_text()
        log.rewind(self.run_dir / "log.jsonl", self.epoch)
        last = self.config.epochs if stop_after is None else min(stop_after, self.config.epochs)
        while self.epoch < last:
            started = time.monotonic()
            losses = self._train_epoch()
            self.epoch += 1
            entry: dict[str, Any] = {"epoch": self.epoch, **losses}
            if self.epoch % self.config.validate_every == 0 or self.epoch == self.config.epochs:
                entry |= self._validate()
            self.seconds += time.monotonic() - started
            entry["seconds"] = round(self.seconds, 1)
            log.append(self.run_dir / "log.jsonl", entry)
            checkpoint.save(self.run_dir / "last.pt", self._full_state())
        return self.best

    def _fill_in(self) -> None:
        """The image tower alone, on every signal at hand."""
        if not self.config.pretrain_epochs:
            return
        signals = np.concatenate([self.train.signals, self.unlabelled])
        loss = pretrain(self.image_tower, signals, self.config, self.progress, self.device)
        self.averaged.load_state_dict(self.image_tower.state_dict())
        log.append(self.run_dir / "log.jsonl", {"epoch": 0, "loss_filling": round(loss, 5)})

    def _warm_text(self) -> None:
        """The text tower alone, on every report of the training folds."""
        optimizer = torch.optim.AdamW(
            [*self.text_tower.parameters(), *self.objective.parameters()],
            lr=3e-3,
            weight_decay=1e-3,
        )
        torch.manual_seed(self.config.seed)
        epochs = list(range(self.config.text_epochs))
        for epoch in self.progress(epochs, "learning words"):
            order = np.random.default_rng([self.config.seed, 1, epoch]).permutation(
                len(self.lessons)
            )
            for first in range(0, len(order), 256):
                ids, labels, words = self.lessons.of_reports(order[first : first + 256])
                loss = self.objective.words(self.text_tower(ids), labels, words)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()

    def _train_epoch(self) -> dict[str, float]:
        self.image_tower.train()
        self.text_tower.train()
        torch.manual_seed((self.config.seed << 20) + self.epoch)
        total = np.zeros(len(NAMES))
        steps = BatchLoader(self.train, self.config, self.epoch, workers=self.workers)
        for batch in self.progress(steps, f"epoch {self.epoch + 1}/{self.config.epochs}"):
            total += self._step(batch)
        mean = (total / self.steps_per_epoch).tolist()
        return {name: round(value, 5) for name, value in zip(NAMES, mean, strict=True)}

    def _step(self, batch: Batch) -> np.ndarray[Any, Any]:
        self._set_rate()
        ids, targets = self.lessons.of_batch(batch.rows, self._extra(batch))
        with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
            ecg = self.image_tower(batch.images.to(self.device))
        text = self.text_tower(ids)
        loss, parts = self.objective(ecg.float(), text, targets)
        self._descend(loss)
        return np.asarray(parts.cpu().numpy(), dtype=np.float64)

    def _extra(self, batch: Batch) -> np.ndarray[Any, Any]:
        """Reports without a partner in the batch, as further texts to be told apart."""
        rng = np.random.default_rng([self.config.seed, 2, self.epoch, int(batch.rows[0])])
        return rng.integers(0, len(self.lessons), self.config.extra_reports)

    def _descend(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.image_tower.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        keep = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            pairs = zip(
                self.averaged.state_dict().values(),
                self.image_tower.state_dict().values(),
                strict=True,
            )
            for average, current in pairs:
                if average.dtype.is_floating_point:
                    average.lerp_(current, 1 - keep)
                else:
                    average.copy_(current)

    def _set_rate(self) -> None:
        """Linear warm-up, then half a cosine down to 3 % of the peak."""
        done = self.step / (self.steps_per_epoch * self.config.epochs)
        warmup = self.config.warmup
        after = (done - warmup) / (1 - warmup)
        factor = done / warmup if done < warmup else 0.5 * (1 + math.cos(math.pi * after))
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * max(factor, 0.03)

    def _validate(self) -> dict[str, Any]:
        encoding = self.config.encoding
        gallery = validate.embed(self.averaged, self.train.signals, encoding)
        queries = validate.embed(self.averaged, self.valid.signals, encoding)
        tasks = validate.votes(
            self.corpus, gallery, self.train.records, queries, self.valid.records
        )
        scores = validate.retrieval_scores(self.corpus, tasks)
        self.text_tower.eval()
        texts = self.valid_reports
        found = validate.report_found(self.text_tower, queries, texts.owner, texts.ids)
        measured = {**scores, "report_r10": float(found.mean()), "score": validate.summary(scores)}
        # A task without positives has no AUC: null in the log, the facts and the sidecar.
        entry: dict[str, Any] = {
            name: round(value, 5) if math.isfinite(value) else None
            for name, value in measured.items()
        }
        if entry["score"] > self.best["score"]:
            self.best = {"epoch": self.epoch, **entry}
            checkpoint.save(self.run_dir / "best.pt", self._export_state())
        return entry

    # State

    def _export_state(self) -> dict[str, Any]:
        return {
            "config": self.config.to_dict(),
            "averaged": self.averaged.state_dict(),
            "text_tower": self.text_tower.state_dict(),
            "learnt": learnt_grams(record.report for record in self.lessons.reports.records),
            "facts": self._facts(),
        }

    def _full_state(self) -> dict[str, Any]:
        return self._export_state() | {
            "image_tower": self.image_tower.state_dict(),
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": {
                "epoch": self.epoch,
                "step": self.step,
                "best": self.best,
                "seconds": self.seconds,
            },
        }

    def resume(self) -> None:
        """Continue from `last.pt`; raises UsageError if it belongs to another run."""
        path = self.run_dir / "last.pt"
        state = checkpoint.read(path)
        if checkpoint.config_of(state, path) != self.config:
            raise UsageError(f"{self.run_dir} holds a run with other settings: use another folder")
        facts, corpus_facts = state.get("facts", {}), self._corpus_facts()
        if {name: facts.get(name) for name in corpus_facts} != corpus_facts:
            raise UsageError(f"{self.run_dir} holds a run on another corpus: use another folder")
        try:
            self._restore(state)
        except (KeyError, RuntimeError, TypeError, ValueError):
            raise UsageError(f"{path} does not continue as this run: use another folder") from None

    def _restore(self, state: dict[str, Any]) -> None:
        self.image_tower.load_state_dict(state["image_tower"])
        self.averaged.load_state_dict(state["averaged"])
        self.text_tower.load_state_dict(state["text_tower"])
        self.objective.load_state_dict(state["objective"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, value in state["progress"].items():
            setattr(self, name, value)

    def _corpus_facts(self) -> dict[str, Any]:
        return {
            "corpus": self.corpus.name,
            "train_folds": list(self.config.train_folds),
            "valid_folds": list(self.config.valid_folds),
            "train_records": len(self.train.records),
            "train_reports": len(self.lessons),
            "valid_records": len(self.valid.records),
            "unreadable": len(self.train.skipped) + len(self.valid.skipped),
        }

    def _facts(self) -> dict[str, Any]:
        return self._corpus_facts() | {
            "epochs": self.epoch,
            "seed": self.config.seed,
            "seconds": round(self.seconds),
            "validation": {k: v for k, v in self.best.items() if k != "epoch"},
        }


def _pick_device(wanted: str) -> str:
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device is available here: use --device cpu")
    return wanted
