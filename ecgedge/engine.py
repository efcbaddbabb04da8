"""The straight line of the cart: recording -> quality -> signal -> image -> embedding -> answer.

Nothing else walks it; the centre and the evaluation see through `ecgedge.sight` as the
engine does, so that a case and a query are always treated alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecgedge.answer import STRANGE, Answer, Draft, Match, Measurement, Novelty, Quality
from ecgedge.beside import Beside
from ecgedge.errors import (
    MismatchError,
    QualityRefused,
    UsageError,
)
from ecgedge.opening import chosen_encoder, encoding_threads, novelty_model
from ecgedge.recording import FloatArray, Recording
from ecgedge.sight import (
    Seen,
    Stopwatch,
    condition_visible,
    embed_recording,
    keep_buffers,
    see_conditioned,
)
from ecgedge.signal import conditioning, traits
from ecgedge.signal.measurements import measure
from ecgedge.signal.quality import WINDOW_S, assess, unusable
from ecgedge.supports import ASKED, weigh

if TYPE_CHECKING:
    from ecgedge.casebase.manifest import Manifest
    from ecgedge.casebase.search import CaseBase, Hit, Neighbours
    from ecgedge.encoders import Encoder
    from ecgedge.novelty import NoveltyModel

_NO_PROBABILITY = (
    "no probabilities: they were calibrated on recordings like the case base's, and this one is "
    "unlike them"
)


def refusal(recording: Recording, quality: Quality) -> QualityRefused:
    """The error of a recording that cannot carry an answer, with the reasons."""
    return QualityRefused(
        f"{recording.source or 'the recording'} cannot carry an answer: "
        f"{'; '.join(quality.reasons)}"
    )


def _too_novel(recording: Recording, novelty: Novelty, at_most: float) -> QualityRefused:
    return QualityRefused(
        f"{recording.source or 'the recording'} is {novelty.verdict}, novelty "
        f"{novelty.score:.2f} of at most {at_most:g}: {novelty.why}"
    )


class Engine:
    """One opened release: an encoder, the case base made with it, and its novelty model."""

    def __init__(
        self,
        manifest: Manifest,
        encoder: Encoder,
        casebase: CaseBase,
        novelty: NoveltyModel | None = None,
        notes: Sequence[str] = (),
        threads: int = 1,
    ) -> None:
        """notes: what every answer must say besides the release's own notes. threads: as `open`.

        Raises MismatchError when the parts do not belong together.
        """
        spec = encoder.spec
        if spec.id not in [one.id for one in manifest.encoders]:
            raise MismatchError(
                f"release {manifest.id} was made with encoder {manifest.encoder.id}, "
                f"not with {spec.id}"
            )
        wanted = (manifest.conditioning, manifest.imaging)
        if wanted != (spec.conditioning, spec.imaging) or wanted[0] != conditioning.ID:
            raise MismatchError(
                f"release {manifest.id} needs {' and '.join(wanted)}, its encoder needs "
                f"{spec.conditioning} and {spec.imaging}, this ecgedge has {conditioning.ID}"
            )
        self.manifest = manifest
        self._nearest_quantiles = np.array(manifest.calibration.nearest_quantiles)
        self.encoder = encoder
        self.casebase = casebase
        self.novelty_model = novelty
        self.notes = tuple(notes)
        keep_buffers()
        self.threads = threads

    @classmethod
    def open(
        cls,
        store: Path | str | None = None,
        *,
        release: str | None = None,
        encoder: str | None = None,
        preferred: str | None = None,
        threads: int = 1,
        measures: bool = True,
    ) -> Engine:
        """Open a release of a store, by default the active one of the built-in store.

        encoder: id of the release's encoder that shall ask, by default the primary one.
        preferred: used where no encoder is given, e.g. what this board's configuration says;
            where the release does not offer it or its engine is not installed the primary
            asks and every answer says why. threads: cores that one query may use; of 2
            and more, one measures the beats while the others encode. measures: False for a
            caller that only embeds, which gets them all to encode with.

        Raises ReleaseError where nothing is installed, DamagedError or MismatchError where
        it must not answer, UsageError for an encoder the release does not offer.
        """
        from ecgedge.casebase.release import open_store

        opened = open_store(store)
        manifest = opened.manifest(release)
        encoding = encoding_threads(threads) if measures else threads
        loaded, notes = chosen_encoder(opened, manifest, encoder, preferred, encoding)
        novelty = novelty_model(opened, manifest)
        return cls(manifest, loaded, opened.casebase(manifest), novelty, notes, threads)

    def embed(self, recording: Recording) -> FloatArray:
        """`embed_recording` with this release's encoder."""
        return embed_recording(recording, self.encoder)

    def supports(self, found: Neighbours) -> dict[str, float]:
        """Every code's share, 0 to 1, of the votes of the nearest cases, strongest first.

        The first `calibration.neighbours` of the found cases vote, by `vote_weights`.
        """
        from ecgedge.casebase.voting import vote_weights

        if not found:
            return {}
        calibration = self.manifest.calibration
        nearest = found.similarities[: calibration.neighbours]
        shares = found.tally(vote_weights(nearest, calibration.temperature))
        # Codes come in their own order, and a sort leaves equals as they come.
        ordered = sorted(sorted(shares), key=shares.__getitem__, reverse=True)
        return {code: min(shares[code], 1.0) for code in ordered}

    def novelty(
        self, seen: Seen, found: Neighbours, held: traits.Traits | None = None
    ) -> Novelty | None:
        """How unlike the case base a recording is; None where no case was found.

        held: its traits, if they have been measured already. A release without a novelty
        model has the nearest case's similarity to go by.
        """
        from ecgedge.novelty import nearest_only

        if not found:
            return None
        nearest = float(found.similarities[0])
        if self.novelty_model is None:
            return nearest_only(nearest, self._nearest_quantiles)
        return self.novelty_model.novelty(held or traits.measure(seen.conditioned), nearest)

    def query(
        self,
        recording: Recording,
        k: int = 5,
        *,
        force: bool = False,
        max_novelty: float = 1.0,
        draft: bool = False,
        threads: int | None = None,
    ) -> Answer:
        """The k nearest past cases and what they agree on; with draft, a report worded from it.

        threads: with 2 or more, measuring goes on in a second thread while the encoder runs;
        by default as the engine was opened.
        Raises QualityRefused, with the reasons, for a recording that cannot carry an
        answer or is more novel than max_novelty (unless force), UsageError for k < 1.
        """
        if k < 1:
            raise UsageError(f"{k} cases cannot be shown; ask for at least 1")
        watch = Stopwatch()
        quality = assess(recording)
        watch.lap("quality")
        if quality.verdict == "refuse" and not force:
            raise refusal(recording, quality)
        conditioned = condition_visible(recording, quality)
        watch.lap("condition")

        def look() -> tuple[traits.Traits, Mapping[str, Measurement]]:
            return traits.measure(conditioned), measure(recording, quality, conditioned)

        beside = Beside(look) if (threads or self.threads) > 1 else None
        seen = see_conditioned(conditioned, self.encoder, watch)
        calibration = self.manifest.calibration
        found = self.casebase.search(seen.embedding, max(k, calibration.neighbours, ASKED))
        watch.lap("search")
        held, measurements = beside.result() if beside else (None, None)
        novelty = self.novelty(seen, found, held)
        if novelty and novelty.score > max_novelty and not force:
            raise _too_novel(recording, novelty, max_novelty)
        watch.lap("novelty")
        measurements = measurements or measure(recording, quality, conditioned)
        watch.lap("measure")
        answer = self._answer(recording, quality, found, k, novelty, measurements)
        if draft:
            answer = replace(answer, draft=_draft(answer, found[: calibration.neighbours]))
        watch.lap("answer")
        return replace(answer, timings_ms=watch.finish())

    def _answer(
        self,
        recording: Recording,
        quality: Quality,
        found: Neighbours,
        k: int,
        novelty: Novelty | None,
        measurements: Mapping[str, Measurement],
    ) -> Answer:
        """What was found, in the reader's terms; without timings."""
        hits, calibration = found[:k], self.manifest.calibration
        # Probabilities were calibrated on recordings of the usual kind and hold for no other.
        usual = novelty is None or novelty.verdict != STRANGE
        curves = calibration.statements if usual else None
        voters = min(calibration.neighbours, len(found))
        shares, in_mv = self.supports(found), recording.unit == "mV"
        shown, withheld = weigh(shares, found, hits, curves, voters, in_mv=in_mv)
        return Answer(
            source=recording.source,
            unit=recording.unit,
            window_s=(0.0, round(min(WINDOW_S, recording.duration_s), 3)),
            quality=quality,
            supports=shown,
            withheld=withheld,
            matches=tuple(_match(rank, hit) for rank, hit in enumerate(hits, start=1)),
            novelty=novelty,
            measurements=measurements,
            release=self.manifest.id,
            model=self.encoder.spec.id,
            timings_ms={},
            notes=(
                *_notes(recording, quality, withheld),
                *([] if usual else [_NO_PROBABILITY]),
                *self.notes,
                *self.manifest.notes,
            ),
        )


