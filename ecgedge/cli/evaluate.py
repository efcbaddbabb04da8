"""`ecgedge evaluate`: measure a release on a corpus, beside its fp32 twin and a control."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecgedge.cli.base import emit, guarded, progress
from ecgedge.envelope import dumps

if TYPE_CHECKING:
    from ecgedge.evaluation.subject import Subject

_FOLDER = click.Path(path_type=Path)


@click.command(name="evaluate")
@click.argument("dataset", type=_FOLDER)
@click.option("--split", metavar="FOLDS", help="Folds to evaluate, such as 9 or 1-8,10 [all].")
@click.option("--store", type=_FOLDER, help="Store of the int8 release [the built-in one].")
@click.option("--release", metavar="ID", help="A release of that store [its current one].")
@click.option(
    "--reference", type=_FOLDER, help="Store of the fp32 twin [models/reference of a checkout]."
)
@click.option(
    "--control",
    type=_FOLDER,
    help="Store of the untrained control [models/control of a checkout].",
)
@click.option(
    "--name",
    default="ptb-xl",
    show_default=True,
    help="The corpus' name in case ids; give another one for a corpus that is not PTB-XL.",
)
@click.option(
    "--others", type=_FOLDER, help="Recordings of other populations, for novelty to be tried on."
)
@click.option("-o", "--output", type=_FOLDER, help="Also write the JSON to this file.")
@guarded("evaluate")
def command(
    dataset: Path,
    split: str | None,
    store: Path | None,
    release: str | None,
    reference: Path | None,
    control: Path | None,
    name: str,
    others: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Measure a release on DATASET, a folder in PTB-XL's layout.

    All nine points of the protocol: report and case retrieval, retrieved-label AUC,
    zero-shot prompts, hard labels, the nearest report as a draft, calibration and
    novelty, robustness, int8 beside fp32. Each figure has a 95 % interval over
    patients and its chance level.
    """
    from ecgedge.answer import SCHEMA
    from ecgedge.atomic import write_atomic
    from ecgedge.corpora.ptbxl import load_corpus, parse_folds
    from ecgedge.errors import UsageError
    from ecgedge.evaluation.output import check_writable
    from ecgedge.evaluation.protocol import evaluate
    from ecgedge.evaluation.subject import open_subject
    from ecgedge.evaluation.table import render

    folds = parse_folds(split) if split is not None else None
    if output is not None:
        check_writable(output)
    if others is not None and not others.is_dir():
        raise UsageError(f"{others} is not a folder of recordings")
    corpus = load_corpus(dataset, name)
    evaluation = evaluate(
        corpus,
        folds,
        open_subject(store, release),
        _beside(reference, "reference"),
        _beside(control, "control"),
        progress,
        others,
    )
    payload = evaluation.to_dict()
    if output is not None:
        line = dumps({"schema": SCHEMA, "command": "evaluate", "ok": True} | payload)
        write_atomic(output, f"{line}\n".encode())
    emit("evaluate", payload, as_json, render(evaluation))


def _beside(store: Path | None, kind: str) -> Subject | str:
    """The release of this store, or of the checkout's models/<kind>; else why there is none."""
    import ecgedge
    from ecgedge.evaluation.subject import open_subject

    if store is not None:
        return open_subject(store)
    default = Path(ecgedge.__file__).resolve().parent.parent / "models" / kind
    if not (default / "current").exists():
        return f"no {kind} release: give --{kind} DIR"
    return open_subject(default)
