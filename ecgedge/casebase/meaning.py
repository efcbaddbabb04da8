"""Cases by what a text means: its vector against the cases' reports and images.

Both towers fill a cone of their space: every report is similar to every other, and
a query of three words is short of what they share. So each cloud of vectors is
taken from its own middle first. A text of several findings is asked clause by
clause, and a case scores as it does on the clause it fits least, softly: the mean
would let one common finding stand for all. docs/words.md has the measurements.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecgedge.casebase.neighbours import Neighbours
from ecgedge.casebase.search import CaseBase
from ecgedge.casebase.texts import check_texts
from ecgedge.casebase.vectors import Int8Array, float_blocks, top
from ecgedge.errors import MismatchError
from ecgedge.recording import FloatArray

#: How much of the score is the report's, the rest the image's; see docs/words.md.
REPORT_SHARE = 0.7
#: So many vectors at the origin are counted in: the middle of a few cases is not known.
_PRIOR = 10
#: How much the clause a case fits least counts: soft minimum of exp(-5 x score).
_SHARPNESS = 5.0


def by_meaning(base: CaseBase, clauses: FloatArray, k: int, text_model: str) -> Neighbours:
    """The k cases nearest in meaning, best first; their `similarities` are the scores, -1 to 1.

    clauses: float (m, dim), what the text tower made of each clause of the text, m >= 1.
    text_model: its SHA-256. A case without a report vector is scored by its image alone.
    Raises MismatchError where the release's parts do not belong together.
    """
    parts = base.parts()
    images = [segment.vectors.rows for segment, _ in parts]
    texts = [segment.texts for segment, _ in parts]
    for rows, held in zip(images, texts, strict=True):
        if clauses.shape[1] != rows.shape[1]:
            raise MismatchError(
                f"a text of {clauses.shape[1]} numbers for cases of {rows.shape[1]} numbers"
            )
        if held is not None:
            check_texts(held, text_model, rows.shape[1])
    reports = [held.vectors for held in texts if held is not None]
    dim = clauses.shape[1]
    middle, image_middle = middle_of(reports, dim), middle_of(images, dim)
    asked = clauses - middle
    asked /= np.maximum(np.linalg.norm(asked, axis=1, keepdims=True), 1e-12)
    scores = []
    for (_, withdrawn), rows, held in zip(parts, images, texts, strict=True):
        each = cosines(rows, asked, image_middle)
        if held is not None:
            spoken = held.vectors.any(axis=1, keepdims=True)
            report = cosines(held.vectors, asked, middle)
            each = np.where(spoken, REPORT_SHARE * report + (1 - REPORT_SHARE) * each, each)
        score = -np.log(np.exp(-_SHARPNESS * each).mean(axis=1)) / _SHARPNESS
        score[withdrawn] = -np.inf
        scores.append(score)
    return nearest(base, scores, k)


def nearest(base: CaseBase, scores: Sequence[FloatArray], k: int) -> Neighbours:
    """The k best of one score a case and segment; a case at -inf is never among them."""
    segments = [segment for segment, _ in base.parts()]
    together = np.concatenate([*scores, np.empty(0, np.float32)])
    sizes = [len(score) for score in scores]
    places = np.repeat(np.arange(len(sizes)), sizes)
    keys = np.concatenate([np.arange(size) for size in [*sizes, 0]])
    order = top(together, min(k, len(together)))
    order = order[np.isfinite(together[order])]
    return Neighbours(segments, together[order].astype(np.float32), places[order], keys[order])


def middle_of(parts: Sequence[Int8Array], dim: int) -> FloatArray:
    """The mean of the rows' directions, float32 (dim,); rows of zeros say nothing."""
    total, count = np.zeros(dim), _PRIOR
    for rows in parts:
        for _, block in float_blocks(rows):
            lengths = np.sqrt(np.einsum("nd,nd->n", block, block))
            total += (1 / np.where(lengths > 0, lengths, np.inf)) @ block
            count += int((lengths > 0).sum())
    return np.asarray(total / count, dtype=np.float32)


def cosines(rows: Int8Array, queries: FloatArray, middle: FloatArray) -> FloatArray:
    """float32 (n, m): cosine of each row's direction, less the middle, with each unit query.

    rows: int8 (n, dim). queries: float (m, dim). A row at the middle has cosine 0.
    """
    found = np.empty((len(rows), len(queries)), dtype=np.float32)
    offset = queries @ middle
    for start, block in float_blocks(rows):
        lengths = np.sqrt(np.einsum("nd,nd->n", block, block))
        inverse = np.asarray(1 / np.where(lengths > 0, lengths, np.inf), dtype=np.float32)
        # |x/|x| - c|^2 = 1 - 2 x.c/|x| + |c|^2
        squared = 1 - 2 * inverse * (block @ middle) + middle @ middle
        left = 1 / np.sqrt(np.maximum(squared, 1e-6))
        products = (block @ queries.T) * inverse[:, None] - offset
        found[start : start + len(block)] = products * left[:, None]
    return found
