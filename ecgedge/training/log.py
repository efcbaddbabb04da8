"""The run's diary: one strict JSON object an epoch, in log.jsonl."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ecgedge.atomic import write_atomic


def append(path: Path, entry: Mapping[str, Any]) -> None:
    """Add one line; NaN is an error here, because other readers of JSON refuse it."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, allow_nan=False) + "\n")


def rewind(path: Path, epoch: int) -> None:
    """Drop lines past `epoch`: a run killed after its last checkpoint makes those epochs again."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if _epoch_of(line) <= epoch]
    if kept != lines:
        write_atomic(path, "".join(kept).encode())


def _epoch_of(line: str) -> float:
    """The line's epoch; infinite for a line cut off while it was written."""
    try:
        return int(json.loads(line)["epoch"]) if line.endswith("\n") else float("inf")
    except (ValueError, KeyError, TypeError):
        return float("inf")
