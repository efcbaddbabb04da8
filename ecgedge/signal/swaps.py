"""Exchanged electrodes, as they rearrange the relations between leads.

What a wrong lead placement does to a recording is known exactly, so it can be undone in
thought: if the leads relate as usual only after an exchange, the electrodes were exchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ecgedge.recording import CHEST, LEADS
from ecgedge.signal.traits import N_PAIRS, PAIRS

Floats = NDArray[np.float64]

#: Two electrodes exchanged -> for each limb lead, (the lead that is recorded there, its sign).
LIMB_SWAPS = {
    "LA/RA": (("I", -1), ("III", 1), ("II", 1), ("aVL", 1), ("aVR", 1), ("aVF", 1)),
    "RA/LL": (("III", -1), ("II", -1), ("I", -1), ("aVF", 1), ("aVL", 1), ("aVR", 1)),
    "LA/LL": (("II", 1), ("I", 1), ("III", -1), ("aVR", 1), ("aVF", 1), ("aVL", 1)),
}


@dataclass(frozen=True)
class Swap:
    """An exchange of electrodes.

    name: in words. order, sign: (66,), pair p of the exchanged recording relates as
    sign[p] times pair order[p] of the recording as it is; pairs as in `Traits.relations`.
    """

    name: str
    order: NDArray[np.intp]
    sign: Floats

    def apply(self, relations: Floats) -> Floats:
        """(66,) relations -> those of the exchanged recording."""
        return np.asarray(self.sign * relations[self.order])


@lru_cache(maxsize=1)
def swaps() -> tuple[Swap, ...]:
    """Every exchange considered: two limb electrodes, chest neighbours, chest order.

    Each undoes itself. Those with the right leg are not among them: they silence a lead,
    which quality tells.
    """
    limb = [
        _swap(
            f"electrodes {pair.replace('/', ' and ')} were exchanged",
            dict(zip(LEADS, held, strict=False)),
        )
        for pair, held in LIMB_SWAPS.items()
    ]
    chest = LEADS[CHEST]
    pairs = [*pairwise(chest), ("V1", "V3"), ("V1", "V6")]
    exchanged = [
        _swap(f"{one} and {other} were exchanged", {one: (other, 1), other: (one, 1)})
        for one, other in pairs
    ]
    turned = {lead: (other, 1) for lead, other in zip(chest, chest[::-1], strict=True)}
    return (*limb, *exchanged, _swap("V1 to V6 were attached in reverse order", turned))


@dataclass(frozen=True)
class Arrangements:
    """The relations as recorded and after every exchange that can be thought.

    names: (n,) of the exchanges. order, sign: (1 + n, 66) as in `Swap`, row 0 changes nothing.
    """

    names: tuple[str, ...]
    order: NDArray[np.intp]
    sign: Floats

    def apply(self, relations: Floats) -> Floats:
        """(66,) relations -> (1 + n, 66)."""
        return np.asarray(self.sign * relations.take(self.order))


def arrangements(held: NDArray[np.bool_]) -> Arrangements:
    """By the exchanges that change something and need no pair that was not recorded.

    held: (66,), the pairs whose relation is known.
    """
    return _arrangements(held.tobytes())


@lru_cache(maxsize=64)
def _arrangements(held: bytes) -> Arrangements:
    mask = np.frombuffer(held, dtype=bool)
    same = np.arange(N_PAIRS)
    possible = [
        swap
        for swap in swaps()
        if (mask[swap.order] == mask).all() and ((swap.order != same) | (swap.sign < 0))[mask].any()
    ]
    return Arrangements(
        tuple(swap.name for swap in possible),
        np.stack([same, *(swap.order for swap in possible)]),
        np.stack([np.ones(N_PAIRS), *(swap.sign for swap in possible)]),
    )


def _swap(name: str, leads: Mapping[str, tuple[str, int]]) -> Swap:
    """leads: lead -> what is recorded in its place, and its sign; others stay."""
    source, sign = np.arange(len(LEADS)), np.ones(len(LEADS))
    for lead, (other, factor) in leads.items():
        source[LEADS.index(lead)], sign[LEADS.index(lead)] = LEADS.index(other), factor
    number = np.zeros((len(LEADS), len(LEADS)), dtype=np.intp)
    number[PAIRS] = number.T[PAIRS] = np.arange(N_PAIRS)
    rows, columns = PAIRS
    return Swap(name, number[source[rows], source[columns]], sign[rows] * sign[columns])
