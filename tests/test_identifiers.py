"""Identifiers in a report's text: what is found, what is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from identity_builders import CLEAN, TELLING

from ecgedge.central.identifiers import KINDS, mask
from ecgedge.prompts import shipped_prompts
from ecgedge.statements import statement_terms, statements

TOKENS = [f"[{kind}]" for kind in KINDS]
FRAGMENTS = [
    *("Herr", "Frau ", "Dr. ", "med. ", "hr. ", "MS. ", "Mr. ", "Name: ", "Patient: ", "geb. "),
    *("Müller", "schmidt", "O'Neill", "von der ", "K.", ", ", " ", "-", ".", "\n", ": ", "[", "]"),
    *("12.03.1956", "12.3.", "1956", "560312", "March 12", "3. Mai", "0711/12345", "+49 711 12345"),
    *("a@b.de", "MRN ", "00123456", "12345", "V1", "QT 400 ms", "II, III, aVF", "RR 120/80"),
    *("Sinusrhythmus", "normal ecg", "Lindenstraße 3", "70174 Stuttgart", "94-jährig", "name"),
    *("date", "Pat.-Nr. ", *TOKENS),
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=4), max_size=12).map("".join)


@pytest.mark.parametrize(
    ("report", "masked"),
    [
        ("Herr Müller Sinusrhythmus normal.", "Herr [name] Sinusrhythmus normal."),
        ("frau anna schmidt sinusrhythmus", "frau [name] sinusrhythmus"),
        ("Prof. Dr. med. K. von der Heide, Oberarzt", "Prof. Dr. med. [name], Oberarzt"),
        ("Herr Dr. Weber und Frau Öztürk", "Herr Dr. [name] und Frau [name]"),
        ("hr. meier vorhofflimmern", "hr. [name] vorhofflimmern"),
        ("Fr. Schulz, Hr Klein, Mr Young", "Fr. [name], Hr [name], Mr [name]"),
        ("Name: Müller, Hans\nSR", "Name: [name]\nSR"),
        ("befundet von Dr. Weber; gez. Meier", "befundet von Dr. [name]; gez. [name]"),
        ("confirmed by Smith on 3/4/2020", "confirmed by [name] on [date]"),
        ("Müller, Hans, geb. 1956: SR", "[name], geb. [date]: SR"),
        ("Frau Mu\u0308ller, 56 J.", "Frau [name], 56 J."),
        ("am 12.3. und am 3. Mai", "am [date] und am [date]"),
        ("seit 12.03.56, 1956-03-12, 03/12/1956", "seit [date], [date], [date]"),
        ("12. März 1956; March 12, 1956; 12-Mar-1956", "[date]; [date]; [date]"),
        ("jmf med ekg 910218, 19910218", "jmf med ekg [date], [date]"),
        ("im März 1956, 03/1956", "im [date], [date]"),
        ("Tel.: 0711 / 12 34 56, Fax -99, +49 (0)711 123456", "Tel.: [phone], Fax -99, [phone]"),
        ("call (555) 123-4567", "call [phone]"),
        ("Fallnr. 12345, ID: 4711", "Fallnr. [number], ID: [number]"),
        ("Pat.-Nr.: A 123, MRN 77-1234", "Pat.-Nr.: [number], MRN [number]"),
        ("SSN 123-45-6789, A123456789, 560312-1234", "SSN [number], [number], [number]"),
        ("DE12 5001 0517 0648 4898 90", "[number]"),
        ("wohnt Lindenstraße 12a, 70174 Stuttgart", "wohnt [address], [address]"),
        ("An der Lange Straße 3", "An der [address]"),
        ("lives at 12 Baker Street", "lives at [address]"),
        ("94-jähriger Mann, 93 years old", "[age]-jähriger Mann, [age] years old"),
        ("mail: ada.o@klinik-sued.example", "mail: [email]"),
    ],
)  # fmt: skip
def test_identifiers_are_masked_and_what_stands_around_them_stays(report, masked):
    assert mask(report)[0] == masked


@pytest.mark.parametrize("report", CLEAN)
def test_a_report_that_identifies_nobody_stays_as_it_is(report):
    assert mask(report) == (report, {})


def test_our_own_wordings_of_every_statement_stay_as_they_are():
    told = [statement_terms(code) for code in statements()]
    told += [one for group in shipped_prompts().sentences.values() for one in group]
    assert [one for one in told if mask(one)[1]] == []


@pytest.mark.parametrize(("report", "gone"), TELLING)
def test_nothing_of_an_identifier_is_left(report, gone):
    masked, counts = mask(report)
    assert [word for word in gone if word in masked] == []
    assert sum(counts.values()) >= len(gone) - 1


@given(TEXTS)
def test_masking_twice_changes_nothing_more(text):
    masked, _ = mask(text)
    assert mask(masked) == (masked, {})


@given(TEXTS)
def test_what_is_left_beside_tokens_is_what_was_there_in_its_order(text):
    masked, counts = mask(text)
    left = masked
    for token in TOKENS:
        left = left.replace(token, "\0")
    at = 0
    for piece in left.split("\0"):
        at = text.index(piece, at) + len(piece)
    assert len(masked) <= len(text) + sum(counts.values()) * max(map(len, TOKENS))


@given(st.lists(st.sampled_from([*CLEAN, "flimmern", "I, II, aVF"]), max_size=5).map(" ".join))
def test_clean_sentences_in_any_order_stay_as_they_are(text):
    assert mask(text) == (text, {})


@pytest.mark.parametrize("piece", ["a-", "a.", "A1", "A", "1.1.", "Aa ", "Dr. ", "1 ", "a@b.", " "])
def test_the_longest_report_that_is_accepted_is_read_whatever_it_holds(piece):
    """Patterns that try every pair of places would take minutes here."""
    text = piece * (20_000 // len(piece))
    masked, _ = mask(f"Herr Müller {text}")
    assert masked.startswith("Herr [name]")


def test_real_reports_are_hardly_touched(shared_data):
    """PTB-XL's reports were cleaned by its authors: what is found there is nearly nothing."""
    from ecgedge.corpora.ptbxl import load_corpus

    reports = {record.report for record in load_corpus(shared_data / "ptbxl").records}
    masked = [counts for report in reports if (counts := mask(report)[1])]
    assert 8 <= len(masked) <= len(reports) / 500
    assert {kind for counts in masked for kind in counts} == {"date"}
