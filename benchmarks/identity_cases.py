"""Made-up identifiers in the ways in which reports hold them, drawn by a seed.

Not only the ways that the rules know: names without a title and numbers without a label are
among them, because a table without misses would say nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

FIRST = (
    *("Anna", "Hans", "Ursula", "Peter", "Monika", "Klaus", "Renate", "Jürgen", "Fatma", "Mehmet"),
    *("Olga", "Iwan", "Zofia", "Piotr", "Maria", "José", "Aoife", "Siobhán", "Kwame", "Priya"),
    *("Mary", "John", "Patricia", "Robert", "Linda", "Michael", "Nguyen", "Beate", "Stella"),
)
LAST = (
    *("Müller", "Schmidt", "Schneider", "Fischer", "Weber", "Meyer", "Wagner", "Becker", "Schulz"),
    *("Hoffmann", "Schäfer", "Koch", "Richter", "Klein", "Wolf", "Neumann", "Schwarz", "Lange"),
    *("Krüger", "Yılmaz", "Öztürk", "Kowalski", "Nowak", "Ivanova", "O'Neill", "Großkopf", "Block"),
    *("Müller-Lüdenscheidt", "Kammerer", "Smith", "Johnson", "Williams", "Brown", "Young", "White"),
    *("Hill", "Long", "Haddad", "Petrović", "Süß", "Lindqvist", "Åberg", "d'Angelo", "McDonald"),
)
MONTHS = (
    *("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September"),
    *("Oktober", "November", "Dezember"),
)
MONTHS_EN = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
TOWNS = ("Stuttgart", "Ulm", "Freiburg", "Konstanz", "Leutkirch", "Hof", "Görlitz")

#: Sentences into which identifiers are put where no corpus is given.
CARRIERS = (
    "Sinusrhythmus, Linkstyp, AV-Block 1. Grades. Unspezifische Erregungsrückbildungsstörung.",
    "sinusrhythmus lagetyp normal qrs(t) abnorm inferiorer infarkt alter unbest.",
    "sinus rhythm. left axis deviation. non-specific t wave flattening in i, avl.",
    "Vorhofflimmern mit schneller Überleitung, HF 130/min, kompletter Rechtsschenkelblock.",
    "atrial fibrillation with rapid ventricular response. premature ventricular contraction(s).",
)


@dataclass(frozen=True)
class Injected:
    """An identifier in its words. text: what is put in; secret: the parts that must be gone."""

    kind: str
    way: str
    text: str
    secret: tuple[str, ...]


Draw = Callable[[random.Random], tuple[str, tuple[str, ...]]]


def _name(text: str, *, lower: bool = False, upper: bool = False) -> Draw:
    def draw(rng: random.Random) -> tuple[str, tuple[str, ...]]:
        first, last = rng.choice(FIRST), rng.choice(LAST)
        told = text.format(first=first, last=last, initial=first[0])
        parts = tuple(one for one, held in ((first, "{first}"), (last, "{last}")) if held in text)
        if lower:
            return told.lower(), tuple(one.lower() for one in parts)
        if upper:
            return told.upper(), tuple(one.upper() for one in parts)
        return told, parts

    return draw


def _date(text: str, secret: str) -> Draw:
    def draw(rng: random.Random) -> tuple[str, tuple[str, ...]]:
        month = rng.randrange(12)
        facts = {
            "d": rng.randint(1, 28), "m": month + 1, "y": rng.randint(1925, 2024),
            "word": MONTHS[month], "english": MONTHS_EN[month],
        }  # fmt: skip
        facts["s"] = facts["y"] % 100  # type: ignore[operator]
        return text.format(**facts), (secret.format(**facts),)

    return draw


def _digits(text: str) -> Draw:
    """Each # becomes a digit from 1 to 9; what stands from the first to the last is secret."""

    def draw(rng: random.Random) -> tuple[str, tuple[str, ...]]:
        told = "".join(str(rng.randint(1, 9)) if mark == "#" else mark for mark in text)
        return told, (told[text.index("#") : text.rindex("#") + 1],)

    return draw


