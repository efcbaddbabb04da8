"""The pure parts of a source: paths, ranges, redirects, what is a web page."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ecgedge.errors import NetworkError, TrustError
from ecgedge.sync.pages import is_page
from ecgedge.sync.paths import quoted, segments
from ecgedge.sync.ranges import BadRange, sent
from ecgedge.sync.redirects import followed, shown

BYTES = st.integers(min_value=0, max_value=10**12)


@given(st.text(max_size=40) | st.from_regex(r"\A[./a-z%\\:]{1,12}\Z"))
@example("a/../../b")
@example("%2e%2e/%2e%2e/etc/passwd")
@example("a/..")
@example("http://elsewhere/x")
def test_a_path_that_is_accepted_stays_below_the_repository(path: str) -> None:
    try:
        parts = segments(path)
    except TrustError:
        return
    below = posixpath.normpath(posixpath.join("/repository", *parts))
    assert below.startswith("/repository/")
    assert below == "/repository/" + path


@given(st.text(max_size=40))
def test_a_quoted_path_reads_back_as_itself_and_is_only_a_path(path: str) -> None:
    try:
        url = f"https://server/base/{quoted(path)}"
    except TrustError:
        return
    parts = urlsplit(url)
    assert (parts.netloc, parts.query, parts.fragment) == ("server", "", "")
    assert unquote(parts.path, errors="surrogatepass") == f"/base/{path}"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        "a/./b",
        "a/",
        "a\\..\\b",
        "a\0b",
        "a\r\nHost: b",
        "file:a",
        "http://a/b",
        "x" * 256,
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(TrustError, match="no honest one does"):
        segments(path)


@given(BYTES, BYTES, st.booleans())
def test_the_piece_that_was_asked_for_is_accepted(start: int, more: int, told: bool) -> None:
    last = start + more
    total = str(last + 1) if told else "*"
    assert sent(f"bytes {start}-{last}/{total}", start) == (last, last + 1 if told else None)


@given(BYTES, BYTES, BYTES, BYTES)
def test_no_other_piece_is_accepted(first: int, last: int, total: int, asked: int) -> None:
    header = f"bytes {first}-{last}/{total}"
    if first == asked and first <= last < total:
        assert sent(header, asked) == (last, total)
    else:
        with pytest.raises(BadRange):
            sent(header, asked)


@given(st.none() | st.text(max_size=30))
@example("bytes */100")
@example("bytes 0-9")
@example("bytes 0-9/10, 20-29/30")
@example("items 0-9/10")
@example("bytes 0-９/10")
def test_a_content_range_that_says_nothing_is_refused(header: str | None) -> None:
    with pytest.raises(BadRange):
        sent(header, 0)


@pytest.mark.parametrize(
    ("url", "location", "there"),
    [
        ("https://a/x/y", "/z", "https://a/z"),
        ("https://a/x/y", "z?v=1#top", "https://a/x/z?v=1"),
        ("https://a/x", "https://A:443/z", "https://a:443/z"),
        ("http://a:80/x", "http://a/z", "http://a/z"),
        ("http://a/x", "http://name:secret@a/z", "http://a/z"),
        ("http://[::1]:8080/x", "http://[::1]:8080/z", "http://[::1]:8080/z"),
    ],
)
def test_a_redirect_within_the_server_is_followed(url: str, location: str, there: str) -> None:
    assert followed(url, location).lower() == there


@pytest.mark.parametrize(
    ("url", "location", "why"),
    [
        ("https://a/x", "https://b/x", "another server"),
        ("https://a/x", "https://a:444/x", "another server"),
        ("https://a/x", "https://a.b/x", "another server"),
        ("https://a/x", "//b/x", "another server"),
        ("https://a/x", "http://a/x", "not encrypted"),
        ("https://a/x", "file:///etc/passwd", "another server"),
        ("https://a/x", "https://a@b/x", "another server"),
        ("https://a/x", "https://[/x", "no address"),
        ("https://a/x", "https://a:99999/x", "no address"),
    ],
)
def test_a_redirect_elsewhere_is_refused(url: str, location: str, why: str) -> None:
    with pytest.raises(TrustError, match=why):
        followed(url, location)


def test_a_redirect_elsewhere_from_an_unencrypted_address_may_be_the_networks_own() -> None:
    with pytest.raises(NetworkError, match="log in and try again"):
        followed("http://a/x", "https://login.b/")


@given(st.sampled_from(["a", "b.c"]), st.text(max_size=30))
def test_no_redirect_leaves_the_server(host: str, location: str) -> None:
    try:
        there = urlsplit(followed(f"https://{host}/x", location))
    except TrustError:
        return
    assert (there.scheme, there.hostname, there.port or 443) == ("https", host, 443)


def test_an_address_is_shown_without_its_secrets() -> None:
    assert shown("https://name:secret@a:8443/x?token=secret#secret") == "https://a:8443/x"


@given(st.binary(max_size=64))
def test_what_the_centre_publishes_is_no_web_page(data: bytes) -> None:
    assert not is_page(b"{" + data)
    assert not is_page(b"")


@pytest.mark.parametrize(
    "data", [b"<!DOCTYPE HTML>", b"\xef\xbb\xbf\n <html lang=de>", b"<!-- portal --><html>"]
)
def test_a_web_page_is_told_by_how_it_begins(data: bytes) -> None:
    assert is_page(data)
