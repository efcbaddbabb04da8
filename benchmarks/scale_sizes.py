"""How many bytes our files really have: segments written, manifests and metadata signed.

Straight lines through sizes that were measured; a simulation of a fleet needs nothing else.
"""

from __future__ import annotations

import hashlib
import json
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ecgedge.casebase.release import builtin_store
from ecgedge.casebase.search import CaseBase
from ecgedge.casebase.segment import CaseRecord, Segment, SegmentRef
from ecgedge.casebase.texts import CaseTexts
from ecgedge.casebase.vectors import EXACT_BELOW, Int8Array
from ecgedge.casebase.writing import write_segment
from ecgedge.statements import statement_name
from ecgedge.sync.layout import CHANNELS_FIELD, SIGNED_AT, blob_target, manifest_target
from ecgedge.textsearch import case_words

RESULTS = Path(__file__).resolve().parent / "results"
CASES = (100, 400, 1600, 6400)
TARGETS = (10, 100, 1000, 4000)
SEGMENTS = (1, 10, 100, 1000)
ENCODER = "leads-1-int8-0123456789ab"
NEIGHBOURS = 150  # as many vote in a query


@dataclass(frozen=True)
class Line:
    """bytes = fixed + each * n. error: the largest relative one among what was measured."""

    fixed: float
    each: float
    error: float = 0.0

    def at(self, count: float) -> float:
        return self.fixed + self.each * count

    @classmethod
    def through(cls, counts: Sequence[int], sizes: Sequence[int]) -> Line:
        """Least squares of relative errors."""
        n, size = np.array(counts, float), np.array(sizes, float)
        rows = np.stack([1 / size, n / size], axis=1)
        (fixed, each), *_ = np.linalg.lstsq(rows, np.ones(len(n)), rcond=None)
        error = np.abs((fixed + each * n) / size - 1).max()
        return cls(round(float(fixed), 1), round(float(each), 3), round(float(error), 4))


@dataclass(frozen=True)
class Sizes:
    """Bytes of everything that travels. segment: of both files of a segment, by cases; large_each:
    a case of a segment of EXACT_BELOW cases or more, which keeps finer vectors. models: files
    that only a first install fetches, model_files of them. targets by files listed, manifest by
    segments.
    """

    segment: Line
    large_each: float
    records: Line
    manifest: Line
    targets: Line
    snapshot: int
    timestamp: int
    models: int
    model_files: int

    def segment_bytes(self, cases: float) -> float:
        each = self.segment.each + (self.large_each if cases >= EXACT_BELOW else 0.0)
        return self.segment.fixed + each * cases

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(*, reports: bool = True, dim: int | None = None) -> Sizes:
    """Sizes of segments with the built-in release's own records, drawn anew, and of metadata."""
    base = Base.read()
    both, records = [], []
    with tempfile.TemporaryDirectory() as folder:
        for count in CASES:
            ref = write_drawn(Path(folder), base, count, seed=count, reports=reports, dim=dim)
            sizes = [(Path(folder) / name).stat().st_size for name in (ref.vectors, ref.cases)]
            both.append(sum(sizes))
            records.append(sizes[1])
    signed = _Signed()
    return Sizes(
        segment=Line.through(CASES, both),
        large_each=float(dim or base.vectors.shape[1]),
        records=Line.through(CASES, records),
        manifest=Line.through(SEGMENTS, [_manifest_bytes(count) for count in SEGMENTS]),
        targets=Line.through(TARGETS, [signed.targets(count) for count in TARGETS]),
        snapshot=signed.snapshot(),
        timestamp=signed.timestamp(),
        models=base.models,
        model_files=base.model_files,
    )


@dataclass(frozen=True)
class Base:
    """The built-in release's records and vectors, to draw from. models: bytes of its others."""

    cases: list[CaseRecord]
    vectors: Int8Array
    texts: CaseTexts | None
    models: int
    model_files: int

    @classmethod
    def read(cls) -> Base:
        store = builtin_store()
        manifest = store.manifest()
        (segment,) = store.segments(manifest)
        of_segments = {name for ref in manifest.segments for name in (ref.vectors, ref.cases)}
        models = [name for name in manifest.blobs() if name not in of_segments]
        weight = sum(store.blob(name).stat().st_size for name in models)
        records = list(segment.all_records().values())
        return cls(records, np.array(segment.vectors.rows), segment.texts, weight, len(models))


