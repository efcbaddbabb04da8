"""`ecgedge index build --add`: new cases for the release that is active."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ecgedge.casebase.release import Store
from ecgedge.central.add import AddRequest, AddResult, add_to_release
from ecgedge.central.revise import not_before
from ecgedge.central.workforce import Workforce, hire
from ecgedge.cli.base import progress
from ecgedge.cli.index.building import attribution_of, withdrawn_of
from ecgedge.cli.index.dates import parse_date, today
from ecgedge.corpora.ptbxl import load_corpus, parse_folds
from ecgedge.errors import UsageError


def add(corpus: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """What `index build --add` tells; options as click gives them."""
    if options["valid_folds"] is not None:
        raise UsageError("--add keeps the release's calibration: leave --valid-folds out")
    if options["alternatives"]:
        raise UsageError("--add keeps the release's encoders: leave --alternative out")
    before = Store(options["output"]).manifest()
    created = not_before(parse_date(options["created"]), today(), before)
    with hire(options["engine"], options["workers"], options["ray_address"]) as workforce:
        request = _request(corpus, options, created, workforce)
        result = add_to_release(request, progress=progress)
    return {**_payload(request, result), "replaces": before.id}


def _request(
    corpus: Path, options: Mapping[str, Any], created: str, workforce: Workforce
) -> AddRequest:
    return AddRequest(
        corpus=load_corpus(corpus, options["name"]),
        out=options["output"],
        folds=parse_folds(options["folds"]),
        created=created,
        bundle=options["bundle"],
        text=options["text"],
        reports=options["reports"],
        signals=options["signals"],
        withdrawn=withdrawn_of(options),
        workforce=workforce,
        attribution=attribution_of(options),
        segment_cases=options["segment_cases"],
        merge=options["merge"] or "auto",
    )


def _payload(request: AddRequest, result: AddResult) -> dict[str, Any]:
    blobs = request.out / "blobs"
    new = [blobs / name for ref in result.new for name in (ref.vectors, ref.cases)]
    merged = result.merged
    return {
        "release": result.release,
        "store": request.out,
        "cases": result.cases,
        "added": result.added,
        "present": result.choice.present,
        "held_back": result.choice.held_back,
        "skipped": [
            {"case_id": request.corpus.case_id(one.record), "reason": one.reason}
            for one in result.skipped
        ],
        "without_signal": result.choice.without_signal,
        "withdrawn": sorted(request.withdrawn),
        "withdrawn_unknown": result.unknown_withdrawn,
        "segments": result.segments,
        "merged_segments": sum(count for _, count in merged.groups) if merged else 0,
        "fetched_bytes": (
            merged.fetched_bytes if merged else sum(path.stat().st_size for path in new)
        ),
    }


def text(payload: Mapping[str, Any]) -> str:
    """What `add` tells, for people."""
    lines = [
        f"release {payload['release']} is active in {payload['store']}, after "
        f"{payload['replaces']}",
        f"  {payload['added']:,} cases added to make {payload['cases']:,} in "
        f"{payload['segments']} segment(s); carts fetch {payload['fetched_bytes']:,} bytes",
        f"  {payload['present']:,} were there already, {len(payload['skipped']):,} recordings "
        f"skipped (skipped.csv), {payload['without_signal']:,} rows have no signal file",
    ]
    if payload["merged_segments"]:
        lines.append(f"  {payload['merged_segments']} segments were merged")
    if payload["held_back"]:
        lines.append(
            f"  {payload['held_back']:,} left out: of patients whose recordings tuned the release"
        )
    if payload["withdrawn_unknown"]:
        unknown = ", ".join(payload["withdrawn_unknown"])
        lines.append(f"  withdrawn but neither in this corpus nor in the release: {unknown}")
    return "\n".join(lines)
