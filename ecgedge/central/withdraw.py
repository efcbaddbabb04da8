"""Withdrawing cases: tombstones in a new release, segments untouched.

A tombstone is kept for good, also when a merge has dropped the case from its file: a corpus
that still holds the recording may be added again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from ecgedge.casebase.manifest import Manifest
from ecgedge.casebase.release import Store
from ecgedge.central.revise import successor
from ecgedge.errors import InputError, NothingNew, UsageError


@dataclass(frozen=True)
class Withdrawal:
    """withdrawn: ids that are new among the tombstones. unknown: ids of no case here."""

    release: str
    cases: int
    withdrawn: tuple[str, ...]
    unknown: tuple[str, ...]


def withdraw(store: Store, before: Manifest, ids: Collection[str], created: str) -> Withdrawal:
    """Make a release that never shows these cases of `before`.

    Raises UsageError when there is no case of any of these ids, or none would be left;
    NothingNew when all of them are withdrawn already.
    """
    wanted = frozenset(ids)
    held = cases_held(store, before, wanted)
    unknown = wanted - held - set(before.withdrawn)
    if not held and unknown:
        raise UsageError(
            f"no case of release {before.id} is called {_some(unknown)}: nothing was withdrawn"
        )
    fresh = held - set(before.withdrawn)
    if not fresh:
        raise NothingNew(f"release {before.id} shows none of these cases already")
    after = successor(store, before, created, withdrawn=held | set(before.withdrawn))
    return Withdrawal(after.id, after.corpus["cases"], tuple(sorted(fresh)), tuple(sorted(unknown)))


def cases_held(store: Store, manifest: Manifest, ids: Collection[str]) -> frozenset[str]:
    """Which of these ids are in the release's segments, withdrawn or not."""
    held: set[str] = set()
    for segment in store.segments(manifest):
        keys = segment.keys_of(ids).tolist()
        held |= {case.case_id for case in segment.records(keys)}
    return frozenset(held)


def read_ids(path: Path, corpus_name: str) -> frozenset[str]:
    """Case ids from a text file: one a line, bare record numbers allowed, # for remarks."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a list of case ids: {error}") from None
    return named((line.partition("#")[0].strip() for line in lines), corpus_name)


def named(ids: Iterable[str], corpus_name: str) -> frozenset[str]:
    """Ids with their corpus' name; a bare record number is one of `corpus_name`."""
    return frozenset(one if "/" in one else f"{corpus_name}/{one}" for one in ids if one)


def _some(ids: Collection[str]) -> str:
    shown = sorted(ids)[:5]
    more = len(ids) - len(shown)
    return ", ".join(shown) + (f" or {more} more of them" if more else "")
