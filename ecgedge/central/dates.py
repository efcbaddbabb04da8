"""Dates in the shapes in which reports write them, German, English and Swedish."""

from __future__ import annotations

import re
from collections.abc import Iterator

_I = re.IGNORECASE
_DAY, _MONTH = r"(?:3[01]|[12]\d|0?[1-9])", r"(?:1[0-2]|0?[1-9])"
_YEAR = r"(?:19|20)\d\d"
_YEARS = rf"(?:{_YEAR}|\d\d)"
_LONG = (
    "januar|jänner|februar|märz|maerz|april|mai|juni|juli|august|september|oktober|november|dezember|"
    "january|february|march|june|july|october|december"
)
_SHORT = "jan|feb|mär|mrz|mar|apr|mai|may|jun|jul|aug|sept?|okt|oct|nov|dez|dec"
_WORD = rf"(?:{_LONG}|(?:{_SHORT})\.?)"
# After one of these a date may lack its year.
_SINCE = (
    r"(?:vom|am|seit|from|on|since|dated|datum|date|ekg|ecg|geb\.|geboren|geburtsdatum|dob|jmf\.?|"
    r"jmf m)"
)
_BORN = r"(?:geb(?:oren)?\.?|geburtsjahr|jahrgang|jg\.|born|birth year|year of birth|yob|dob)"

_PATTERNS = tuple(
    re.compile(pattern, _I)
    for pattern in (
        # 12.03.1956, 12. 3. 56
        rf"(?<![\w.,])(?P<it>{_DAY}\. ?{_MONTH}\. ?{_YEARS})(?!\w|[.,]\d)",
        # 12/03/1956, 3/12/56, 12-03-1956 and, all in two digits, 12-03-56
        rf"(?<![\w.,/-])(?P<it>{_DAY}/{_DAY}/{_YEARS}|{_DAY}-{_DAY}-{_YEAR}|\d\d-(?:0\d|1[0-2])-\d\d)"
        r"(?![\w/-])",
        # 1956-03-12, 1956/3/12, 1956.03.12, 19560312
        rf"(?<![\w.,/-])(?P<it>{_YEAR}(?P<mark>[-/.]){_MONTH}(?P=mark){_DAY})(?![\d/-])",
        rf"(?<![\w.,-])(?P<it>{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))(?![\w-])",
        # 560312 and 120356: no value of an ECG has six digits in a row
        r"(?<![\w.,-])(?P<it>\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
        r"|(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d\d)(?![\w-]|[.,]\d)",
        # 03/1956, 03.1956
        rf"(?<![\w.,/])(?P<it>{_MONTH}/{_YEAR}|(?:0[1-9]|1[0-2])\.{_YEAR})(?![\w/])",
        # 12. März 1956, 12th of March 1956, 12-Mar-1956, 12 Mar 56
        rf"(?<!\w)(?P<it>{_DAY}(?:\.|st|nd|rd|th)?(?: of)?[ -]?{_WORD},?[ -]?"
        rf"(?:{_YEAR}|'?\d\d(?!\w)))",
        # March 12, 1956; March 1956
        rf"(?<!\w)(?P<it>{_WORD} {_DAY}(?:st|nd|rd|th)?,? {_YEARS}(?!\w)|{_WORD} {_YEAR})",
        # 12. März, March 12: only months written in full, and not "may"
        rf"(?<![\w,])(?P<it>{_DAY}(?:\.|st|nd|rd|th)?(?: of)? (?:{_LONG})"
        rf"|(?:{_LONG}) {_DAY}(?:st|nd|rd|th)?)(?!\w)",
        # vom 12.3.; vom 12.3 is left: it may be a value
        rf"\b{_SINCE}:? (?P<it>{_DAY}\. ?{_MONTH}\.)(?!\d)",
        # geb. 1956, born in 1956, Jg. 56, * 1956
        rf"(?:\b{_BORN}|(?<!\w)\*)"
        rf"(?: am| im| in| on)?:? ?(?P<it>{_YEAR}|'?\d\d(?![\w.,]))",
    )
)


def find_dates(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of what is written as a date, overlapping ones included."""
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            yield match.span("it")
