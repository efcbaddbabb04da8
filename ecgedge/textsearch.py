"""Past cases by words: what a text means, and beside it the words it holds.

Opens no image encoder: a search in words starts faster than a query. Either list can
be missing with its reason; only where both have nothing to say is it an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgedge.answer import NOTICE
from ecgedge.casebase.keywords import by_keywords, held_in
from ecgedge.casebase.meaning import Asked, by_meaning
from ecgedge.casebase.release import Store, open_store
from ecgedge.encoders.text import TextEncoder, load_text, normalise, spellings
from ecgedge.errors import UsageError
from ecgedge.prompts import shipped_prompts
from ecgedge.recording import FloatArray
from ecgedge.statements import statement_terms, statements

if TYPE_CHECKING:
    from ecgedge.casebase.manifest import Manifest
    from ecgedge.casebase.search import CaseBase, Hit
    from ecgedge.casebase.segment import CaseRecord

#: Words that stand in any sentence; no keywords.
_ENGLISH = "a an and are as at be by due for from in is it of on or the this to with without"
_GERMAN = (
    "am auf aus bei das dem den der des die durch ein eine im ist mit nach oder ohne und von zu"
)
_FUNCTION_WORDS = frozenset(f"{_ENGLISH} {_GERMAN}".split())
#: What parts two findings: punctuation (not the dot of an ordinal), and such words.
_BETWEEN = re.compile(r"[,;:+\n]|(?<=[^\W\d])\.(?:\s|$)|\b(?:and|und|with|mit)\b", re.IGNORECASE)
_LEAD = re.compile(r"i{1,3}|av[rlf]|v?[1-6]|r|l|f")
_MAX_WORDS = 64  # beyond a report's length; keeps the full-text query small
_NO_TOWER = "this release holds no text tower"
_NO_LIST = "this release does not say which words its text tower has seen, so none can be named"


@dataclass(frozen=True)
class TextMatch:
    """One case found by words.

    score: by meaning a mix of cosines, -1 to 1; by keywords a BM25 score or the number of
    words held. words: those of the query that stand in the case's statements or report.
    """

    rank: int
    score: float
    case_id: str
    statements: tuple[str, ...]
    words: tuple[str, ...]
    report: str | None
    age: int | None
    sex: str | None
    source: str


@dataclass(frozen=True)
class TextAnswer:
    """Everything `ecgedge search` says about one text.

    unseen: words that the text tower never saw in training; they are left out of the
    meaning. meaning, keywords: best first. no_meaning, no_index: why there is no search by
    meaning, and why keywords were looked up without the index; "" where all is well.
    """

    text: str
    unseen: tuple[str, ...]
    meaning: tuple[TextMatch, ...]
    keywords: tuple[TextMatch, ...]
    no_meaning: str
    no_index: str
    release: str
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the notice that must go wherever it goes."""
        return {**asdict(self), "notice": NOTICE}


