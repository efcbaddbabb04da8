"""What the neighbours' votes come to: probabilities where they can be told, evidence beside.

A support keeps three readings of the same neighbours: the share of their votes (`strength`),
its probability where validation could judge the statement, and how many of the nearest
`ASKED` cases carry it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ecgedge.answer import Support
from ecgedge.statements import needs_voltage, statement_name

if TYPE_CHECKING:
    from ecgedge.casebase.calibration import Curves
    from ecgedge.casebase.search import Hit, Neighbours

#: Supports weaker than this (probability, or share of votes), and those after the tenth, are
#: noise to a reader.
SHOWN_STRENGTH, SHOWN_SUPPORTS = 0.1, 10
#: The evidence beside a support: how many of so many nearest cases carry it. A statement that
#: cannot be judged is shown from two of them on, however small its share of all votes.
ASKED, SHOWN_CARRIED = 10, 2

_BY_SHAPE = "judged by shape only: this model has not seen voltages"


def weigh(
    shares: Mapping[str, float],
    found: Neighbours,
    shown: Sequence[Hit],
    curves: Curves | None,
    voters: int,
) -> list[Support]:
    """A support for every statement with a share, likeliest first.

    shares: code -> share of the votes. found: the nearest cases, of which `voters` voted.
    shown: those that the answer shows. curves: None where no probability may be told.
    """
    asked = min(ASKED, len(found))
    nearest = found.tally(np.ones(asked, dtype=np.float32))
    supports = []
    for code, share in shares.items():
        chance = curves.probability(code, share, voters) if curves else None
        supports.append(
            Support(
                code=code,
                name=statement_name(code),
                strength=round(share, 4),
                cases=tuple(hit.case.case_id for hit in shown if code in hit.codes),
                probability=None if chance is None else round(chance, 4),
                carried=round(nearest.get(code, 0.0)),
                asked=asked,
            )
        )
    return sorted(supports, key=_likelihood, reverse=True)


def readable(
    supports: Sequence[Support], in_mv: bool
) -> tuple[tuple[Support, ...], tuple[str, ...]]:
    """The supports worth showing, and the codes withheld because they rest on voltage."""
    shown, withheld = [], []
    for support in supports:
        if not _worth_showing(support):
            continue
        by_voltage = needs_voltage(support.code)
        if by_voltage and not in_mv:
            withheld.append(support.code)
            continue
        shown.append(replace(support, caution=_BY_SHAPE) if by_voltage else support)
    return tuple(shown[:SHOWN_SUPPORTS]), tuple(withheld)


def _likelihood(support: Support) -> float:
    """Its probability, or the share of votes where there is none."""
    return support.strength if support.probability is None else support.probability


def _worth_showing(support: Support) -> bool:
    if support.probability is not None:
        return support.probability >= SHOWN_STRENGTH
    return support.strength >= SHOWN_STRENGTH or support.carried >= SHOWN_CARRIED
