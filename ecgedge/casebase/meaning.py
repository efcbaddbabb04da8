"""Cases by what a text means: its vector against the cases' statements, reports and images.

All vectors come from the two towers of the release and live in one space. Both towers
fill a cone of it, so each cloud of vectors is taken from its own middle first. A case's
statement counts by its nearest wording, and the case by its nearest statement: a report
of five findings is far, as a whole, from a text that names one of them. A text of several
findings is asked clause by clause, and a case scores as on the clause it fits least,
softly: a mean would let one common finding stand for all. docs/words.md has the
measurements behind the shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecgedge.casebase.neighbours import Neighbours
from ecgedge.casebase.scan import Int8Array, float_blocks, top
from ecgedge.casebase.search import CaseBase
from ecgedge.casebase.segment import Segment
from ecgedge.casebase.texts import check_texts
from ecgedge.errors import MismatchError
from ecgedge.recording import FloatArray

#: So many vectors at the origin are counted in: the middle of a few cases is not known.
_PRIOR = 10
#: How much the clause a case fits least counts: soft minimum of exp(-5 x score).
_SHARPNESS = 5.0


@dataclass(frozen=True)
class Shares:
    """How much of a case's score its nearest statement gives, and of the rest its report.

    What a case lacks (no statement, no report vector) leaves its share to the others.
    """

    statement: float = 0.8
    report: float = 0.5


DEFAULT_SHARES = Shares()


@dataclass(frozen=True)
class Asked:
    """A text as the text tower sees it.

    clauses: float (m, dim), m >= 1, unit norm. wordings: statement code -> float (s, dim),
    unit norm, the ways to word it. model: SHA-256 of the text tower that made them.
    """

    clauses: FloatArray
    wordings: Mapping[str, FloatArray]
    model: str


def by_meaning(base: CaseBase, asked: Asked, k: int, shares: Shares = DEFAULT_SHARES) -> Neighbours:
    """The k cases nearest in meaning, best first; their `similarities` are the scores, -1 to 1.

    Raises MismatchError where the release's parts do not belong together.
    """
    parts, dim = base.parts(), asked.clauses.shape[1]
    for segment, _ in parts:
        if segment.ref.dim != dim:
            raise MismatchError(f"a text of {dim} numbers for cases of {segment.ref.dim} numbers")
        if segment.texts is not None:
            check_texts(segment.texts, asked.model, dim)
    reports = [segment.texts.vectors for segment, _ in parts if segment.texts is not None]
    middle = _middle(reports, dim)
    image_middle = _middle([segment.vectors.rows for segment, _ in parts], dim)
    clauses = _units(asked.clauses - middle)
    wordings = {
        code: (_units(told - middle) @ clauses.T).max(axis=0)
        for code, told in asked.wordings.items()
    }
    scores = []
    for segment, withdrawn in parts:
        each = _cosines(segment.vectors.rows, clauses, image_middle)
        if segment.texts is not None:
            vectors = segment.texts.vectors
            report = _cosines(vectors, clauses, middle)
            each = _mixed(report, each, shares.report, np.asarray(vectors.any(axis=1)))
        each = _with_statements(segment, each, wordings, shares.statement)
        score = -np.log(np.exp(-_SHARPNESS * each).mean(axis=1)) / _SHARPNESS
        score[withdrawn] = -np.inf
        scores.append(score)
    return nearest(base, scores, k)


def _with_statements(
    segment: Segment, each: FloatArray, wordings: Mapping[str, FloatArray], share: float
) -> FloatArray:
    """Scores (n, m) mixed with that of each case's statement that is nearest to each clause."""
    best = segment.best(wordings, each.shape[1])
    return _mixed(best, each, share, np.asarray(np.isfinite(best).all(axis=1)))


def _mixed(
    left: FloatArray, right: FloatArray, share: float, known: NDArray[np.bool_]
) -> FloatArray:
    """share x left + (1 - share) x right in the rows where left is known, right elsewhere."""
    mixed = share * np.where(known[:, None], left, 0) + (1 - share) * right
    return np.where(known[:, None], mixed, right)


def nearest(base: CaseBase, scores: Sequence[FloatArray], k: int) -> Neighbours:
    """The k best of one score a case and segment; a case at -inf is never among them."""
    segments = [segment for segment, _ in base.parts()]
    together = np.concatenate([*scores, np.empty(0, np.float32)])
    sizes = [len(score) for score in scores]
    places = np.repeat(np.arange(len(sizes)), sizes)
    keys = np.concatenate([np.arange(size) for size in [*sizes, 0]])
    order = top(together, k)
    order = order[np.isfinite(together[order])]
    return Neighbours(segments, together[order].astype(np.float32), places[order], keys[order])


def _middle(parts: Sequence[Int8Array], dim: int) -> FloatArray:
    """The mean of the rows' directions, float32 (dim,); rows of zeros say nothing."""
    total, count = np.zeros(dim), _PRIOR
    for rows in parts:
        for _, block in float_blocks(rows):
            inverse = _inverse_lengths(block)
            total += inverse @ block
            count += int((inverse > 0).sum())
    return np.asarray(total / count, dtype=np.float32)


def _cosines(rows: Int8Array, queries: FloatArray, middle: FloatArray) -> FloatArray:
    """float32 (n, m): cosine of each row's direction, less the middle, with each unit query.

    rows: int8 (n, dim). queries: float (m, dim). A row at the middle has cosine 0.
    """
    found = np.empty((len(rows), len(queries)), dtype=np.float32)
    offset = queries @ middle
    for start, block in float_blocks(rows):
        inverse = _inverse_lengths(block)
        # |x/|x| - c|^2 = 1 - 2 x.c/|x| + |c|^2
        squared = 1 - 2 * inverse * (block @ middle) + middle @ middle
        products = (block @ queries.T) * inverse[:, None] - offset
        found[start : start + len(block)] = products / np.sqrt(np.maximum(squared, 1e-6))[:, None]
    return found


def _inverse_lengths(block: FloatArray) -> FloatArray:
    """float32 (n,), 0 for a row of zeros."""
    lengths = np.sqrt(np.einsum("nd,nd->n", block, block))
    return np.asarray(1 / np.where(lengths > 0, lengths, np.inf), dtype=np.float32)


def _units(vectors: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
