"""Servers that never end, never hurry, send pages or send elsewhere: none can hold a cart."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from faulty_server import (
    Behaviour,
    Handler,
    chunked,
    endless,
    honest,
    refuses,
    serving,
)
from served_blob import BLOB, DATA, FILES, fetched, read

from ecgedge.errors import NetworkError, TrustError
from ecgedge.sync.fetch import fetch_bytes
from ecgedge.sync.http import HttpSource
from ecgedge.sync.pace import MAX_AT_ONCE_BYTES


def no_wait(_: float) -> None:
    pass


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


def test_a_body_without_end_is_left_at_the_signed_length(tmp_path: Path) -> None:
    with serving(FILES, endless) as log:
        with pytest.raises(TrustError, match="more bytes"):
            fetched(HttpSource(log.url), tmp_path)
        assert not (tmp_path / "blobs").exists()
        fetched(HttpSource(log.url), tmp_path)  # what came is not taken for the file's beginning


def test_metadata_without_end_is_left_at_the_limit() -> None:
    with serving(FILES, endless) as log, pytest.raises(TrustError, match="more than 1000 bytes"):
        fetch_bytes(HttpSource(log.url), "metadata/timestamp.json", 1000)


def test_a_page_in_place_of_metadata_is_told_even_without_its_type() -> None:
    def disguised(handler: Handler) -> None:
        handler.begin(200, Content_Type="application/json", Content_Length=20)
        handler.send(b"<!doctype html><p>Hi")

    with serving(FILES, *[disguised] * 3) as log, pytest.raises(NetworkError, match="login page"):
        fetch_bytes(HttpSource(log.url), "metadata/timestamp.json", 1000, sleep=no_wait)


def test_redirects_within_the_server_are_followed_and_keep_the_piece() -> None:
    with serving(FILES, refuses(302, Location=f"/{BLOB}?signed=1")) as log:
        assert read(HttpSource(log.url + "/old"), start=299_990) == (299_990, DATA[299_990:])
    assert [told for _, told in log.requests] == ["bytes=299990-"] * 2


@pytest.mark.parametrize("location", ["http://127.0.0.1:9/x", "http://elsewhere.invalid/", "ftp:x"])
def test_a_redirect_to_another_server_is_refused_and_may_be_a_network_that_wants_a_login(
    location: str,
) -> None:
    with (
        serving(FILES, refuses(301, Location=location)) as log,
        pytest.raises(NetworkError, match=r"another server.*log in and try again"),
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
