"""Point 6: the report of the nearest case held against the query's own.

A release may carry no report texts (their licence is the corpus' own affair). Then
they are looked up, by case id, in the evaluated corpus' table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ecgedge.evaluation.cases import Allowed, Found
from ecgedge.evaluation.figures import Figure, Floats, mean_figure, missing
from ecgedge.evaluation.textmetrics import bleu, bleu_counts, meteor, rouge_l, words

NAMES = ("bleu1", "bleu4", "rouge_l", "meteor")
#: Random cases a query whose reports give the chance level.
CHANCE_DRAWS = 10
_SEED = 6

Words = list[str]
Indices = NDArray[np.intp]


def figures(found: Found, weights: Floats) -> dict[str, Figure]:
    """bleu1 bleu4 rouge_l meteor of the nearest case's report.

    BLEU is a corpus score, the others means over queries. Queries without a report, or
    whose nearest case has none at hand, are left out. Chance: random cases that the
    query may find. Ceiling (ROUGE-L only): the best of all those cases' reports.
    """
    mine = [words(record.report) for record in found.records]
    texts = _case_texts(found)
    nearest = [hits[0].case.case_id if hits else "" for hits in found.hits]
    place = {case.case_id: index for index, case in enumerate(found.cases)}
    drafts = [texts[place[name]] if name in place else [] for name in nearest]
    rows = [row for row, (own, draft) in enumerate(zip(mine, drafts, strict=True)) if own and draft]
    if not rows:
        why = (
            "no query has a report"
            if not any(mine)
            else "the release carries no report texts and the corpus has no row of its cases"
        )
        return {name: missing(why) for name in NAMES}
    spoken = np.array([bool(text) for text in texts])
    allowed = Allowed(found)
    open_cases = [np.flatnonzero(spoken & allowed.mask(found.records[row])) for row in rows]
    references = [mine[row] for row in rows]
    return _compare(references, [drafts[row] for row in rows], texts, open_cases, weights[:, rows])


def _case_texts(found: Found) -> list[Words]:
    """Each case's report as words: the release's own, else the corpus'; empty if neither."""
    rows = {found.corpus.case_id(record): record.report for record in found.corpus.records}
    return [words(case.report or rows.get(case.case_id, "")) for case in found.cases]


def _compare(
    references: Sequence[Words],
    drafts: Sequence[Words],
    texts: Sequence[Words],
    open_cases: Sequence[Indices],
    weights: Floats,
) -> dict[str, Figure]:
    """weights: (draws, len(references))."""
    random = np.random.default_rng(_SEED)
    drawn = [random.choice(cases, CHANCE_DRAWS) for cases in open_cases]
    guesses = [[texts[case] for case in row] for row in drawn]
    closest = _Closest(texts)
    best = np.array(
        [closest.rouge(own, cases) for own, cases in zip(references, open_cases, strict=True)]
    )
    told = {}
    for order in (1, 4):
        told[f"bleu{order}"] = _bleu_figure(references, drafts, guesses, weights, order)
    for name, score in (("rouge_l", rouge_l), ("meteor", meteor)):
        pairs = zip(drafts, references, strict=True)
        values = np.array([score(draft, own) for draft, own in pairs])
        by_chance = [
            np.mean([score(guess, own) for guess in row])
            for row, own in zip(guesses, references, strict=True)
        ]
        ceiling = best if name == "rouge_l" else None
        told[name] = mean_figure(values, weights, chance=np.array(by_chance), ceiling=ceiling)
    return told


def _bleu_figure(
    references: Sequence[Words],
    drafts: Sequence[Words],
    guesses: Sequence[Sequence[Words]],
    weights: Floats,
    order: int,
) -> Figure:
    pairs = zip(drafts, references, strict=True)
    counts = np.array([bleu_counts(draft, own) for draft, own in pairs])
    random = np.array(
        [
            [bleu_counts(guess, own) for guess in row]
            for row, own in zip(guesses, references, strict=True)
        ]
    )
    value = float(bleu(counts.sum(axis=0), order))
    chance = float(bleu(random.sum(axis=0), order).mean())
    return Figure(value, len(counts), bleu(weights @ counts, order), chance=chance)


class _Closest:
    """The highest ROUGE-L that any of many texts reaches, without comparing them all."""

    def __init__(self, texts: Sequence[Words]) -> None:
        self._texts = texts
        self._length = np.array([len(text) for text in texts], dtype=np.float64)
        held: dict[str, list[tuple[int, int]]] = {}
        for place, text in enumerate(texts):
            for word, count in Counter(text).items():
                held.setdefault(word, []).append((place, count))
        # Word -> (2, texts that have it): their places and how often they have it.
        self._held = {word: np.array(pairs).T for word, pairs in held.items()}

    def rouge(self, own: Words, places: Indices) -> float:
        """The highest ROUGE-L of the texts at these places with `own`."""
        shared = np.zeros(len(self._texts))
        for word, count in Counter(own).items():
            if word in self._held:
                where, often = self._held[word]
                shared[where] += np.minimum(often, count)
        # No common subsequence is longer than the words in common.
        bound = 2 * shared[places] / (self._length[places] + len(own))
        best = 0.0
        for at in np.argsort(-bound, kind="stable").tolist():
            if bound[at] <= best:
                break
            best = max(best, rouge_l(self._texts[int(places[at])], own))
        return best
