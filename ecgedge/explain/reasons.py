"""From an answer to an explanation of one of its matches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ecgedge.answer import Answer, Explanation
from ecgedge.casebase.search import Neighbours
from ecgedge.engine import Engine
from ecgedge.errors import InputError, UsageError
from ecgedge.explain.ecgs import NO_SIGNALS, Ecg, of_corpus, of_recording, of_release
from ecgedge.explain.occlusion import METHOD, Progress, embedding, occlude, silent
from ecgedge.recording import FloatArray, Recording

#: A record whose embedding is farther from the case's vector is not what the case was made of.
SAME_ECG = 0.99


@dataclass(frozen=True)
class Explained:
    """An explanation and the ECGs to draw it with; case None where it is not at hand."""

    explanation: Explanation
    query: Ecg
    case: Ecg | None


def explain(
    engine: Engine,
    recording: Recording,
    answer: Answer,
    rank: int = 1,
    *,
    corpus: Path | None = None,
    progress: Progress = silent,
) -> Explained:
    """Why the match of this rank was found for the recording that was answered.

    corpus: folder that may hold the case's own ECG; without it the release's is taken,
    where it keeps any. About 143 encodings an ECG. Raises UsageError for a rank without a
    match or an answer of another release, InputError where the folder cannot be read or holds
    another ECG by that name.
    """
    if not 1 <= rank <= len(answer.matches):
        raise UsageError(
            f"there is no match {rank} to explain, the answer has {len(answer.matches)}"
        )
    match = answer.matches[rank - 1]
    query = of_recording(recording, answer.quality, "query")
    encoder = engine.encoder
    own = embedding(query.conditioned, encoder)
    found, row = _find(engine, own, answer, rank)
    stored, case_id = found.vector(row), match.case_id
    case, why = _case_ecg(found.ecg(row) if corpus is None else None, corpus, case_id)
    if case is not None:
        alike = float(embedding(case.conditioned, encoder) @ stored)
        if alike < SAME_ECG:
            raise InputError(
                f"the ECG of {case_id} in {corpus or 'the release'} is not the one the case was "
                f"made of (the cosine of their embeddings is {alike:.2f})"
            )
    supported = [support.code for support in answer.supports]
    explanation = Explanation(
        rank=rank,
        case_id=case_id,
        similarity=match.similarity,
        shared=tuple(code for code in supported if code in match.statements),
        query=occlude(query.conditioned, encoder, stored, progress, "occluding the query"),
        case=occlude(case.conditioned, encoder, own, progress, "occluding the case")
        if case
        else None,
        origin=case.origin if case else "",
        method=METHOD,
        why=why,
    )
    return Explained(explanation, query, case)


def _find(engine: Engine, own: FloatArray, answer: Answer, rank: int) -> tuple[Neighbours, int]:
    """The neighbours as the answer had them, and the row of the match among them.

    They are searched as deeply as for the answer: an approximate search may order others.
    """
    depth = max(len(answer.matches), engine.manifest.calibration.neighbours)
    found = engine.casebase.search(own, depth)
    wanted = answer.matches[rank - 1].case_id
    for row, hit in enumerate(found[: len(answer.matches)]):
        if hit.case.case_id == wanted:
            return found, row
    raise UsageError(f"case {wanted} is not among those this release finds for the recording")


def _case_ecg(kept: FloatArray | None, corpus: Path | None, case_id: str) -> tuple[Ecg | None, str]:
    """(the case's ECG, "") or (None, why there is none)."""
    if corpus is not None:
        found = of_corpus(corpus, case_id)
        return (None, found) if isinstance(found, str) else (found, "")
    return (of_release(kept), "") if kept is not None else (None, NO_SIGNALS)
