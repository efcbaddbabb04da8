"""Point 7: calibration of the supports, novelty, and what refusing by novelty buys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgedge.answer import Verdict
from ecgedge.corpora.ptbxl import CorpusRecord
from ecgedge.engine import Engine
from ecgedge.errors import EcgedgeError
from ecgedge.evaluation.cases import Found
from ecgedge.evaluation.figures import Figure, Floats, missing, patient_weights
from ecgedge.evaluation.metrics import auc_draws, nan_mean, roc_auc
from ecgedge.evaluation.refusal import risk_figures
from ecgedge.evaluation.reliability import calibration_figures, rounded
from ecgedge.evaluation.strangers import STRANGERS
from ecgedge.evaluation.subject import Progress, Subject
from ecgedge.formats import read
from ecgedge.recording import Recording
from ecgedge.sight import see_recording
from ecgedge.signal.quality import assess

#: Recordings that each kind of stranger is made from: every n-th of the split, to bound time.
MOST = 100

Source = Callable[[], Recording]


@dataclass(frozen=True)
class Judged:
    """Some recordings as the novelty measure saw them, one entry each.

    excess: NaN where one could not be read. similarity: cosine of the nearest case.
    """

    excess: Floats
    similarity: Floats
    verdicts: tuple[str, ...]
    quality: tuple[Verdict, ...]

    def facts(self) -> dict[str, float]:
        """Shares of the recordings that a user would be warned of, and how."""
        refused = np.array([one == "refuse" for one in self.quality])
        unusual = np.array([one == "unusual" for one in self.verdicts])
        unlike = np.array([one.startswith("unlike") for one in self.verdicts])
        return {
            "unusual": rounded(unusual.mean()),
            "unlike": rounded(unlike.mean()),
            "refused_for_quality": rounded(refused.mean()),
            "warned_or_refused": rounded((refused | unusual | unlike).mean()),
        }


def figures(
    found: Found,
    subject: Subject,
    weights: Floats,
    progress: Progress,
    others: Mapping[str, Sequence[Path]] | None = None,
) -> dict[str, Figure]:
    """ece, ece_p05, ece_own, ece_super; novelty_auroc; aurc_p5, aurc_labels.

    weights: (draws, n) from `patient_weights`. others: recordings of other populations,
    name -> files (`strangers.populations`); told in the facts of novelty_auroc, not part of
    its value. Curves for plots are in each figure's facts: points, kinds, curve.
    """
    usual = _judge(
        subject.engine,
        [_reader(Path(f"{record.signal}.hea")) for record in found.records],
        progress,
        "novelty of the split",
        [_own(found, record) for record in found.records],
    )
    return {
        **calibration_figures(found, subject, weights),
        "novelty_auroc": _novelty_figure(found, subject, usual, weights, progress, others or {}),
        **risk_figures(found, subject, usual.excess, weights),
    }


def _novelty_figure(
    found: Found,
    subject: Subject,
    usual: Judged,
    weights: Floats,
    progress: Progress,
    others: Mapping[str, Sequence[Path]],
) -> Figure:
    """Mean over the declared kinds of the AUROC of each; each kind's in the facts."""
    step = -(-len(found.records) // MOST)
    rows = list(range(0, len(found.records), step))
    kinds: dict[str, dict[str, Any]] = {}
    draws, values, nearest = [], [], []
    for kind in STRANGERS:
        sources = [_maker(kind.make, found.records[row], row) for row in rows]
        owners = [_own(found, found.records[row]) for row in rows]
        strange = _judge(subject.engine, sources, progress, kind.name, owners)
        auroc = _auroc(usual, strange, weights, weights[:, rows])
        kinds[kind.name] = {"group": kind.group, **auroc.to_dict(), **strange.facts()}
        if auroc.value is not None and auroc.draws is not None:
            values.append(auroc.value)
            draws.append(auroc.draws)
            nearest.append(auroc.facts["nearest_only"])
    if not values:
        return missing("no recording of the split could be made strange", len(found.records))
    populations = {}
    for name, paths in others.items():
        strange = _judge(subject.engine, [_reader(path) for path in paths], progress, name)
        drawn = patient_weights([str(path) for path in paths], len(weights))
        populations[name] = _auroc(usual, strange, weights, drawn).to_dict() | strange.facts()
    facts = {
        "kinds": kinds,
        "nearest_only": rounded(np.mean(nearest)),
        "split": usual.facts(),
        "populations": populations,
        "by_group": _by_group(kinds),
    }
    mean = nan_mean(np.stack(draws, axis=1))
    return Figure(float(np.mean(values)), len(found.records), mean, chance=0.5, facts=facts)


def _by_group(kinds: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    groups = dict.fromkeys(kind["group"] for kind in kinds.values())
    return {
        group: rounded(
            np.mean([k["value"] for k in kinds.values() if k["group"] == group and k["value"]])
        )
        for group in groups
    }


def _auroc(usual: Judged, strange: Judged, weights: Floats, drawn: Floats) -> Figure:
    """weights, drawn: (draws, recordings) of the usual and of the strange ones."""
    fine, odd = np.isfinite(usual.excess), np.isfinite(strange.excess)
    if not fine.any() or not odd.any():
        return missing("none of them could be read", len(strange.excess))
    labels = np.r_[np.zeros(fine.sum(), dtype=bool), np.ones(odd.sum(), dtype=bool)]
    excess = np.r_[usual.excess[fine], strange.excess[odd]]
    similarity = np.r_[usual.similarity[fine], strange.similarity[odd]]
    both = np.concatenate([weights[:, fine], drawn[:, odd]], axis=1)
    return Figure(
        roc_auc(labels, excess),
        int(odd.sum()),
        auc_draws(labels, excess, both),
        chance=0.5,
        facts={"nearest_only": rounded(roc_auc(labels, -similarity))},
    )


Owner = tuple[frozenset[str], frozenset[str]]  # groups and case ids that may not be found


def _own(found: Found, record: CorpusRecord) -> Owner:
    return frozenset({found.corpus.group(record)}), frozenset({found.corpus.case_id(record)})


def _judge(
    engine: Engine,
    sources: Sequence[Source],
    progress: Progress,
    label: str,
    owners: Sequence[Owner] | None = None,
) -> Judged:
    """Novelty of each recording as the cart would see it, its own patient's cases left out."""
    size = len(sources)
    excess, similarity = np.full(size, np.nan), np.full(size, np.nan)
    verdicts, quality = [""] * size, ["refuse"] * size
    for row in progress(range(size), label, size):
        groups, cases = owners[row] if owners else (frozenset(), frozenset())
        try:
            recording = sources[row]()
            looked = assess(recording)
            seen = see_recording(recording, engine.encoder, looked)
        except EcgedgeError:
            continue  # the split's own unreadable records are listed by the evaluation
        found = engine.casebase.search(
            seen.embedding, 1, exclude_groups=groups, exclude_cases=cases
        )
        novelty = engine.novelty(seen, found)
        quality[row] = looked.verdict
        if novelty is not None:
            similarity[row], verdicts[row] = float(found.similarities[0]), novelty.verdict
            excess[row] = 1 - similarity[row] if novelty.excess is None else novelty.excess
    return Judged(excess, similarity, tuple(verdicts), tuple(quality))  # type: ignore[arg-type]


def _reader(path: Path) -> Source:
    return lambda: read(path)


def _maker(make: Callable[[Recording, int], Recording], record: CorpusRecord, seed: int) -> Source:
    return lambda: make(read(Path(f"{record.signal}.hea")), seed)
