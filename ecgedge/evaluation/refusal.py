"""What refusing by novelty buys: risk-coverage curves (El-Yaniv and Wiener 2010)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ecgedge.casebase.voting import vote_weights
from ecgedge.evaluation.cases import Found
from ecgedge.evaluation.figures import Figure, Floats, missing
from ecgedge.evaluation.ranking import Bools, precision_at_k
from ecgedge.evaluation.reliability import rounded
from ecgedge.evaluation.subject import Subject

_COVERAGES = np.round(np.arange(1.0, 0.04, -0.05), 2)
_DEEP = 5


def risk_figures(
    found: Found, subject: Subject, novelty: Floats, weights: Floats
) -> dict[str, Figure]:
    """aurc_p5 and aurc_labels: area under the risk-coverage curve of refusing by novelty.

    Risk is 1 - precision@5 on diagnostic superclasses, and the share of superclasses whose
    hard label is wrong. chance: refusing at random. ceiling: refusing the worst first. In the
    facts the curve, and the area when refusing by the doubt of the votes instead.
    """
    table = found.corpus.table
    labels = table.matrix([record.statements for record in found.records], "super")
    supports = _superclass_shares(found, subject)
    thresholds = subject.engine.manifest.calibration.thresholds
    cuts = np.array([thresholds.get(name, np.nan) for name in table.classes("super")])
    doubt = 1 - np.abs(2 * supports - 1).mean(axis=1)
    wrong = ((supports >= cuts) != labels).mean(axis=1)
    risks = {
        "aurc_p5": np.array([_miss_share(found, row, labels[row]) for row in range(len(labels))]),
        "aurc_labels": wrong if np.isfinite(cuts).all() else np.full(len(labels), np.nan),
    }
    return {name: _risk_figure(risk, novelty, doubt, weights) for name, risk in risks.items()}


def _miss_share(found: Found, row: int, held: Bools) -> float:
    """1 - precision@5; NaN for a query without a diagnostic class."""
    if not held.any():
        return float("nan")
    near = found.corpus.table.matrix([hit.codes for hit in found.hits[row][:5]], "super")
    return 1 - precision_at_k((near & held).any(axis=1), _DEEP)


def _superclass_shares(found: Found, subject: Subject) -> Floats:
    calibration, table = subject.engine.manifest.calibration, found.corpus.table
    shares = np.zeros((len(found.records), len(table.classes("super"))))
    for row, hits in enumerate(found.hits):
        voters = hits[: calibration.neighbours]
        if voters:
            near = np.array([hit.similarity for hit in voters], dtype=np.float32)
            held = table.matrix([hit.codes for hit in voters], "super")
            shares[row] = vote_weights(near, calibration.temperature) @ held
    return shares


def _risk_figure(risk: Floats, novelty: Floats, doubt: Floats, weights: Floats) -> Figure:
    used = np.isfinite(risk) & np.isfinite(novelty)
    if not used.any():
        return missing("no query to compute a risk on", len(risk))
    risk, novelty, doubt, drawn = risk[used], novelty[used], doubt[used], weights[:, used]
    by_novelty = np.argsort(novelty, kind="stable")
    order_of_doubt = np.argsort(doubt, kind="stable")
    facts: dict[str, Any] = {
        "by_doubt": rounded(area_under_risk(risk[order_of_doubt])[0]),
        "curve": risk_curve(risk[by_novelty]),
        "curve_by_doubt": risk_curve(risk[order_of_doubt]),
    }
    return Figure(
        float(area_under_risk(risk[by_novelty])[0]),
        len(risk),
        area_under_risk(risk[by_novelty], drawn[:, by_novelty]),
        chance=float(risk.mean()),
        ceiling=float(area_under_risk(np.sort(risk))[0]),
        facts=facts,
    )


def area_under_risk(ordered: Floats, weights: Floats | None = None) -> Floats:
    """Mean over coverages of the mean risk of those answered, (draws,).

    ordered: (n,) risks in the order of being answered. weights: (draws, n) in that order.
    """
    drawn = np.ones((1, len(ordered))) if weights is None else weights
    count = np.cumsum(drawn, axis=1)
    risk = np.cumsum(drawn * ordered, axis=1) / np.maximum(count, 1)
    return np.asarray((risk * drawn).sum(axis=1) / np.maximum(count[:, -1], 1))


def risk_curve(ordered: Floats) -> list[dict[str, float]]:
    """Risk of those answered at coverages 1, .95, ... .05."""
    points = []
    for coverage in _COVERAGES:
        answered = max(1, round(coverage * len(ordered)))
        points.append({"coverage": float(coverage), "risk": rounded(ordered[:answered].mean())})
    return points
