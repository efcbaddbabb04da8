"""The release manifest: which encoder, segments and calibration belong together.

A manifest is JSON; its id is the first 16 hex digits of the SHA-256 of its
canonical form (keys sorted, no spaces, without the id), so a manifest that was
edited no longer answers to its name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from ecgedge.casebase.alternatives import Alternative, EncoderRef, alternative_from_dict
from ecgedge.casebase.calibration import Curves
from ecgedge.casebase.segment import SegmentRef
from ecgedge.errors import DamagedError, MismatchError, UsageError

FORMAT = "ecgedge-release/1"
QUANTILES = 101

_SHA = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Calibration:
    """What the validation recordings settled.

    neighbours: how many nearest cases vote. temperature: see `vote_weights`.
    nearest_quantiles: 101 ascending quantiles (0, 0.01, ... 1) of the cosine between
        such a recording and its nearest case; they give novelty its scale.
    thresholds: diagnostic superclass -> support from which it counts as present (the
        evaluation's hard labels); empty where there were no recordings to settle them.
    statements, superclasses: what turns vote shares into probabilities; None where there were
        too few recordings to fit any, then supports are evidence only.
    """

    neighbours: int
    temperature: float
    nearest_quantiles: tuple[float, ...]
    thresholds: Mapping[str, float] = field(default_factory=dict)
    statements: Curves | None = None
    superclasses: Curves | None = None


@dataclass(frozen=True)
class TextRef:
    """The SHA-256 names of a text tower's model and sidecar."""

    model: str
    spec: str


@dataclass(frozen=True)
class Probe:
    """A question with a known answer, to see that a cart answers as the centre did.

    heart: parameters of `ecgedge.signal.synthetic.Heart`.
    expect: the nearest (case id, cosine), best first.
    """

    heart: Mapping[str, float]
    expect: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Manifest:
    """One release. withdrawn: case ids that must never be shown, sorted.

    corpus: bare facts for people: name, folds, counts, attribution.
    notes: what a reader of this release must know, one sentence each.
    novelty: the SHA-256 name of the novelty model, None where there is none.
    alternatives: encoders that may ask in the place of `encoder`.
    """

    created: str
    encoder: EncoderRef
    text: TextRef | None
    conditioning: str
    imaging: str
    calibration: Calibration
    segments: tuple[SegmentRef, ...]
    withdrawn: tuple[str, ...]
    probes: tuple[Probe, ...]
    corpus: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    format: str = FORMAT
    novelty: str | None = None
    alternatives: tuple[Alternative, ...] = ()

    @cached_property
    def id(self) -> str:
        return hashlib.sha256(_canonical(self._data()).encode()).hexdigest()[:16]

    @property
    def encoders(self) -> tuple[EncoderRef, ...]:
        """Every encoder that may ask, the primary first."""
        return (self.encoder, *(one.encoder for one in self.alternatives))

    def encoder_named(self, encoder_id: str | None) -> EncoderRef:
        """The encoder of this id, the primary for None. Raises UsageError for another id."""
        for one in self.encoders:
            if encoder_id in (None, one.id):
                return one
        offered = ", ".join(one.id for one in self.encoders)
        raise UsageError(f"release {self.id} has no encoder {encoder_id}, only {offered}")

    def _data(self) -> dict[str, Any]:
        """Plain data, without what later formats added and this release does not have: its
        id stays what it was when it was made.
        """
        data = asdict(self)
        calibration = data["calibration"]
        for holder, name in (
            (data, "novelty"),
            (calibration, "statements"),
            (calibration, "superclasses"),
        ):
            if holder[name] is None:
                del holder[name]
        if not self.alternatives:
            del data["alternatives"]
        return data

    def to_json(self) -> str:
        """The manifest's file, id included; the same manifest gives the same bytes."""
        return json.dumps({"id": self.id, **self._data()}, indent=1, ensure_ascii=False) + "\n"

    def blobs(self) -> list[str]:
        """The SHA-256 names of every file this release needs."""
        names = [name for one in self.encoders for name in (one.model, one.spec)]
        names += [self.text.model, self.text.spec] if self.text else []
        names += [self.novelty] if self.novelty is not None else []
        for segment in self.segments:
            names += [segment.vectors, segment.cases]
        return names

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Raises DamagedError for anything but an intact manifest, MismatchError for one
        of another format.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise DamagedError(f"a release manifest is not readable JSON: {error}") from None
        if not isinstance(data, dict) or not isinstance(data.get("format"), str):
            raise DamagedError("a release manifest does not say its format")
        if data["format"] != FORMAT:
            raise MismatchError(
                f"the release is in format {data['format']}, this ecgedge reads {FORMAT}: "
                "update ecgedge"
            )
        claimed = data.pop("id", None)
        if claimed != hashlib.sha256(_canonical(data).encode()).hexdigest()[:16]:
            raise DamagedError(f"release {claimed} was changed after it was made: its id is wrong")
        try:
            return _from_dict(data)
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedError(f"release {claimed} is malformed: {error}") from None


def _canonical(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _from_dict(data: dict[str, Any]) -> Manifest:
    """Strict about what is used later: an unknown or missing field is a TypeError."""
    calibration = data.pop("calibration")
    quantiles = tuple(float(value) for value in calibration.pop("nearest_quantiles"))
    if len(quantiles) != QUANTILES or list(quantiles) != sorted(quantiles):
        raise ValueError(f"nearest_quantiles are not {QUANTILES} ascending numbers")
    statements = _curves(calibration.pop("statements", None))
    superclasses = _curves(calibration.pop("superclasses", None))
    text = data.pop("text")
    manifest = Manifest(
        encoder=EncoderRef(**data.pop("encoder")),
        text=TextRef(**text) if text else None,
        calibration=Calibration(
            nearest_quantiles=quantiles,
            statements=statements,
            superclasses=superclasses,
            **calibration,
        ),
        segments=tuple(SegmentRef(**segment) for segment in data.pop("segments")),
        withdrawn=tuple(str(case_id) for case_id in data.pop("withdrawn")),
        probes=tuple(_probe(**probe) for probe in data.pop("probes")),
        notes=tuple(str(note) for note in data.pop("notes")),
        alternatives=tuple(map(alternative_from_dict, data.pop("alternatives", ()))),
        **data,
    )
    ids = [one.id for one in manifest.encoders]
    if len(set(ids)) < len(ids):
        raise ValueError("two encoders have one id")
    if not all(_SHA.fullmatch(name) for name in manifest.blobs()):
        raise ValueError("a file is not named by a SHA-256")
    if not all(isinstance(value, float) for value in manifest.calibration.thresholds.values()):
        raise ValueError("a threshold is not a number")
    if manifest.calibration.neighbours < 1 or not manifest.calibration.temperature > 0:
        raise ValueError("the calibration needs at least one neighbour and a temperature above 0")
    if not manifest.segments or any(ref.count < 1 or ref.dim < 1 for ref in manifest.segments):
        raise ValueError("a release needs segments with cases")
    return manifest


def _curves(data: Mapping[str, Any] | None) -> Curves | None:
    if data is None:
        return None
    pairs = {
        str(name): (float(pair[0]), float(pair[1])) for name, pair in data["statements"].items()
    }
    return Curves(float(data["slope"]), pairs, float(data["prior_votes"]))


def _probe(heart: Mapping[str, float], expect: Sequence[Sequence[Any]]) -> Probe:
    return Probe(heart, tuple((str(case_id), float(cosine)) for case_id, cosine in expect))
