"""`ecgedge train`: a corpus in, a checkpoint out. Needs the extra `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ecgedge.cli.base import emit, guarded, progress
from ecgedge.errors import UsageError


@click.command("train")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--encoding", default="leads-1", show_default=True, help="Image encoding id.")
@click.option("--train-folds", default="1-8", show_default=True, help="Folds to learn from.")
@click.option("--valid-folds", default="9", show_default=True, help="Folds to choose on.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Run folder.")
@click.option(
    "--epochs",
    default=48,
    show_default=True,
    type=click.IntRange(1),
    help="Passes over the recordings.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**31 - 1),
    help="Decides every random draw.",
)
@click.option(
    "--batch",
    default=64,
    show_default=True,
    type=click.IntRange(2),
    help="Recordings a step.",
)
@click.option(
    "--activation",
    default="relu",
    show_default=True,
    type=click.Choice(["relu", "gelu"]),
    help="Between the two layers of each block's MLP.",
)
@click.option(
    "--unlabelled",
    type=click.Path(path_type=Path),
    help="Folder of further recordings; with --fill-in, they teach the image tower.",
)
@click.option(
    "--fill-in",
    "pretrain_epochs",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Passes over all signals, hidden stretches to be filled in, before the rest.",
)
@click.option("--name", default="ptb-xl", show_default=True, help="Corpus name in provenance.")
@click.option(
    "--device",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "cpu", "cuda"]),
    help="Where to compute; auto takes CUDA where it is.",
)
@click.option("--threads", default=0, type=click.IntRange(0), help="CPU threads; 0 is all.")
@click.option("--workers", default=0, type=click.IntRange(0), help="Processes that draw images.")
@click.option("--resume", is_flag=True, help="Continue the run in the output folder.")
@guarded("train")
def command(dataset: Path, output: Path, *, as_json: bool, **options: Any) -> None:
    """Train the image and text towers on DATASET (a folder in PTB-XL's layout).

    Writes best.pt (chosen on the validation folds only), last.pt and log.jsonl
    into the run folder. A stopped run continues exactly with --resume.
    """
    import torch

    from ecgedge.corpora.ptbxl import load_corpus, parse_folds
    from ecgedge.training.config import TrainConfig
    from ecgedge.training.data import load_folder
    from ecgedge.training.train import Trainer

    config = TrainConfig(
        encoding=options["encoding"],
        train_folds=tuple(sorted(parse_folds(options["train_folds"]))),
        valid_folds=tuple(sorted(parse_folds(options["valid_folds"]))),
        seed=options["seed"],
        epochs=options["epochs"],
        batch=options["batch"],
        pretrain_epochs=options["pretrain_epochs"],
        activation=options["activation"],
    )
    if options["unlabelled"] and not options["pretrain_epochs"]:
        raise UsageError("--unlabelled recordings are only used with --fill-in")
    if (output / "last.pt").exists() != options["resume"]:
        found = "holds a run already: add --resume" if not options["resume"] else "holds no run"
        raise UsageError(f"{output} {found}")
    if options["threads"]:
        torch.set_num_threads(options["threads"])
    corpus = load_corpus(dataset, options["name"])
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{output} cannot be the run folder: {error.strerror}") from None
    unlabelled = options["unlabelled"] and load_folder(options["unlabelled"], progress)
    trainer = Trainer(
        corpus,
        config,
        output,
        progress=progress,
        device=options["device"],
        workers=options["workers"],
        unlabelled=unlabelled,
    )
    if options["resume"]:
        trainer.resume()
    best = trainer.fit()
    skipped = [*trainer.train.skipped, *trainer.valid.skipped]
    payload = {"checkpoint": output / "best.pt", "best": best, "skipped": dict(skipped)}
    lines = [f"{name:18} {value}" for name, value in best.items()]
    lines += [f"skipped {record}: {reason}" for record, reason in skipped]
    emit("train", payload, as_json, "\n".join([f"best checkpoint: {output / 'best.pt'}", *lines]))
