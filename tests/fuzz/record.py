"""The logs of `scripts/fuzz` -> what was run, added up: `python tests/fuzz/record.py decoder`.

Only runs of the code that is here now are counted: a log says which code it fuzzed.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from page import publish  # noqa: E402

from ecgedge.errors import InputError  # noqa: E402
from tests.fuzz.checks import CODE, digest  # noqa: E402

_STATUS = re.compile(r"^#(\d+)\s+\S+\s+cov: (\d+) ft: (\d+) corp: (\d+)/", re.MULTILINE)
_DONE = re.compile(r"^Done (\d+) runs in (\d+) second", re.MULTILINE)
_CODE = re.compile(r"^code: (\w+)$", re.MULTILINE)


def read_log(text: str) -> dict[str, Any] | None:
    """One run; None for one that never began. A run that was ended has no seconds."""
    code, statuses, done = _CODE.search(text), _STATUS.findall(text), _DONE.search(text)
    if not code or not statuses:
        return None
    executions, edges, features, corpus = map(int, statuses[-1])
    return {
        "code": code[1],
        "executions": int(done[1]) if done else executions,
        "seconds": int(done[2]) if done else None,
        "edges": edges,
        "features": features,
        "corpus": corpus,
    }


def summary(target: str, folder: Path) -> dict[str, Any]:
    """Of all runs of today's code; raises InputError where there are none."""
    current = digest(*CODE[target])
    runs = [
        {"log": log.name} | run
        for log in sorted((folder / "logs").glob("*.log"))
        if (run := read_log(log.read_text(errors="replace"))) and run["code"] == current
    ]
    if not runs:
        raise InputError(f"no log of {target} in {folder} is of the code that is here now")
    timed = [run for run in runs if run["seconds"]]
    seconds = sum(run["seconds"] for run in timed)
    return {
        "target": target,
        "code": current,
        "modules": list(CODE[target]),
        "executions": sum(run["executions"] for run in runs),
        "seconds": seconds,
        "executions_per_s": sum(run["executions"] for run in timed) / max(seconds, 1),
        "edges": max(run["edges"] for run in runs),
        "features": max(run["features"] for run in runs),
        "corpus": runs[-1]["corpus"],
        "found": len(list((folder / "found").glob("*"))),
        "runs": runs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="+", choices=sorted(CODE))
    parser.add_argument("-o", "--output", type=Path, help="write the JSON to this file")
    parser.add_argument("--page", type=Path, help="fill this page's table")
    cache = ROOT / ".cache" / "fuzz"
    parser.add_argument(
        "--cache", type=Path, default=cache, help="where the logs are [.cache/fuzz]"
    )
    options = parser.parse_args()
    publish(
        lambda: {target: summary(target, options.cache / target) for target in options.targets},
        tables,
        options.output,
        options.page,
    )


def tables(results: dict[str, Any]) -> str:
    lines = [
        "| target | executions | a second | edges | features | corpus | found |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {name} | {one['executions']:,} | {one['executions_per_s']:.0f} | {one['edges']} | "
        f"{one['features']} | {one['corpus']} | {one['found']} |"
        for name, one in results.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
