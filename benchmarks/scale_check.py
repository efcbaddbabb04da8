"""Whether the simulation is right: its carts' checks done again by the real `synchronise()`.

The same releases are made of real segments and signed for real, the same carts check at the
same hours, and the bytes that a centre in memory sends are counted, without headers on either
side.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from scale_model import Carts, Outcome, Region, Release, history, simulate, tiered
from scale_sizes import Base, Sizes, write_drawn

from ecgedge.casebase.manifest import Manifest
from ecgedge.casebase.release import Store, builtin_store
from ecgedge.casebase.segment import SegmentRef
from ecgedge.errors import NothingNew
from ecgedge.sync.install import synchronise

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

REGION = Region(cases=2000, added_a_day=40, publish_days=3, policy=tiered(4))
CARTS = Carts(number=20, check_hours=12, fast_bits_s=1e9, slow_share=0.0)
DAYS = 30


def compare(
    sizes: Sizes, region: Region = REGION, carts: Carts = CARTS, days: int = DAYS, seed: int = 1
) -> dict[str, Any]:
    """Simulated and real bytes a cart, of each sort, and how far they are apart."""
    simulated = simulate(region, carts, sizes, days=days, seed=seed, log=True)
    with tempfile.TemporaryDirectory() as folder:
        real = replay(Path(folder), history(region, days), region, carts.number, simulated)
    told = {
        "timestamps": simulated.timestamps,
        "listings": simulated.listings,
        "blobs": simulated.blobs,
    }
    told["all"] = sum(told.values())
    sent = {name: real[name] / carts.number for name in ("timestamps", "listings", "blobs")}
    sent["all"] = sum(sent.values())
    return {
        "carts": carts.number,
        "days": days,
        "releases": len(history(region, days)),
        "checks": len(simulated.log),
        "installed": real["installed"],
        "simulated_bytes_a_cart": {name: round(value) for name, value in told.items()},
        "real_bytes_a_cart": {name: round(value) for name, value in sent.items()},
        "deviation": {name: round(told[name] / sent[name] - 1, 4) for name in told},
    }


def replay(
    folder: Path, releases: Sequence[Release], region: Region, carts: int, simulated: Outcome
) -> Counter[str]:
    """What real carts fetch when they check at these hours, in bytes of each sort."""
    from sim_repository import EPOCH, SimRepository, SimSource

    centre, made = SimRepository(), Store(folder / "centre")
    ids = _make(made, releases)
    stores = [Store(folder / f"cart{number}") for number in range(carts)]
    source = SimSource(centre.files)
    counted: Counter[str] = Counter()

    def sync(store: Store, hour: float) -> None:
        source.asked.clear()
        try:
            synchronise(
                store, source, centre.root_file, channel="stable", cart=store.root.name,
                now=EPOCH + timedelta(hours=hour), probe=lambda _store, _release: None,
            )  # fmt: skip
            counted["installed"] += 1
        except NothingNew:
            pass
        for path, _ in source.asked:
            if (data := centre.files.get(path)) is not None:
                counted[_sort(path)] += len(data)

    published, signed = 0, 0
    _offer(centre, made, ids[:1], region.offered)
    for store in stores:
        sync(store, 0)
    counted.clear()
    for hour, cart in simulated.log:
        centre.now = EPOCH + timedelta(hours=hour)
        if hour // 24 > signed:
            signed = int(hour // 24)
            centre.sign_timestamp()
        while published + 1 < len(releases) and releases[published + 1].hour <= hour:
            published += 1
            _offer(centre, made, ids[: published + 1], region.offered)
        sync(stores[cart], hour)
    return counted


def _make(store: Store, releases: Sequence[Release]) -> list[str]:
    """A real release for each simulated one, with segments of as many cases.

    Models and sidecars are the built-in release's: carts have them and fetch none.
    """
    base, refs = Base.read(), dict[int, SegmentRef]()
    shipped = builtin_store().manifest()
    for name in shipped.blobs():
        store.put_blob(builtin_store().blob(name))
    ids = []
    for one in releases:
        for number, cases in one.segments:
            if number not in refs:
                refs[number] = write_drawn(store.blobs, base, cases, seed=number)
        manifest: Manifest = replace(
            shipped,
            created=f"2026-11-{1 + len(ids):02}",
            segments=tuple(refs[number] for number, _ in one.segments),
        )
        ids.append(store.add_release(manifest))
    return ids


def _offer(centre: Any, made: Store, ids: Sequence[str], offered: int) -> None:
    """Sign the last releases, and nothing else."""
    centre.targets.targets = {}
    for order, release in list(enumerate(ids))[-offered:]:
        centre.publish_store(made, release, {"stable": (order, 100)})


def _sort(path: str) -> str:
    if path.endswith("timestamp.json"):
        return "timestamps"
    return "blobs" if "/blobs/" in path else "listings"
