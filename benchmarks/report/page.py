"""The whole page: sections for what is there, nothing for what is not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.report import bars, others, plots, sections
from benchmarks.report.wording import POINTS
from ecgedge.atomic import write_atomic

#: Files of benchmarks/results beside the fold's, each told if it is there.
OTHERS = ("learning_curve", *others.SECTIONS)

_INTRO = """# Results

Written by `scripts/results` from `benchmarks/results/`; the JSON there holds every figure, also
those left out here. How each is defined: `ecgedge/evaluation/`, point by point. To measure again,
on any folder in PTB-XL's layout:

    ecgedge evaluate FOLDER --split 9 -o benchmarks/results/fold9.json
    scripts/results
"""
_READING = """Read with care:

- **Patient-disjoint throughout.** No query finds its own record or another of its patient.
  Intervals are 95 %, from 1,000 bootstrap draws over patients; a change's interval is paired.
- **Fold 9 is a little kind.** The epoch, the number of neighbours, the temperature, thresholds and
  calibration were chosen on it. Fold 10 was never used.
- **Chance and ceiling.** Chance is a random order, or scores without information. The ceiling of
  exact matching is what identical texts allow; of precision and nDCG the best order of these
  cases; of ROUGE-L the best report among the cases a query may find.
- **n is small.** """
_OTHERS_FIRST = """Others' figures are from their papers, on other records, mostly with far more
training data: for orientation, not comparison. In-domain: trained on PTB-XL; zero-shot: not."""
_ELSEWHERE = """Elsewhere: [encodings compared](encodings.md), [int8 recipes](quantization.md),
[training and what was tried](training.md), latency in `benchmarks/results/query.json`."""
_NOTES = {
    "6.": """Both texts as the corpus has them, German or English, in lower case and without
punctuation. BLEU is a corpus score. METEOR has its exact-match stage only: stems and synonyms
count nothing.""",
    "8.": """Paired with the clean run; chance is what there is to lose. Only the query is
degraded, the cases are as they were. A lead that is off is hidden from the encoder, a limb lead
too, although readers restore one from two others. Noise is scaled to the signal's variance.""",
}


def write(results: Path, docs: Path) -> None:
    """docs/results.md and docs/results/*.svg. Raises FileNotFoundError without fold9.json."""
    told: dict[str, Any] = {"fold9": _load(results / "fold9.json")}
    for name in OTHERS:
        path = results / f"{name}.json"
        if path.is_file():
            told[name] = _load(path)
    pictures = docs / "results"
    for old in pictures.glob("*.svg"):
        old.unlink()
    page = compose(told, pictures)
    write_atomic(docs / "results.md", page.encode())


def _load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def compose(told: Mapping[str, Any], pictures: Path) -> str:
    """The page's text; its plots are drawn into `pictures`."""
    fold = told["fold9"]
    parts = [_INTRO.strip(), sections.about(fold), _READING + sections.precision(fold)]
    parts += ["## Bars", bars.section(told)]
    parts += ["## Beside published systems", _OTHERS_FIRST, sections.beside(fold)]
    for title in POINTS:
        parts += [f"## {title}", *_point(fold, title, pictures)]
    parts += _others(told, pictures)
    parts.append(_ELSEWHERE)
    return "\n\n".join(part for part in parts if part) + "\n"


def _point(fold: Mapping[str, Any], title: str, pictures: Path) -> list[str]:
    """A point's plot, remarks and tables."""
    number = title.partition(" ")[0]
    parts = [_NOTES.get(number, ""), sections.point(fold, title)]
    int8, curves = fold["metrics"]["int8"], fold.get("curves", {})
    if number == "3.":
        if curves.get("roc"):
            plots.roc(curves["roc"], fold, pictures / "roc.svg")
            parts.append("![ROC curve of each superclass](results/roc.svg)")
        parts.append(sections.classes(fold))
    if number == "7.":
        parts += _trust(int8, pictures)
    if number == "8." and 8 in fold["points"]["covered"]:
        plots.robustness(fold, pictures / "robustness.svg")
        parts.append("![change of superclass AUC by condition](results/robustness.svg)")
    return parts


def _trust(int8: Mapping[str, Any], pictures: Path) -> list[str]:
    """Reliability diagram, risk-coverage curve, and what novelty notices."""
    parts = []
    # Most supports are next to nothing: those worth a look spread over the diagram.
    told = int8.get("ece_p05", int8.get("ece", {}))
    if told.get("points"):
        plots.reliability(told["points"], pictures / "reliability.svg")
        parts.append("![reliability diagram of the supports](results/reliability.svg)")
    refusal = int8.get("aurc_labels", {})
    if refusal.get("curve"):
        plots.risk_coverage(refusal, pictures / "risk_coverage.svg")
        parts.append("![risk against coverage, refusing by novelty](results/risk_coverage.svg)")
    parts.append(sections.strangers(int8.get("novelty_auroc", {})))
    return parts


def _others(told: Mapping[str, Any], pictures: Path) -> list[str]:
    parts = []
    if "learning_curve" in told:
        plots.learning_curve(told["learning_curve"], pictures / "learning_curve.svg")
        parts += ["## Learning curve", others.learning_curve(told["learning_curve"])]
        parts.append("![learning curve](results/learning_curve.svg)")
    for name, (title, section) in others.SECTIONS.items():
        if name in told:
            parts += [f"## {title}", section(told[name])]
    return parts
