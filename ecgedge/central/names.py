"""Names of persons, found by what stands before them.

A title or a salutation is certain ("Herr", "Dr."), or weak where the same letters mean
something else in a report: HR the heart rate, Fr. a frequency, MR and MS valves, ms a time.
After a weak one a name must look like a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ecgedge.central.clinical_words import FUNCTION_WORDS, is_clinical

_LETTER = r"(?:[^\W\d_]|[\u0300-\u036f])"
_WORD = re.compile(rf"[^\W\d_](?:{_LETTER}|['’-](?=[^\W\d_]))*")
_PARTICLES = frozenset(
    (
        *("von", "vom", "van", "der", "den", "de", "da", "di", "du", "del", "della", "la", "le"),
        *("zu", "zum", "zur", "ten", "ter", "el", "al", "bin", "ibn", "st"),
    )
)
_I = re.IGNORECASE

_DEGREE = (
    r"(?:(?:priv\.? ?-? ?doz|prof(?:essor)?|univ|dipl|doc(?:tor)?|doktor|dres|dr|med|dent|vet|rer|"
    r"nat|phil|habil|h\. ?c|mag|pd|oa|oä|ca|aa)\b\.?[ ,-]*)"
)
_DOCTOR = r"(?:ober|chef|fach|assistenz|haus|stations)?(?:arzt|ärztin)"
#: Only a person follows.
_CERTAIN = re.compile(
    rf"(?<![\w\[])(?:(?:herrn?|frau|fräulein|familie|mrs\b\.?|mister|madame|monsieur|señora?)[ ]+"
    rf"{_DEGREE}*|(?:priv\.? ?-? ?doz\.|prof(?:essor)?\b\.?|dr\b\.?|dres\.|doktor|doctor)[ ]*"
    rf"{_DEGREE}*)",
    _I,
)
#: A person may follow: with a dot, or written exactly so.
_WEAK = re.compile(
    rf"(?<![\w\[])(?<!\d )(?:(?:[Hh][Rr]n?|[Ff][Rr]|[Mm][Rr]|[Mm][Ss])\.|Hrn?|Fr|Mr|Ms|Miss)[ ]+"
    rf"{_DEGREE}*"
)
#: A person follows if the next word is written like a name.
_PLAIN = re.compile(
    rf"(?<![\w\[])(?:(?:patient(?:in|en)?|pat\.|{_DOCTOR}|(?:kranken)?schwester|"
    r"(?:kranken)?pfleger(?:in)?|nurse|physician|cardiologist|kardiolog(?:e|in)|mtra?|"
    r"(?:befundet|validiert|geschrieben|unterschrieben|freigegeben|veranlasst|überwiesen|"
    r"angefordert)(?: von| durch)|(?:reported|confirmed|validated|reviewed|signed|read|interpreted|"
    r"ordered|requested|referred|overread) by|gez\.|i\. ?[av]\.|geb\.|geborene|née)[ ]+"
    rf"{_DEGREE}*)",
    _I,
)
#: After a label a name may be written as "Last, First" and in capitals.
_LABEL = re.compile(
    r"(?<![\w\[])(?:(?:patienten?|familien|vor|nach|ruf|geburts|zu)?name"
    r"(?: des patienten| der patientin)?|patient(?:in|en)?|pat\.?|"
    r"(?:first|last|family|given|patient|maiden|middle) ?name|surname|forename|"
    rf"(?:behandelnder |überweisender |befundender )?{_DOCTOR}|untersucher(?:in)?|befunder(?:in)?|"
    r"überweiser(?:in)?|einweiser(?:in)?|unterschrift|signatur|signed(?: by)?|physician|doctor|"
    r"technician|operator|nurse|cardiologist|reported by|confirmed by|validated by|reviewed by|"
    r"referred by|ordered by|gez\.?|validiert von|befundet von)[ ]*[:=][ ]*(?:(?:herrn?|frau) )?"
    rf"{_DEGREE}*",
    _I,
)
#: Müller, Hans, geb. 12.03.1956: a name right before a birth date.
_BEFORE_BIRTH = re.compile(
    r"(?<![\w\['’-])(?P<it>[^\W\d_][\w'’-]{1,40},? [^\W\d_][\w'’-]{1,40})"
    r"(?=,?\s*\(?(?:geb(?:oren)?\b|\*\s?\d|born\b|DOB\b))"
)
#: Frequent names that are, or begin as, words of a report.
_NAMES_TOO = frozenset(
    (
        *("beate", "block", "hill", "kammerer", "klein", "kurz", "lang", "lange", "link", "linke"),
        *("long", "low", "norman", "spitz", "stark", "stella", "white", "wolff", "young"),
    )
)
_MOST = 5  # words of a name, initials and particles included
#: What stands between two words of a name, perhaps nothing.
_GAP, _GAP_COMMA = re.compile(r"[ -]?"), re.compile(r", |[ -]?")


def find_names(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of what is taken for a name, without the title before it."""
    for pattern, fits, comma in (
        (_CERTAIN, _may_be_name, False),
        (_WEAK, _looks_like_name, False),
        (_PLAIN, _is_written_like_name, False),
        (_LABEL, _looks_like_name, True),
    ):
        for match in pattern.finditer(text):
            end = _name_end(text, match.end(), fits, comma)
            if end is not None:
                yield match.end(), end
    for match in _BEFORE_BIRTH.finditer(text):
        if all(_is_written_like_name(word) for word in match["it"].replace(",", " ").split()):
            yield match.span("it")


def _may_be_name(word: str) -> bool:
    return word.lower() not in FUNCTION_WORDS


def _looks_like_name(word: str) -> bool:
    return len(word) > (1 if _is_capitalised(word) else 2) and not _is_of_the_trade(word)


def _is_written_like_name(word: str) -> bool:
    return _is_capitalised(word) and not _is_of_the_trade(word)


def _is_capitalised(word: str) -> bool:
    """Müller, O'Neill, d'Angelo, McDonald; not HR, sinus or SINUS."""
    begins = word[:1].isupper() or word[1:3] in ("'" + word[2:3].upper(), "’" + word[2:3].upper())
    return begins and any(mark.islower() for mark in word[1:])


def _is_of_the_trade(word: str) -> bool:
    """Whether a word is one of the report, and not one of the names that are words as well."""
    return is_clinical(word) and not (_is_capitalised(word) and word.lower() in _NAMES_TOO)


def _name_end(text: str, start: int, fits: Callable[[str], bool], comma: bool) -> int | None:
    """Where a name that begins at `start` ends, or None where none begins.

    Initials and "von" belong to it if a word that does follows. comma: "Last, First" is one.
    """
    end, at, upper, initial = None, start, False, False
    for _ in range(_MOST):
        match = _WORD.match(text, at)
        if match is None:
            break
        word, after = match[0], match.end()
        if len(word) == 1 and word.isupper() and text[after : after + 1] == ".":
            after, initial = after + 1, True
        elif word.lower() not in _PARTICLES:
            right = fits(word) if end is None else _goes_on(word, upper)
            if not (right or (initial and _is_capitalised(word))):
                break
            initial = False
            upper = upper or not word.islower()
            end = after
        gap = _GAP_COMMA if comma else _GAP
        at = gap.match(text, after).end()  # type: ignore[union-attr]
    return end


def _goes_on(word: str, upper: bool) -> bool:
    """Whether a further word belongs to a name that has begun."""
    return len(word) > 1 and not _is_of_the_trade(word) and not (upper and word.islower())
