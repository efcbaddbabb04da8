"""What is remembered between syncs: whole, honest about damage, and nothing from the future."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecgedge.errors import MismatchError, UsageError
from ecgedge.sync.state import SCHEMA, read_state, write_state
from ecgedge.sync.trusted import TrustState

STATE = TrustState(
    datetime(2026, 11, 22, 12, 30, tzinfo=UTC), {"timestamp.json": '{"ü": 1}', "1.root.json": "{}"}
)
times = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))
states = st.builds(
    TrustState,
    st.none() | times.map(lambda moment: moment.replace(microsecond=0)),
    st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=4),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trust.json"


def no_warning(text):
    raise AssertionError(text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(states)
def test_what_was_written_is_read_back(path, state):
    write_state(path, state)
    assert read_state(path, no_warning) == state


def test_no_file_is_no_memory_and_no_damage(path):
    assert read_state(path, no_warning) == TrustState()


def test_a_file_of_a_newer_ecgedge_is_refused_and_left_alone(path):
    path.write_text(json.dumps({"schema": "ecgedge-sync/2", "anything": []}))
    before = path.read_bytes()
    with pytest.raises(MismatchError, match=r"newer ecgedge.*update ecgedge") as refused:
        read_state(path, no_warning)
    assert refused.value.exit_code == 7
    assert path.read_bytes() == before


def test_a_file_that_may_not_be_read_says_as_whom_to_run(path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "read_bytes", refuse)
    with pytest.raises(UsageError, match="as the user who installed it"):
        read_state(path, no_warning)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "3", '{"schema": 1}', '{"schema": "else/1"}', "[" * 100_000, "\0\xff"],
)
def test_a_file_that_is_none_of_ours_starts_anew_and_says_so(path, text):
    path.write_text(text, encoding="latin-1")
    told = []
    assert read_state(path, told.append) == TrustState()
    assert len(told) == 1
    assert "trust starts anew from the root file" in told[0]
    assert str(path) in told[0]


def test_a_file_of_this_schema_without_its_fields_starts_anew(path):
    path.write_text(json.dumps({"schema": SCHEMA}))
    told = []
    assert read_state(path, told.append) == TrustState()
    assert len(told) == 1


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_flipped_bit_never_changes_what_is_remembered_unnoticed(path, data):
    write_state(path, STATE)
    written = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(written) - 1))
    written[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(bytes(written))
    told = []
    try:
        state = read_state(path, told.append)
    except MismatchError:
        return  # the bit made another schema number of it
    assert (state, bool(told)) in ((STATE, False), (TrustState(), True))
