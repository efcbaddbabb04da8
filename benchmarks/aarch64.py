"""Whether an emulated board answered as this machine did: the last step of `scripts/try-aarch64`.

Reads what that script kept (outputs, exit codes, seconds), compares and prints. Seconds are
those of an emulator: they say how long the check takes, nothing about a board.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.page import publish  # noqa: E402
from benchmarks.sizes import installed_mb  # noqa: E402

BOARDS = {"pi4": "Pi 4 (Cortex-A72)", "pi5": "Pi 5 (Cortex-A76)"}
#: What may differ. Engines add up int8 products in other orders and round elsewhere: similarities
#: move in the third digit, and two cases that lie as near may change places. Everything before
#: and after the encoder is the same numpy code.
TOLERANCE = {
    "neighbours": 0.9,  # share of the ten nearest cases that are the same, at least
    "similarity": 0.01,
    "strength": 0.05,  # of a statement's support, where the neighbours differ
    "novelty": 0.02,
    "measured": 0.2,  # ms, beats a minute, degrees
    "measured_mv": 0.002,
}
SAME = ("verdict", "novelty_verdict", "statements")


def differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """How far two answers to one recording lie apart, in the terms of TOLERANCE and SAME."""
    ours, theirs = ({one["case_id"]: one for one in it["matches"]} for it in (here, there))
    shared = ours.keys() & theirs.keys()
    shares, other = ({one["code"]: one for one in it["supports"]} for it in (here, there))
    pairs = [
        (one, there["measurements"].get(name, {"value": None}))
        for name, one in here["measurements"].items()
    ]
    return {
        "neighbours": len(shared) / max(1, len(ours)),
        "similarity": _widest(
            (ours[one]["similarity"], theirs[one]["similarity"]) for one in shared
        ),
        "strength": _widest(
            (shares.get(code, {}).get("strength", 0.0), other.get(code, {}).get("strength", 0.0))
            for code in shares.keys() | other.keys()
        ),
        "novelty": _widest([(here["novelty"]["score"], there["novelty"]["score"])]),
        "measured": _widest((a["value"], b["value"]) for a, b in pairs if a["unit"] != "mV"),
        "measured_mv": _widest((a["value"], b["value"]) for a, b in pairs if a["unit"] == "mV"),
        "verdict": here["quality"] == there["quality"],
        "novelty_verdict": here["novelty"]["verdict"] == there["novelty"]["verdict"],
        "statements": list(shares)[:5] == list(other)[:5],
    }


def _widest(pairs: Any) -> float:
    """The largest difference; values that are no numbers must be equal, else it is infinite."""
    gaps = [0.0]
    for one, other in pairs:
        numbers = all(isinstance(it, int | float) for it in (one, other))
        gaps.append(abs(one - other) if numbers else 0.0 if one == other else float("inf"))
    return max(gaps)


def within(found: Mapping[str, Any]) -> bool:
    """Whether all of `differences` keep the tolerance."""
    least = {"neighbours"}
    close = all(found[name] <= TOLERANCE[name] for name in TOLERANCE.keys() - least)
    enough = all(found[name] >= TOLERANCE[name] for name in least)
    return close and enough and all(found[name] for name in SAME)


def board(results: Path, name: str, encoders: Sequence[str]) -> dict[str, Any]:
    """Everything one board did, and how far its answers are from this machine's."""
    folder, here = results / name, results / "here"
    steps = {path.stem: path.read_text().split() for path in sorted(folder.glob("*.exit"))}
    found: dict[str, Any] = {
        "steps": {step: {"exit": int(a), "emulated_s": int(b)} for step, (a, b) in steps.items()},
        "verified": _verified(folder / "verify"),
        "answers": [],
        "tests": _tests(folder / "tests.xml"),
    }
    for number, encoder in enumerate(encoders):
        ours_all, theirs_all = (_answers(place / f"query-{number}") for place in (here, folder))
        if len(ours_all) != len(theirs_all):  # the step failed: its exit code tells
            continue
        for ours, theirs in zip(ours_all, theirs_all, strict=True):
            told = {"input": Path(ours["source"]).name, "encoder": encoder}
            gaps = differences(ours, theirs)
            found["answers"].append({**told, **gaps, "within": within(gaps)})
    found["passed"] = (
        all(step["exit"] == 0 for step in found["steps"].values())
        and bool(found["verified"])
        and len(found["answers"]) >= len(encoders)
        and all(one["within"] for one in found["answers"])
        and found["tests"]["failed"] == 0 < found["tests"]["passed"]
    )
    return found


