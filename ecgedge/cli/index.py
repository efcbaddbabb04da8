"""`ecgedge index build`: a corpus and an encoder -> a case base and a release."""

from __future__ import annotations

import datetime
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ecgedge.cli.base import emit, guarded, progress
from ecgedge.errors import UsageError

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group()
def command() -> None:
    """Build case bases."""


@command.command("build")
@click.argument("corpus", type=_FOLDER)
@click.option(
    "--encoder",
    "bundle",
    type=_FOLDER,
    required=True,
    help="Folder with model.onnx and model.json.",
)
@click.option(
    "--alternative",
    "alternatives",
    metavar="BUNDLE[:onnx|:tflite]",
    multiple=True,
    help="Another encoder that may ask this case base, if it asks like the first; repeatable.",
)
@click.option("--text", type=_FOLDER, help="Folder with text.onnx and text.json.")
@click.option("-o", "--output", type=_FOLDER, required=True, help="Store to write the release to.")
@click.option("--folds", default="1-8", show_default=True, help="Folds of the case base.")
@click.option(
    "--valid-folds", default="9", show_default=True, help='Folds that tune the votes, or "none".'
)
@click.option(
    "--reports/--no-reports",
    default=True,
    show_default=True,
    help="Keep the original report texts.",
)
@click.option(
    "--signals/--no-signals",
    default=False,
    show_default=True,
    help="Keep each case's ECG, about 7 KB, so that `query --explain` can draw it.",
)
@click.option(
    "--withdraw",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of case ids that must never be shown, one a line.",
)
@click.option("--name", default="ptb-xl", show_default=True, help="Prefix of every case id.")
@click.option("--attribution", help="Whom to credit; for ptb-xl its authors.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=os.cpu_count() or 1,
    show_default="all cores",
    help="Processes that read and encode.",
)
@click.option("--date", "created", help="Date of the release, YYYY-MM-DD; today when not given.")
@guarded("index build")
def build(
    corpus: Path,
    bundle: Path,
    alternatives: tuple[str, ...],
    text: Path | None,
    output: Path,
    folds: str,
    valid_folds: str,
    reports: bool,
    signals: bool,
    withdraw: Path | None,
    name: str,
    attribution: str | None,
    workers: int,
    created: str | None,
    as_json: bool,
) -> None:
    """Encode CORPUS (a folder in PTB-XL's layout) into a store with one active release.

    Killed and started again, it goes on where it stopped. Recordings that cannot be
    read are counted, and listed with their reasons in skipped.csv of the store.
    """
    from ecgedge.central.alternatives import Candidate
    from ecgedge.central.build import (
        PTBXL_ATTRIBUTION,
        BuildRequest,
        build_release,
        read_withdrawn,
    )
    from ecgedge.corpora.ptbxl import load_corpus, parse_folds

    started = time.monotonic()
    request = BuildRequest(
        corpus=load_corpus(corpus, name),
        bundle=bundle,
        out=output,
        folds=parse_folds(folds),
        valid_folds=frozenset() if valid_folds == "none" else parse_folds(valid_folds),
        created=_date(created),
        text=text,
        reports=reports,
        signals=signals,
        withdrawn=read_withdrawn(withdraw, name) if withdraw else frozenset(),
        workers=workers,
        attribution=attribution or (PTBXL_ATTRIBUTION if name == "ptb-xl" else name),
        alternatives=tuple(map(Candidate.parse, alternatives)),
    )
    result = build_release(request, progress=progress)
    calibration = result.calibration
    payload: dict[str, Any] = {
        "release": result.release,
        "store": output,
        "cases": result.cases,
        "skipped": [
            {"case_id": request.corpus.case_id(one.record), "reason": one.reason}
            for one in result.skipped
        ],
        "without_signal": result.without_signal,
        "withdrawn": sorted(request.withdrawn),
        "withdrawn_unknown": result.unknown_withdrawn,
        "neighbours": calibration.neighbours,
        "temperature": calibration.temperature,
        "validation_auc_super": result.validation_auc,
        "alternatives": [
            {"encoder": one.encoder.id, **asdict(one.parity)} for one in result.alternatives
        ],
        "seconds": round(time.monotonic() - started, 1),
    }
    emit("index build", payload, as_json, _text(payload))


def _date(text: str | None) -> str:
    if text is None:
        return datetime.datetime.now(datetime.UTC).date().isoformat()
    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        raise UsageError(f"--date {text!r} is not written YYYY-MM-DD") from None


def _text(payload: dict[str, Any]) -> str:
    auc = payload["validation_auc_super"]
    tuned = "untuned" if auc is None else f"validation super AUC {auc:.3f}"
    lines = [
        f"release {payload['release']} is active in {payload['store']}",
        f"  {payload['cases']} cases; {payload['neighbours']} neighbours vote at temperature "
        f"{payload['temperature']} ({tuned})",
        f"  {len(payload['skipped'])} recordings skipped (skipped.csv), "
        f"{payload['without_signal']} rows have no signal file",
    ]
    for one in payload["alternatives"]:
        change = "unknown" if one["auc_change"] is None else f"{one['auc_change']:+.4f}"
        lines.append(
            f"  {one['encoder']} may ask too: cosine p1 {one['cosine_p1']:.4f}, same 10 nearest "
            f"{one['top10_overlap']:.3f}, super AUC {change} ({one['queries']} recordings)"
        )
    unknown = payload["withdrawn_unknown"]
    if unknown:
        lines.append(f"  withdrawn but not in this corpus: {', '.join(unknown)}")
    return "\n".join(lines)
