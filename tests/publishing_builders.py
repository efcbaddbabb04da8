"""A centre for tests: keys, small releases, places to publish to, and python-tuf's own client."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from ecgedge.casebase.manifest import Calibration, EncoderRef, Manifest
from ecgedge.casebase.release import Store
from ecgedge.casebase.segment import CaseRecord
from ecgedge.casebase.writing import write_segment
from ecgedge.central.ceremony import Rotation, make_keys, rotate_role
from ecgedge.central.destination import Destination, open_destination
from ecgedge.central.keys import KeyRing
from ecgedge.central.publish import Change, Publisher, Report
from ecgedge.central.root import Validity, read_history
from ecgedge.central.signing import Lifetimes
from ecgedge.sync.layout import release_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ENCODER = "leads-1-int8-0123456789ab"
PASSPHRASE = "correct horse battery staple"


def no_passphrase(role: str, what: str) -> None:
    """For tests that do not care: deriving a key from a passphrase takes time."""


def add_release(store: Store, name: str, *, segments: int = 1, report: str | None = None) -> str:
    """A complete release, now the active one; an id of its own for each name.

    Releases share model, sidecar and segments. report: of every case.
    """
    refs = []
    for number in range(segments):
        rows = np.random.default_rng(number).normal(size=(4, 8)).astype(np.float32)
        cases = [
            CaseRecord(
                f"c/{case}", {"NORM": 100.0}, report, 50, "F", f"c record {case}", f"{case:012x}"
            )
            for case in range(4 * number, 4 * number + 4)
        ]
        refs.append(write_segment(store.blobs, rows, cases, encoder_id=ENCODER))
    manifest = Manifest(
        created="2026-11-22",
        encoder=EncoderRef(ENCODER, store.put_blob(b"model bytes"), store.put_blob(b"{}")),
        text=None,
        conditioning="cond-1",
        imaging="leads-1",
        calibration=Calibration(30, 0.05, tuple(np.linspace(0.2, 0.9, 101).tolist())),
        segments=tuple(refs),
        withdrawn=(),
        probes=(),
        corpus={"name": name},
    )
    store.activate(store.add_release(manifest))
    return manifest.id


@dataclass
class Centre:
    """keys: the folder of keys. now: its clock, which stands until a test moves it."""

    keys: Path
    destination: Destination
    store: Store
    now: datetime = NOW
    lifetimes: Lifetimes = field(default_factory=Lifetimes)

    def publisher(self, *folders: Path) -> Publisher:
        ring = KeyRing(folders or (self.keys,))
        history = read_history(self.keys)
        return Publisher(self.destination, history, ring, self.now, self.lifetimes)

    def publish(self, release: str | None = None, **change: object) -> Report:
        """Offer a release of the store, or make another change."""
        store = self.store if release is not None else None
        return self.publisher().publish(Change(store=store, release=release, **change))

    def change(self, **change: object) -> Report:
        """A change without the store at hand."""
        return self.publisher().publish(Change(**change))

    def rotate(self, role: str, **more: object) -> None:
        facts = {"drop": (), "keep_old": False, "add": None, "public": (), "threshold": None}
        rotation = Rotation(role, **{**facts, "into": self.keys, **more})
        rotate_role(
            self.keys,
            KeyRing([self.keys]),
            rotation,
            validity=Validity(self.now),
            passphrase=no_passphrase,
        )

    def root(self, version: int = 1) -> bytes:
        return (self.keys / f"{version}.root.json").read_bytes()

    def read(self, root: bytes | None = None) -> dict[str, bytes]:
        """Everything on offer, as python-tuf's client reads and verifies it."""
        return read_by_tuf(PlaceFetcher(self.destination), root or self.root(), self.now)

    def releases(self) -> list[str]:
        """The releases on offer, as python-tuf's client sees them."""
        return sorted(name for path in self.read() if (name := release_of(path)) is not None)


def make_centre(folder: Path, place: str | None = None, **counts: int) -> Centre:
    """Keys without passphrases, and an empty store. place: where to publish, else a folder."""
    keys = folder / "keys"
    thresholds = {role: counts.pop(f"{role}_threshold", 1) for role in ("root", "targets")}
    make_keys(
        keys,
        counts=counts,
        thresholds=thresholds,
        validity=Validity(NOW),
        passphrase=no_passphrase,
    )
    destination = open_destination(place or str(folder / "repository"))
    return Centre(keys, destination, Store(folder / "store"))


class PlaceFetcher(FetcherInterface):
    """Lets python-tuf's client read a destination as if it were served."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination

    def _fetch(self, url: str) -> Iterator[bytes]:
        data = self.destination.read(url.removeprefix("place://"))
        if data is None:
            raise DownloadHTTPError(url, 404)
        yield data


def read_by_tuf(
    fetcher: FetcherInterface | None,
    root: bytes,
    now: datetime = NOW,
    url: str = "place://",
    folder: Path | None = None,
) -> dict[str, bytes]:
    """Every target, verified by python-tuf's client. folder: what it remembers from last time."""
    with tempfile.TemporaryDirectory() as scratch:
        remembered = folder or Path(scratch)
        remembered.mkdir(exist_ok=True)
        updater = Updater(
            str(remembered),
            f"{url}metadata/",
            target_base_url=f"{url}targets/",
            fetcher=fetcher,
            config=UpdaterConfig(prefix_targets_with_hash=False),
            bootstrap=root,
        )
        updater._trusted_set.reference_time = now  # its clock can be set in no other way
        updater.refresh()
        found = {}
        for path, target in updater._trusted_set.targets.targets.items():
            local = updater.download_target(target, str(Path(scratch, "target")))
            found[path] = Path(local).read_bytes()
        return found
