"""What more recordings would give: `python benchmarks/learning_curve.py CORPUS -o RUNS`.

Trains the same recipe on nested, randomly drawn parts of the training folds, for several
seeds, all with the same number of steps; reads super AUC and R@10 on the validation
folds after the last epoch; fits a saturating power law and says what it expects of more
recordings. Runs are resumable: give the same command again after a kill. Whoever has the
full PTB-XL adds sizes: `--sizes 250,500,1000,2000,4000,8000,all`. Needs the extra `train`.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks import learning_page, page  # noqa: E402
from benchmarks import learning_plan as plan  # noqa: E402
from benchmarks.learning_summary import known, summarise  # noqa: E402
from benchmarks.training_runs import to_the_last_epoch  # noqa: E402
from ecgedge.atomic import write_atomic  # noqa: E402
from ecgedge.corpora.ptbxl import Corpus, CorpusRecord, load_corpus, parse_folds  # noqa: E402
from ecgedge.errors import InputError, UsageError  # noqa: E402
from ecgedge.training import validate  # noqa: E402
from ecgedge.training.config import TrainConfig  # noqa: E402
from ecgedge.training.data import load_signals  # noqa: E402
from ecgedge.training.train import Trainer  # noqa: E402

T = TypeVar("T")


def run_one(
    corpus: Corpus, config: TrainConfig, kept: Sequence[CorpusRecord], run: Path, **how: Any
) -> dict[str, Any]:
    """Train and measure one point of the curve; a finished one is read from its folder."""
    names = " ".join(sorted(record.record_id for record in kept))
    key = {
        "config": json.loads(json.dumps(config.to_dict())),
        "records": hashlib.sha256(names.encode()).hexdigest()[:16],
    }
    done = run / "point.json"
    if done.exists():
        point: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        if point.pop("key") != key:
            raise UsageError(f"{run} holds another run: use another folder")
        return point
    heard = plan.hide(corpus, config.train_folds, kept)
    trainer = to_the_last_epoch(heard, config, run, progress=silent, **how)
    point = {
        "seed": config.seed,
        "recordings": len(trainer.train.records),
        "patients": len({record.patient_id for record in trainer.train.records}),
        "epochs": trainer.epoch,
        "steps": trainer.step,
        **measure(corpus, trainer),
    }
    write_atomic(done, json.dumps({"key": key, **point}, indent=1).encode())
    (run / "last.pt").unlink()  # 70 MB that only resuming needs
    return point


def measure(corpus: Corpus, trainer: Trainer) -> dict[str, float | None]:
    """Votes of the recordings trained on, votes of all recordings of the folds, and R@10."""
    config, net = trainer.config, trainer.averaged
    queries = validate.embed(net, trainer.valid.signals, config.encoding)
    asked = trainer.valid.records

    def votes(signals: Any, records: Sequence[CorpusRecord]) -> float | None:
        gallery = validate.embed(net, signals, config.encoding)
        tasks = validate.votes(corpus, gallery, records, queries, asked)
        scores = validate.retrieval_scores(corpus, tasks)
        return known(scores["auc_super"])

    everyone = load_signals(corpus.select(config.train_folds, with_signal=True), silent)
    trainer.text_tower.eval()
    texts = trainer.valid_reports
    found = validate.report_found(trainer.text_tower, queries, texts.owner, texts.ids)
    return {
        "auc_super": votes(trainer.train.signals, trainer.train.records),
        "auc_super_all_cases": votes(everyone.signals, everyone.records),
        "report_r10": float(found.mean()),
        "asked": len(asked),
    }


def silent(items: Iterable[T], label: str, /) -> Iterable[T]:
    """Progress that shows nothing."""
    return items


def sweep(options: argparse.Namespace) -> dict[str, Any]:
    """All points, the smallest first; what is finished is not made again."""
    corpus = load_corpus(options.corpus)
    folds = tuple(sorted(parse_folds(options.train_folds)))
    settings = dict(plan.parse_setting(text) for text in options.settings)
    heard = corpus.select(folds, with_signal=True)
    if not heard:
        raise InputError(f"no recording of the folds {options.train_folds} has a signal")
    points = []
    for seed in range(options.seeds):
        for size in options.sizes:
            kept = plan.draw(heard, size, seed)
            config = plan.configure(
                settings,
                encoding=options.encoding,
                train_folds=folds,
                valid_folds=tuple(sorted(parse_folds(options.valid_folds))),
                seed=seed,
                epochs=options.epochs,
            )
            epochs = plan.epochs_for(len(kept), len(heard), config.epochs, config.batch)
            config = dataclasses.replace(config, epochs=epochs, validate_every=epochs)
            run = options.output / f"size-{size or 'all'}-seed-{seed}"
            how = {"device": options.device, "workers": options.workers}
            point = run_one(corpus, config, kept, run, **how)
            points.append({"size": size or len(heard), **point})
            print(learning_page.line(points[-1]), file=sys.stderr, flush=True)
    return {"equal": "steps", "settings": settings, **summarise(points, options.at)}


def parse_sizes(text: str) -> list[int | None]:
    """ "250,500,all" -> [250, 500, None], for argparse."""
    sizes = [None if part == "all" else int(part) for part in text.split(",")]
    if any(size is not None and size < 2 for size in sizes):
        raise argparse.ArgumentTypeError("a size is two recordings or more")
    return sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path, help="folder in PTB-XL's layout")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the runs")
    parser.add_argument(
        "--sizes", type=parse_sizes, default="250,500,1000,all", help="[%(default)s]"
    )
    parser.add_argument("--seeds", type=int, default=3, help="runs of each size [3]")
    default = TrainConfig("leads-1", (1,), (2,)).epochs
    parser.add_argument("--epochs", type=int, default=default, help=f"of all [{default}]")
    parser.add_argument("--encoding", default="leads-1")
    parser.add_argument("--train-folds", default="1-8")
    parser.add_argument("--valid-folds", default="9")
    parser.add_argument("--settings", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--at", type=int, default=17_000, help="extrapolate to [17000]")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--workers", type=int, default=0, help="processes that draw images")
    parser.add_argument("--result", type=Path, help="write the JSON here")
    parser.add_argument("--page", type=Path, help="put the tables into this page")
    options = parser.parse_args()
    page.publish(lambda: sweep(options), learning_page.tables, options.result, options.page)


if __name__ == "__main__":
    main()
