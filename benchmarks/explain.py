"""Whether the regions of `ecgedge query --explain` carry the similarity: deletion curves.

    python benchmarks/explain.py PATH/TO/PTB-XL [--queries 40] [-o FILE.json]

For a sample of fold 9, each with its nearest case of another patient: hide more and more of
the query's lead-seconds, those with the largest drop first, or the smallest first, or in
random order, and see how fast the cosine with the case falls (the deletion metric of Petsiuk
et al. 2018). Regions that carry the similarity give the smallest area under the curve.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

import ecgedge  # noqa: E402, F401  # before onnxruntime: see its first lines
from ecgedge import formats  # noqa: E402
from ecgedge.corpora.ptbxl import Corpus, CorpusRecord, load_corpus, parse_folds  # noqa: E402
from ecgedge.engine import Engine  # noqa: E402
from ecgedge.evaluation.figures import Figure, difference, mean_figure, patient_weights  # noqa: E402
from ecgedge.explain.occlusion import cells, embedding, similarities  # noqa: E402
from ecgedge.sight import condition_visible  # noqa: E402
from ecgedge.signal.conditioning import Conditioned  # noqa: E402
from ecgedge.signal.quality import assess  # noqa: E402

FRACTIONS = np.linspace(0, 0.9, 10)
ORDERS = ("top", "random", "bottom")
RANDOM_ORDERS = 3
SEED = 20231


def curves(
    conditioned: Conditioned, engine: Engine, target: NDArray[np.float32], rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Similarity after hiding each of FRACTIONS of the parts, by the order of hiding."""
    parts = cells(conditioned)
    alone = similarities(conditioned, [[], *([one] for one in parts)], engine.encoder, target)
    ranked = np.argsort(-(alone[0] - alone[1:]), kind="stable")
    randoms = [rng.permutation(len(parts)) for _ in range(RANDOM_ORDERS)]
    orders = [ranked, ranked[::-1], *randoms]
    counts = np.round(FRACTIONS * len(parts)).astype(int)
    hidings = [[parts[at] for at in order[:count]] for order in orders for count in counts]
    found = similarities(conditioned, hidings, engine.encoder, target).reshape(len(orders), -1)
    return {"top": found[0], "bottom": found[1], "random": found[2:].mean(axis=0)}


def area(curve: NDArray[np.float64]) -> float:
    """The mean height of the curve between the first and the last fraction."""
    return float(np.trapezoid(curve, FRACTIONS) / (FRACTIONS[-1] - FRACTIONS[0]))


def measure(corpus: Corpus, records: list[CorpusRecord], engine: Engine) -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    found: dict[str, list[NDArray[np.float64]]] = {order: [] for order in ORDERS}
    seconds, encodings = [], 0
    for record in _shown(records):
        recording = formats.read(f"{record.signal}.hea")
        conditioned = condition_visible(recording, assess(recording))
        own = embedding(conditioned, engine.encoder)
        others = frozenset({corpus.group(record)})
        nearest = engine.casebase.search(own, 1, exclude_groups=others)
        begun = time.perf_counter()
        one = curves(conditioned, engine, nearest.vector(0), rng)
        seconds.append(time.perf_counter() - begun)
        encodings += 1 + len(cells(conditioned)) + (2 + RANDOM_ORDERS) * len(FRACTIONS)
        for order in ORDERS:
            found[order].append(one[order])
    weights = patient_weights([corpus.group(record) for record in records])
    areas = {
        order: mean_figure(np.array([area(one) for one in found[order]]), weights)
        for order in ORDERS
    }
    return {
        "release": engine.manifest.id,
        "encoder": engine.encoder.spec.id,
        "n": len(records),
        "fractions": FRACTIONS.round(2).tolist(),
        "curves": {order: np.mean(found[order], axis=0).round(4).tolist() for order in ORDERS},
        "area": {order: _rounded(areas[order]) for order in ORDERS},
        "top_less_random": _rounded(difference(areas["top"], areas["random"])),
        "top_less_bottom": _rounded(difference(areas["top"], areas["bottom"])),
        "top_below_random": _share(found, "random"),
        "ms_per_encoding": round(1e3 * sum(seconds) / encodings, 2),
    }


def _share(found: dict[str, list[NDArray[np.float64]]], other: str) -> float:
    """Of how many queries the area is smaller for "top" than for the other order."""
    pairs = zip(found["top"], found[other], strict=True)
    return round(float(np.mean([area(top) < area(one) for top, one in pairs])), 3)


def _rounded(figure: Figure) -> dict[str, Any]:
    told = figure.to_dict()
    return {key: round(told[key], 4) for key in ("value", "lo", "hi")}


def _shown(records: list[CorpusRecord]) -> Iterable[CorpusRecord]:
    for number, record in enumerate(records, start=1):
        yield record
        print(f"\r{number} of {len(records)}", end="", file=sys.stderr)
    print(file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--queries", type=int, default=40, help="Recordings of the folds to take.")
    parser.add_argument("--folds", default="9", help="Folds to take them from [9].")
    parser.add_argument("--store", type=Path, help="Release store [built in].")
    parser.add_argument("-o", "--output", type=Path, help="Write the results as JSON here.")
    options = parser.parse_args()
    corpus = load_corpus(options.corpus)
    records = corpus.select(parse_folds(options.folds), with_signal=True)
    chosen = np.random.default_rng(SEED).permutation(len(records))[: options.queries]
    results = measure(corpus, [records[at] for at in sorted(chosen)], Engine.open(options.store))
    text = json.dumps(results, indent=1)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
