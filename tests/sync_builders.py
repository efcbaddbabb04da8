"""A cart's store and a centre in memory that it syncs with, for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from sim_repository import SimRepository, SimSource

from ecgedge.casebase.manifest import Calibration, EncoderRef, Manifest
from ecgedge.casebase.release import Store
from ecgedge.casebase.segment import CaseRecord
from ecgedge.casebase.writing import write_segment
from ecgedge.errors import EcgedgeError
from ecgedge.sync import places
from ecgedge.sync.install import Outcome, synchronise
from ecgedge.sync.last import read_last

ENCODER = "leads-1-int8-0123456789ab"


def small_manifest(store: Store, name: str, segments: int = 1) -> Manifest:
    """A release of a few cases whose blobs are in the store; no engine opens it.

    Its first `segments - 1` segments, its model and its sidecar are those of every other one.
    """
    seeds = [*range(segments - 1), sum(name.encode())]
    names = [*(str(number) for number in range(segments - 1)), name]
    refs = []
    for seed, label in zip(seeds, names, strict=True):
        rows = np.random.default_rng(seed).normal(size=(10, 8)).astype(np.float32)
        cases = [
            CaseRecord(f"{label}/{i}", {"NORM": 100.0}, None, 50, "F", "made up", f"{label}{i}")
            for i in range(10)
        ]
        refs.append(write_segment(store.blobs, rows, cases, encoder_id=ENCODER))
    model, spec = store.put_blob(b"model bytes"), store.put_blob(b"{}")
    return Manifest(
        created="2026-11-22",
        encoder=EncoderRef(ENCODER, model, spec),
        text=None,
        conditioning="cond-1",
        imaging="leads-1",
        calibration=Calibration(30, 0.05, tuple(np.linspace(0.2, 0.9, 101).tolist())),
        segments=tuple(refs),
        withdrawn=(),
        probes=(),
        notes=(f"this is {name}",),
    )


@dataclass
class Cart:
    """store: the cart's; made: the centre's own. centre, source: where it syncs.

    failure: what the probe raises from now on. during: called while it probes. probed: releases
    that were asked. shown, warned: what the progress and the warnings said. order: of the last
    offer.
    """

    store: Store
    made: Store
    centre: SimRepository
    source: SimSource
    now: datetime
    failure: EcgedgeError | None = None
    probed: list[str] = field(default_factory=list)
    shown: list[tuple[int, int]] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    during: Callable[[], None] = lambda: None
    order: int = 0

    @classmethod
    def at(cls, folder: Path) -> Cart:
        centre = SimRepository()
        source = SimSource(centre.files)
        return cls(Store(folder / "cart"), Store(folder / "made"), centre, source, centre.now)

    def offer(
        self, name: str, channel: str = "stable", percent: int = 100, segments: int = 1
    ) -> str:
        """Let the centre make a release and publish it as the latest; its id."""
        release = self.made.add_release(small_manifest(self.made, name, segments))
        self.order += 1
        return self.centre.publish_store(self.made, release, {channel: (self.order, percent)})

    def sync(self, *, channel: str = "stable", cart: str = "c", check: bool = False) -> Outcome:
        return synchronise(
            self.store,
            self.source,
            self.centre.root_file,
            channel=channel,
            cart=cart,
            now=self.now,
            probe=self.probe,
            progress=lambda done, total: self.shown.append((done, total)),
            warn=self.warned.append,
            check=check,
        )

    def probe(self, store: Store, release: str) -> None:
        self.probed.append(release)
        self.during()
        if self.failure is not None:
            raise self.failure

    def whole(self) -> str:
        """The active release, once every byte of it was seen to be right."""
        manifest = self.store.manifest()
        for name in manifest.blobs():
            self.store.blob(name)
        return manifest.id

    def ended(self) -> str:
        """How the last sync ended, as `status` will read it."""
        last = read_last(places.status(self.store.root))
        assert last is not None
        return last.outcome

    def fetched(self) -> list[str]:
        """SHA-256 names of the blobs that were asked for, and forget them."""
        asked = [path.rpartition("/")[2] for path in self.source.asked_paths if "blobs/" in path]
        self.source.asked.clear()
        return asked
