"""How alike two texts are: BLEU, ROUGE-L and METEOR, one reference a text.

Words are those of `normalise`: lower case, without punctuation, umlauts kept.
BLEU is the corpus score of Papineni et al. 2002, unsmoothed. ROUGE-L is the F1 of
the longest common subsequence (Lin 2004). METEOR has its exact-match stage only
(parameters of Lavie and Agarwal 2007): its stems and synonyms are English, the
reports mostly German.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ecgedge.encoders.text import normalise

Floats = NDArray[np.float64]

BLEU_ORDER = 4
_ALPHA, _BETA, _GAMMA = 0.9, 3.0, 0.5


def words(text: str) -> list[str]:
    """The words a metric compares."""
    return normalise(text).split()


def bleu_counts(candidate: Sequence[str], reference: Sequence[str]) -> Floats:
    """What one pair adds to a corpus' BLEU, shape (2 * BLEU_ORDER + 2,).

    Matched n-grams (clipped) for n = 1..4, the candidate's n-grams for n = 1..4,
    its length, the reference's length.
    """
    matched, possible = [], []
    for n in range(1, BLEU_ORDER + 1):
        mine, theirs = _ngrams(candidate, n), _ngrams(reference, n)
        matched.append((mine & theirs).total())
        possible.append(mine.total())
    return np.array([*matched, *possible, len(candidate), len(reference)], dtype=np.float64)


def _ngrams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(tokens[start:] for start in range(n)), strict=False))


def bleu(counts: Floats, order: int) -> Floats:
    """BLEU-`order` of corpora, 0 to 1, shape (...).

    counts: (..., 2 * BLEU_ORDER + 2), sums of `bleu_counts` over each corpus' pairs.
    0 where an order has no match.
    """
    matched, possible = counts[..., :order], counts[..., BLEU_ORDER : BLEU_ORDER + order]
    length, wanted = counts[..., -2], counts[..., -1]
    some = (matched > 0).all(axis=-1)
    precision = np.where(matched > 0, matched, 1) / np.maximum(possible, 1)
    brevity = np.minimum(0.0, 1 - wanted / np.maximum(length, 1))
    return np.where(some, np.exp(np.log(precision).mean(axis=-1) + brevity), 0.0)


def rouge_l(candidate: Sequence[str], reference: Sequence[str]) -> float:
    """F1 of the longest common subsequence, 0 to 1."""
    common = _longest_common(candidate, reference)
    return 2 * common / (len(candidate) + len(reference)) if common else 0.0


def _longest_common(left: Sequence[str], right: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    above = [0] * (len(right) + 1)
    for word in left:
        row = [0]
        for place, other in enumerate(right):
            row.append(above[place] + 1 if word == other else max(above[place + 1], row[place]))
        above = row
    return above[-1]


def meteor(candidate: Sequence[str], reference: Sequence[str]) -> float:
    """METEOR with exact matches only, 0 to 1.

    A word that occurs several times is paired from the end backwards, as nltk does.
    """
    pairs = _pair_words(candidate, reference)
    if not pairs:
        return 0.0
    precision, recall = len(pairs) / len(candidate), len(pairs) / len(reference)
    mean = precision * recall / (_ALPHA * precision + (1 - _ALPHA) * recall)
    breaks = sum(right != (left[0] + 1, left[1] + 1) for left, right in itertools.pairwise(pairs))
    penalty: float = _GAMMA * ((breaks + 1) / len(pairs)) ** _BETA
    return mean * (1 - penalty)


def _pair_words(candidate: Sequence[str], reference: Sequence[str]) -> list[tuple[int, int]]:
    """(place in candidate, place in reference) of equal words, in the candidate's order."""
    free: dict[str, list[int]] = {}
    for place, word in enumerate(reference):
        free.setdefault(word, []).append(place)
    pairs = [
        (place, free[candidate[place]].pop())
        for place in reversed(range(len(candidate)))
        if free.get(candidate[place])
    ]
    return pairs[::-1]
