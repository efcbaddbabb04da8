"""What a query returns: an Answer, its parts, and their JSON form.

Names in the JSON are stable; dashboards read them. Add fields, never rename.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeVar

T = TypeVar("T")

SCHEMA = "ecgedge/1"
NOTICE = "Research software, not a medical device: similar past cases, not a diagnosis."

Verdict = Literal["ok", "poor", "refuse"]
#: The novelty verdict with which an answer carries evidence only.
STRANGE = "unlike anything here"


@dataclass(frozen=True)
class LeadQuality:
    """One lead's verdict; reasons are words such as "flat" or "hum"."""

    lead: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class QualityWarning:
    """What looks wrong about a recording and changes no verdict.

    kind: "limb-reversal", "chest-reversal" or "right-leg-reversal". text: a sentence for the
    person beside the patient. evidence: what it rests on, by name.
    """

    kind: str
    text: str
    evidence: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Quality:
    """Whether the recording can carry an answer, and why or why not.

    warnings: what to check before the answer is leant on. cut_s: (start, end) in seconds of
    calibration pulses, which were treated as not recorded.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    per_lead: tuple[LeadQuality, ...]
    warnings: tuple[QualityWarning, ...] = ()
    cut_s: tuple[tuple[float, float], ...] = ()


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

    score: 0 to 1, the share of reference recordings (validation folds) that are less
        novel than this query.
    nearest_similarity: cosine of the nearest case.
    verdict: "familiar", "unusual" (score over 0.95) or "unlike anything here" (over 0.99).
    why: what is strange about it, in words; "" while it is familiar.
    excess: novelty without a ceiling, 0 for the median reference recording, 1 where 5 % lie
        beyond; None where the release carries no novelty model.
    parts: the excess of each measure behind it: case, leads, swap, shape.
    """

    score: float
    nearest_similarity: float
    verdict: str
    why: str = ""
    excess: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)


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
class Sentence:
    """One sentence of a draft report and what stands behind it.

    section: "rhythm", "axis", "intervals", "qrs", "st_t", "conclusion" or "caveat".
    codes: SCP codes it states. cases: case ids of the nearest cases that carry them, at most
    five; count of the asked nearest cases carry them. probability: the calibrated one, None
    where the statement was too rare to judge or nothing is stated. measurements: keys of
    `Answer.measurements` it rests on; beats: how many beats those were measured on.
    """

    text: str
    section: str
    codes: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    count: int = 0
    asked: int = 0
    probability: float | None = None
    measurements: tuple[str, ...] = ()
    beats: int = 0


@dataclass(frozen=True)
class Draft:
    """A short report for a reader to correct, in the order a clinician reads an ECG."""

    sentences: tuple[Sentence, ...]
    notice: str = NOTICE

    @property
    def text(self) -> str:
        """The report without its caveats, as one paragraph."""
        return " ".join(one.text for one in self.sentences if one.section != "caveat")


@dataclass(frozen=True)
class Region:
    """A part of an ECG and what hiding it did.

    lead: one of `LEADS`, or "" for all of them. drop: how much the cosine between the two
    ECGs fell when the part was hidden from the encoder; negative where it rose.
    """

    lead: str
    start_s: float
    end_s: float
    drop: float


@dataclass(frozen=True)
class Occlusion:
    """What carried one ECG's similarity. regions: lead by second, largest drop first;
    leads: each lead hidden whole; seconds: all leads hidden at once, in the order of time.
    """

    similarity: float
    regions: tuple[Region, ...]
    leads: Mapping[str, float]
    seconds: tuple[Region, ...]


@dataclass(frozen=True)
class Explanation:
    """Why a case was found.

    similarity: cosine of the query with the case's stored vector. shared: codes among the
    answer's supports that the case carries. query: occlusion of the query; case: of the
    case's own ECG against the query, None where it is not at hand, then `why` says so.
    origin: where the case's ECG came from, "release", "corpus" or "". picture: path or "".
    """

    rank: int
    case_id: str
    similarity: float
    shared: tuple[str, ...]
    query: Occlusion
    case: Occlusion | None
    origin: str
    method: str
    why: str = ""
    picture: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; the query's regions stand at the top, the case's beside them."""
        told = asdict(self)
        query, case = told.pop("query"), told.pop("case") or {}
        told |= {name: query[name] for name in ("regions", "leads", "seconds")}
        return told | {f"case_{name}": case.get(name) for name in ("regions", "leads", "seconds")}


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
    draft: Draft | None = None
    explanation: Explanation | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the notice that must go wherever it goes.

        `draft` and `explanation` are there only where they were asked for.
        """
        told = {**asdict(self), "notice": NOTICE}
        for name in ("draft", "explanation"):
            if told[name] is None:
                del told[name]
        if self.explanation is not None:
            told["explanation"] = self.explanation.to_dict()
        return told

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Answer:
        """The answer that `to_dict` told, its draft too but not its explanation.

        Raises KeyError, TypeError, ValueError or AttributeError for anything else.
        """
        kept = ("source", "unit", "window_s", "withheld", "release", "model", "timings_ms", "notes")
        quality, novelty, draft = told["quality"], told["novelty"], told.get("draft")
        nested = {
            "per_lead": tuple(_made(LeadQuality, one) for one in quality["per_lead"]),
            "warnings": tuple(_made(QualityWarning, one) for one in quality.get("warnings", ())),
            "cut_s": tuple(_frozen(pair) for pair in quality.get("cut_s", ())),
        }
        sentences = [_made(Sentence, one) for one in draft["sentences"]] if draft else []
        return cls(
            **{name: _frozen(told[name]) for name in kept},
            quality=_made(Quality, {**quality, **nested}),
            supports=tuple(_made(Support, one) for one in told["supports"]),
            matches=tuple(_made(Match, one) for one in told["matches"]),
            novelty=_made(Novelty, novelty) if novelty else None,
            measurements={k: _made(Measurement, v) for k, v in told["measurements"].items()},
            draft=_made(Draft, {**draft, "sentences": sentences}) if draft else None,
        )

    def with_reading(self, read_ms: float) -> Answer:
        """The answer with reading the recording counted first among its stages."""
        timings = {"read": round(read_ms, 3), **self.timings_ms}
        timings["total"] = round(timings["total"] + read_ms, 3)
        return replace(self, timings_ms=timings)


def _made(kind: type[T], told: Mapping[str, Any]) -> T:
    return kind(**{name: _frozen(value) for name, value in told.items()})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
