"""Electrodes that look exchanged, told from the twelve leads alone: a warning, never a verdict.

Nine electrodes look at one heart, so its leads are tied to each other, whatever the heart does.
Two signs that the ties are broken as an exchange would break them:

fit: how far the eight independent leads lie from the usual ties, as recorded and after every
    exchange has been undone in thought. The distance is the mean square of the samples against
    the covariance of leads (Mahalanobis); undoing is exact algebra. The idea that redundancy
    between leads betrays an exchange is that of Kors and van Herpen (Am J Cardiol 2001) and
    of Han et al. (J Electrocardiol 2014); one covariance for all exchanges is ours.
flat: a limb lead that is flat while the other two live and Einthoven's law holds: its two
    electrodes lie at one potential, which is what an arm electrode on the right leg does
    (Krasteva et al., Sensors 2019, 19(13):2920).

What cannot be told: LA and LL exchanged (it turns the axis by a usual amount), so that all three
moved on by one place look like one pair exchanged; electrodes on the wrong rib, a limb cable on
the chest. A heart on the right side (dextrocardia) looks like arms or
chest leads exchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ecgedge.answer import QualityWarning
from ecgedge.recording import CHEST, LEADS, LIMB_FROM_I_II

Floats = NDArray[np.float64]
Evidence = dict[str, float | str]

#: Rows of a recording that hold everything: I, II and V1 to V6.
INDEPENDENT = (0, 1, 6, 7, 8, 9, 10, 11)
#: Mean products of the independent leads, limb leads in shares of their common rms, each chest
#: lead of its own (so mV and NU are alike). Over PTB-XL's folds 1 to 8, 1,441 recordings;
#: `benchmarks/reversal_fit.py` makes it.
_USUAL = (
    (1.291,),
    (0.917, 1.340),
    (-0.729, -0.595, 1.000),
    (-0.105, -0.088, 0.683, 1.000),
    (0.342, 0.428, 0.275, 0.765, 1.000),
    (0.714, 0.817, -0.189, 0.341, 0.765, 1.000),
    (0.922, 0.951, -0.499, 0.021, 0.481, 0.848, 1.000),
    (0.963, 0.965, -0.646, -0.157, 0.305, 0.712, 0.931, 1.000),
)
#: Added to the diagonal, as a share of it: what no two hearts share.
_OWN = 0.05
#: The misfit must fall by this factor. Limb: of folds 1 to 8 one recording in 1,441 goes beyond
#: 1.2 without an exchange. Chest: two beyond 1.35, both with a turned order that may be real.
LIMB_FIT, CHEST_FIT = 1.2, 1.35
#: A limb lead is flat under this share of the limb leads' rms. The least of those 1,441 had 0.17.
FLAT_SHARE = 0.10
#: rms of I - II + III over that of the limb leads up to which Einthoven's law holds.
_LAWFUL = 0.05
_FEWEST_CHEST = 4  # chest leads, to judge an exchange by
_LIMB_POWER = LIMB_FROM_I_II.T @ LIMB_FROM_I_II / len(LIMB_FROM_I_II)
_TINY = 1e-12

# What stands where, in thought: the electrodes that I and II are recorded from after an exchange.
_LIMB_PLACES = {
    "LA/RA": ("LA", "RA", "LL"),
    "RA/LL": ("LL", "LA", "RA"),
}
_FLAT_WORDS = {
    "I": ("LA/LL+RA/RL", "both arm electrodes look placed on the legs"),
    "II": ("RA/RL", "RA looks exchanged with the right leg (RL)"),
    "III": ("LA/RL", "LA looks exchanged with the right leg (RL)"),
}
_MIRROR = "A heart on the right side looks the same"


@dataclass(frozen=True)
class _Exchanges:
    """What can be thought of with some leads. rows: of the recording. names: of the exchanges.

    misfits: (1 + n, k * k), the products of the k leads -> the misfit as recorded and after
    each exchange is undone. limits: (n,) factors that warn.
    """

    rows: NDArray[np.intp]
    names: tuple[str, ...]
    misfits: Floats
    limits: Floats


def warnings(
    products: Floats, lawful: NDArray[np.bool_], there: NDArray[np.bool_]
) -> tuple[QualityWarning, ...]:
    """What looks exchanged, at most one warning; pure, raises nothing.

    products: (12, 12) mean products of each two leads without base line. lawful: (12,), leads
    that were recorded throughout. there: (12,), those of them that are signals, not flat or
    noise.
    """
    if not np.isfinite(products).all():
        return ()
    flat = _flat_limb(products, lawful, there)
    if flat is not None:
        return (flat,)
    chest = there[CHEST]
    if not there[:2].all() or chest.sum() < _FEWEST_CHEST:
        return ()
    found = _exchanged(products, _exchanges(chest.tobytes()))
    return () if found is None else (found,)


def _flat_limb(
    products: Floats, lawful: NDArray[np.bool_], there: NDArray[np.bool_]
) -> QualityWarning | None:
    """A flat one of I, II and III beside two that live and contradict nothing."""
    power = products.diagonal()[:3]
    together = power.mean()
    if not lawful[:3].all() or together <= _TINY:
        return None
    row = int(power.argmin())
    share = float(np.sqrt(max(power[row], 0.0) / together))
    law = np.array([1.0, -1.0, 1.0])
    residual = float(law @ products[:3, :3] @ law)
    others = [other for other in range(3) if other != row]
    if share >= FLAT_SHARE or not there[others].all() or residual > _LAWFUL**2 * together:
        return None
    lead = LEADS[row]
    exchange, words = _FLAT_WORDS[lead]
    living = " and ".join(LEADS[other] for other in others)
    text = f"lead {lead} is flat and {living} agree that it is: {words}"
    evidence: Evidence = {"exchange": exchange, "lead": lead, "rms_share": round(share, 3)}
    return QualityWarning("right-leg-reversal", text, evidence)


def _exchanged(products: Floats, thought: _Exchanges) -> QualityWarning | None:
    """The exchange whose undoing makes the leads fit most beyond its limit."""
    power = products.diagonal()
    limb = (_LIMB_POWER * products[:2, :2]).sum()
    scale = power[thought.rows].copy()
    scale[:2] = limb
    if scale.min() <= _TINY:
        return None
    held = products[np.ix_(thought.rows, thought.rows)] / np.sqrt(np.outer(scale, scale))
    misfits = thought.misfits @ held.ravel()
    gain = misfits[0] / np.maximum(misfits[1:], _TINY)
    best = int((gain / thought.limits).argmax())
    if not gain[best] > thought.limits[best]:
        return None
    name, factor = thought.names[best], float(gain[best])
    if name in _LIMB_PLACES:
        return _limb_warning(name, factor, products)
    told: Evidence = {"exchange": name, "fit": round(factor, 2)}
    if name == "V1-V6":
        words, mirror = "V1 to V6 look attached in reverse order", f". {_MIRROR}"
    else:
        words, mirror = f"{' and '.join(name.split('/'))} look exchanged", ""
    text = f"{words}: put back, the leads fit each other {factor:.1f} times better{mirror}"
    return QualityWarning("chest-reversal", text, told)


def _limb_warning(name: str, factor: float, products: Floats) -> QualityWarning:
    """With the correlations that a reader sees: I and II against the left chest."""
    evidence: Evidence = {"exchange": name, "fit": round(factor, 2)}
    against = []
    for lead in ("I", "II"):
        values = {left: _correlation(products, lead, left) for left in ("V5", "V6")}
        values = {left: value for left, value in values.items() if np.isfinite(value)}
        evidence |= {f"corr_{lead}_{left}": round(value, 2) for left, value in values.items()}
        if values and max(values.values()) < 0:
            told = ", ".join(f"{value:.2f}" for value in values.values())
            where = " and ".join(values)
            against.append(f"lead {lead} is upside down against {where} (correlation {told})")
    upright = _correlation(products, "aVR", "V6")
    if upright > 0:
        evidence["corr_aVR_V6"] = round(upright, 2)
        against.append("aVR is upright")
    why = "; ".join([*against, f"put back, the leads fit each other {factor:.1f} times better"])
    mirror = f". {_MIRROR}" if name == "LA/RA" else ""
    words = f"{' and '.join(name.split('/'))} look exchanged"
    return QualityWarning("limb-reversal", f"{words}: {why}{mirror}", evidence)


def _correlation(products: Floats, one: str, other: str) -> float:
    row, column = LEADS.index(one), LEADS.index(other)
    scale = products[row, row] * products[column, column]
    return float(products[row, column] / np.sqrt(scale)) if scale > _TINY**2 else float("nan")


@lru_cache(maxsize=64)
def _exchanges(chest: bytes) -> _Exchanges:
    """chest: bool (6,) as bytes, the chest leads to judge by."""
    there = np.concatenate([[True, True], np.frombuffer(chest, dtype=bool)])
    usual = _usual()[np.ix_(there, there)]
    precision = np.linalg.inv(usual + _OWN * np.diag(usual.diagonal()))
    names, undone, limits = [], [np.eye(len(usual))], []
    for name, matrix, limit in _thinkable():
        moved = (matrix != np.eye(8)).any(axis=1)
        if moved[~there].any():
            continue
        names.append(name)
        undone.append(np.linalg.inv(matrix[np.ix_(there, there)]))
        limits.append(limit)
    misfits = [(back.T @ precision @ back).ravel() for back in undone]
    rows = np.array(INDEPENDENT)[there]
    return _Exchanges(rows, tuple(names), np.array(misfits), np.array(limits))


def _usual() -> Floats:
    """_USUAL as a whole matrix."""
    matrix = np.zeros((8, 8))
    for row, values in enumerate(_USUAL):
        matrix[row, : row + 1] = matrix[: row + 1, row] = values
    return matrix


def _thinkable() -> list[tuple[str, Floats, float]]:
    """Every exchange: name, (8, 8) independent leads -> those recorded, factor that warns."""
    listed = [(name, _limb(places), LIMB_FIT) for name, places in _LIMB_PLACES.items()]
    chest = LEADS[CHEST]
    for one, other in [*pairwise(chest), ("V1", "V3"), ("V1", "V6")]:
        order = list(range(6))
        first, second = chest.index(one), chest.index(other)
        order[first], order[second] = second, first
        listed.append((f"{one}/{other}", _chest(order), CHEST_FIT))
    return [*listed, ("V1-V6", _chest(list(range(5, -1, -1))), CHEST_FIT)]


def _limb(places: tuple[str, str, str]) -> Floats:
    """places: what the cables RA, LA and LL are attached to; I = LA - RA and II = LL - RA."""
    potential = {"RA": np.zeros(2), "LA": np.array([1.0, 0.0]), "LL": np.array([0.0, 1.0])}
    right, left, foot = (potential[place] for place in places)
    matrix = np.eye(8)
    matrix[:2, :2] = [left - right, foot - right]
    return matrix


def _chest(order: list[int]) -> Floats:
    matrix = np.zeros((8, 8))
    matrix[0, 0] = matrix[1, 1] = 1
    matrix[np.arange(2, 8), 2 + np.array(order)] = 1
    return matrix