def write_drawn(
    folder: Path,
    base: Base,
    count: int,
    *,
    seed: int,
    reports: bool = True,
    dim: int | None = None,
    encoder_id: str = ENCODER,
) -> SegmentRef:
    """A segment of this many cases drawn from the base, vectors moved a little.

    reports: with a report made of the statements' names, as long as a real one.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(base.cases), count)
    vectors = base.vectors[drawn].astype(np.float32)
    vectors += rng.normal(scale=20, size=vectors.shape).astype(np.float32)
    cases = [
        _as_case(base.cases[row], f"{seed}{number:06}", reports)
        for number, row in enumerate(drawn.tolist())
    ]
    texts = base.texts and replace(base.texts, vectors=base.texts.vectors[drawn])
    return write_segment(
        folder,
        vectors[:, : dim or vectors.shape[1]],
        cases,
        encoder_id=encoder_id,
        texts=texts,
        words=[case_words(case) for case in cases],
    )


def _as_case(case: CaseRecord, number: str, reports: bool) -> CaseRecord:
    told = ", ".join(statement_name(code) for code in case.statements)
    pseudonym = hashlib.sha256(number.encode()).hexdigest()[:12]
    return replace(
        case,
        case_id=f"clinic/{number}",
        report=told if reports else None,
        source=f"clinic record {number}",
        group=pseudonym,
    )


def _manifest_bytes(segments: int) -> int:
    """The built-in release's manifest with so many segments."""
    manifest = builtin_store().manifest()
    rng = random.Random(segments)
    refs = tuple(
        SegmentRef(_sha(rng), _sha(rng), 5000, manifest.segments[0].dim) for _ in range(segments)
    )
    return len(replace(manifest, segments=refs).to_json().encode())


def _sha(rng: random.Random) -> str:
    return f"{rng.getrandbits(256):064x}"


class _Signed:
    """Metadata signed for real by python-tuf: two keys for targets, one for the others."""

    def __init__(self) -> None:
        from securesystemslib.signer import CryptoSigner

        self._signers = [CryptoSigner.generate_ed25519() for _ in range(2)]
        self._expires = datetime(2027, 11, 22, tzinfo=UTC)

    def targets(self, count: int) -> int:
        from tuf.api.metadata import TargetFile, Targets

        rng = random.Random(count)
        role = Targets(version=123, expires=self._expires)
        for number in range(count):
            offer = number < 2
            name = manifest_target(_sha(rng)[:16]) if offer else blob_target(_sha(rng))
            length = 10 ** rng.randint(5, 7) + number
            role.targets[name] = TargetFile(length, {"sha256": _sha(rng)}, name)
            if offer:
                custom = {CHANNELS_FIELD: {"stable": {"order": 8 + number, "percent": 100}}}
                role.targets[name].unrecognized_fields["custom"] = custom
        return self._length(role, 2)

    def snapshot(self) -> int:
        from tuf.api.metadata import MetaFile, Snapshot

        listed = MetaFile(123, 12345, {"sha256": "0" * 64})
        return self._length(Snapshot(123, None, self._expires, {"targets.json": listed}), 1)

    def timestamp(self) -> int:
        from tuf.api.metadata import MetaFile, Timestamp

        role = Timestamp(1234, None, self._expires, MetaFile(123, 512, {"sha256": "0" * 64}))
        role.unrecognized_fields[SIGNED_AT] = (self._expires - timedelta(days=7)).isoformat()[:19]
        return self._length(role, 1)

    def _length(self, role: Any, signatures: int) -> int:
        from tuf.api.metadata import Metadata

        metadata = Metadata(role)
        for signer in self._signers[:signatures]:
            metadata.sign(signer, append=True)
        return len(metadata.to_bytes())


def search_by_segments(counts: Sequence[int], cases: int, asks: int = 200) -> dict[str, float]:
    """Number of segments -> ms of a search for 150 neighbours, median, all over equally many
    cases; asked in turns, so that other work on the machine slows all alike.
    """
    base = Base.read()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        opened = {}
        for count in counts:
            refs = [
                write_drawn(Path(folder), base, cases // count, seed=1000 * count + n)
                for n in range(count)
            ]
            opened[count] = CaseBase([Segment.open(Path(folder), ref, ENCODER) for ref in refs])
        took: dict[int, list[float]] = {count: [] for count in counts}
        for _ in range(asks):
            query = base.vectors[rng.integers(len(base.vectors))].astype(np.float32)
            for count, one in opened.items():
                started = time.perf_counter()
                one.search(query, NEIGHBOURS)
                took[count].append(1000 * (time.perf_counter() - started))
    return {str(count): round(float(np.median(each)), 3) for count, each in took.items()}


def result(name: str, *path: str | int) -> Any:
    """A figure from a committed result, e.g. result("search", "rows", 0)."""
    found = json.loads((RESULTS / f"{name}.json").read_text())
    for key in path:
        found = found[key]
    return found
