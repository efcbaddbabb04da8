"""The four-way rhythm task by retrieval: groups, votes, scores. Pure functions of arrays."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgedge.casebase.voting import vote_weights
from ecgedge.central.calibrate import NEIGHBOURS, TEMPERATURES
from ecgedge.evaluation.figures import Figure
from ecgedge.evaluation.metrics import auc_draws, nan_mean, roc_auc

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]

#: Our group -> the SCP codes it stands for, after the four groups of Zheng et al. 2020
#: (Sci. Data 7:48): SR with sinus irregularity, SB, AFIB with flutter, and GSVT, which
#: counts sinus tachycardia among the supraventricular tachycardias.
GROUPS: Mapping[str, frozenset[str]] = {
    "SR": frozenset({"SR", "SARRH"}),
    "SB": frozenset({"SBRAD"}),
    "AF": frozenset({"AFIB", "AFLT"}),
    "SVT": frozenset({"SVTAC", "PSVT", "STACH"}),
}
NAMES = tuple(GROUPS)
#: Recordings of each group in Zheng et al. 2020 (10,646 of one hospital), to weigh our
#: recalls by their mix of rhythms.
PUBLISHED_COUNTS = {"SR": 2225, "SB": 3889, "AF": 2225, "SVT": 2307}
#: How a class' share of the votes is weighed: by nothing, or by the inverse of its share
#: of the case base. Each rule is tuned for what it is for.
RULES: Mapping[str, float] = {"plain": 0.0, "weighed": 1.0}
_TUNED_FOR = {"plain": "accuracy", "weighed": "balanced_accuracy"}


def group_of(codes: Collection[str]) -> str | None:
    """The one group these SCP codes belong to; None for none, for two, and for pacing."""
    held = [name for name, members in GROUPS.items() if members & set(codes)]
    return held[0] if len(held) == 1 and "PACE" not in codes else None


@dataclass(frozen=True)
class Asked:
    """Queries against a case base.

    similarity: (q, g), -inf where the case is the asker's own patient's.
    truth: (q,) and held: (g,), indices into NAMES.
    """

    similarity: Floats
    truth: Labels
    held: Labels


def keep_apart(similarity: Floats, asker: NDArray[Any], owner: NDArray[Any]) -> Floats:
    """The same with -inf wherever both are one patient. asker: (q,), owner: (g,) patients."""
    return np.where(asker[:, None] == owner[None, :], -np.inf, similarity)


def nearest_cases(asked: Asked, most: int = max(NEIGHBOURS)) -> tuple[Floats, Labels]:
    """(q, k) similarities, best first, and the groups of these cases."""
    order = np.argsort(-asked.similarity, axis=1, kind="stable")[:, :most]
    return np.take_along_axis(asked.similarity, order, axis=1), asked.held[order]


def vote_shares(similarities: Floats, groups: Labels, k: int, temperature: float) -> Floats:
    """(q, 4): each group's share of the votes of the k nearest, weighted as the device does."""
    weights = vote_weights(similarities[:, :k], temperature)  # type: ignore[arg-type]
    one_hot = np.eye(len(NAMES))[groups[:, :k]]
    return np.asarray(np.einsum("qk,qkc->qc", weights, one_hot))


def decide(shares: Floats, held: Labels, rule: str) -> Labels:
    """(q,) the winning group; a group the case base lacks can never win."""
    prior = np.bincount(held, minlength=len(NAMES)) / len(held)
    scale = np.where(prior > 0, np.where(prior > 0, prior, 1.0) ** -RULES[rule], 0.0)
    return np.asarray(np.argmax(shares * scale, axis=1))


@dataclass(frozen=True)
class Settings:
    """How many neighbours vote, and how sharply."""

    k: int
    temperature: float


def tune(asked: Asked, rule: str) -> Settings:
    """The settings with the best accuracy (plain) or balanced accuracy (weighed).

    Among equals the most neighbours and the softest vote: an encoder flatters the
    nearest neighbours of the recordings it was trained on.
    """
    similarities, groups = nearest_cases(asked)
    best, chosen = -1.0, Settings(NEIGHBOURS[0], TEMPERATURES[0])
    for k in NEIGHBOURS:
        for temperature in TEMPERATURES:
            said = decide(vote_shares(similarities, groups, k, temperature), asked.held, rule)
            value = float(scores(confusion(asked.truth, said))[_TUNED_FOR[rule]][0])
            if value >= best:
                best, chosen = value, Settings(k, temperature)
    return chosen