def _answers(path: Path) -> list[dict[str, Any]]:
    """The answers a query printed, one a line; none where one failed."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    told = [json.loads(line) for line in lines if line.startswith("{")]
    return told if all(one["ok"] for one in told) else []


def _verified(path: Path) -> list[str]:
    """The names of verify's checks if all of them passed."""
    (told,) = _answers(path) or [{"checks": []}]
    rows = told["checks"]
    return [row["name"] for row in rows] if all(row["ok"] for row in rows) else []


def _tests(path: Path) -> dict[str, int]:
    """How the runtime tests ended, from pytest's own report."""
    counted = {"passed": 0, "failed": 0, "skipped": 0}
    if not path.exists():
        return counted
    (suite,) = ElementTree.parse(path).getroot().iter("testsuite")
    counted["failed"] = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
    counted["skipped"] = int(suite.attrib["skipped"])
    counted["passed"] = int(suite.attrib["tests"]) - counted["failed"] - counted["skipped"]
    return counted


def measure(options: argparse.Namespace) -> dict[str, Any]:
    encoders = options.encoders.read_text(encoding="utf-8").split()
    names = [name for name in BOARDS if (options.results / name).is_dir()]
    cart = options.packages / "root/usr/local/lib/python3.11/dist-packages"
    boards = {name: board(options.results, name, encoders) for name in names}
    work = sum(step["emulated_s"] for it in boards.values() for step in it["steps"].values())
    sizes = installed_mb(cart)
    return {
        "encoders": encoders,
        "tolerance": TOLERANCE,
        "boards": boards,
        "installed_mb": sizes,
        "this_run_s": options.seconds,
        "emulated_work_s": work,
        "note": "seconds are an emulator's on a shared machine, not a board's",
        "passed": all(it["passed"] for it in boards.values()),
    }


def table(results: Mapping[str, Any]) -> str:
    """One column a board."""
    boards = results["boards"]
    rows: list[tuple[str, list[str]]] = [
        ("engines load, no illegal instruction", [_ended(it, "engines") for it in boards.values()]),
        ("`ecgedge verify`", [f"{len(it['verified'])} checks passed" for it in boards.values()]),
        ("answers within the tolerance", [_share(it["answers"]) for it in boards.values()]),
    ]
    for name, words in (
        ("neighbours", "of the ten nearest cases, the same (worst)"),
        ("similarity", "similarity of a case, largest difference"),
        ("strength", "support of a statement, largest difference"),
        ("measured", "ms, bpm, degrees measured, largest difference"),
        ("measured_mv", "mV measured, largest difference"),
    ):
        worst = min if name == "neighbours" else max
        cells = [
            f"{worst((one[name] for one in it['answers']), default=float('nan')):.4g}"
            for it in boards.values()
        ]
        rows.append((f"{words} (allowed {TOLERANCE[name]:g})", cells))
    rows.append(("runtime tests", [_counts(it["tests"]) for it in boards.values()]))
    heads = [["", *(BOARDS[name] for name in boards)], ["---"] * (len(boards) + 1)]
    lines = [*heads, *([words, *cells] for words, cells in rows)]
    minutes = results["emulated_work_s"] / 60
    total = sum(results["installed_mb"].values())
    asked = ", ".join(f"`{one}`" for one in results["encoders"])
    return "\n".join(
        [
            *(f"| {' | '.join(cells)} |" for cells in lines),
            "",
            f"Encoders asked: {asked}. Both boards' part of the check took {minutes:.0f} minutes "
            f"under emulation on a machine with other work; {total:.0f} MB are installed.",
        ]
    )


def _ended(it: Mapping[str, Any], step: str) -> str:
    code = it["steps"].get(step, {}).get("exit")
    return "yes" if code == 0 else f"no, exit code {code}"


def _share(answers: Sequence[Mapping[str, Any]]) -> str:
    return f"{sum(one['within'] for one in answers)} of {len(answers)}"


def _counts(tests: Mapping[str, int]) -> str:
    return f"{tests['passed']} passed, {tests['failed']} failed, {tests['skipped']} skipped"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="what scripts/try-aarch64 kept")
    parser.add_argument("--packages", type=Path, required=True, help="folder that holds the root")
    parser.add_argument("--encoders", type=Path, required=True, help="ids, the first asked first")
    parser.add_argument("--seconds", type=int, default=0, help="how long the script ran")
    parser.add_argument("-o", "--output", type=Path, help="also write the JSON to this file")
    parser.add_argument("--page", type=Path, help="also put the table into this page")
    options = parser.parse_args()
    found: dict[str, Any] = {}

    def measured() -> dict[str, Any]:
        found.update(measure(options))
        return found

    publish(measured, table, options.output, options.page)
    sys.exit(0 if found["passed"] else 1)


if __name__ == "__main__":
    main()