def _place(text: str) -> Draw:
    def draw(rng: random.Random) -> tuple[str, tuple[str, ...]]:
        town, street = rng.choice(TOWNS), rng.choice(("Linden", "Bahnhof", "Goethe", "Berg"))
        told = text.format(
            town=town, street=street, n=rng.randint(1, 120), plz=rng.randint(10000, 99999)
        )
        return told, tuple(one for one in (town, street) if one in told)

    return draw


#: (kind, way, draw, whether the rules are meant to find it)
WAYS: tuple[tuple[str, str, Draw, bool], ...] = (
    ("name", "Herr/Frau, mixed case", _name("Frau {first} {last}"), True),
    ("name", "herr/frau, lower case", _name("herr {last}", lower=True), True),
    ("name", "Fr./Hr. with a dot", _name("Fr. {last}"), True),
    ("name", "Dr., Prof. Dr. med.", _name("Prof. Dr. med. {first} {last}"), True),
    ("name", "dr., lower case", _name("dr. {last}", lower=True), True),
    ("name", "Mr./Mrs", _name("Mrs {first} {last}"), True),
    ("name", "label: Last, First", _name("Name: {last}, {first};"), True),
    ("name", "LABEL: CAPITALS", _name("Patient: {last}, {first};", upper=True), True),
    ("name", "befundet von / reported by", _name("befundet von {initial}. {last}"), True),
    ("name", "before geb.", _name("{last}, {first}, geb. 1950"), True),
    ("name", "after Patient, no colon", _name("Patient {last}"), True),
    ("name", "no title, no label", _name("{first} {last}"), False),
    ("name", "no title, lower case", _name("{first} {last}", lower=True), False),
    ("date", "12.03.1956", _date("{d:02}.{m:02}.{y}", "{d:02}.{m:02}.{y}"), True),
    ("date", "12.3.56", _date("{d}.{m}.{s:02}", "{d}.{m}.{s:02}"), True),
    ("date", "1956-03-12", _date("{y}-{m:02}-{d:02}", "{y}-{m:02}-{d:02}"), True),
    ("date", "03/12/1956", _date("{m:02}/{d:02}/{y}", "{m:02}/{d:02}/{y}"), True),
    ("date", "12. März 1956", _date("{d}. {word} {y}", "{word} {y}"), True),
    ("date", "March 12, 1956", _date("{english} {d}, {y}", "{english} {d}, {y}"), True),
    ("date", "910218", _date("ekg {s:02}{m:02}{d:02}", "{s:02}{m:02}{d:02}"), True),
    ("date", "geb. 1956", _date("geb. {y}", "{y}"), True),
    ("date", "12.3. without vom", _date("Kontrolle {d}.{m}.", " {d}.{m}."), False),
    ("phone", "Tel. 0711 123456", _digits("Tel. 0711 ######"), True),
    ("phone", "+49 711 123456", _digits("+49 7## ######"), True),
    ("phone", "0711/123456", _digits("07##/######"), True),
    ("phone", "555-123-4567", _digits("###-###-####"), True),
    ("phone", "extension alone", _digits("App. ####"), False),
    ("email", "a@b.example", _digits("a.b#@klinik.example"), True),
    ("number", "Fallnr. 12345", _digits("Fallnr. #####"), True),
    ("number", "Pat.-Nr.: 123-456", _digits("Pat.-Nr.: ###-###"), True),
    ("number", "MRN 12345678", _digits("MRN ########"), True),
    ("number", "case no. 77-1234", _digits("case no. ##-####"), True),
    ("number", "8 digits, no label", _digits("########"), True),
    ("number", "5 digits, no label", _digits("#####"), False),
    ("number", "A123456789", _digits("A#########"), True),
    ("number", "123-45-6789", _digits("###-##-####"), True),
    ("address", "Lindenstraße 12", _place("{street}straße {n}"), True),
    ("address", "70174 Stuttgart", _place("{plz} {town}"), True),
    ("address", "a town alone", _place("aus {town}"), False),
)  # fmt: skip


def draw(rng: random.Random, way: int) -> Injected:
    """One identifier of this way of `WAYS`."""
    kind, name, make, _ = WAYS[way]
    text, secret = make(rng)
    return Injected(kind, name, text, secret)


def put_into(rng: random.Random, report: str, one: Injected) -> str:
    """The report with the identifier between two of its words, or before or after it."""
    words = report.split(" ")
    place = rng.randint(0, len(words))
    return " ".join([*words[:place], one.text, *words[place:]])
