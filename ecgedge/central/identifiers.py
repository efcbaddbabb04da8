"""Finds what may identify a person in the text of a report, German or English, and masks it.

Patterns, no dictionary of names and no network: a name is found by what stands before it (a
title, a salutation, a label), dates and numbers by their shape. It is a help, not a guarantee:
a name without a title stays ("docs/identity.md" says what else). Pure: text in, text out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ecgedge.central.clinical_words import is_clinical
from ecgedge.central.dates import find_dates
from ecgedge.central.names import find_names

NAME, DATE, PHONE, EMAIL, NUMBER, ADDRESS, AGE = KINDS = (
    "name",
    "date",
    "phone",
    "email",
    "number",
    "address",
    "age",
)

#: The rules' version: it changes when a report may come out otherwise than before.
RULES = "mask-1"

_TOKEN = re.compile(rf"(\[(?:{'|'.join(KINDS)})\])")
_I = re.IGNORECASE


@dataclass(frozen=True)
class Found:
    """Something that may identify a person. kind: one of KINDS; start, end: as of a slice."""

    kind: str
    start: int
    end: int


def mask(text: str) -> tuple[str, Counter[str]]:
    """The text with a fixed token, e.g. [name], for each find, and how many of each kind.

    Masked again it stays as it is; what stands between tokens is as it was.
    """
    counts: Counter[str] = Counter()
    while True:
        masked, found = _mask_once(text)
        if not found:
            return masked, counts
        text = masked
        counts += found


def _mask_once(text: str) -> tuple[str, Counter[str]]:
    """One pass. Tokens that are there are borders that no find crosses."""
    counts: Counter[str] = Counter()
    pieces = []
    for number, piece in enumerate(_TOKEN.split(text)):
        if number % 2:  # a token
            pieces.append(piece)
            continue
        end = 0
        for one in find(piece):
            pieces += [piece[end : one.start], f"[{one.kind}]"]
            counts[one.kind] += 1
            end = one.end
        pieces.append(piece[end:])
    return "".join(pieces), counts


def find(text: str) -> list[Found]:
    """Every find in the order of the text; those that overlap become one, of the first's kind."""
    spans = sorted(
        (Found(kind, start, end) for kind, start, end in _all(text)),
        key=lambda one: (one.start, -one.end, KINDS.index(one.kind)),
    )
    found: list[Found] = []
    for one in spans:
        if found and one.start < found[-1].end:
            last = found.pop()
            one = Found(last.kind, last.start, max(last.end, one.end))
        found.append(one)
    return found


def _all(text: str) -> Iterator[tuple[str, int, int]]:
    for start, end in find_dates(text):
        yield DATE, start, end
    for start, end in find_names(text):
        yield NAME, start, end
    for kind, pattern, fits in _PATTERNS:
        for match in pattern.finditer(text):
            if fits(match):
                start, end = match.span("it")
                yield kind, start, end


def _always(_match: re.Match[str]) -> bool:
    return True


def _digits(least: int) -> Callable[[re.Match[str]], bool]:
    return lambda match: sum(mark.isdigit() for mark in match["it"]) >= least


def _is_place(match: re.Match[str]) -> bool:
    """A postal code stands before a place, not before beats or hertz."""
    return not is_clinical(match["place"])


_LABELS = (
    # German, then English; with "-nr.", "nummer", "no." or "id" behind them, or by themselves.
    r"fall|pat|patient|patienten|aufnahme|auftrags?|versicherten|versicherungs?|vers|kranken|"
    r"kassen|akten|archiv|rezept|untersuchungs?|befund|ausweis|personal|kv|sv|rv|"
    r"case|record|accession|order|encounter|visit|account|insurance|social security|nhs|hospital|"
    r"chart|episode"
)
_NUMBER_WORD = r"(?:nr|nummer|no|number|num|id|#)"
_VALUE = r"(?P<it>(?:[A-Z]{1,3}[ -])?[A-Z0-9]*[0-9][A-Z0-9]*(?:[ ./-]?[A-Z0-9]*[0-9][A-Z0-9]*)*)"

