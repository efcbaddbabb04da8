"""A source on a web server: real servers on loopback that fail in every way known."""

from __future__ import annotations

import hashlib
import itertools
import random
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faulty_server import (
    Behaviour,
    Handler,
    Log,
    chunked,
    claims,
    drops_after,
    endless,
    honest,
    no_ranges,
    page,
    refuses,
    serving,
)

from ecgedge.errors import NetworkError, TrustError, UsageError
from ecgedge.sync.fetch import fetch, fetch_bytes
from ecgedge.sync.http import HttpSource
from ecgedge.sync.pace import MAX_AT_ONCE_BYTES
from ecgedge.sync.parts import part_name
from ecgedge.sync.ranges import BadRange
from ecgedge.sync.transport import Missing
from ecgedge.sync.trusted import Target

DATA = random.Random(6).randbytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
TARGET = Target(f"blobs/{SHA256}", len(DATA), SHA256)
BLOB = f"targets/blobs/{SHA256}"
FILES = {BLOB: DATA, "metadata/timestamp.json": b'{"signed": {}}'}


def fetched(source: HttpSource, folder: Path) -> list[float]:
    """Fetch the blob, check it, and return what was waited, in seconds."""
    waits: list[float] = []
    ticks: list[int] = []
    parts, blobs = folder / "parts", folder / "blobs"
    fetch(source, TARGET, parts, blobs, tick=ticks.append, sleep=waits.append)
    assert (blobs / SHA256).read_bytes() == DATA
    assert sum(ticks) == len(DATA)
    return waits


def read(source: HttpSource, path: str = BLOB, start: int = 0) -> tuple[int, bytes]:
    with source.open(path, start) as reply:
        return reply.start, b"".join(reply.chunks)


def no_wait(_: float) -> None:
    pass


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


@pytest.mark.parametrize("script", [honest, chunked])
def test_a_large_file_is_not_taken_for_endless_headers(script: Behaviour) -> None:
    large = bytes(3 * MAX_AT_ONCE_BYTES)
    with serving({"metadata/targets.json": large}, script) as log:
        assert fetch_bytes(HttpSource(log.url), "metadata/targets.json", len(large)) == large


def test_what_is_not_read_to_its_end_is_hung_up_on() -> None:
    told = threading.Event()

    def goes_on(handler: Handler) -> None:
        try:
            endless(handler)
        finally:
            told.set()

    with serving(FILES, goes_on) as log, HttpSource(log.url).open(BLOB) as reply:
        next(reply.chunks)
        kept = reply
    assert told.wait(60)
    assert kept.total_bytes is None


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


def test_a_body_without_end_is_left_at_the_signed_length(tmp_path: Path) -> None:
    with serving(FILES, endless) as log:
        with pytest.raises(TrustError, match="more bytes"):
            fetched(HttpSource(log.url), tmp_path)
        assert not (tmp_path / "blobs").exists()
        fetched(HttpSource(log.url), tmp_path)  # what came is not taken for the file's beginning


def test_metadata_without_end_is_left_at_the_limit() -> None:
    with serving(FILES, endless) as log, pytest.raises(TrustError, match="more than 1000 bytes"):
        fetch_bytes(HttpSource(log.url), "metadata/timestamp.json", 1000)


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


def test_a_page_in_place_of_metadata_is_told_even_without_its_type() -> None:
    def disguised(handler: Handler) -> None:
        handler.begin(200, Content_Type="application/json", Content_Length=20)
        handler.send(b"<!doctype html><p>Hi")

    with serving(FILES, *[disguised] * 3) as log, pytest.raises(NetworkError, match="login page"):
        fetch_bytes(HttpSource(log.url), "metadata/timestamp.json", 1000, sleep=no_wait)


@pytest.mark.parametrize("told", ["bytes 7-299999/300000", "bytes 50000-60000/300000"])
def test_wrong_pieces_are_told_from_other_failures(told: str) -> None:
    with serving(FILES, claims(told)) as log, pytest.raises(BadRange):
        read(HttpSource(log.url), start=50_000)


def test_redirects_within_the_server_are_followed_and_keep_the_piece() -> None:
    with serving(FILES, refuses(302, Location=f"/{BLOB}?signed=1")) as log:
        assert read(HttpSource(log.url + "/old"), start=299_990) == (299_990, DATA[299_990:])
    assert [told for _, told in log.requests] == ["bytes=299990-"] * 2


@pytest.mark.parametrize("location", ["http://127.0.0.1:9/x", "http://elsewhere.invalid/", "ftp:x"])
def test_a_redirect_to_another_server_is_refused(location: str) -> None:
    with (
        serving(FILES, refuses(301, Location=location)) as log,
        pytest.raises(TrustError, match="another server"),
    ):
        read(HttpSource(log.url))


def test_redirects_in_a_circle_end() -> None:
    with (
        serving(FILES, *[refuses(307, Location="/x")] * 9) as log,
        pytest.raises(TrustError, match="in circles"),
    ):
        read(HttpSource(log.url))
    assert len(log.requests) == 6


def ticking(step_s: float) -> Callable[[], float]:
    """A clock on which so much time passes from one look to the next."""
    looks = itertools.count()
    return lambda: next(looks) * step_s


def slow_body(handler: Handler) -> None:
    handler.begin(200, Content_Length=len(DATA))
    handler.send(DATA[:100])
    handler.wait_for_hang_up()


def slow_header(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: .")
    handler.wait_for_hang_up()


def slow_chunk_line(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;slow=.")
    handler.wait_for_hang_up()


@pytest.mark.parametrize("script", [slow_body, slow_header, slow_chunk_line])
def test_a_server_that_drips_is_given_up(script: Behaviour) -> None:
    with serving(FILES, script) as log, pytest.raises(NetworkError, match="too slow"):
        read(HttpSource(log.url, clock=ticking(70.0)))


def test_a_server_that_is_quick_enough_is_not() -> None:
    with serving(FILES) as log:
        assert read(HttpSource(log.url, clock=ticking(0.5)))[1] == DATA


def endless_headers(handler: Handler) -> None:
    while True:
        handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def endless_trailers(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
    while True:
        handler.wfile.write(b"X-More: of the same\r\n" * 1000)


@pytest.mark.parametrize("script", [endless_headers, endless_trailers])
def test_headers_without_end_are_given_up(script: Behaviour) -> None:
    with serving(FILES, script) as log, pytest.raises(NetworkError, match="endless headers"):
        read(HttpSource(log.url))


def silent(handler: Handler) -> None:
    handler.wait_for_hang_up()


def test_a_server_that_says_nothing_is_given_up() -> None:
    with serving(FILES, silent) as log, pytest.raises(NetworkError, match="stopped answering"):
        read(HttpSource(log.url, timeout_s=0.05))


def rubbish(handler: Handler) -> None:
    handler.close_connection = True
    handler.wfile.write(b"220 mail.example ESMTP\r\n")


def test_what_is_no_web_server_is_a_sentence() -> None:
    with serving(FILES, rubbish) as log, pytest.raises(NetworkError, match="broke"):
        read(HttpSource(log.url))


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


def test_a_password_is_sent_and_never_shown(closed_port: int) -> None:
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
