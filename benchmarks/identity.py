"""How much of what identifies a person the masking of reports finds, and what it masks wrongly.

    python benchmarks/identity.py CORPUS -o benchmarks/results/identity.json --page docs/identity.md

Made-up identifiers are put into reports at random places, by a seed, and counted as found only
when no part of them is left. Beside it: what is masked in the corpus' own reports (in counts;
no sentence of theirs is written anywhere), and how long it takes. Without CORPUS the reports
are five sentences of our own.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

from identity_cases import CARRIERS, WAYS, Injected, draw, put_into
from page import publish

from ecgedge.central.identifiers import RULES, find, mask
from ecgedge.corpora.ptbxl import load_corpus

SEED = 20261122
EACH = 300
#: Hits of a corpus that somebody has read, by the hash of them all: (true, false).
READ = {"3093375d760554db": (10, 0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", nargs="?", type=Path, help="folder in PTB-XL's layout")
    parser.add_argument("--each", type=int, default=EACH, help="identifiers of each way")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    publish(lambda: measure(options.corpus, options.each), tables, options.output, options.page)


def measure(corpus: Path | None, each: int) -> dict[str, Any]:
    reports = [one.report for one in load_corpus(corpus).records] if corpus else list(CARRIERS)
    own = own_hits(reports) if corpus else None
    clean = [one for one in sorted(set(reports)) if one and not find(one)]
    rng = random.Random(SEED)
    ways = [recall(rng, clean, way, each) for way in range(len(WAYS))]
    return {"rules": RULES, "seed": SEED, "each": each, "reports": own, "ways": ways}


def own_hits(reports: list[str]) -> dict[str, Any]:
    """What is masked in reports as they are. No text of theirs is in the result."""
    started = time.perf_counter()
    found = [find(report) for report in reports]
    seconds = time.perf_counter() - started
    hits = [
        report[one.start : one.end]
        for report, all_ in zip(reports, found, strict=True)
        for one in all_
    ]
    digest = hashlib.sha256("\n".join(sorted(hits)).encode()).hexdigest()[:16]
    kinds = Counter(one.kind for all_ in found for one in all_)
    true, false = READ.get(digest, (None, None))
    return {
        "reports": len(reports),
        "masked_reports": sum(map(bool, found)),
        "kinds": dict(kinds),
        "hits": digest,
        "read_true": true,
        "read_false": false,
        "ms_a_report": round(1000 * seconds / len(reports), 3),
    }


def recall(rng: random.Random, carriers: list[str], way: int, each: int) -> dict[str, Any]:
    """How often nothing of an identifier is left, and how many words of the report went too."""
    kind, name, _, meant = WAYS[way]
    whole = partly = beside = 0
    for _ in range(each):
        one = draw(rng, way)
        report = _without(rng, carriers, one)
        masked, _ = mask(put_into(rng, report, one))
        left = sum(part in masked for part in one.secret)
        whole += not left
        partly += 0 < left < len(one.secret)
        beside += _lost(report, masked) > 0
    return {
        "kind": kind, "way": name, "meant": meant, "found": whole, "partly": partly,
        "words_beside_lost": beside, "of": each,
    }  # fmt: skip


def _without(rng: random.Random, carriers: list[str], one: Injected) -> str:
    """A report that does not hold what is looked for itself ("Block")."""
    while True:
        report = rng.choice(carriers)
        if not any(part.lower() in report.lower() for part in one.secret):
            return report


def _lost(report: str, masked: str) -> int:
    """Words of the report that are gone from what was masked."""
    return sum((Counter(report.split()) - Counter(masked.split())).values())


def tables(results: dict[str, Any]) -> str:
    lines = [
        "| kind | way | found whole | in part | a report's own word masked too |",
        "|---|---|---|---|---|",
    ]
    for one in results["ways"]:
        mark = "" if one["meant"] else " (no rule for it)"
        share = [
            f"{100 * one[name] / one['of']:.1f} %"
            for name in ("found", "partly", "words_beside_lost")
        ]
        lines.append(f"| {one['kind']} | {one['way']}{mark} | {' | '.join(share)} |")
    for meant, told in ((True, "with a rule"), (False, "without a rule")):
        those = [one for one in results["ways"] if one["meant"] is meant]
        share = sum(one["found"] for one in those) / sum(one["of"] for one in those)
        lines.append(f"| **all {told}** | {len(those)} ways | **{100 * share:.1f} %** | | |")
    own = results["reports"]
    if own:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(own["kinds"].items()))
        read = (
            f"{own['read_true']} true, {own['read_false']} false"
            if own["read_true"] is not None
            else "not read"
        )
        lines += [
            "",
            "| reports of the corpus | masked | kinds | every hit read, one by one | ms a report |",
            "|---|---|---|---|---|",
            f"| {own['reports']:,} | {own['masked_reports']} | {kinds} | {read} "
            f"| {own['ms_a_report']} |",
        ]
    lines += [
        "",
        f"{results['each']} of each way, seed {results['seed']}, rules {results['rules']}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