_PATTERNS: tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], bool]], ...] = (
    (EMAIL, re.compile(r"(?<![\w.+-])(?P<it>[\w.+-]{1,80}@[\w-]+(?:\.[\w-]+)+)"), _always),
    (
        PHONE,  # by its label
        re.compile(
            r"\b(?:tel(?:efon|ephone)?|fon|phone|fax|telefax|mobil|mobile|handy|cell|durchwahl|dw|"
            r"rufnummer|pager)(?:-?(?:nr|no|nummer|number))?\b[.:]{0,2}\s*"
            r"(?P<it>\+?\(?\d[\d ()/.-]*\d)",
            _I,
        ),
        _digits(3),
    ),
    (
        PHONE,  # +49 711 123456, 0049 ..., 0711/123456, 0711-123 45
        re.compile(
            r"(?<![\w.,+])(?P<it>(?:\+|00)[1-9]\d{0,2}[ /-]?(?:\(0\)[ ]?)?\d[\d ()/-]{5,}\d"
            r"|\(?0[1-9]\d{1,4}\)?[ ]?[/-][ ]?\d[\d ]{2,}\d(?:-\d+)?|0[1-9]\d{2,3} \d{5,8})(?!\w)"
        ),
        _digits(7),
    ),
    (
        PHONE,  # (555) 123-4567, 555-123-4567, 555.123.4567
        re.compile(r"(?<![\w.,-])(?P<it>(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-.]\d{4})(?![\w-])"),
        _always,
    ),
    (
        NUMBER,  # by its label: Fallnr. 12345, Pat.-Nr.: A 123, MRN 123456, case no. 77-1234
        re.compile(
            rf"\b(?:(?:{_LABELS})[.]?[ -]?{_NUMBER_WORD}|mrn|kvnr|svnr|ssn|ik|az|vnr|barcode|"
            rf"{_NUMBER_WORD}(?=[.:]{{0,2}}\s*\d{{4}})|id(?=\s*:))[.:]{{0,2}}\s*(?:#|=|:)?\s*{_VALUE}",
            _I,
        ),
        _digits(3),
    ),
    (
        NUMBER,
        re.compile(r"(?<![\w.,-])(?P<it>\d{3}-\d{2}-\d{4}|\d{3} \d{3} \d{4})(?![\w-])"),
        _always,
    ),
    (NUMBER, re.compile(r"(?<![\w.,])(?P<it>(?:\d{2})?\d{6}[-+]\d{4})(?!\w)"), _always),
    (
        NUMBER,  # insurance and social numbers, IBAN: letters among many digits
        re.compile(
            r"(?<!\w)(?P<it>[A-Z]{1,4}-?\d{6,}|\d{8}[A-Z]\d{3}"
            r"|[A-Z]{2}\d{2}(?: ?\d{4}){4,7}(?: ?\d{1,3}(?!\d))?)",
            _I,
        ),
        _always,
    ),
    # No value of an ECG has six digits in a row.
    (NUMBER, re.compile(r"(?<![\d.,])(?P<it>\d{6,})(?!\d)"), _always),
    (
        ADDRESS,  # Hauptstraße 12a
        re.compile(
            r"(?<![\w.-])(?P<it>(?:[^\W\d_][\w.-]{0,60}(?:stra(?:ß|ss)e|str\.|allee|gasse)"
            r"|(?-i:[A-ZÄÖÜ]\w+ S)tra(?:ß|ss)e)[ ]?\d{1,4}[ ]?[a-h]?)(?!\w)",
            _I,
        ),
        _always,
    ),
    (
        ADDRESS,  # 12 Baker Street
        re.compile(
            r"(?<![\w.,])(?P<it>\d{1,5}[a-z]? (?:[A-Z][a-z]+ ){1,3}"
            r"(?:Street|Road|Avenue|Lane|Drive|Boulevard|Square|Court|St\.|Rd\.?|Ave\.?|Blvd\.?))(?!\w)"
        ),
        _always,
    ),
    (
        ADDRESS,  # 70174 Stuttgart
        re.compile(
            r"(?<![\w.,])(?P<it>(?:D-)?\d{5} (?P<place>[A-ZÄÖÜ][a-zäöüß]{2,}(?:-[A-Z]\w+)?))"
        ),
        _is_place,
    ),
    (
        AGE,  # above 89, where few are so old
        re.compile(
            r"(?<![\w.,])(?P<it>9\d|1[01]\d)"
            r"(?=(?:[ -]?jähr|[ -]?jaehr| jahre alt|[ -]years?[ -](?:old|of age)| ?y/?o\b))",
            _I,
        ),
        _always,
    ),
)
