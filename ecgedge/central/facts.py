"""What a release says of itself for people: whom to credit, what it counts, what to know."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ecgedge.atomic import write_atomic
from ecgedge.casebase.search import CaseBase
from ecgedge.central.encode import Skipped
from ecgedge.corpora.ptbxl import Corpus

PTBXL_ATTRIBUTION = (
    "PTB-XL, Wagner et al. 2020, doi:10.13026/x4td-x982, CC BY 4.0; embeddings and statements "
    "derived from it"
)
UNTUNED = (
    "There were no validation recordings: the votes use defaults, supports are evidence (so many "
    "of the nearest cases), not probabilities, and novelty was scaled on the case base itself, "
    "each patient left out in turn."
)
UNJUDGED = (
    "The validation recordings hold no statement often enough to judge its probability: supports "
    "are evidence (so many of the nearest cases), not probabilities."
)
NO_NOVELTY = (
    "There were too few whole recordings to learn what is usual: novelty goes by the nearest case "
    "alone."
)
ONE_OUTCOME = (
    "The validation recordings have no diagnostic superclass with both outcomes: the votes use "
    "defaults."
)
_SETTLED = "Votes, probabilities and the scale of novelty were settled on "

#: In a release's facts: how many cases it had when it was calibrated, and what came later.
TUNED_ON, ADDED = "tuned_on_cases", "added"


def counted(facts: Mapping[str, Any], base: CaseBase) -> dict[str, Any]:
    """A release's facts with the counts of its case base as it is now."""
    patients = {case.group for case in base.all_cases()}
    return {**facts, "cases": len(base), "patients": len(patients)}


def with_added(
    facts: Mapping[str, Any], one: Mapping[str, Any], tuned_on: int, attribution: str
) -> dict[str, Any]:
    """A release's facts once cases were added. one: name, folds and counts of the addition.
    tuned_on: cases before, which counts where nothing was added before.
    """
    credited = str(facts.get("attribution", ""))
    if attribution not in credited:
        credited = f"{credited}; {attribution}" if credited else attribution
    return {
        **facts,
        "attribution": credited,
        TUNED_ON: facts.get(TUNED_ON, tuned_on),
        ADDED: [*facts.get(ADDED, ()), dict(one)],
    }


def notes_after(notes: Iterable[str], facts: Mapping[str, Any]) -> tuple[str, ...]:
    """A release's notes, the last of them on what was added since it was calibrated."""
    kept = tuple(note for note in notes if not note.startswith(_SETTLED))
    since = sum(one["cases"] for one in facts.get(ADDED, ()))
    if not since:
        return kept
    return (
        *kept,
        f"{_SETTLED}{facts[TUNED_ON]:,} cases; {since:,} were added since, for which they were "
        "not settled anew.",
    )


def write_skipped(path: Path, corpus: Corpus, skipped: Iterable[Skipped]) -> None:
    """Always written, so that an empty list says: nothing was left out."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["case_id", "fold", "signal", "reason"])
    for one in skipped:
        record = one.record
        writer.writerow([corpus.case_id(record), record.fold, record.signal, one.reason])
    write_atomic(path, buffer.getvalue().encode())
