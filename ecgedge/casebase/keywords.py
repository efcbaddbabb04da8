"""Cases by the words that stand in their statements and reports: no model needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ecgedge.casebase.meaning import nearest
from ecgedge.casebase.neighbours import Neighbours
from ecgedge.casebase.search import CaseBase
from ecgedge.casebase.segment import Segment
from ecgedge.recording import FloatArray

#: A word this long also finds words that begin with it: "infarct" finds "infarction",
_PREFIX_FROM = 4
#: and a longer one is looked for without its ending: "Extrasystolen" finds "Extrasystole".
_ENDINGS = ("en", "er", "es", "em", "e", "n", "s")
_SHORTEST_STEM = 6

#: One word of a query in all its spellings.
Word = Sequence[str]


def by_keywords(
    base: CaseBase, words: Sequence[Word], terms: Mapping[str, str], k: int
) -> tuple[Neighbours, str]:
    """The cases that hold most of these words, best first, and why not by the index, or "".

    words: normalised, each in its spellings. terms: code -> every wording of it. The
    `similarities` are BM25 scores (Robertson and Zaragoza 2009) from the index, or, where
    there is none, the number of words found by plain LIKE. Fewer than k where fewer match.
    """
    scores, reasons = [], []
    for segment, withdrawn in base.parts():
        score, why = _score_indexed(segment, words, k + len(withdrawn))
        if why:
            score = _score_plain(segment, words, terms)
        score[withdrawn] = -np.inf
        scores.append(score)
        reasons.append(why)
    return nearest(base, scores, k), next(filter(None, reasons), "")


def _score_indexed(segment: Segment, words: Sequence[Word], limit: int) -> tuple[FloatArray, str]:
    """(n,) scores, -inf where no word is held, or the reason why the index cannot be asked."""
    score = np.full(len(segment), -np.inf, dtype=np.float32)
    expression = " OR ".join(_quoted(spelling) for word in words for spelling in word)
    found, why = segment.match(expression, limit) if expression else ([], "")
    for key, value in found:
        score[key] = value
    return score, why


def _quoted(word: str) -> str:
    """A word, of letters and digits alone, as FTS5 takes it."""
    return f'"{_stem(word)}"*' if len(word) >= _PREFIX_FROM else f'"{word}"'


def _stem(word: str) -> str:
    """A word without its ending, where enough is left."""
    ends = [end for end in _ENDINGS if word.endswith(end)]
    stems = [stem for stem in map(word.removesuffix, ends) if len(stem) >= _SHORTEST_STEM]
    return min(stems, key=len, default=word)


def _score_plain(segment: Segment, words: Sequence[Word], terms: Mapping[str, str]) -> FloatArray:
    """(n,) number of words a case holds, -inf for none."""
    score = np.zeros(len(segment), dtype=np.float32)
    for word in words:
        codes = [code for code, told in terms.items() if held_in(word, told)]
        score[segment.like([_stem(one) for one in word], codes)] += 1
    return np.where(score > 0, score, -np.inf).astype(np.float32)


def held_in(word: Word, text: str) -> bool:
    """Whether a text holds this word, in one of its spellings, as the index would find it."""
    held = "".join(mark if mark.isalnum() else " " for mark in text.lower()).split()
    return any(
        one.startswith(_stem(spelling)) if len(spelling) >= _PREFIX_FROM else one == spelling
        for spelling in word
        for one in held
    )
