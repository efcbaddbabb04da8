"""Prompt files: statements written as sentences, to score a recording against.

    voltage = ["LVH"]                                  # optional: rests on absolute amplitude
    [prompts]
    AFIB = ["atrial fibrillation", "Vorhofflimmern"]   # several wordings are averaged
    LVH = "left ventricular hypertrophy"
    [groups]                                           # optional: any of several prompts
    abnormal = ["AFIB", "LVH"]

Reading is strict: what is not understood is told, with the likely remedy, because a
misspelt prompt would silently score something else.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ecgedge.errors import InputError

_TABLES = ("prompts", "groups", "voltage")
_EXAMPLE = 'write [prompts] and below it lines such as AFIB = ["atrial fibrillation"]'
_WORD = re.compile(r"[^\W_]")
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Prompts:
    """What to score.

    sentences: name -> its wordings, at least one. groups: name -> the prompts any of which
    makes it likely. voltage: names that rest on absolute amplitude. source: for people.
    """

    sentences: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, tuple[str, ...]]
    voltage: frozenset[str]
    source: str

    @property
    def names(self) -> tuple[str, ...]:
        """Prompts, then groups, in the file's order."""
        return (*self.sentences, *self.groups)

    def without(self, names: Collection[str]) -> Prompts:
        """These prompts less some; a group that loses its last member goes with it."""
        sentences = {n: told for n, told in self.sentences.items() if n not in names}
        groups = {
            name: tuple(one for one in members if one in sentences)
            for name, members in self.groups.items()
        }
        groups = {name: members for name, members in groups.items() if members}
        return Prompts(sentences, groups, self.voltage & {*sentences, *groups}, self.source)


def load_prompts(path: Path | str) -> Prompts:
    """Read a prompt file. Raises InputError, one sentence, for anything wrong with it."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a prompt file: it is not UTF-8 text") from None
    if len(data) > _MAX_BYTES:
        raise InputError(f"{path} is larger than any prompt file: more than 1 MiB")
    return parse_prompts(text, str(path))


@lru_cache(maxsize=1)
def shipped_prompts() -> Prompts:
    """Our own prompts for PTB-XL's statements and diagnostic classes."""
    text = Path(__file__).with_name("ptbxl.toml").read_text(encoding="utf-8")
    return parse_prompts(text, "the prompts shipped with ecgedge")


def parse_prompts(text: str, source: str) -> Prompts:
    """As `load_prompts`, from the file's text."""
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{source} is not valid TOML: {error}") from None
    for name in tables:
        if name not in _TABLES:
            hint = _nearest(name, _TABLES)
            raise InputError(f"{source} has {name!r} where only {', '.join(_TABLES)} go{hint}")
    prompts = _table(tables, "prompts", source)
    if not prompts:
        raise InputError(f"{source} holds no prompts: {_EXAMPLE}")
    sentences = {name: _sentences(name, value, source) for name, value in prompts.items()}
    groups = {
        name: _members(name, value, sentences, source)
        for name, value in _table(tables, "groups", source).items()
    }
    for name in groups:
        if name in sentences:
            raise InputError(f"{source}: {name!r} is both a prompt and a group: rename one")
    voltage = _members("voltage", tables.get("voltage", []), {*sentences, *groups}, source, 0)
    return Prompts(sentences, groups, frozenset(voltage), source)


def _table(tables: Mapping[str, Any], name: str, source: str) -> dict[str, Any]:
    value = tables.get(name, {})
    if not isinstance(value, dict):
        raise InputError(f"{source}: {name} is not a table: write [{name}] on a line of its own")
    return value


def _sentences(name: str, value: Any, source: str) -> tuple[str, ...]:
    wordings = [value] if isinstance(value, str) else value
    if not isinstance(wordings, list) or not all(isinstance(one, str) for one in wordings):
        raise InputError(
            f"{source}: prompt {name!r} is neither a sentence nor a list of sentences in quotes"
        )
    if not name.strip() or not wordings:
        raise InputError(f"{source}: prompt {name!r} has no {'sentence' if name else 'name'}")
    if not all(_WORD.search(one) for one in wordings):
        raise InputError(f"{source}: prompt {name!r} has a sentence without a word")
    return tuple(wordings)


def _members(
    name: str, value: Any, known: Collection[str], source: str, least: int = 1
) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InputError(f"{source}: {name!r} is not a list of names in quotes")
    if len(value) < least:
        raise InputError(f"{source}: group {name!r} names no prompt")
    for one in value:
        if one not in known:
            hint = _nearest(one, known)
            raise InputError(f"{source}: {name!r} names {one!r}, which is no prompt here{hint}")
    return tuple(dict.fromkeys(value))


def _nearest(name: str, known: Collection[str]) -> str:
    """A hint at the known name that was probably meant."""
    found = difflib.get_close_matches(name, known, 1)
    return f": did you mean {found[0]!r}?" if found else ""
