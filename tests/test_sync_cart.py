"""Small things a cart keeps or draws: its id, how the last sync ended, where a rollback leads."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.casebase.pointer import Pointer
from ecgedge.errors import DamagedError, MismatchError, NetworkError
from ecgedge.sync import last
from ecgedge.sync.cart import cart_id
from ecgedge.sync.last import LastSync, read_last, write_last
from ecgedge.sync.rollback import turned_back

ids = st.text("0123456789abcdef", min_size=16, max_size=16)
times = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC)).map(
    lambda time: time.replace(microsecond=0)
)
records = st.builds(
    LastSync,
    when=times,
    outcome=st.sampled_from(["installed", "repaired", "nothing new", "available", "failed"]),
    source=st.text(),
    release=st.none() | ids,
    error=st.text(),
    code=st.integers(0, 255),
    confirmed=st.none() | times,
    expires=st.none() | times,
)


def test_a_configured_id_is_taken_as_it_is(tmp_path):
    assert cart_id("ward-7", tmp_path / "none") == "ward-7"


def test_an_id_drawn_from_the_machine_is_always_the_same_and_does_not_show_the_machines(tmp_path):
    path = tmp_path / "machine-id"
    path.write_text("0123456789abcdef0123456789abcdef\n")
    drawn = cart_id(None, path)
    assert drawn == cart_id(None, path)
    assert len(drawn) == 16
    assert drawn not in path.read_text()
    path.write_text("1123456789abcdef0123456789abcdef\n")
    assert cart_id(None, path) != drawn


@pytest.mark.parametrize("text", [None, "", "uninitialized\n", "\xff" * 40])
def test_without_a_machines_id_the_host_name_decides(tmp_path, monkeypatch, text):
    path = tmp_path / "machine-id"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    drawn = []
    for host in ("cart-1", "cart-2"):
        monkeypatch.setattr("socket.gethostname", lambda host=host: host)
        drawn.append(cart_id(None, path))
    assert drawn[0] != drawn[1]


@given(records)
def test_how_a_sync_ended_survives_its_file(tmp_path_factory, record):
    path = tmp_path_factory.mktemp("last") / "status.json"
    write_last(path, record)
    assert read_last(path) == record


def test_a_time_of_another_zone_is_kept_as_the_same_moment(tmp_path):
    when = datetime(2026, 11, 22, 3, tzinfo=timezone(timedelta(hours=2)))
    write_last(tmp_path / "status.json", LastSync(when, last.FAILED, "x"))
    assert read_last(tmp_path / "status.json").when == when


def test_no_file_is_no_sync(tmp_path):
    assert read_last(tmp_path / "sync" / "status.json") is None


@given(st.binary(max_size=200))
def test_any_other_bytes_are_named_as_damage(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("last") / "status.json"
    path.write_bytes(data)
    with pytest.raises(DamagedError, match=r"status\.json is damaged"):
        read_last(path)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "null",
        "{}",
        '{"format": "ecgedge-sync/1", "when": 3}',
        '{"format": "ecgedge-sync/1", "when": "2026-11-22", "outcome": "x", "source": "",'
        ' "error": "", "code": 0, "release": null, "confirmed": null, "expires": null}',
    ],
)
def test_json_that_is_no_record_is_named_as_damage(tmp_path, text):
    path = tmp_path / "status.json"
    path.write_text(text)
    with pytest.raises(DamagedError):
        read_last(path)


def test_a_newer_ecgedges_record_asks_for_an_update(tmp_path):
    path = tmp_path / "status.json"
    path.write_text('{"format": "ecgedge-sync/2"}')
    with pytest.raises(MismatchError, match="update ecgedge"):
        read_last(path)


def test_a_failure_is_kept_with_its_sentence_and_exit_code():
    when = datetime(2026, 11, 22, tzinfo=UTC)
    assert last.failed(when, "s", NetworkError("away")) == LastSync(
        when, "failed", "s", error="away", code=5
    )
    assert last.failed(when, "s", KeyboardInterrupt()).error == "stopped before it was done"
    assert last.failed(when, "s", ValueError()).error == "ValueError"


@given(ids, ids, st.none() | ids)
def test_a_rollback_swaps_and_holds_and_a_second_one_undoes_it(active, previous, held):
    before = Pointer(active, previous, held)
    after = turned_back(before)
    assert (after.active, after.previous) == (previous, active)
    if held == previous:  # a rollback of a rollback
        assert after.held is None
    else:
        assert after.held == active
        assert turned_back(after) == replace(before, held=None)