def _draft(answer: Answer, voting: Sequence[Hit]) -> Draft:
    from ecgedge.draft import Voter, draft

    return draft(answer, [Voter(hit.case.case_id, hit.codes) for hit in voting])


def _match(rank: int, hit: Hit) -> Match:
    """A hit as the reader sees it; its surest statements first."""
    case = hit.case
    return Match(
        rank=rank,
        similarity=round(hit.similarity, 4),
        case_id=case.case_id,
        statements=case.surest_first,
        report=case.report,
        age=case.age,
        sex=case.sex,
        source=case.source,
    )


def _notes(recording: Recording, quality: Quality, withheld: Sequence[str]) -> list[str]:
    """What the reader must know about how this answer came about."""
    notes = []
    if quality.verdict == "refuse":
        notes.append("answered by force: this recording is not good enough to carry an answer")
    notes += [f"calibration pulse at {start:.1f}-{end:.1f} s cut" for start, end in quality.cut_s]
    lost = [lead.lead for lead in quality.per_lead if lead.verdict == "refuse"]
    if lost and unusable(quality).any():
        notes.append(f"not looked at: {', '.join(lost)}")
    if recording.duration_s > WINDOW_S + 0.1:
        notes.append(f"only the first {WINDOW_S:g} of {recording.duration_s:.1f} s were looked at")
    if withheld:
        notes.append("amplitude unknown: findings that rest on voltage are withheld")
    return notes
