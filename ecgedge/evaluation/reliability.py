"""How far off the probabilities of supports are: expected calibration error.

After Naeini et al. 2015, with bins of equal mass. Recordings that the release was calibrated
on get probabilities from curves fitted without their patient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgedge.casebase.calibration import Curves
from ecgedge.casebase.voting import vote_weights
from ecgedge.evaluation.calibration import Votes, apply, cross_fitted, log_loss
from ecgedge.evaluation.cases import Found
from ecgedge.evaluation.figures import SEED, Figure, Floats, missing
from ecgedge.evaluation.metrics import Bools, nan_mean
from ecgedge.evaluation.subject import Subject

BINS = 10
#: Many rare statements that everyone agrees are absent make any calibration look good: told
#: beside, the error over pairs with at least this probability.
LEAST = 0.05
#: Bins of one statement's own curve: it has a few dozen positives at most.
OWN_BINS = 5


@dataclass(frozen=True)
class Reliability:
    """Pairs of recording and statement in bins of equal mass by probability.

    sums: (3, n, bins): of each recording in each bin the count, the summed probability and
    the summed truth.
    """

    sums: Floats

    @classmethod
    def of(
        cls, probabilities: Floats, labels: Bools, least: float = 0.0, bins: int = BINS
    ) -> Reliability:
        """least: pairs with a lower probability are left out. (n, statements) both."""
        row, _ = np.nonzero(probabilities >= least)
        said, true = probabilities[probabilities >= least], labels[probabilities >= least]
        sums = np.zeros((3, len(probabilities), bins))
        order = np.argsort(said, kind="stable")
        for number, members in enumerate(np.array_split(order, bins)):
            for place, values in enumerate((np.ones(len(said)), said, true.astype(np.float64))):
                np.add.at(sums[place, :, number], row[members], values[members])
        return cls(sums)

    def points(self) -> list[dict[str, float]]:
        """Of each bin that holds any: mean probability, observed rate, pairs."""
        count, said, true = self.sums.sum(axis=1)
        return [
            {
                "probability": round(float(s / c), 4),
                "observed": round(float(t / c), 4),
                "pairs": int(c),
            }
            for c, s, t in zip(count, said, true, strict=True)
            if c
        ]

    def error(self, weights: Floats | None = None) -> Floats:
        """Expected calibration error: mean over pairs of |mean probability - rate| of their bin.

        (draws,) with weights (draws, n), else (1,); NaN where there is no pair.
        """
        drawn = np.ones((1, self.sums.shape[1])) if weights is None else weights
        count, said, true = (drawn @ part for part in self.sums)
        total = count.sum(axis=1)
        gap = np.abs(said - true).sum(axis=1)
        return np.asarray(np.where(total > 0, gap / np.where(total > 0, total, 1), np.nan))


def error_by_luck(
    probabilities: Floats, least: float = 0.0, draws: int = 100, bins: int = BINS
) -> float:
    """The expected calibration error of probabilities that are right, at this sample size."""
    rng = np.random.default_rng(SEED)
    errors = [
        Reliability.of(probabilities, rng.random(probabilities.shape) < probabilities, least, bins)
        .error()[0]
        for _ in range(draws)
    ]  # fmt: skip
    return float(np.mean(errors))


def calibration_figures(found: Found, subject: Subject, weights: Floats) -> dict[str, Figure]:
    """ece (judged statements), ece_p05 (its pairs of p >= .05), ece_own (mean of each
    statement's own), ece_super (superclasses).

    Each carries in its facts how the probabilities came about, the error of the bare shares
    and the error that luck alone would give, and the points of the reliability diagram.
    """
    calibration = subject.engine.manifest.calibration
    figures: dict[str, Figure] = {}
    statements = _said(found, subject, calibration.statements, "codes")
    classes = _said(found, subject, calibration.superclasses, "super")
    names = {"ece": 0.0, "ece_p05": LEAST}
    for name, least in names.items():
        figures[name] = _error_figure(statements, least, weights, len(found.records))
    figures["ece_own"] = _own_figure(statements, weights, len(found.records))
    figures["ece_super"] = _error_figure(classes, 0.0, weights, len(found.records))
    return figures


@dataclass(frozen=True)
class Said:
    """Probabilities (n, statements), the votes they come from, and how they were fitted."""

    probabilities: Floats
    votes: Votes
    how: str


def _said(found: Found, subject: Subject, curves: Curves | None, task: str) -> Said | None:
    if curves is None:
        return None
    votes = _votes(found, subject, curves, task)
    inside = _calibrated_on(found, subject)
    probabilities = apply(curves, votes)
    if inside.any():
        probabilities[inside] = cross_fitted(votes.rows(inside))
    how = "as released"
    if inside.any():
        how = "cross-fitted over patients" if inside.all() else "cross-fitted where calibrated on"
    return Said(probabilities, votes, how)


def _calibrated_on(found: Found, subject: Subject) -> Bools:
    """(n,): the records whose truth the release's curves were fitted to."""
    facts = subject.engine.manifest.corpus
    folds = facts.get("valid_folds", ()) if facts.get("name") == found.corpus.name else ()
    return np.array([record.fold in folds for record in found.records], dtype=bool)


def _votes(found: Found, subject: Subject, curves: Curves, task: str) -> Votes:
    """Shares and truth of the statements that have a curve."""
    calibration, names = subject.engine.manifest.calibration, list(curves.statements)
    shares = np.zeros((len(found.records), len(names)))
    labels = np.zeros(shares.shape, dtype=bool)
    table = found.corpus.table
    known: dict[tuple[str, ...], list[bool]] = {}

    def held(codes: tuple[str, ...]) -> list[bool]:
        if codes not in known:
            spoken = set(codes) if task == "codes" else table.labels(codes, task)
            known[codes] = [name in spoken for name in names]
        return known[codes]

    for row, (record, hits) in enumerate(zip(found.records, found.hits, strict=True)):
        labels[row] = held(tuple(record.statements))
        voters = hits[: calibration.neighbours]
        if voters:
            near = np.array([hit.similarity for hit in voters], dtype=np.float32)
            members = np.array([held(hit.codes) for hit in voters])
            shares[row] = vote_weights(near, calibration.temperature) @ members
    prevalence = np.array([share for share, _ in curves.statements.values()])
    groups = [found.corpus.group(record) for record in found.records]
    voters_count = min(calibration.neighbours, max(map(len, found.hits), default=0))
    return Votes(names, np.minimum(shares, 1.0), labels, prevalence, voters_count, groups)


def _error_figure(said: Said | None, least: float, weights: Floats, n: int) -> Figure:
    if said is None:
        return missing("the release carries no calibration curves", n)
    truth = said.votes.labels
    reliability = Reliability.of(said.probabilities, truth, least)
    value = float(reliability.error()[0])
    if not np.isfinite(value):
        return missing(f"no pair has a probability of {least:g}", n)
    bare = Reliability.of(said.votes.shares, truth, least)
    rates = np.tile(truth.mean(axis=0), (n, 1))
    facts = {
        "probabilities": said.how,
        "statements": len(said.votes.names),
        "pairs": int(reliability.sums[0].sum()),
        "positives": int(reliability.sums[2].sum()),
        "of_bare_shares": rounded(bare.error()[0]),
        "by_luck": rounded(error_by_luck(said.probabilities, least)),
        "brier": rounded(np.mean((said.probabilities - truth) ** 2)),
        "brier_of_prevalence": rounded(np.mean((rates - truth) ** 2)),
        "log_loss": rounded(log_loss(said.probabilities, truth)),
        "log_loss_of_prevalence": rounded(log_loss(np.clip(rates, 1e-3, 1 - 1e-3), truth)),
        "points": reliability.points(),
    }
    return Figure(value, n, _centred(reliability.error(weights), value), facts=facts)


def _own_figure(said: Said | None, weights: Floats, n: int) -> Figure:
    """Mean over statements of each one's own error, and each one's in the facts."""
    if said is None:
        return missing("the release carries no calibration curves", n)
    each, draws, luck = {}, [], []
    for column, name in enumerate(said.votes.names):
        chances = said.probabilities[:, column : column + 1]
        own = Reliability.of(chances, said.votes.labels[:, column : column + 1], bins=OWN_BINS)
        each[name] = rounded(own.error()[0])
        draws.append(own.error(weights))
        luck.append(error_by_luck(chances, draws=20, bins=OWN_BINS))
    facts = {"statements": each, "by_luck": rounded(np.mean(luck)), "bins": OWN_BINS}
    value = float(np.mean(list(each.values())))
    return Figure(value, n, _centred(nan_mean(np.stack(draws, axis=1)), value), facts=facts)


def _centred(draws: Floats, value: float) -> Floats:
    """Draws less their bias: drawing again only ever adds to an absolute difference, so the
    plain interval of a small calibration error lies above it (Efron and Tibshirani 1993, 10.6).
    """
    bias = float(draws[np.isfinite(draws)].mean()) - value
    return np.asarray(np.maximum(draws - bias, 0.0))


def rounded(value: float | np.floating) -> float:
    """Four digits, for facts."""
    return round(float(value), 4)
