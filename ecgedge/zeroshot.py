"""Statements written as sentences, scored for one recording without any training.

A prompt's score is the cosine between the recording's embedding and the prompt's. Such
cosines are no probabilities, and those of two prompts do not compare: some wordings lie
nearer to every ECG than others. So each is also told against the case base: how many
standard deviations above its mean there, and above what share of its cases.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgedge.answer import NOTICE, Quality
from ecgedge.casebase.release import open_store
from ecgedge.encoders.text import TextEncoder
from ecgedge.engine import Engine, refusal
from ecgedge.errors import ReleaseError
from ecgedge.prompts import Prompts, shipped_prompts
from ecgedge.prompts.scoring import PromptVectors, embed_prompts
from ecgedge.recording import FloatArray, Recording
from ecgedge.sight import embed_recording
from ecgedge.signal.quality import assess
from ecgedge.statements import statements
from ecgedge.textsearch import open_text

NOT_PROBABILITIES = (
    "Scores are cosines, not probabilities. z and the share of cases it lies above compare a "
    "prompt with itself over the case base: they tell what stands out, not what is present."
)
_FORCED = "scored by force: this recording is not good enough to carry an answer"


@dataclass(frozen=True)
class PromptScore:
    """One prompt or group.

    cosine: -1 to 1. z: standard deviations above the mean over the case base. above: share
    of the cases that score lower, 0 to 1. Both None where there is no case. wording: what
    it stands for. unseen: words of it that the text tower never saw. same_as: for a group
    of one prompt, that prompt, else "".
    """

    name: str
    wording: str
    cosine: float
    z: float | None
    above: float | None
    unseen: tuple[str, ...] = ()
    same_as: str = ""


@dataclass(frozen=True)
class Classification:
    """Everything `ecgedge classify` says about one recording; scores by z, highest first."""

    source: str
    unit: str
    quality: Quality
    prompts: str
    scores: tuple[PromptScore, ...]
    withheld: tuple[str, ...]
    cases: int
    release: str
    model: str
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the notice that must go wherever it goes."""
        return {**asdict(self), "notice": NOTICE}


class Classifier:
    """One opened release and one set of prompts."""

    def __init__(self, engine: Engine, text: TextEncoder, prompts: Prompts) -> None:
        """Raises InputError for a prompt that the text tower knows no word of."""
        self.engine = engine
        drop = prompts is shipped_prompts()  # which this release's tower may not know all of
        self.prompts: PromptVectors = embed_prompts(prompts, text, drop=drop)
        self._background = self._score_cases()

    @classmethod
    def open(
        cls,
        prompts: Prompts,
        store: Path | str | None = None,
        *,
        preferred: str | None = None,
        threads: int = 1,
    ) -> Classifier:
        """The active release of a store, by default the built-in one.

        preferred, threads: as `Engine.open` takes them.
        Raises ReleaseError where nothing is installed or the release has no text tower.
        """
        opened = open_store(store)
        engine = Engine.open(store, preferred=preferred, threads=threads, measures=False)
        text = open_text(opened, engine.manifest)
        if text is None:
            raise ReleaseError(
                f"release {engine.manifest.id} holds no text tower, so no sentence can be scored: "
                "build one with `ecgedge index build --text`"
            )
        return cls(engine, text, prompts)

    def classify(self, recording: Recording, *, force: bool = False) -> Classification:
        """Raises QualityRefused for a recording that cannot carry an answer (unless force)."""
        quality = assess(recording)
        if quality.verdict == "refuse" and not force:
            raise refusal(recording, quality)
        embedding = embed_recording(recording, self.engine.encoder, quality)
        prompts = self.prompts.prompts
        held_back = prompts.voltage if recording.unit != "mV" else frozenset()
        columns = [i for i, name in enumerate(prompts.names) if name not in held_back]
        values = self.prompts.scores(embedding[None])[0]
        scores = [self._score(column, float(values[column])) for column in columns]
        notes = [NOT_PROBABILITIES]
        notes += [_FORCED] if quality.verdict == "refuse" else []
        if held_back:
            notes.append("amplitude unknown: prompts that rest on voltage are withheld")
        return Classification(
            source=recording.source,
            unit=recording.unit,
            quality=quality,
            prompts=prompts.source,
            scores=tuple(sorted(scores, key=lambda score: -_order(score))),
            withheld=tuple(name for name in prompts.names if name in held_back),
            cases=len(self._background),
            release=self.engine.manifest.id,
            model=self.engine.encoder.spec.id,
            notes=(*notes, *self.engine.notes, *self.engine.manifest.notes),
        )

    def _score(self, column: int, value: float) -> PromptScore:
        prompts = self.prompts.prompts
        name = prompts.names[column]
        z = above = None
        if len(self._background):
            cases = self._background[:, column]
            z = round((value - float(cases.mean())) / max(float(cases.std()), 1e-6), 2)
            above = round(float((cases < value).mean()), 4)
        unseen = self.prompts.unseen.get(name, ())
        members = prompts.groups.get(name, ())
        same_as = members[0] if len(members) == 1 else ""
        told = wording(prompts, name)
        return PromptScore(name, told, round(value, 4), z, above, unseen, same_as)

    def _score_cases(self) -> FloatArray:
        """(cases, names): what every case that is not withdrawn scores."""
        vectors = self.prompts.vectors
        found = [np.empty((0, vectors.shape[1]), dtype=np.float32)]
        for segment, withdrawn in self.engine.casebase.parts():
            kept = np.delete(segment.vectors.rows, withdrawn, axis=0).astype(np.float32)
            found.append(kept / np.linalg.norm(kept, axis=1, keepdims=True))
        return self.prompts.scores(np.concatenate(found))


def wording(prompts: Prompts, name: str) -> str:
    """What a prompt or group stands for: our name of a known code, else its first sentence."""
    if name in prompts.groups:
        return f"any of {', '.join(prompts.groups[name])}"
    known = statements().get(name)
    return prompts.sentences[name][0] if known is None else known.name


def _order(score: PromptScore) -> float:
    return score.cosine if score.z is None else score.z
