"""The protocol and the desk: whatever arrives gives one line of JSON, never an exception."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge import __version__
from ecgedge.engine import Engine
from ecgedge.errors import DamagedError, QualityRefused, UsageError
from ecgedge.serving.desk import Desk
from ecgedge.serving.keeper import Keeper
from ecgedge.serving.protocol import LINE_BYTES, Query, parse_request, request_line

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
FIELDS = (
    "path", "data", "files", "name", "source", "k", "force", "max_novelty", "draft", "rate_hz",
    "unit", "leads", "store", "version", "schema", "command", "shout",
)  # fmt: skip
LIKELY = st.sampled_from(
    ["ecgedge/1", "query", "ping", "status", "/nowhere/at-all", "QUJD", "mV", __version__]
)
NAMES = st.text("abc.Ä\u2028", min_size=1, max_size=8).filter(lambda name: set(name) != {"."})
QUERIES = st.builds(
    Query,
    data=st.binary(max_size=40),
    source=st.none() | NAMES,
    k=st.integers(1, 1000),
    force=st.booleans(),
    max_novelty=st.floats(0, 1),
    draft=st.booleans(),
    rate_hz=st.none() | st.floats(1, 1e4),
    unit=st.sampled_from([None, "mV", "uV", "V", "NU"]),
    leads=st.none() | st.lists(NAMES, min_size=1, max_size=12).map(tuple),
    store=st.none() | NAMES,
    encoder=st.none() | NAMES,
    version=st.none() | NAMES,
)


class _Kept:
    """A keeper whose engine fails as it is told, or is never reached."""

    engine = None
    root = Path("/nowhere")
    problem = ""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    @contextmanager
    def opened(self) -> Iterator[tuple[Engine, tuple[str, ...]]]:
        def query(*_: object, **__: object) -> None:
            raise self._error

        encoder = SimpleNamespace(spec=SimpleNamespace(id="an-encoder"))
        yield cast(Engine, SimpleNamespace(query=query, encoder=encoder)), ()


def _desk(error: BaseException | None = None) -> Desk:
    return Desk(cast(Keeper, _Kept(error or DamagedError("reached the engine"))))


def _told(desk: Desk, line: bytes) -> dict[str, Any]:
    reply = desk.reply(line)
    assert reply.endswith(b"\n")
    assert reply.count(b"\n") == 1
    told = json.loads(reply)
    assert told["schema"] == "ecgedge/1"
    assert told["ok"] is (told.get("error") is None)
    return dict(told)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_reply(line: bytes) -> None:
    assert _told(_desk(), line)["error"]["exit_code"] == 2


@given(st.dictionaries(st.sampled_from(FIELDS), JSON | LIKELY))
def test_any_object_gives_a_reply(fields: dict[str, Any]) -> None:
    _told(_desk(), json.dumps({"schema": "ecgedge/1", "command": "query", **fields}).encode())


@given(QUERIES)
def test_what_a_client_sends_is_what_a_server_reads(query: Query) -> None:
    line = request_line(query)
    assert line.count(b"\n") == 1
    assert parse_request(line.rstrip()).query == query


@given(st.dictionaries(NAMES, st.binary(max_size=40), min_size=1, max_size=4))
def test_files_arrive_byte_by_byte_under_their_names(files: dict[str, bytes]) -> None:
    query = Query(files=files, name=min(files))
    assert parse_request(request_line(query)).query == query


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"", "one line of JSON"),
        (b"\xff\xfe", "one line of JSON"),
        (b'{"schema": "ecgedge/1"', "one line of JSON"),
        (b"[" * 100_000, "one line of JSON"),
        (b"1" * 10_000, "one line of JSON"),
        (b'{"k": 1, "k": 2}', "names unrepeated"),
        (b"[]", "JSON object"),
        (b"{}", '"schema": "ecgedge/1"'),
        (b'{"schema": "ecgedge/2", "command": "ping"}', '"schema": "ecgedge/1"'),
        (b'{"schema": "ecgedge/1", "command": "rm"}', '"command" is'),
        (b'{"schema": "ecgedge/1", "command": "ping", "k": 5}', "'k' is no field of a ping"),
        (b" " * (LINE_BYTES + 1), "longer than"),
    ],
)
def test_what_is_no_request_is_refused_in_one_sentence(line: bytes, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse_request(line)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "by one of"),
        ({"path": "/a", "data": "QUJD"}, "by one of"),
        ({"path": "ward/17.hea"}, "absolute path"),
        ({"path": "/a\0b"}, "absolute path"),
        ({"data": "not base64!"}, "base64"),
        ({"data": 5}, "base64"),
        ({"files": {"a.hea": "QUJD"}}, '"name" says which'),
        ({"files": {"../a.hea": "QUJD"}, "name": "a.hea"}, "plain file names"),
        ({"files": {}, "name": "a"}, "plain file names"),
        ({"path": "/a", "k": 0}, "from 1 to 1000"),
        ({"path": "/a", "k": True}, "from 1 to 1000"),
        ({"path": "/a", "k": 5.0}, "from 1 to 1000"),
        ({"path": "/a", "force": 1}, "true or false"),
        ({"path": "/a", "max_novelty": 1.5}, "from 0 to 1"),
        ({"path": "/a", "rate_hz": "500"}, '"rate_hz" is a number'),
        ({"path": "/a", "rate_hz": 10**400}, '"rate_hz" is a number'),
        ({"path": "/a", "unit": "inch"}, "one of mV"),
        ({"path": "/a", "unit": ["mV"]}, "one of mV"),
        ({"path": "/a", "leads": "I,II"}, "list of lead names"),
        ({"path": "/a", "Force": True}, "'Force' is no field"),
    ],
)
def test_a_query_with_a_wrong_field_is_refused(fields: dict[str, Any], told: str) -> None:
    line = json.dumps({"schema": "ecgedge/1", "command": "query", **fields}).encode()
    with pytest.raises(UsageError, match=told):
        parse_request(line)


def test_null_stands_for_an_option_left_alone() -> None:
    line = b'{"schema": "ecgedge/1", "command": "query", "path": "/a", "unit": null, "k": null}'
    assert parse_request(line).query == Query(path="/a")


@pytest.mark.parametrize(
    ("error", "kind", "code", "words"),
    [
        (MemoryError(), "EcgedgeError", 1, "more memory than the server has"),
        (ZeroDivisionError("by zero"), "EcgedgeError", 1, "unexpected ZeroDivisionError: by zero"),
        (DamagedError("torn"), "DamagedError", 7, "torn"),
        (QualityRefused("too short"), "QualityRefused", 4, "too short"),
    ],
)
def test_a_fault_in_a_request_is_its_reply_and_the_next_is_answered(
    error: BaseException, kind: str, code: int, words: str
) -> None:
    example = Path(__file__).resolve().parent.parent / "examples" / "synthetic.csv"
    desk = _desk(error)
    told = _told(desk, request_line(Query(path=str(example))))
    assert (told["error"]["type"], told["error"]["exit_code"]) == (kind, code)
    assert words in told["error"]["message"]
    assert _told(desk, b'{"schema": "ecgedge/1", "command": "ping"}')["version"] == __version__


def test_a_server_of_another_version_store_or_encoder_refuses_to_answer() -> None:
    query = Query(data=b"x", version=__version__, store="/nowhere", encoder="an-encoder")
    told = [
        _told(_desk(), request_line(one))["error"]
        for one in (
            replace(query, version="0.0"),
            replace(query, store="/elsewhere"),
            replace(query, encoder="another"),
            query,
        )
    ]
    assert [one["exit_code"] for one in told] == [7, 7, 7, 3]
    assert "this server is ecgedge" in told[0]["message"]
    assert "not from /elsewhere" in told[1]["message"]
