"""What a query returns: an Answer, its parts, and their JSON form.

Names in the JSON are stable; dashboards read them. Add fields, never rename.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

SCHEMA = "ecgedge/1"
NOTICE = "Research software, not a medical device: similar past cases, not a diagnosis."

Verdict = Literal["ok", "poor", "refuse"]


@dataclass(frozen=True)
class LeadQuality:
    """One lead's verdict; reasons are words such as "flat" or "hum"."""

    lead: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Quality:
    """Whether the recording can carry an answer, and why or why not."""

    verdict: Verdict
    reasons: tuple[str, ...]
    per_lead: tuple[LeadQuality, ...]


@dataclass(frozen=True)
class Support:
    """How strongly the neighbours agree on one statement.

    strength: 0 to 1, the similarity-weighted share of neighbours that carry it.
    cases: case ids among the shown matches that carry it.
    caution: why this support deserves less trust, or "".
    probability: 0 to 1, calibrated on validation recordings; None where the statement was
        too rare there to judge, then carried and asked are the evidence.
    carried, asked: so many of the nearest cases, out of so many looked at, carry it.
    """

    code: str
    name: str
    strength: float
    cases: tuple[str, ...]
    caution: str = ""
    probability: float | None = None
    carried: int = 0
    asked: int = 0


@dataclass(frozen=True)
class Match:
    """One retrieved past case. similarity is the cosine, -1 to 1; age in years."""

    rank: int
    similarity: float
    case_id: str
    statements: tuple[str, ...]
    report: str | None
    age: int | None
    sex: str | None
    source: str


@dataclass(frozen=True)
class Novelty:
    """How unlike the case base the query is.

    score: 0 to 1, the share of reference recordings (validation folds) whose
        nearest case was nearer than this query's.
    verdict: "familiar", "unusual" (score over 0.95) or "unlike anything here"
        (farther than every reference recording).
    """

    score: float
    nearest_similarity: float
    verdict: str


@dataclass(frozen=True)
class Measurement:
    """One measured quantity.

    value: in `unit` ("bpm", "ms", "deg", "mV" or "" for a word); None where it cannot be
        said, then `why` is one sentence; beside a value `why` is a caution. spread: standard
        deviation over the beats, in the same unit. beats: how many beats it rests on.
    """

    value: float | str | None
    unit: str
    beats: int = 0
    spread: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Answer:
    """Everything `ecgedge query` says about one recording."""

    source: str
    unit: str
    window_s: tuple[float, float]
    quality: Quality
    supports: tuple[Support, ...]
    withheld: tuple[str, ...]
    matches: tuple[Match, ...]
    novelty: Novelty | None
    measurements: Mapping[str, Measurement]
    release: str
    model: str
    timings_ms: Mapping[str, float]
    notes: Sequence[str] = field(default_factory=tuple)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the notice that must go wherever it goes."""
        return {**asdict(self), "notice": NOTICE}
