"""What a segment is made of: case records, and the reference by which a release names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class CaseRecord:
    """One past ECG without its signal or identity.

    statements: SCP code -> likelihood in percent, 0 where the source gave none.
    age in years. sex "M", "F" or None. source: where it came from, for people.
    group: a pseudonym shared by all cases of one patient.
    """

    case_id: str
    statements: Mapping[str, float]
    report: str | None
    age: int | None
    sex: str | None
    source: str
    group: str

    @property
    def surest_first(self) -> tuple[str, ...]:
        """The statement codes, the likeliest first."""
        held = self.statements
        return tuple(sorted(held, key=lambda code: (-held[code], code)))


@dataclass(frozen=True)
class SegmentRef:
    """The SHA-256 names of a segment's two files, its number of cases and dimensions."""

    vectors: str
    cases: str
    count: int
    dim: int
