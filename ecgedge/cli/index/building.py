"""`ecgedge index build` of a new release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ecgedge.central.alternatives import Candidate
from ecgedge.central.build import BuildRequest, build_release
from ecgedge.central.facts import PTBXL_ATTRIBUTION
from ecgedge.central.withdraw import read_ids
from ecgedge.central.workforce import Workforce, hire
from ecgedge.cli.base import progress
from ecgedge.cli.index.dates import parse_date, today
from ecgedge.corpora.ptbxl import load_corpus, parse_folds
from ecgedge.errors import UsageError


def build(corpus: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """What `index build` tells; options as click gives them."""
    if options["bundle"] is None:
        raise UsageError("--encoder is missing: name the folder with model.onnx and model.json")
    if options["merge"] is not None:
        raise UsageError("--merge is for --add: a new release has the segments it was asked for")
    with hire(options["engine"], options["workers"], options["ray_address"]) as workforce:
        return _build(corpus, options, workforce)


def _build(corpus: Path, options: Mapping[str, Any], workforce: Workforce) -> dict[str, Any]:
    valid = options["valid_folds"] or "9"
    request = BuildRequest(
        corpus=load_corpus(corpus, options["name"]),
        bundle=options["bundle"],
        out=options["output"],
        folds=parse_folds(options["folds"]),
        valid_folds=frozenset() if valid == "none" else parse_folds(valid),
        created=parse_date(options["created"]) or today(),
        text=options["text"],
        reports=options["reports"] is not False,
        signals=bool(options["signals"]),
        withdrawn=withdrawn_of(options),
        workforce=workforce,
        attribution=attribution_of(options),
        alternatives=tuple(map(Candidate.parse, options["alternatives"])),
        segment_cases=options["segment_cases"],
    )
    result = build_release(request, progress=progress)
    return {
        "release": result.release,
        "store": request.out,
        "cases": result.cases,
        "segments": result.segments,
        "skipped": [
            {"case_id": request.corpus.case_id(one.record), "reason": one.reason}
            for one in result.skipped
        ],
        "without_signal": result.without_signal,
        "withdrawn": sorted(request.withdrawn),
        "withdrawn_unknown": result.unknown_withdrawn,
        "neighbours": result.calibration.neighbours,
        "temperature": result.calibration.temperature,
        "validation_auc_super": result.validation_auc,
        "alternatives": [
            {"encoder": one.encoder.id, **asdict(one.parity)} for one in result.alternatives
        ],
    }


def withdrawn_of(options: Mapping[str, Any]) -> frozenset[str]:
    """The ids of --withdraw."""
    path = options["withdraw"]
    return read_ids(path, options["name"]) if path else frozenset()


def attribution_of(options: Mapping[str, Any]) -> str:
    """Whom to credit."""
    own = PTBXL_ATTRIBUTION if options["name"] == "ptb-xl" else options["name"]
    return str(options["attribution"] or own)


def text(payload: Mapping[str, Any]) -> str:
    """What `build` tells, for people."""
    auc = payload["validation_auc_super"]
    tuned = "untuned" if auc is None else f"validation super AUC {auc:.3f}"
    parts = "" if payload["segments"] == 1 else f" in {payload['segments']} segments"
    lines = [
        f"release {payload['release']} is active in {payload['store']}",
        f"  {payload['cases']} cases{parts}; {payload['neighbours']} neighbours vote at "
        f"temperature {payload['temperature']} ({tuned})",
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
