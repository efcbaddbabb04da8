"""What a release takes to be whole here: which files to fetch, in which order, and the room.

Pure: the manifest, what the centre signed and what lies on this machine go in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ecgedge.casebase.manifest import Manifest
from ecgedge.errors import TrustError, UsageError
from ecgedge.sync.layout import blob_target
from ecgedge.sync.trusted import Target

#: Left free on the disk whatever is fetched: for manifests, folders and what else runs there.
RESERVE_BYTES = 16 << 20
#: And this share of what is written: file systems take more than the bytes of a file.
RESERVE_SHARE = 0.02


@dataclass(frozen=True)
class Plan:
    """What is to be done for one release.

    fetch: files to fetch, in this order. copy: the SHA-256 names of files to take from elsewhere
    on this machine. begun_bytes: so much of `fetch` lies here from a sync that was cut short.
    write_bytes: what will be written to the disk.
    """

    fetch: tuple[Target, ...]
    copy: tuple[str, ...]
    begun_bytes: int
    write_bytes: int

    @property
    def fetch_bytes(self) -> int:
        """The length of the files to fetch, what lies here already included."""
        return sum(one.length for one in self.fetch)

    @property
    def room_bytes(self) -> int:
        """What must be free on the disk, 0 where nothing is missing."""
        if not self.write_bytes:
            return 0
        return self.write_bytes + RESERVE_BYTES + int(self.write_bytes * RESERVE_SHARE)


def signed_files(manifest: Manifest, targets: Mapping[str, Target]) -> dict[str, Target]:
    """SHA-256 name -> target of every file the release needs, each once.

    Raises TrustError for one that the centre did not sign: a manifest and files of different
    publications do not mix.
    """
    found = {}
    for name in dict.fromkeys(manifest.blobs()):
        target = targets.get(blob_target(name))
        if target is None or target.sha256 != name:
            raise TrustError(
                f"release {manifest.id} needs file {name[:12]}..., which the centre did not sign: "
                "tell the centre"
            )
        found[name] = target
    return found


def make_plan(
    files: Mapping[str, Target],
    whole: Collection[str],
    nearby: Collection[str],
    begun: Mapping[str, int],
) -> Plan:
    """How to come by the files that are not here.

    files: SHA-256 name -> target (`signed_files`). whole: names in the store whose bytes were
    just verified. nearby: names elsewhere on this machine, verified too. begun: name -> bytes
    of it that lie here already. What was begun is ended first, then small files come before
    large ones: where a link breaks again and again, most of them are done.
    """
    missing = {name: one for name, one in files.items() if name not in whole}
    fetch = [one for name, one in missing.items() if name not in nearby]
    fetch.sort(key=lambda one: (one.sha256 not in begun, one.length, one.sha256))
    begun_bytes = sum(min(begun.get(one.sha256, 0), one.length) for one in fetch)
    return Plan(
        fetch=tuple(fetch),
        copy=tuple(sorted(name for name in missing if name in nearby)),
        begun_bytes=begun_bytes,
        write_bytes=sum(one.length for one in missing.values()) - begun_bytes,
    )


def check_room(plan: Plan, free_bytes: int, where: str) -> None:
    """Raise UsageError, with what to do, where the disk has not enough room for the plan."""
    short = plan.room_bytes - free_bytes
    if short > 0:
        raise UsageError(
            f"the new release needs {_mb(plan.room_bytes)} MB, {free_bytes // 1_000_000} MB are "
            f"free on {where}: free {_mb(short)} MB and run it again"
        )


def _mb(count: int) -> int:
    """Bytes in whole MB, rounded up."""
    return -(-count // 1_000_000)
