"""What validation recordings settle of a new release: votes, novelty, and what to say of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from ecgedge.casebase.search import CaseBase
from ecgedge.central.alternatives import Asked
from ecgedge.central.calibrate import Queries, Tuned, tune, untuned
from ecgedge.central.encode import Encoded
from ecgedge.central.facts import NO_NOVELTY, ONE_OUTCOME, UNJUDGED, UNTUNED
from ecgedge.central.novelty import fit_novelty
from ecgedge.corpora.ptbxl import Corpus
from ecgedge.novelty import NoveltyModel

T = TypeVar("T")


@dataclass(frozen=True)
class Settled:
    """notes: what a reader of the release must know."""

    tuned: Tuned
    novelty: NoveltyModel | None
    notes: tuple[str, ...]


def settle(corpus: Corpus, base: CaseBase, encoded: Encoded, inside: Sequence[bool]) -> Settled:
    """inside: which recordings are cases; the others are asked. Raises what `tune` raises."""
    outside = [not one for one in inside]
    asked = outside if any(outside) else inside
    queries = asked_with(corpus, encoded, asked).queries
    if any(outside):
        tuned = tune(base, queries, corpus.table)
        unjudged = () if tuned.calibration.statements else (UNJUDGED,)
        notes = unjudged if tuned.auc is not None else (ONE_OUTCOME, *unjudged)
    else:
        tuned = untuned(base, queries.embeddings, queries.groups)
        notes = (UNTUNED,)
    usual = those(encoded.traits, inside)
    novelty = fit_novelty(usual, those(encoded.traits, asked), tuned.nearest)
    return Settled(tuned, novelty, notes if novelty else (*notes, NO_NOVELTY))


def asked_with(corpus: Corpus, encoded: Encoded, asked: Sequence[bool]) -> Asked:
    """The recordings of this mask as queries."""
    records = those(encoded.records, asked)
    groups = [corpus.group(record) for record in records]
    codes = [frozenset(record.statements) for record in records]
    return Asked(records, Queries(encoded.embeddings[asked], groups, codes))


def those(items: Sequence[T], mask: Sequence[bool]) -> list[T]:
    """The items of this mask."""
    return [item for item, kept in zip(items, mask, strict=True) if kept]
