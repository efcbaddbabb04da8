"""The straight line of the cart: recording -> quality -> signal -> image -> embedding -> answer.

Nothing else walks it; the centre and the evaluation embed through
`embed_recording`, so that a case and a query are always treated alike.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ecgedge.answer import Answer, Match, Novelty, Quality, Support
from ecgedge.errors import MismatchError, QualityRefused, UsageError
from ecgedge.imaging import get_encoding
from ecgedge.recording import FloatArray, Recording
from ecgedge.signal import conditioning
from ecgedge.signal.measurements import measure
from ecgedge.signal.quality import WINDOW_S, assess, unusable
from ecgedge.statements import needs_voltage, statement_name

if TYPE_CHECKING:
    from ecgedge.casebase.manifest import Manifest
    from ecgedge.casebase.search import CaseBase, Hit, Neighbours
    from ecgedge.encoders import Encoder

#: Supports weaker than this, and those after the tenth, are noise to a reader.
SHOWN_STRENGTH, SHOWN_SUPPORTS = 0.1, 10
#: A query farther from its nearest case than this share of reference recordings is unusual.
UNUSUAL = 0.95

_BY_SHAPE = "judged by shape only: this model has not seen voltages"


class Stopwatch:
    """Milliseconds between laps, by name."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Book the time since the last lap under this name."""
        now = time.perf_counter()
        self.laps[name] = round((now - self._last) * 1e3, 3)
        self._last = now

    def finish(self) -> dict[str, float]:
        """All laps and their total."""
        return {**self.laps, "total": round((self._last - self._start) * 1e3, 3)}


def embed_recording(
    recording: Recording,
    encoder: Encoder,
    quality: Quality | None = None,
    *,
    watch: Stopwatch | None = None,
) -> FloatArray:
    """The embedding of a recording's first 10 s, float32 (dim,), length 1.

    Leads that quality calls unusable are hidden from the encoder; quality is
    assessed here when it is not given. Never refuses: that is the caller's choice.
    """
    watch = watch or Stopwatch()
    conditioned = conditioning.condition(_visible(recording, quality or assess(recording)))
    watch.lap("condition")
    return _embed(conditioned, encoder, watch)


def _embed(conditioned: conditioning.Conditioned, encoder: Encoder, watch: Stopwatch) -> FloatArray:
    image = get_encoding(encoder.spec.imaging).encode(conditioned)
    watch.lap("image")
    embedding: FloatArray = encoder.encode(image[None])[0]
    watch.lap("encode")
    return embedding


def _visible(recording: Recording, quality: Quality) -> Recording:
    """The first 10 s, unusable leads NaN."""
    signal = recording.signal[:, : round(WINDOW_S * recording.rate_hz)]
    hidden = unusable(quality)
    if hidden.any():
        signal = signal.copy()
        signal[hidden] = np.nan
    return replace(recording, signal=signal)


