"""What a change of training was worth: `python benchmarks/changes.py CORPUS BASE RUN [RUN ...]`.

BASE and each RUN are folders that `ecgedge train` wrote with the same folds. Every run's
averaged weights after its last epoch are scored on its validation folds, so nothing is picked
on them; printed is the difference to BASE with its paired 95 % bootstrap interval over
patients: macro AUC of the votes of the 100 nearest cases (temperature 0.1), and the share of
reports found among the ten nearest of all. Needs the extra `train`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402

from ecgedge.cli.base import progress  # noqa: E402
from ecgedge.corpora.ptbxl import TASKS, Corpus, load_corpus  # noqa: E402
from ecgedge.evaluation import metrics  # noqa: E402
from ecgedge.evaluation.cases import MIN_POSITIVES, Labelled, auc_figures  # noqa: E402
from ecgedge.evaluation.figures import (  # noqa: E402
    Figure,
    difference,
    mean_figure,
    patient_weights,
)
from ecgedge.training import checkpoint, validate  # noqa: E402
from ecgedge.training.data import SignalSet, load_signals  # noqa: E402
from ecgedge.training.reports import ReportSet  # noqa: E402

NAMES = (*(f"auc_{task}" for task in TASKS), "mean", "report_r10")


def measure(corpus: Corpus, run: Path, signals: dict[Any, SignalSet]) -> dict[str, Figure]:
    """NAMES -> figure of one run; signals: folds -> what was read before, added to here."""
    loaded = checkpoint.load(run / "last.pt")
    config = loaded.config
    for folds in (config.train_folds, config.valid_folds):
        if folds not in signals:
            signals[folds] = load_signals(corpus.select(folds, with_signal=True), progress)
    gallery, asked = signals[config.train_folds], signals[config.valid_folds]
    tower, encoding = loaded.image_tower, config.encoding
    vectors = validate.embed(tower, asked.signals, encoding)
    weights = patient_weights([corpus.group(record) for record in asked.records])
    votes = validate.votes(
        corpus,
        validate.embed(tower, gallery.signals, encoding),
        gallery.records,
        vectors,
        asked.records,
    )
    figures = {
        f"auc_{task}": _macro(corpus, task, *votes[task], weights)[f"auc_{task}"] for task in TASKS
    }
    draws = np.mean([figure.draws for figure in figures.values()], axis=0)
    mean = float(np.mean([figure.value for figure in figures.values()]))
    texts = ReportSet.of(corpus.select(config.valid_folds), asked.records, config.text_buckets)
    assert loaded.text_tower is not None
    found = validate.report_found(loaded.text_tower, vectors, texts.owner, texts.ids)
    return {
        **figures,
        "mean": Figure(mean, len(vectors), draws),
        "report_r10": mean_figure(found.astype(np.float64), weights),
    }


def _macro(corpus: Corpus, task: str, truth: Any, votes: Any, weights: Any) -> dict[str, Figure]:
    names = corpus.table.classes(task)
    codes = [frozenset({name}) for name in names]
    kept = metrics.scorable(truth, MIN_POSITIVES)
    return auc_figures({task: Labelled(names, codes, truth, votes, kept)}, weights)


def row(run: Path, figures: dict[str, Figure], base: dict[str, Figure]) -> dict[str, Any]:
    """One run's line: its settings' difference is for the reader, its figures are here."""
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    gains = {name: difference(figures[name], base[name]).to_dict() for name in NAMES}
    return {
        "run": run.name,
        "epochs": log[-1]["epoch"],
        "train_seconds": log[-1]["seconds"],
        "figures": {name: figures[name].to_dict() for name in NAMES},
        "gain": gains,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: the base's figures, then each run's gain with its interval."""
    heads = [name.removeprefix("auc_") for name in NAMES]
    lines = [f"| run | epochs | {' | '.join(heads)} |", "|---" * (len(NAMES) + 2) + "|"]
    for place, one in enumerate(rows):
        cells = []
        for name in NAMES:
            if place == 0:
                cells.append(f"{one['figures'][name]['value']:.3f}")
                continue
            gain = one["gain"][name]
            cells.append(f"{gain['value']:+.3f} [{gain['lo']:+.3f}, {gain['hi']:+.3f}]")
        lines.append(f"| {one['run']} | {one['epochs']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("runs", nargs="+", type=Path, help="The base first.")
    parser.add_argument("-o", "--output", type=Path, help="Write the rows as JSON here.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpus = load_corpus(options.corpus)
    signals: dict[Any, SignalSet] = {}
    measured = {run: measure(corpus, run, signals) for run in options.runs}
    base = measured[options.runs[0]]
    rows = [row(run, figures, base) for run, figures in measured.items()]
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