class TextSearch:
    """One opened release: its text tower, where it has one, and its case base."""

    def __init__(self, manifest: Manifest, text: TextEncoder | None, base: CaseBase) -> None:
        self.manifest, self.text, self.casebase = manifest, text, base

    @classmethod
    def open(cls, store: Path | str | None = None) -> TextSearch:
        """The active release of a store, by default the built-in one.

        Raises ReleaseError where nothing is installed, DamagedError or MismatchError where
        it must not answer.
        """
        opened = open_store(store)
        manifest = opened.manifest()
        return cls(manifest, open_text(opened, manifest), opened.casebase(manifest))

    def search(self, text: str, k: int = 5) -> TextAnswer:
        """The k cases nearest in meaning, and the k that hold most of the words.

        Raises UsageError for k < 1, for a text without a word, and for one of which
        neither the text tower nor the case base knows a word.
        """
        if k < 1:
            raise UsageError(f"{k} cases cannot be shown; ask for at least 1")
        words = list(dict.fromkeys(normalise(text).split()))
        if not clauses(text):
            raise UsageError(
                "the query holds no word: write what to look for, in German or English"
            )
        unseen = self.text.unseen(text) if self.text else ()
        no_meaning = self._why_no_meaning(text, unseen)
        meaning: Sequence[Hit] = ()
        if self.text and not no_meaning:
            meaning = by_meaning(self.casebase, as_asked(self.text, text), k)
        asked = [word for word in words if word not in _FUNCTION_WORDS] or words
        terms = {code: statement_terms(code) for code in statements()}
        spelt = [spellings(word) for word in asked[:_MAX_WORDS]]
        keywords, no_index = by_keywords(self.casebase, spelt, terms, k)
        if no_meaning and not len(keywords):
            raise UsageError(f"{no_meaning}; nor does any case hold one of its words")
        unnamed = self.text is not None and not self.text.spec.learnt
        return TextAnswer(
            text=text,
            unseen=unseen,
            meaning=_matches(meaning, asked),
            keywords=_matches(keywords, asked),
            no_meaning=no_meaning,
            no_index=no_index,
            release=self.manifest.id,
            notes=(*([_NO_LIST] if unnamed else []), *self.manifest.notes),
        )

    def _why_no_meaning(self, text: str, unseen: Sequence[str]) -> str:
        if self.text is None:
            return _NO_TOWER
        if not any(map(self.text.knows, clauses(text))):
            return (
                f"the text tower has never seen a word of this: {', '.join(unseen)} "
                "(it has read German and English ECG reports)"
            )
        return ""


def as_asked(tower: TextEncoder, text: str) -> Asked:
    """A text of which the tower has seen a word, beside our wordings of every statement."""
    known = [one for one in clauses(text) if tower.knows(one)]
    return Asked(tower.encode_query(known), _wordings(tower), tower.spec.sha256)


@lru_cache(maxsize=1)
def _wordings(tower: TextEncoder) -> Mapping[str, FloatArray]:
    """Code -> vectors of its prompts, names and other terms of which the tower saw a word."""
    told = {
        code: [*prompts, one.name, one.german, *one.also.split(", ")]
        for code, one in statements().items()
        if (prompts := shipped_prompts().sentences.get(code))
    }
    known = {code: [one for one in all_ if tower.knows(one)] for code, all_ in told.items()}
    vectors = tower.encode_query([one for kept in known.values() for one in kept])
    each = np.split(vectors, np.cumsum(list(map(len, known.values())))[:-1])
    return {code: rows for code, rows in zip(known, each, strict=True) if len(rows)}


def clauses(text: str) -> list[str]:
    """The findings a text names, one a clause; lists of leads stay with what they belong to."""
    found: list[str] = []
    for piece in _BETWEEN.split(text):
        words = normalise(piece).split()
        if found and all(_LEAD.fullmatch(word) for word in words):
            found[-1] += f" {piece}"
        elif words:
            found.append(piece)
    return found


def open_text(store: Store, manifest: Manifest) -> TextEncoder | None:
    """The text tower of a release, or None where it ships none."""
    if manifest.text is None:
        return None
    return load_text(store.blob(manifest.text.model), store.blob(manifest.text.spec))


def case_words(case: CaseRecord) -> str:
    """What a search by keywords looks at: our wordings of the statements, and the report."""
    return ". ".join([*map(statement_terms, case.statements), case.report or ""])


def _matches(hits: Sequence[Hit], words: Sequence[str]) -> tuple[TextMatch, ...]:
    return tuple(_match(rank, hit, words) for rank, hit in enumerate(hits, start=1))


def _match(rank: int, hit: Hit, words: Sequence[str]) -> TextMatch:
    case = hit.case
    told = case_words(case)
    return TextMatch(
        rank=rank,
        score=round(hit.similarity, 4),
        case_id=case.case_id,
        statements=case.surest_first,
        words=tuple(word for word in words if held_in(spellings(word), told)),
        report=case.report,
        age=case.age,
        sex=case.sex,
        source=case.source,
    )
