"""What adding cases costs on the wire: our sync, rsync, zstd's patches and the whole release.

    python benchmarks/sync_bytes.py -o benchmarks/results/sync_bytes.json --page docs/sync_bytes.md

A release of 50,000 cases is published and synced, 0.1, 1 and 5 % are added as a segment,
published and synced again by a real `ecgedge sync` over HTTP on loopback; a relay counts every
byte both ways, headers included. The peers bring over the same change. rsync and zstd (Debian
packages) are left out where they are not installed.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from page import publish  # noqa: E402
from sync_peers import (  # noqa: E402
    grow_monolith,
    rsync_bytes,
    write_monolith,
    zstd_patch_bytes,
)
from sync_release import Drawn, add_segment, draw, file_bytes, write_release  # noqa: E402
from wire import http  # noqa: E402

from ecgedge.casebase.manifest import Manifest  # noqa: E402
from ecgedge.casebase.release import Store  # noqa: E402
from ecgedge.central.ceremony import make_keys  # noqa: E402
from ecgedge.central.destination import open_destination  # noqa: E402
from ecgedge.central.keys import KeyRing  # noqa: E402
from ecgedge.central.publish import Change, Publisher  # noqa: E402
from ecgedge.central.root import Validity, read_history  # noqa: E402
from ecgedge.central.tiers import FANOUT  # noqa: E402
from ecgedge.errors import NothingNew, UsageError  # noqa: E402

CASES = 50_000
SHARES = (0.001, 0.01, 0.05)
#: The bars: of the new segment's files, at 1 %; whole release over wire; bytes when nothing is new.
MOST_RATIO, LEAST_TIMES, MOST_NOTHING_BYTES = 1.05, 15.0, 10_000
AT_SHARE = 0.01


class Centre:
    """A store, keys without passphrases, and a repository beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, folder / "store"
        self.repository, self.keys = folder / "repository", folder / "keys"

    def make_keys(self) -> None:
        now = datetime.datetime.now(datetime.UTC)
        make_keys(
            self.keys, counts={}, thresholds={}, validity=Validity(now), passphrase=lambda *_: None
        )

    def offer(self, release: str) -> None:
        now = datetime.datetime.now(datetime.UTC)
        ring, history = KeyRing([self.keys]), read_history(self.keys)
        publisher = Publisher(open_destination(str(self.repository)), history, ring, now)
        publisher.publish(Change(store=Store(self.store), release=release))

    def copy(self, folder: Path) -> Centre:
        """Another centre that has come as far as this one."""
        shutil.copytree(self.folder, folder)
        return Centre(folder)


