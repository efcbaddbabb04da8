"""Point 8: what missing leads, noise and other devices cost, as change of auc_super.

The case base stays as it is; only the query is degraded, as its file would be, and
walks the device's line (also its quality check: a lead found unusable is hidden).
A limb lead that is "off" is hidden though the others imply it; a reader would restore it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ecgedge.corpora.ptbxl import CorpusRecord
from ecgedge.errors import EcgedgeError
from ecgedge.evaluation import cases
from ecgedge.evaluation.figures import Figure, Floats, difference, mean_of, missing
from ecgedge.evaluation.metrics import scorable
from ecgedge.evaluation.subject import Progress, Subject, retrieve, vote
from ecgedge.formats import read
from ecgedge.recording import LEADS, LIMB, FloatArray, Recording
from ecgedge.sight import embed_recording
from ecgedge.signal import corrupt
from ecgedge.signal.quality import assess

EMG_SNR_DB = (20, 10, 5)
HUM_HZ, HUM_SNR_DB, WANDER_SNR_DB = 50.0, 0, 0
RATES_HZ = (100, 250, 500, 1000)
#: Of a larger split every second, third, ... recording is degraded, to bound the time.
MOST = 500
#: Mains hum needs a rate that can hold it; 100 Hz files cannot.
_HUM_RATE_HZ = 500.0


@dataclass(frozen=True)
class Condition:
    """One way to degrade a recording: (recording, seed) -> recording. facts: for JSON."""

    name: str
    apply: Callable[[Recording, int], Recording]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Degraded:
    """One condition's embeddings by one encoder.

    embeddings: (n, dim), NaN rows where the degraded recording could not be embedded.
    refused: how many of them a device would refuse for quality; they are evaluated.
    """

    embeddings: FloatArray
    refused: int


def _lead_off(lead: str) -> Condition:
    return Condition(f"lead_off_{lead}", lambda it, _: corrupt.drop_leads(it, [lead]))


def _emg(snr_db: int) -> Condition:
    return Condition(
        f"emg_{snr_db}db",
        lambda it, seed: corrupt.emg_noise(it, snr_db, seed),
        {"snr_db": snr_db},
    )


def _rate(rate_hz: int) -> Condition:
    return Condition(f"rate_{rate_hz}hz", lambda it, _: corrupt.resample(it, rate_hz))


def _hum(recording: Recording, seed: int) -> Recording:
    fine = corrupt.resample(recording, max(recording.rate_hz, _HUM_RATE_HZ))
    return corrupt.hum(fine, HUM_HZ, HUM_SNR_DB, seed)


CONDITIONS: tuple[Condition, ...] = (
    *map(_lead_off, LEADS),
    Condition("limb_only", lambda it, _: corrupt.keep_leads(it, LEADS[LIMB])),
    Condition("print_3x4", lambda it, _: corrupt.print_3x4(it, rhythm=None)),
    Condition("print_3x4_strip", lambda it, _: corrupt.print_3x4(it, rhythm="II")),
    Condition("5s", lambda it, _: corrupt.crop(it, 5.0)),
    Condition("swap_la_ra", lambda it, _: corrupt.swap_limb(it, "LA/RA")),
    Condition("hum_50hz", _hum, {"snr_db": HUM_SNR_DB}),
    Condition(
        "wander",
        lambda it, seed: corrupt.wander(it, WANDER_SNR_DB, seed),
        {"snr_db": WANDER_SNR_DB},
    ),
    *map(_emg, EMG_SNR_DB),
    *map(_rate, RATES_HZ),
)


def names() -> list[str]:
    """Every figure of this point."""
    each = [f"robust_{condition.name}" for condition in CONDITIONS]
    return ["robust_lead_off", "robust_lead_off_worst", *each]


def degrade_split(
    records: Sequence[CorpusRecord], subjects: Sequence[Subject], progress: Progress
) -> list[dict[str, Degraded]]:
    """Embed every record under every condition; one dict (by condition's name) a subject.

    records: readable ones, as `embed_split` gives them. Rows are NaN for those beyond `MOST`.
    """
    shape = len(records), len(CONDITIONS)
    rows = [
        np.full((*shape, subject.engine.encoder.spec.embedding_dim), np.nan, dtype=np.float32)
        for subject in subjects
    ]
    refused = np.zeros(shape, dtype=bool)
    steps = progress(enumerate(records), "embedding degraded queries", len(records))
    every = -(-len(records) // MOST)
    for index, record in steps:
        if index % every:
            continue
        recording = read(Path(f"{record.signal}.hea"))
        seed = zlib.crc32(record.record_id.encode())
        for column, condition in enumerate(CONDITIONS):
            try:
                worse = condition.apply(recording, seed)
                quality = assess(worse)
                for row, subject in zip(rows, subjects, strict=True):
                    row[index, column] = embed_recording(worse, subject.engine.encoder, quality)
            except EcgedgeError:
                continue  # stays NaN; n of its figure says so
            refused[index, column] = quality.verdict == "refuse"
    return [
        {
            condition.name: Degraded(row[:, column], int(refused[:, column].sum()))
            for column, condition in enumerate(CONDITIONS)
        }
        for row in rows
    ]


def figures(
    subject: Subject,
    found: cases.Found,
    clean: cases.Labelled,
    degraded: Mapping[str, Degraded],
    weights: Floats,
) -> dict[str, Figure]:
    """Change of auc_super under each condition, paired: the same records and draws.

    clean: the support of the superclasses without degradation. Chance is what is left
    to lose: an AUC of one half. robust_lead_off is the mean over the 12 leads,
    robust_lead_off_worst the lead that costs most.
    """
    each = {
        f"robust_{condition.name}": _change(
            subject, found, clean, degraded[condition.name], weights, condition.facts
        )
        for condition in CONDITIONS
    }
    return _one_lead_off({lead: each[f"robust_lead_off_{lead}"] for lead in LEADS}) | each


def _change(
    subject: Subject,
    found: cases.Found,
    clean: cases.Labelled,
    degraded: Degraded,
    weights: Floats,
    facts: Mapping[str, Any],
) -> Figure:
    there = np.flatnonzero(np.isfinite(degraded.embeddings[:, 0]))
    if not len(there):
        return missing("no recording could be evaluated under this condition")
    records = [found.records[index] for index in there.tolist()]
    hits = retrieve(subject, found.corpus, records, degraded.embeddings[there])
    worse = vote(subject, replace(found, records=records, hits=hits), "super")
    labels, supports = clean.labels[there], clean.supports[there]
    kept = scorable(labels, cases.MIN_POSITIVES)
    before = replace(clean, labels=labels, supports=supports, kept=kept)
    aucs = [
        cases.auc_figures({"super": labelled}, weights[:, there])["auc_super"]
        for labelled in (worse, before)
    ]
    change = difference(*aucs)
    if change.value is None or aucs[1].value is None:
        return change
    told = {"auc": aucs[0].value, "refused_on_device": degraded.refused, **facts}
    return replace(change, chance=0.5 - aucs[1].value, facts=told)


def _one_lead_off(changes: Mapping[str, Figure]) -> dict[str, Figure]:
    """The mean over the leads, and the lead that costs most with its own interval."""
    mean = mean_of(changes.values())
    values = {lead: figure.value for lead, figure in changes.items() if figure.value is not None}
    if mean.value is None:
        return {"robust_lead_off": mean, "robust_lead_off_worst": missing(mean.why)}
    worst = min(values, key=lambda lead: values[lead])
    facts = {"lead": worst, **changes[worst].facts}
    return {
        "robust_lead_off": mean,
        "robust_lead_off_worst": replace(changes[worst], facts=facts),
    }
