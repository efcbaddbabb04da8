"""What holes in a window cost its answer: where the limits of `streaming/windows.py` come from.

    python benchmarks/holes.py ../shared/data/ptbxl -o benchmarks/results/holes.json \\
        --page docs/adr/0015-windows-on-the-sample-clock.md

Records of a fold outside the case base (9) are asked with as much missing in all leads, in one
hole or in holes of 20 ms (one lost frame), and compared with the same record whole. About a
minute.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import page  # noqa: E402
from ecgedge.cli.base import progress  # noqa: E402
from ecgedge.corpora.ptbxl import Corpus, CorpusRecord, load_corpus  # noqa: E402
from ecgedge.errors import EcgedgeError  # noqa: E402
from ecgedge.evaluation import cases  # noqa: E402
from ecgedge.evaluation.figures import Figure, difference, patient_weights  # noqa: E402
from ecgedge.evaluation.subject import Subject, open_subject, retrieve, vote  # noqa: E402
from ecgedge.formats import read  # noqa: E402
from ecgedge.recording import FloatArray, Recording  # noqa: E402
from ecgedge.sight import embed_recording  # noqa: E402

FOLD, HOLE_S = 9, 0.02
ONE, MANY = "one hole", f"holes of {HOLE_S * 1e3:g} ms"
CONDITIONS = (
    *((ONE, seconds) for seconds in (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)),
    *((MANY, seconds) for seconds in (0.1, 0.5, 1.0, 2.0, 3.0)),
)


def holed(recording: Recording, kind: str, seconds: float, seed: int) -> Recording:
    """The recording with so many seconds missing in all leads, at places drawn by seed."""
    random = np.random.default_rng(seed)
    rate_hz, signal = recording.rate_hz, recording.signal.copy()
    each = round((seconds if kind == ONE else HOLE_S) * rate_hz)
    slots = recording.n_samples // each if kind == MANY else 0
    starts = (
        random.choice(slots, round(seconds / HOLE_S), replace=False) * each
        if kind == MANY
        else [int(random.integers(recording.n_samples - each + 1))]
    )
    for start in starts:
        signal[:, start : start + each] = np.nan
    return Recording(signal, rate_hz, recording.unit, recording.source)


def measure(root: Path) -> dict[str, Any]:
    """Every condition on every record of the fold that can be read."""
    corpus, subject = load_corpus(root), open_subject(None)
    records = corpus.select({FOLD}, with_signal=True)
    embeddings: list[list[FloatArray]] = []
    kept: list[CorpusRecord] = []
    for seed, record in enumerate(progress(records, "asking with holes", len(records))):
        try:
            whole = read(Path(f"{record.signal}.hea"))
            asked = [whole, *(holed(whole, *condition, seed) for condition in CONDITIONS)]
            embeddings.append([embed_recording(one, subject.engine.encoder) for one in asked])
        except EcgedgeError:
            continue
        kept.append(record)
    columns = [np.stack(column) for column in zip(*embeddings, strict=True)]
    return {
        "release": subject.facts(),
        "records": len(kept),
        "fold": FOLD,
        "conditions": compare(subject, corpus, kept, columns),
    }


def compare(
    subject: Subject, corpus: Corpus, records: Sequence[CorpusRecord], columns: Sequence[FloatArray]
) -> list[dict[str, Any]]:
    """Each condition's answers beside those of the whole records (the first column)."""
    weights = patient_weights([corpus.group(record) for record in records])
    every = subject.engine.casebase.all_cases()
    found = [
        cases.Found(corpus, records, retrieve(subject, corpus, records, column), every)
        for column in columns
    ]
    aucs = [
        cases.auc_figures({"super": vote(subject, one, "super")}, weights)["auc_super"]
        for one in found
    ]
    return [
        {"kind": kind, "missing_s": seconds, "auc_super": auc.value}
        | agreement(found[0], one)
        | _change(auc, aucs[0])
        for (kind, seconds), one, auc in zip(CONDITIONS, found[1:], aucs[1:], strict=True)
    ]


def agreement(whole: cases.Found, holed: cases.Found) -> dict[str, float]:
    """Shares of records with the same nearest case, and of the ten nearest that are the same."""
    same, overlap = [], []
    for before, after in zip(whole.hits, holed.hits, strict=True):
        names = [[hit.case.case_id for hit in hits[:10]] for hits in (before, after)]
        same.append(names[0][0] == names[1][0])
        overlap.append(len(set(names[0]) & set(names[1])) / len(names[0]))
    return {"same_top1": float(np.mean(same)), "overlap_at_10": float(np.mean(overlap))}


def _change(auc: Figure, before: Figure) -> dict[str, Any]:
    change = difference(auc, before)
    return {"change": change.value, "interval": list(change.interval)}


def tables(results: Mapping[str, Any]) -> str:
    """The results for the page."""
    lines = [
        f"{results['records']} records of PTB-XL's fold {results['fold']}, release "
        f"{results['release']['release']}, each against itself without holes; change of the "
        "super-class supports' AUC with its 95 % interval over patients:",
        "",
        "| missing in all leads | same first case | same of ten | AUC | change |",
        "|---|---|---|---|---|",
    ]
    for one in results["conditions"]:
        low, high = one["interval"]
        lines.append(
            f"| {one['missing_s']:g} s, {one['kind']} | {100 * one['same_top1']:.0f} % "
            f"| {100 * one['overlap_at_10']:.0f} % | {one['auc_super']:.3f} "
            f"| {one['change']:+.3f} ({low:+.3f} to {high:+.3f}) |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path, help="a folder in PTB-XL's layout")
    parser.add_argument("-o", "--output", type=Path, help="write the results as JSON here")
    parser.add_argument("--page", type=Path, help="put the table into this page")
    options = parser.parse_args()
    page.publish(lambda: measure(options.corpus), tables, options.output, options.page)


if __name__ == "__main__":
    main()
