"""How unlike the case base a recording is, and in what: the model a release carries.

Four measures, each growing with strangeness:

case: how far the nearest case is (1 - cosine).
leads: Mahalanobis distance of the lead relations from the case base's.
swap: how much nearer those relations come if two electrodes are thought exchanged: log of
    the distance as recorded over the least distance after any exchange.
shape: Mahalanobis distance of spectrum, spikiness, rest, repetition and order of waves.

They are put on one scale by the validation recordings: 0 at their median, 1 at their 95th
percentile. The most suspicious of the four is the recording's excess; the share of validation
recordings with a lower excess is its score. One-class Gaussians after Mahalanobis 1936 and
their use against unseen inputs after Lee et al. 2018; what is not recorded counts as
unremarkable (its expected share of the distance), so that a missing lead alarms nobody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgedge.answer import STRANGE, Novelty
from ecgedge.errors import DamagedError, MismatchError
from ecgedge.signal import traits
from ecgedge.signal.swaps import arrangements
from ecgedge.signal.traits import Traits

Floats = NDArray[np.float64]

FORMAT = "ecgedge-novelty/1"
PARTS = ("case", "leads", "swap", "shape")
#: Above these shares of the validation recordings a recording is unusual, or unlike anything
#: here. Not beyond all of them: one mislabelled lead among those would hide every other.
UNUSUAL, UNLIKE = 0.95, 0.99
QUANTILES = 101

_REASONS = {
    "case": "no past case is near it",
    "leads": "its leads do not relate to each other as in the case base: check the electrodes",
    "swap": "its leads relate as if {swap}: check the electrodes",
    "shape": "its waves have another shape than the case base's: noise, another kind of signal, "
    "or an unusual filter?",
}
_SHARES = np.linspace(0, 1, QUANTILES)
_MEDIAN, _EDGE = 50, 95  # per cent of validation recordings: 0 and 1 on the common scale
_FLOOR = 0.3  # distances below this (1 is usual) do not differ for our purpose


@dataclass(frozen=True)
class Gaussian:
    """mean: (d,). covariance: (d, d), shrunk so that it can be inverted."""

    mean: Floats
    covariance: Floats

    @cached_property
    def _precision(self) -> Floats:
        return np.asarray(np.linalg.inv(self.covariance), dtype=np.float64)

    def distance(self, values: Floats) -> Floats:
        """Squared Mahalanobis distance over d, (n,), of rows (n, d); about 1 is usual.

        All rows must have their NaN in the same places, where they count as usual;
        NaN for rows of nothing but NaN.
        """
        held = np.isfinite(values[0])
        if not held.any():
            return np.full(len(values), np.nan)
        if held.all():
            rest, precision = values - self.mean, self._precision
        else:
            rest = values[:, held] - self.mean[held]
            precision = np.asarray(np.linalg.inv(self.covariance[np.ix_(held, held)]))
        square = np.einsum("nd,nd->n", rest @ precision, rest)
        return np.asarray((square + (~held).sum()) / len(held))


@dataclass(frozen=True)
class Judgement:
    """What the model says of one recording.

    excess: 0 is usual, 1 where 5 % of validation recordings lie beyond; not bounded.
    parts: the excess in each of `PARTS` that could be judged. swap: the exchange that
        explains the leads best, in words.
    """

    excess: float
    parts: Mapping[str, float]
    swap: str

    @property
    def why(self) -> str:
        """The most suspicious part in words."""
        part = max(self.parts, key=lambda name: self.parts[name], default=PARTS[0])
        if part == "leads" and self.parts.get("swap", 0.0) > 1:
            part = "swap"  # it says the same and what to do about it
        return _REASONS[part].format(swap=self.swap)


@dataclass(frozen=True)
class NoveltyModel:
    """Fitted by `ecgedge index build`.

    relations, shape: fitted on the case base. scales: part -> its value at the median and at
    the 95th percentile of the validation recordings. quantiles: (101,) of their excess.
    """

    relations: Gaussian
    shape: Gaussian
    scales: Mapping[str, tuple[float, float]]
    quantiles: Floats

    def judge(self, held: Traits, nearest: float) -> Judgement:
        """held: the recording's traits. nearest: cosine of its nearest case."""
        values, swap = raw_parts(self.relations, self.shape, held, nearest)
        return on_scale(values, self.scales, swap)

    def novelty(self, held: Traits, nearest: float) -> Novelty:
        """The verdict as the answer carries it."""
        judgement = self.judge(held, nearest)
        score = float(np.interp(judgement.excess, self.quantiles, _SHARES))
        verdict = verdict_of(score)
        return Novelty(
            score=round(score, 4),
            nearest_similarity=round(nearest, 4),
            verdict=verdict,
            why=judgement.why if verdict != "familiar" else "",
            excess=round(judgement.excess, 4),
            parts={name: round(value, 4) for name, value in judgement.parts.items()},
        )

    def to_json(self) -> str:
        """The model's file; the same model gives the same bytes."""
        data = {
            "format": FORMAT,
            "traits": traits.ID,
            "relations": _gaussian_data(self.relations),
            "shape": _gaussian_data(self.shape),
            "scales": {name: list(pair) for name, pair in self.scales.items()},
            "quantiles": self.quantiles.tolist(),
        }
        return json.dumps(data, sort_keys=True, separators=(",", ":")) + "\n"

    @classmethod
    def from_json(cls, text: str) -> NoveltyModel:
        """Raises MismatchError for a model of other traits or format, DamagedError otherwise."""
        try:
            data = json.loads(text)
            made_for = data["format"], data["traits"]
        except (ValueError, KeyError, TypeError):
            raise DamagedError("the release's novelty model is not readable JSON") from None
        if made_for != (FORMAT, traits.ID):
            raise MismatchError(
                f"the release's novelty model is {' of '.join(made_for)}, this ecgedge reads "
                f"{FORMAT} of {traits.ID}: update ecgedge"
            )
        try:
            return cls(
                _gaussian(data["relations"], traits.N_PAIRS),
                _gaussian(data["shape"], len(traits.SHAPE)),
                {name: (float(data["scales"][name][0]), float(data["scales"][name][1]))
                 for name in PARTS if name in data["scales"]},
                _quantiles(data["quantiles"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, IndexError, np.linalg.LinAlgError) as error:
            raise DamagedError(f"the release's novelty model is malformed: {error}") from None


def verdict_of(score: float) -> str:
    """ "familiar", "unusual" or "unlike anything here"."""
    if score > UNLIKE:
        return STRANGE
    return "unusual" if score > UNUSUAL else "familiar"


def nearest_only(nearest: float, quantiles: Floats) -> Novelty:
    """Novelty for a release without a model: where the nearest case's cosine lies among
    those of the validation recordings (ascending quantiles).
    """
    score = 1.0 - float(np.interp(nearest, quantiles, np.linspace(0, 1, len(quantiles))))
    verdict = verdict_of(score)
    why = _REASONS["case"] if verdict != "familiar" else ""
    return Novelty(round(score, 4), round(nearest, 4), verdict, why)


def raw_parts(
    relations: Gaussian, shape: Gaussian, held: Traits, nearest: float
) -> tuple[dict[str, float], str]:
    """Every part's value, NaN left out, and the exchange that explains the leads best."""
    values = {"case": float(np.log(max(1.0 - nearest, 0.0) + 1e-3))}
    arranged = arrangements(np.isfinite(held.relations))
    distances = np.log(relations.distance(arranged.apply(held.relations)) + _FLOOR)
    name = ""
    if np.isfinite(distances[0]):
        values["leads"] = float(distances[0])
    if len(distances) > 1:
        best = int(np.argmin(distances[1:]))
        values["swap"] = float(distances[0] - distances[1 + best])
        name = arranged.names[best]
    if np.isfinite(distance := shape.distance(held.shape[None])[0]):
        values["shape"] = float(np.log(distance + _FLOOR))
    return values, name


def on_scale(
    values: Mapping[str, float], scales: Mapping[str, tuple[float, float]], swap: str
) -> Judgement:
    """Values of parts -> their excess over what is usual; parts without a scale are left out."""
    parts = {
        name: (value - scales[name][0]) / (scales[name][1] - scales[name][0])
        for name, value in values.items()
        if name in scales
    }
    return Judgement(max(parts.values(), default=0.0), parts, swap)


def scale_of(values: Floats) -> tuple[float, float] | None:
    """(median, 95th percentile) of validation values; None where they do not differ."""
    median, edge = np.percentile(values, [_MEDIAN, _EDGE])
    return (float(median), float(edge)) if edge > median else None


# --- the file --------------------------------------------------------------------------


def _gaussian_data(gaussian: Gaussian) -> dict[str, list[float]]:
    """Seven digits: an inverse of a shrunk covariance does not need more."""
    upper = np.triu_indices(len(gaussian.mean))
    covariance = [float(f"{value:.7g}") for value in gaussian.covariance[upper]]
    return {"mean": [float(f"{value:.7g}") for value in gaussian.mean], "covariance": covariance}


def _gaussian(data: Mapping[str, Any], size: int) -> Gaussian:
    covariance = np.zeros((size, size))
    upper = np.triu_indices(size)
    covariance[upper] = np.asarray(data["covariance"], dtype=np.float64)
    covariance.T[upper] = covariance[upper]
    gaussian = Gaussian(np.asarray(data["mean"], dtype=np.float64), covariance)
    if gaussian.mean.shape != (size,) or not np.linalg.eigvalsh(covariance).min() > 0:
        raise ValueError(f"a Gaussian is not one of {size} dimensions")
    return gaussian


def _quantiles(values: Any) -> Floats:
    quantiles = np.asarray(values, dtype=np.float64)
    if quantiles.shape != (QUANTILES,) or not (np.diff(quantiles) >= 0).all():
        raise ValueError(f"quantiles are not {QUANTILES} ascending numbers")
    return quantiles