def sync_bytes(centre: Centre, cart: Path) -> tuple[int, dict[str, Any]]:
    """Bytes both ways of one `ecgedge sync`, a process of its own, and what it told."""
    with http(centre.repository) as (address, relay):
        command = [sys.executable, "-m", "ecgedge", "sync", "--json", "--cart", "1"]
        command += ["--from", address, "--root", str(centre.keys / "1.root.json")]
        done = subprocess.run(
            [*command, "--store", str(cart)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(centre.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, NothingNew.exit_code):
            raise UsageError(f"ecgedge sync failed: {done.stdout} {done.stderr}")
        return relay.take(), json.loads(done.stdout)


def measure(cases: int, scratch: Path) -> dict[str, Any]:
    """Everything; all sizes in bytes."""
    base = draw(cases, 0)
    first = Centre(scratch / "centre")
    first.folder.mkdir()
    first.make_keys()
    print(f"writing a release of {cases:,} cases ...", file=sys.stderr, flush=True)
    before = write_release(first.store, base)
    first.offer(before.id)
    cart = scratch / "cart"
    whole, _ = sync_bytes(first, cart)
    nothing, told = sync_bytes(first, cart)
    if told["ok"] or told["error"]["exit_code"] != NothingNew.exit_code:
        raise UsageError("a second sync found something new")
    monolith = scratch / "monolith"
    write_monolith(monolith, base)
    rows = []
    for share in SHARES:
        print(f"adding {share:.1%} ...", file=sys.stderr, flush=True)
        rows.append(measure_share(first, before, cart, monolith, draw(round(share * cases), cases)))
    return {
        "cases": cases,
        "fanout": FANOUT,
        "first_sync_bytes": whole,
        "nothing_new_bytes": nothing,
        "rows": rows,
        "bars": bars(rows, nothing),
    }


def measure_share(
    first: Centre, before: Manifest, cart: Path, monolith: Path, more: Drawn
) -> dict[str, Any]:
    """One row: these cases added to the release that the cart has."""
    with tempfile.TemporaryDirectory(dir=cart.parent) as folder:
        work = Path(folder)
        centre = first.copy(work / "centre")
        after = add_segment(centre.store, more)
        centre.offer(after.id)
        ours = shutil.copytree(cart, work / "mine")
        wire, told = sync_bytes(centre, ours)
        if told["release"] != after.id or Store(ours).current_id() != after.id:
            raise UsageError("the sync did not install what was published")
        new = set(after.blobs()) - set(before.blobs())
        fresh, _ = sync_bytes(centre, work / "fresh")
        return {
            "added": len(more.cases),
            "segment_bytes": file_bytes(centre.store, new),
            "segment_deflated_bytes": deflated_bytes(centre.store, new),
            "release_bytes": file_bytes(centre.store, set(after.blobs())),
            "whole_sync_bytes": fresh,
            "sync_bytes": wire,
            **peers(centre, before, after, monolith, more, work),
        }


def deflated_bytes(store: Path, names: set[str]) -> int:
    """What these files would weigh if a server sent them compressed, which ours do not."""
    return sum(len(zlib.compress((store / "blobs" / name).read_bytes(), 9)) for name in names)


def peers(
    centre: Centre, before: Manifest, after: Manifest, monolith: Path, more: Drawn, work: Path
) -> dict[str, Any]:
    """Bytes that the others take for the same cases."""
    found: dict[str, Any] = {}
    grown = work / "grown"
    grow_monolith(monolith, grown, more)
    if shutil.which("rsync"):
        new, old = (_files(centre.store, one, work) for one in (after, before))
        found["rsync_segments_bytes"] = rsync_bytes(new, old, work)
        found["rsync_monolith_bytes"] = rsync_bytes(grown, monolith, work)
        found["rsync_monolith_z_bytes"] = rsync_bytes(grown, monolith, work, "--compress")
    if shutil.which("zstd"):
        found["zstd_monolith_bytes"] = zstd_patch_bytes(grown, monolith, work)
    found["monolith_bytes"] = sum(path.stat().st_size for path in grown.iterdir())
    return found


def _files(store: Path, manifest: Manifest, work: Path) -> Path:
    """A folder with the files of one release."""
    folder = work / manifest.id
    folder.mkdir()
    for name in set(manifest.blobs()):
        (folder / name).hardlink_to(store / "blobs" / name)
    return folder


def bars(rows: list[dict[str, Any]], nothing: int) -> dict[str, Any]:
    """(measured, allowed) of the issue's bars."""
    one = rows[SHARES.index(AT_SHARE)]
    return {
        "sync_over_segment_files": (one["sync_bytes"] / one["segment_bytes"], MOST_RATIO),
        "whole_release_over_sync": (one["whole_sync_bytes"] / one["sync_bytes"], LEAST_TIMES),
        "nothing_new_bytes": (nothing, MOST_NOTHING_BYTES),
    }


_COLUMNS = (
    ("segment_bytes", "the new segment's two files"),
    ("segment_deflated_bytes", "the same deflated (not done: what is sent is what is signed)"),
    ("sync_bytes", "**`ecgedge sync`, on the wire**"),
    ("whole_sync_bytes", "the whole case base to a cart that has the models, on the wire"),
    ("release_bytes", "the files of the whole release, models included"),
    ("rsync_segments_bytes", "rsync of our files, unsigned"),
    ("rsync_monolith_bytes", "rsync of one index and one database added to in place"),
    ("rsync_monolith_z_bytes", "the same with `--compress`"),
    ("zstd_monolith_bytes", "`zstd -19 --patch-from` of these, a patch kept for every pair"),
)


def tables(results: dict[str, Any]) -> str:
    """The page's table."""
    rows = results["rows"]
    heads = [f"{row['added']:,} ({row['added'] / results['cases']:.1%})" for row in rows]
    lines = [
        f"| bytes for cases added to {results['cases']:,} | {' | '.join(heads)} |",
        f"|---|{'---|' * len(rows)}",
    ]
    for name, told in _COLUMNS:
        cells = [f"{row[name]:,}" if name in row else "not installed" for row in rows]
        lines.append(f"| {told} | {' | '.join(cells)} |")
    ratio = [f"{row['sync_bytes'] / row['segment_bytes']:.3f}" for row in rows]
    times = [f"{row['whole_sync_bytes'] / row['sync_bytes']:.1f}" for row in rows]
    lines.append(f"| sync over the new files | {' | '.join(ratio)} |")
    lines.append(f"| whole release over sync | {' | '.join(times)} |")
    (over, most), (whole, least), (nothing, few) = results["bars"].values()
    lines += [
        "",
        "| bar, at 1 % added | measured | allowed |",
        "|---|---|---|",
        f"| bytes on the wire over the new segment's files | {over:.3f} | at most {most} |",
        f"| whole release over bytes on the wire | {whole:.1f} | at least {least:.0f} |",
        f"| nothing new, bytes | {nothing:,} | under {few:,} |",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=CASES, help="of the release")
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON here")
    parser.add_argument("--page", type=Path, help="renew the tables of this page")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        publish(lambda: measure(options.cases, Path(scratch)), tables, options.output, options.page)


if __name__ == "__main__":
    main()
