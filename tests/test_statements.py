"""Our wording of the SCP statement codes."""

from pathlib import Path

from ecgedge.corpora.ptbxl import SUPERCLASSES, load_corpus
from ecgedge.statements import needs_voltage, statement_name, statement_terms, statements


def test_every_code_has_a_name_a_kind_and_a_known_superclass() -> None:
    assert len(statements()) == 71
    for code, statement in statements().items():
        assert statement.code == code
        assert statement.name
        assert statement.name.isascii()
        assert statement.kinds
        assert set(statement.kinds) <= {"diagnostic", "form", "rhythm"}
        assert (statement.superclass in SUPERCLASSES) == ("diagnostic" in statement.kinds)


def test_no_two_codes_share_a_name() -> None:
    names = [statement.name for statement in statements().values()]
    assert len(set(names)) == len(names)


def test_an_unknown_code_is_its_own_name() -> None:
    assert statement_name("XYZ") == "XYZ"
    assert not needs_voltage("XYZ")
    assert statement_name("AFIB") == "atrial fibrillation"


def test_findings_that_rest_on_amplitude_are_marked() -> None:
    assert all(map(needs_voltage, ["LVH", "RVH", "VCLVH", "SEHYP", "LVOLT", "HVOLT", "RAO/RAE"]))
    assert not any(map(needs_voltage, ["NORM", "AFIB", "CLBBB", "IMI", "INVT", "PVC"]))


def test_kinds_and_superclasses_agree_with_the_corpus_own_table(shared_data: Path) -> None:
    table = load_corpus(shared_data / "ptbxl").table
    ours = statements()
    assert {c: s.superclass for c, s in ours.items() if s.superclass} == table.superclass
    assert {c for c, s in ours.items() if "form" in s.kinds} == table.form
    assert {c for c, s in ours.items() if "rhythm" in s.kinds} == table.rhythm


def test_every_code_has_german_and_other_terms_and_no_two_share_a_german_name() -> None:
    assert all(statement.german and statement.also for statement in statements().values())
    assert len({statement.german for statement in statements().values()}) == len(statements())
    assert statement_terms("AFIB").startswith("AFIB, atrial fibrillation, Vorhofflimmern, ")
    assert statement_terms("XYZ") == "XYZ"
