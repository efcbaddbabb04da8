"""What the neighbours' votes come to: probabilities where they can be told, evidence beside.

A support keeps three readings of the same neighbours: the share of their votes (`strength`),
its probability where validation could judge the statement, and how many of the nearest
`ASKED` cases carry it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    *,
    in_mv: bool,
) -> tuple[tuple[Support, ...], tuple[str, ...]]:
    """The supports worth showing, likeliest first, and the codes withheld as they rest on voltage.

    shares: code -> share of the votes. found: the nearest cases, of which `voters` voted.
    shown: those that the answer shows. curves: None where no probability may be told.
    """
    asked = min(ASKED, len(found))
    nearest = found.tally(np.ones(asked, dtype=np.float32))
    chances = curves.probabilities(shares, voters) if curves else {}
    supports: list[Support] = []
    withheld: list[str] = []
    worth = {
        code: chances.get(code, share)
        for code, share in shares.items()
        if _worth_showing(share, chances.get(code), nearest.get(code, 0.0))
    }
    for code in sorted(worth, key=worth.__getitem__, reverse=True):
        chance, carried = chances.get(code), round(nearest.get(code, 0.0))
        by_voltage = needs_voltage(code)
        if by_voltage and not in_mv:
            withheld.append(code)
        elif len(supports) < SHOWN_SUPPORTS:
            supports.append(
                Support(
                    code=code,
                    name=statement_name(code),
                    strength=round(shares[code], 4),
                    cases=tuple(hit.case.case_id for hit in shown if code in hit.codes),
                    caution=_BY_SHAPE if by_voltage else "",
                    probability=None if chance is None else round(chance, 4),
                    carried=carried,
                    asked=asked,
                )
            )
    return tuple(supports), tuple(withheld)


def _worth_showing(share: float, chance: float | None, carried: float) -> bool:
    if chance is not None:
        return chance >= SHOWN_STRENGTH
    return share >= SHOWN_STRENGTH or round(carried) >= SHOWN_CARRIED
