"""A source on a web server: what is asked, and what is made of each answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_server import (
    Behaviour,
    Handler,
    Log,
    chunked,
    claims,
    drops_after,
    honest,
    no_ranges,
    page,
    refuses,
    serving,
)
from served_blob import BLOB, DATA, FILES, SHA256, fetched, read

from ecgedge.errors import NetworkError, UsageError
from ecgedge.sync.http import HttpSource
from ecgedge.sync.parts import part_name
from ecgedge.sync.ranges import BadRange
from ecgedge.sync.transport import Missing


def test_a_file_is_read_from_any_byte_on() -> None:
    with serving(FILES) as log:
        source = HttpSource(log.url)
        assert read(source) == (0, DATA)
        assert read(source, start=299_999) == (299_999, DATA[-1:])
    assert [told for _, told in log.requests] == [None, "bytes=299999-"]
    assert {sent["Accept-Encoding"] for sent in log.headers} == {"identity"}


def test_the_length_of_the_whole_file_is_told_either_way() -> None:
    with serving(FILES) as log, HttpSource(log.url).open(BLOB) as reply:
        assert reply.total_bytes == len(DATA)
    with serving(FILES) as log, HttpSource(log.url).open(BLOB, 5) as reply:
        assert reply.total_bytes == len(DATA)


def test_names_are_encoded_as_a_url_wants_it() -> None:
    with serving({"base/ward%207/%C3%A9.json": b"{}"}) as log:
        assert read(HttpSource(f"{log.url}/base/"), "ward 7/é.json") == (0, b"{}")


def test_a_link_that_drops_costs_no_byte_twice(tmp_path: Path) -> None:
    with serving(FILES, *[drops_after(50_000)] * 5) as log:
        assert fetched(HttpSource(log.url), tmp_path) == []
    assert log.body_bytes == len(DATA)
    assert [told for _, told in log.requests] == [
        None,
        *(f"bytes={at}-" for at in range(50_000, 300_000, 50_000)),
    ]


def test_a_link_that_stalls_costs_no_byte_twice(tmp_path: Path) -> None:
    def stalls(handler: Handler) -> None:
        assert handler.body is not None
        handler.begin(200, Content_Length=len(handler.body))
        handler.send(handler.body[:100_000])
        handler.wait_for_hang_up()

    with serving(FILES, stalls) as log:
        fetched(HttpSource(log.url, timeout_s=2.0), tmp_path)
    assert log.requests[1:] == [(f"/{BLOB}", "bytes=100000-")]


def test_what_one_run_left_the_next_goes_on_with(tmp_path: Path) -> None:
    down = [refuses(503)] * 5
    with serving(FILES, drops_after(50_000), *down) as log:
        with pytest.raises(NetworkError, match="503"):
            fetched(HttpSource(log.url), tmp_path)
        assert [path.name for path in (tmp_path / "parts").iterdir()] == [part_name(SHA256, 50_000)]
        fetched(HttpSource(log.url), tmp_path)
    assert log.body_bytes == len(DATA)


def begin(folder: Path) -> None:
    """A part, as a run before left it."""
    (folder / "parts").mkdir()
    (folder / "parts" / part_name(SHA256, 50_000)).write_bytes(DATA[:50_000])


FAULTS = {
    "all of the file in place of a piece": [no_ranges],
    "all of it, and the link drops": [no_ranges, drops_after(1000)],
    "another piece": [claims("bytes 0-299999/300000")],
    "a piece of nothing": [claims("bytes */300000")],
    "a piece that ends too early": [claims("bytes 50000-60000/300000")],
    "no such piece": [refuses(416)],
    "wrong pieces and then an error": [claims("rubbish"), refuses(500), claims("rubbish")],
    "errors that pass": [refuses(500), refuses(502), refuses(429)],
    "a login page that goes away": [page, page],
    "chunks without a length": [chunked],
    "a body that breaks at once": [drops_after(0)],
}


@pytest.mark.parametrize("script", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("resumed", [False, True], ids=["from nothing", "from a part"])
def test_the_file_arrives_all_the_same(
    tmp_path: Path, script: list[Behaviour], resumed: bool
) -> None:
    if resumed:
        begin(tmp_path)
    with serving(FILES, *script) as log:
        fetched(HttpSource(log.url), tmp_path)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_what_a_server_does_not_have_is_missing(status: int) -> None:
    with serving(FILES, refuses(status)) as log, pytest.raises(Missing, match=str(status)):
        read(HttpSource(log.url))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (refuses(500), "status 500"),
        (refuses(503), "status 503"),
        (refuses(429), "status 429"),
        (refuses(401), "status 401"),
        (refuses(418), "status 418"),
        (refuses(204), "status 204"),
        (refuses(304), "status 304"),
        (refuses(302), "status 302"),
        (refuses(511), "login page"),
        (page, "login page of a network"),
        (refuses(200, Content_Encoding="gzip"), "compressed"),
    ],
)
def test_any_other_answer_is_a_sentence_and_worth_another_try(script: Behaviour, said: str) -> None:
    with serving(FILES, script) as log:
        with pytest.raises(NetworkError, match=said) as caught:
            read(HttpSource(log.url))
        assert not isinstance(caught.value, Missing)


@pytest.mark.parametrize("told", ["bytes 7-299999/300000", "bytes 50000-60000/300000"])
def test_wrong_pieces_are_told_from_other_failures(told: str) -> None:
    with serving(FILES, claims(told)) as log, pytest.raises(BadRange):
        read(HttpSource(log.url), start=50_000)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """One that refuses for as long as the test runs: bound, and not listened at."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_a_server_that_is_down_is_a_sentence(closed_port: int) -> None:
    with pytest.raises(NetworkError, match=r"refused.*check the network"):
        read(HttpSource(f"http://127.0.0.1:{closed_port}"))


def test_a_name_that_is_not_found_is_a_sentence() -> None:
    with pytest.raises(NetworkError, match=r"cannot be found \(DNS\)"):
        read(HttpSource("http://nowhere.invalid"))


def test_one_connection_serves_many_files() -> None:
    ports: set[object] = set()

    def noted(handler: Handler) -> None:
        ports.add(handler.client_address)
        honest(handler)

    with serving(FILES, *[noted] * 4) as log:
        source = HttpSource(log.url)
        for _ in range(4):
            read(source, "metadata/timestamp.json")
    assert len(ports) == 1


def test_a_password_is_sent_and_never_shown() -> None:
    def secret(log: Log) -> str:
        return log.url.replace("://", "://ward%207:s%3Acret@")

    with serving(FILES, refuses(404)) as log:
        source = HttpSource(secret(log) + "/base/")
        with pytest.raises(Missing) as caught:
            read(source)
        assert log.headers[0]["Authorization"] == "Basic d2FyZCA3OnM6Y3JldA=="
        assert source.name == log.url + "/base"
    for text in (str(caught.value), source.name):
        assert "cret" not in text
        assert "ward" not in text


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "https:///path",
        "http://a:0/",
        "http://a:99999/",
        "http://a:x/",
        "http://[/",
        "http://a b/",
        "http://a/\n",
        "http://bücher.example/",
        "http://a\\b/",
    ],
)
def test_what_is_no_address_is_refused_before_anything_is_asked(url: str) -> None:
    with pytest.raises(UsageError, match="no web address"):
        HttpSource(url)


@pytest.mark.parametrize("url", ["http://a/?token=secret", "http://name:secret@a/#x"])
def test_an_address_with_a_query_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(UsageError, match="query") as caught:
        HttpSource(url)
    assert "secret" not in str(caught.value)
