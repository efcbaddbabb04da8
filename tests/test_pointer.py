"""The store's pointer: one file that says what answers, what did before and what is held."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.casebase.pointer import Pointer, parse, to_text

ids = st.text("0123456789abcdef", min_size=16, max_size=16)
pointers = st.builds(Pointer, ids, st.none() | ids, st.none() | ids)


@given(pointers)
def test_a_pointer_survives_its_text(pointer):
    assert parse(to_text(pointer)) == pointer


@given(ids)
def test_the_one_line_of_older_stores_reads_as_an_active_release_alone(release):
    assert parse(f"{release}\n") == parse(release) == Pointer(release)
    assert to_text(Pointer(release)) == f"{release}\n"


@given(pointers, st.from_regex(r"[a-z]{1,12} [ -~]{0,20}", fullmatch=True))
def test_a_line_of_a_newer_ecgedge_is_passed_over(pointer, line):
    if line.split(" ")[0] not in ("previous", "held"):
        assert parse(to_text(pointer) + line + "\n") == pointer


@given(st.text())
def test_any_other_text_is_refused_or_names_whole_ids(text):
    try:
        found = parse(text)
    except ValueError:
        return
    assert parse(to_text(found)) == found


@pytest.mark.parametrize(
    "lines", ["previous ../../x", "previous", "held", "held 0123", "previous {id}\nprevious {id}"]
)
def test_a_damaged_second_line_is_refused(lines):
    release = "0123456789abcdef"
    with pytest.raises(ValueError, match=r"not a release id|twice"):
        parse(f"{release}\n{lines.format(id=release)}\n")


@given(pointers, ids)
def test_a_switch_forward_remembers_where_it_came_from_and_holds_nothing(pointer, release):
    after = pointer.followed_by(release)
    if release == pointer.active:
        assert after == pointer
    else:
        assert after == Pointer(release, previous=pointer.active, held=None)
