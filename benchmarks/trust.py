"""Calibration, novelty and refusal of one release: `python benchmarks/trust.py CORPUS`.

The figures of point 7 of the protocol alone, with other populations where a folder of them is
given, and what novelty costs on this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
for _library in ("OMP", "OPENBLAS", "MKL"):  # one thread, also in numpy's linear algebra
    os.environ[f"{_library}_NUM_THREADS"] = "1"

import ecgedge  # noqa: E402, F401  # before onnxruntime: see its first lines

_REPEATS = 300


def measure(
    corpus_path: Path, split: str, store: Path | None, unlike: Path | None
) -> dict[str, Any]:
    """Every figure as plain data."""
    from ecgedge.corpora.ptbxl import load_corpus, parse_folds
    from ecgedge.evaluation import strangers, trust
    from ecgedge.evaluation.cases import Found
    from ecgedge.evaluation.figures import patient_weights
    from ecgedge.evaluation.subject import embed_split, open_subject, retrieve

    def quiet(items: Any, _label: str, _count: int) -> Any:
        return items

    corpus, subject = load_corpus(corpus_path), open_subject(store)
    queries = embed_split(corpus.select(parse_folds(split)), [subject], quiet)
    hits = retrieve(subject, corpus, queries.records, queries.embeddings[0])
    found = Found(corpus, queries.records, hits, subject.engine.casebase.all_cases())
    weights = patient_weights([corpus.group(record) for record in queries.records])
    others = strangers.populations(unlike) if unlike else None
    figures = trust.figures(found, subject, weights, quiet, others)
    return {
        "corpus": corpus.name,
        "split": split,
        "release": subject.facts(),
        "figures": {name: figure.to_dict() for name, figure in figures.items()},
        "cost": _cost(subject),
        "machine": {"processor": platform.machine(), "python": platform.python_version()},
    }


def _cost(subject: Any) -> dict[str, Any]:
    """Size of the model, and the fastest of many verdicts: what is slower is other work."""
    from ecgedge.signal.conditioning import condition
    from ecgedge.signal.synthetic import synthesize
    from ecgedge.signal.traits import measure as traits

    model = subject.engine.novelty_model
    if model is None:
        return {"bytes": 0}
    conditioned, laps = condition(synthesize()), []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        model.novelty(traits(conditioned), 0.95)
        laps.append((time.perf_counter() - begun) * 1e3)
    laps.sort()
    return {
        "bytes": len(model.to_json()),
        "fastest_ms": round(laps[0], 3),
        "median_ms": round(laps[len(laps) // 2], 3),
        "load_average": round(os.getloadavg()[0], 1),
    }


def _table(result: dict[str, Any]) -> str:
    lines = [f"{'figure':<22}{'value':>8} {'95 % interval':>18} {'n':>5}"]
    novelty = result["figures"]["novelty_auroc"]
    kinds = {**novelty.get("kinds", {}), **novelty.get("populations", {})}
    for name, figure in (*result["figures"].items(), *kinds.items()):
        if figure["value"] is None:
            lines.append(f"{name:<22}{'-':>8} {figure['why']}")
            continue
        interval = f"[{figure['lo']:.3f}, {figure['hi']:.3f}]"
        more = (
            f"  nearest case alone {figure['nearest_only']:.3f}" if "nearest_only" in figure else ""
        )
        lines.append(f"{name:<22}{figure['value']:>8.3f} {interval:>18} {figure['n']:>5}{more}")
    return "\n".join([*lines, f"novelty costs {result['cost']}"])


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path, help="folder in PTB-XL's layout")
    parser.add_argument("--split", default="9", help="folds to measure on [9]")
    parser.add_argument("--store", type=Path, help="release store [built in]")
    parser.add_argument("--unlike", type=Path, help="folder with recordings of other populations")
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON")
    asked = parser.parse_args()
    result = measure(asked.corpus, asked.split, asked.store, asked.unlike)
    print(_table(result))
    if asked.output:
        asked.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