class Engine:
    """One opened release: an encoder and the case base made with it."""

    def __init__(self, manifest: Manifest, encoder: Encoder, casebase: CaseBase) -> None:
        """Raises MismatchError when the parts do not belong together."""
        spec = encoder.spec
        if spec.id != manifest.encoder.id:
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

    @classmethod
    def open(
        cls, store: Path | str | None = None, *, release: str | None = None, threads: int = 1
    ) -> Engine:
        """Open a release of a store, by default the active one of the built-in store.

        threads: cores that the encoder may use. Raises ReleaseError where nothing is
        installed, DamagedError or MismatchError where it must not answer.
        """
        from ecgedge.casebase.release import Store, builtin_store
        from ecgedge.encoders import load_encoder

        opened = builtin_store() if store is None else Store(store)
        manifest = opened.manifest(release)
        parts = (opened.blob(manifest.encoder.model), opened.blob(manifest.encoder.spec))
        encoder = load_encoder(*parts, threads=threads)
        return cls(manifest, encoder, opened.casebase(manifest))

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
        ordered = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
        return {code: min(share, 1.0) for code, share in ordered}

    def query(self, recording: Recording, k: int = 5, *, force: bool = False) -> Answer:
        """The k nearest past cases and what they agree on.

        Raises QualityRefused, with the reasons, for a recording that cannot carry an
        answer (unless force), UsageError for k < 1.
        """
        if k < 1:
            raise UsageError(f"{k} cases cannot be shown; ask for at least 1")
        watch = Stopwatch()
        quality = assess(recording)
        watch.lap("quality")
        if quality.verdict == "refuse" and not force:
            raise QualityRefused(
                f"{recording.source or 'the recording'} cannot carry an answer: "
                f"{'; '.join(quality.reasons)}"
            )
        conditioned = conditioning.condition(_visible(recording, quality))
        watch.lap("condition")
        embedding = _embed(conditioned, self.encoder, watch)
        calibration = self.manifest.calibration
        found = self.casebase.search(embedding, max(k, calibration.neighbours))
        watch.lap("search")
        measurements = measure(recording, quality, conditioned)
        watch.lap("measure")
        hits = found[:k]
        shown, withheld = _readable(self.supports(found), recording.unit == "mV", hits)
        answer = Answer(
            source=recording.source,
            unit=recording.unit,
            window_s=(0.0, round(min(WINDOW_S, recording.duration_s), 3)),
            quality=quality,
            supports=shown,
            withheld=withheld,
            matches=tuple(_match(rank, hit) for rank, hit in enumerate(hits, start=1)),
            novelty=_novelty(hits[0].similarity, self._nearest_quantiles) if hits else None,
            measurements=measurements,
            release=self.manifest.id,
            model=self.encoder.spec.id,
            timings_ms={},
            notes=(*_notes(recording, quality, withheld), *self.manifest.notes),
        )
        watch.lap("answer")
        return replace(answer, timings_ms=watch.finish())


def _readable(
    shares: dict[str, float], in_mv: bool, shown: Sequence[Hit]
) -> tuple[tuple[Support, ...], tuple[str, ...]]:
    """The supports worth showing, and the codes withheld because they rest on voltage."""
    supports, withheld = [], []
    for code, share in shares.items():
        if share < SHOWN_STRENGTH:
            break  # strongest first
        by_voltage = needs_voltage(code)
        if by_voltage and not in_mv:
            withheld.append(code)
            continue
        cases = tuple(hit.case.case_id for hit in shown if code in hit.codes)
        caution = _BY_SHAPE if by_voltage else ""
        supports.append(Support(code, statement_name(code), round(share, 4), cases, caution))
    return tuple(supports[:SHOWN_SUPPORTS]), tuple(withheld)


def _match(rank: int, hit: Hit) -> Match:
    """A hit as the reader sees it; its surest statements first."""
    case = hit.case
    codes = sorted(case.statements, key=lambda code: (-case.statements[code], code))
    return Match(
        rank=rank,
        similarity=round(hit.similarity, 4),
        case_id=case.case_id,
        statements=tuple(codes),
        report=case.report,
        age=case.age,
        sex=case.sex,
        source=case.source,
    )


def _novelty(nearest: float, quantiles: NDArray[np.float64]) -> Novelty:
    """Where the nearest case's similarity lies among those of the reference recordings."""
    nearer = 1.0 - float(np.interp(nearest, quantiles, np.linspace(0, 1, len(quantiles))))
    verdict = "familiar"
    if nearest < quantiles[0]:
        verdict = "unlike anything here"
    elif nearer > UNUSUAL:
        verdict = "unusual"
    return Novelty(round(nearer, 4), round(nearest, 4), verdict)


def _notes(recording: Recording, quality: Quality, withheld: Sequence[str]) -> list[str]:
    """What the reader must know about how this answer came about."""
    notes = []
    if quality.verdict == "refuse":
        notes.append("answered by force: this recording is not good enough to carry an answer")
    lost = [lead.lead for lead in quality.per_lead if lead.verdict == "refuse"]
    if lost and unusable(quality).any():
        notes.append(f"not looked at: {', '.join(lost)}")
    if recording.duration_s > WINDOW_S + 0.1:
        notes.append(f"only the first {WINDOW_S:g} of {recording.duration_s:.1f} s were looked at")
    if withheld:
        notes.append("amplitude unknown: findings that rest on voltage are withheld")
    return notes
