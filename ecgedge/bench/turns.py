"""Encoders and numbers of threads taking turns, each turn in a process of its own.

Whatever else the board does meanwhile, heat included, then slows all of them alike. Each
turn begins with a cold start, so those need no measurement of their own.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ecgedge.bench.process import Finished, launch
from ecgedge.bench.worker import ALONE, Request
from ecgedge.casebase.alternatives import Parity
from ecgedge.casebase.manifest import Manifest
from ecgedge.crashes import crash
from ecgedge.errors import EcgedgeError

PRIMARY, ALTERNATIVE, BUNDLE = "primary", "alternative", "bundle"
#: Far beyond what a slow board needs; a turn that hangs must not keep the others waiting.
_TURN_S = 600.0
#: p50s closer than this are equal: repeated runs on one board differ by as much.
SAME_SPEED = 0.03
_PERCENTILES = (50, 95, 99)

#: (items, label, how many) -> the same items, shown as they pass.
Progress = Callable[[Iterable[Any], str, int], Iterable[Any]]


@dataclass(frozen=True)
class Contender:
    """An encoder to be measured. role: PRIMARY, ALTERNATIVE or BUNDLE. parity: with the
    primary, where the release says so; none is measured here.
    """

    name: str
    role: str
    parity: Parity | None = None

    def why_not(self) -> str:
        """Why it must not be chosen for this release, or ""."""
        if self.role == BUNDLE:
            return "not part of the release: build one with `ecgedge index build --alternative`"
        return "" if self.parity is None else "; ".join(self.parity.failures())


@dataclass
class Row:
    """What was measured of one contender with so many threads; error: why nothing was."""

    contender: Contender
    threads: int
    error: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    laps_ms: dict[str, list[float]] = field(default_factory=dict)
    cpu_s: list[float] = field(default_factory=list)
    cold_s: list[float] = field(default_factory=list)
    peak_mib: list[float] = field(default_factory=list)

    @property
    def eligible(self) -> bool:
        return not self.error and not self.contender.why_not()

    @property
    def p50_ms(self) -> float:
        """Of the whole query."""
        return float(np.median(self.laps_ms["total"]))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        contender = self.contender
        told: dict[str, Any] = {
            "encoder": self.facts.get("id", contender.name),
            "role": contender.role,
            "format": self.facts.get("format"),
            "quantization": self.facts.get("quantization"),
            "threads": self.threads,
            "ok": not self.error,
            "error": self.error or None,
            "parity": None if contender.parity is None else asdict(contender.parity),
            "why_not": contender.why_not() or None,
        }
        if self.error:
            return told
        return told | {
            "stages": {stage: _spread(values) for stage, values in self.laps_ms.items()},
            "cold_s": round(float(np.median(self.cold_s)), 4),
            "peak_mib": round(max(self.peak_mib), 1),
            "cpu_s_per_query": round(float(np.mean(self.cpu_s)), 6),
            "rounds": len(self.cpu_s),
        }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {f"p{one}_ms": round(float(np.percentile(values, one)), 3) for one in _PERCENTILES}


def contenders(manifest: Manifest, bundles: Sequence[str]) -> list[Contender]:
    """Every encoder of the release, then the bundles."""
    found = [Contender(manifest.encoder.id, PRIMARY)]
    found += [Contender(one.encoder.id, ALTERNATIVE, one.parity) for one in manifest.alternatives]
    return found + [Contender(bundle, BUNDLE) for bundle in bundles]


def thread_counts(cores: int) -> list[int]:
    """1, 2, 4 ... and the number of cores."""
    counts = [1]
    while counts[-1] * 2 <= cores:
        counts.append(counts[-1] * 2)
    return counts if counts[-1] == cores else [*counts, cores]


def measure(
    store: Path,
    release: str,
    entered: Sequence[Contender],
    threads: Sequence[int],
    *,
    rounds: int,
    turns: int,
    progress: Progress,
) -> list[Row]:
    """Every contender with every number of threads; one that fails is a row that says why."""
    rows = [Row(one, count) for one in entered for count in threads]
    order = random.Random(0)
    plan = [row for _ in range(turns) for row in order.sample(rows, len(rows))]
    each = -(-rounds // turns)
    for row in progress(plan, "measuring", len(plan)):
        if not row.error:
            _take_turn(row, store, release, each)
    return rows


def _take_turn(row: Row, store: Path, release: str, rounds: int) -> None:
    contender = row.contender
    bundle = contender.role == BUNDLE
    request = Request(
        store=str(store),
        release=release,
        encoder=None if bundle else contender.name,
        bundle=contender.name if bundle else None,
        threads=row.threads,
        rounds=rounds,
    )
    command = [sys.executable, "-m", "ecgedge.bench.worker", json.dumps(asdict(request))]
    # As the command line does for a query, see `ecgedge.cli.main`.
    environment = {"OPENBLAS_NUM_THREADS": "1", **os.environ}
    try:
        done = launch(command, environment=environment, timeout_s=_TURN_S)
        told = _result(done)
    except EcgedgeError as error:
        row.error = str(error)
        return
    row.facts = {name: told[name] for name in ("id", "format", "quantization")}
    for stage, values in told["laps_ms"].items():
        row.laps_ms.setdefault(stage, []).extend(values)
    row.cpu_s += told["cpu_s"]
    row.cold_s.append(told["first_at"] - done.begun)
    row.peak_mib.append(done.peak_mib)


def _result(done: Finished) -> dict[str, Any]:
    """What a worker printed. Raises EcgedgeError with the reason where it measured nothing."""
    try:
        told: dict[str, Any] = json.loads(done.output)
    except ValueError:
        reason = crash(done.code)
        raise reason or EcgedgeError(f"it was ended by signal {-done.code}") from None
    if "error" in told:
        raise EcgedgeError(told["error"])
    return told


def choose(rows: Sequence[Row]) -> Row | None:
    """The fastest whole query among those that may be chosen, by p50; None where there is none.

    Of equally fast ones the fewest threads, which spend less, then the primary encoder.
    """
    kept = [row for row in rows if row.eligible]
    if not kept:
        return None
    best = min(row.p50_ms for row in kept)
    equal = [row for row in kept if row.p50_ms <= best * (1 + SAME_SPEED)]
    return min(equal, key=lambda row: (row.threads, row.contender.role != PRIMARY, row.p50_ms))


__all__ = ["ALONE", "Contender", "Row", "choose", "contenders", "measure", "thread_counts"]