def confusion(truth: Labels, said: Labels, weights: Floats | None = None) -> Floats:
    """(draws, 4, 4): rows the truth, columns the answer; one draw without weights.

    weights: (draws, n) from `patient_weights`.
    """
    drawn = np.ones((1, len(truth))) if weights is None else weights
    size = len(NAMES)
    cells = np.eye(size * size)[truth * size + said]
    return np.asarray((drawn @ cells).reshape(-1, size, size))


def scores(table: Floats) -> dict[str, Floats]:
    """Each score of (draws, 4, 4) confusion tables, (draws,).

    Balanced accuracy is the mean recall, macro F1 the mean F1, over the groups present
    in the draw. `accuracy_published_mix` weighs the recalls by Zheng's shares; NaN
    where one of the four groups is absent.
    """
    diagonal = np.diagonal(table, axis1=1, axis2=2)
    held, claimed = table.sum(axis=2), table.sum(axis=1)
    present = held > 0
    recall = np.where(present, diagonal / np.where(present, held, 1), np.nan)
    f1 = np.where(present, 2 * diagonal / np.where(present, held + claimed, 1), np.nan)
    mix = np.array([PUBLISHED_COUNTS[name] for name in NAMES], dtype=np.float64)
    return {
        "accuracy": diagonal.sum(axis=1) / table.sum(axis=(1, 2)),
        "balanced_accuracy": nan_mean(recall),
        "macro_f1": nan_mean(f1),
        "accuracy_published_mix": recall @ (mix / mix.sum()),
    }


def chances(truth: Labels) -> dict[str, float]:
    """The scores of always saying the most frequent group (of theirs, for their mix)."""
    count = np.bincount(truth, minlength=len(NAMES))
    most, present = count.max() / count.sum(), int((count > 0).sum())
    mix = np.array(list(PUBLISHED_COUNTS.values()))
    return {
        "accuracy": float(most),
        "balanced_accuracy": 1 / present,
        "macro_f1": float(2 * most / (1 + most) / present),
        "accuracy_published_mix": float(mix.max() / mix.sum()),
    }


@dataclass(frozen=True)
class Outcome:
    """What one rule answered. shares: (n, 4), truth and said: (n,), weights: (draws, n)."""

    settings: tuple[Settings, ...]
    shares: Floats
    truth: Labels
    said: Labels
    weights: Floats

    def figures(self) -> dict[str, Figure]:
        """The four scores with their bootstrap intervals over patients, and chance."""
        table = confusion(self.truth, self.said)
        values = scores(table)
        draws = scores(confusion(self.truth, self.said, self.weights))
        chance = chances(self.truth)
        n = len(self.truth)
        return {
            name: Figure(float(value[0]), n, draws[name], chance=chance[name])
            if np.isfinite(value[0])
            else Figure(None, n, why="a group has no recording")
            for name, value in values.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        table = confusion(self.truth, self.said)[0].astype(int)
        return {
            "settings": [vars(one) for one in self.settings],
            **{name: figure.to_dict() for name, figure in self.figures().items()},
            "groups": {name: self._group(place) for place, name in enumerate(NAMES)},
            "confusion": dict(zip(NAMES, table.tolist(), strict=True)),
        }

    def _group(self, place: int) -> dict[str, Any]:
        """Recall, precision and one-against-rest AUC of one group."""
        held, said = self.truth == place, self.said == place
        n = int(held.sum())
        if not n:
            return {"n": 0, "claimed": int(said.sum())}
        drawn = confusion(self.truth, self.said, self.weights)
        total = drawn[:, place].sum(axis=1)
        recall = np.where(total > 0, drawn[:, place, place] / np.maximum(total, 1), np.nan)
        found = float((held & said).sum())
        share = self.shares[:, place]
        auc = Figure(roc_auc(held, share), len(held), auc_draws(held, share, self.weights))
        return {
            "n": n,
            "claimed": int(said.sum()),
            "recall": Figure(found / n, n, recall).to_dict(),
            "precision": found / said.sum() if said.any() else None,
            "auc": auc.to_dict(),
        }


def answer(asked: Asked, settings: Settings, rule: str) -> tuple[Floats, Labels]:
    """Votes (q, 4) and answers (q,) of one rule."""
    similarities, groups = nearest_cases(asked)
    shares = vote_shares(similarities, groups, settings.k, settings.temperature)
    return shares, decide(shares, asked.held, rule)
