"""`ecgedge index merge`: fewer, larger segments."""

from __future__ import annotations

from pathlib import Path

import click

from ecgedge.cli.base import emit, guarded
from ecgedge.cli.index.dates import date_option


@click.command("merge")
@click.argument("store", type=click.Path(file_okay=False, path_type=Path))
@click.option("--all", "every", is_flag=True, help="Merge all into one, whether it pays or not.")
@date_option
@guarded("index merge")
def merge(store: Path, every: bool, created: str | None, as_json: bool) -> None:
    """Merge segments of STORE's active release where that pays; the exit code is 8 where not.

    Withdrawn cases leave the merged files. Every cart fetches a merged file again.
    """
    from ecgedge.casebase.release import Store
    from ecgedge.central.merge import merge_release
    from ecgedge.central.revise import not_before
    from ecgedge.cli.index.dates import parse_date, today

    opened = Store(store)
    before = opened.manifest()
    date = not_before(parse_date(created), today(), before)
    result = merge_release(opened, before, date, every=every)
    merged = result.merged
    payload = {
        "release": result.release,
        "replaces": before.id,
        "store": store,
        "cases": result.cases,
        "segments": len(merged.segments),
        "segments_before": len(before.segments),
        "dropped": merged.dropped,
        "fetched_bytes": merged.fetched_bytes,
    }
    count = len(merged.segments)
    told = (
        f"release {result.release} is active in {store}, after {before.id}\n"
        f"  {result.cases:,} cases in {count} segment{'s' if count > 1 else ''}, before "
        f"{len(before.segments)}; carts fetch {merged.fetched_bytes:,} bytes"
    )
    if merged.dropped:
        told += f"\n  {merged.dropped:,} withdrawn cases are in none of its files any more"
    emit("index merge", payload, as_json, told)
