"""What the fetcher makes of whatever a source sends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_source import (
    DATA,
    OTHER,
    SHA256,
    TARGET,
    Answer,
    Cart,
    Scripted,
    fails,
    pieces,
    sends,
    sends_all,
)

from ecgedge.errors import NetworkError, TrustError
from ecgedge.sync.fetch import WAITS_S, fetch_bytes
from ecgedge.sync.parts import part_name
from ecgedge.sync.ranges import BadRange
from ecgedge.sync.transport import Missing, Reply
from ecgedge.sync.trusted import Target


@pytest.fixture
def cart(tmp_path: Path) -> Cart:
    return Cart(tmp_path)


def test_a_file_arrives_whole_and_its_ticks_add_up(cart: Cart) -> None:
    cart.fetch(Scripted(sends(DATA)))
    assert cart.has_it()
    assert sum(cart.ticks) == len(DATA)


def test_an_empty_file_needs_no_request(cart: Cart) -> None:
    sha256 = hashlib.sha256(b"").hexdigest()
    source = Scripted(fails(AssertionError()))
    cart.fetch(source, target=Target(f"blobs/{sha256}", 0, sha256))
    assert (cart.blobs / sha256).read_bytes() == b""
    assert source.starts == []


@given(breaks=st.lists(st.integers(min_value=0, max_value=30_000), max_size=8))
def test_no_byte_is_asked_for_twice_however_the_connection_breaks(
    tmp_path_factory: pytest.TempPathFactory, breaks: Sequence[int]
) -> None:
    cart = Cart(tmp_path_factory.mktemp("cart"))
    source = Scripted(*(sends(DATA, count) for count in breaks), sends(DATA))
    try:
        cart.fetch(source)
    except NetworkError:  # too many breaks in a row that brought nothing
        assert sum(cart.ticks) == min(len(DATA), sum(breaks[: len(source.starts)]))
        cart.ticks.clear()
        source = Scripted(sends(DATA))
        cart.fetch(source)
    assert cart.has_it()
    assert sum(cart.ticks) == len(DATA)
    assert source.starts == sorted(set(source.starts)) or 0 in breaks


def test_retries_go_on_while_there_is_progress_and_end_when_there_is_none(cart: Cart) -> None:
    # Ten breaks with progress, then nothing.
    broken = [sends(DATA, 5000)] * 10
    with pytest.raises(NetworkError, match="connection broke"):
        cart.fetch(Scripted(*broken, sends(DATA, 0)))
    assert cart.waits == list(WAITS_S)
    assert cart.left == [part_name(SHA256, 50_000)]


def test_a_server_that_sends_a_byte_and_hangs_up_is_given_up(cart: Cart) -> None:
    source = Scripted(sends(DATA, 1))
    with pytest.raises(NetworkError):
        cart.fetch(source)
    assert len(source.starts) == len(WAITS_S) + 1


def test_other_bytes_than_signed_are_refused_once_they_came_twice(cart: Cart) -> None:
    source = Scripted(sends(OTHER))
    with pytest.raises(TrustError, match="other bytes"):
        cart.fetch(source)
    assert source.starts == [0, 0]
    assert cart.left == []
    assert not cart.blobs.exists()
    assert sum(cart.ticks) == 0


def test_more_bytes_than_signed_are_refused(cart: Cart) -> None:
    with pytest.raises(TrustError, match="more bytes"):
        cart.fetch(Scripted(sends(DATA + b"x")))
    with pytest.raises(TrustError, match="more bytes"):
        cart.fetch(Scripted(sends(DATA, total=len(DATA) + 1)))
    assert not cart.blobs.exists()


def test_a_source_that_has_fewer_bytes_may_get_the_rest_later(cart: Cart) -> None:
    with pytest.raises(NetworkError, match="fewer bytes"):
        cart.fetch(Scripted(sends(DATA[:30_000])))
    with pytest.raises(NetworkError, match="30000 bytes"):
        cart.fetch(Scripted(sends(DATA[:30_000], total=30_000)))
    assert cart.left == [part_name(SHA256, 30_000)]


def test_a_whole_file_in_place_of_a_piece_is_accepted_and_loses_nothing(cart: Cart) -> None:
    cart.leave(9000, DATA[:9000])
    cart.fetch(Scripted(sends_all(DATA)))
    assert cart.has_it()
    assert sum(cart.ticks) == len(DATA)


def test_a_page_in_place_of_a_piece_leaves_what_was_there(cart: Cart) -> None:
    cart.leave(9000, DATA[:9000])
    with pytest.raises(NetworkError):
        cart.fetch(Scripted(sends_all(b"<html>")))
    assert cart.left == [part_name(SHA256, 9000)]


def test_after_a_wrong_piece_the_whole_file_is_asked_for(cart: Cart) -> None:
    cart.leave(9000, DATA[:9000])
    source = Scripted(fails(BadRange("wrong")), sends(DATA))
    cart.fetch(source)
    assert cart.has_it()
    assert source.starts == [9000, 0]


def test_a_source_that_begins_elsewhere_is_not_believed(cart: Cart) -> None:
    cart.leave(9000, DATA[:9000])
    source = Scripted(lambda start: Reply(start + 1, pieces(DATA[start + 1 :])), sends(DATA))
    cart.fetch(source)
    assert cart.has_it()


def test_wrong_pieces_for_ever_are_given_up(cart: Cart) -> None:
    cart.leave(9000, DATA[:9000])
    with pytest.raises(BadRange):
        cart.fetch(Scripted(fails(BadRange("wrong"))))
    assert cart.left == [part_name(SHA256, 9000)]


def test_what_is_missing_is_not_asked_for_again(cart: Cart) -> None:
    source = Scripted(fails(Missing("no such file")))
    with pytest.raises(Missing):
        cart.fetch(source)
    assert len(source.starts) == 1


def test_a_target_that_is_not_named_by_a_hash_never_becomes_a_path(cart: Cart) -> None:
    with pytest.raises(TrustError, match="without a SHA-256"):
        cart.fetch(Scripted(sends(DATA)), target=Target("blobs/x", 3, "../../etc/passwd"))


class Small(Scripted):
    @contextmanager
    def open(self, path: str, start: int = 0) -> Iterator[Reply]:
        with super().open(f"targets/{TARGET.path}", start) as reply:
            yield reply


def test_a_small_file_is_asked_for_a_few_times() -> None:
    waits: list[float] = []
    lost = fails(NetworkError("lost"))
    data = fetch_bytes(Small(lost, lost, sends(DATA)), "x", len(DATA), sleep=waits.append)
    assert data == DATA
    assert len(waits) == 2
    with pytest.raises(NetworkError, match="lost"):
        fetch_bytes(Small(lost), "x", 10, sleep=waits.append)
    with pytest.raises(Missing):
        fetch_bytes(Small(fails(Missing("none")), sends(DATA)), "x", 10)


def test_a_small_file_is_gone_on_with_only_where_that_pays() -> None:
    short = Small(sends(DATA, 20_000), sends(DATA))
    assert fetch_bytes(short, "x", len(DATA), sleep=lambda _: None) == DATA
    assert short.starts == [0, 0]
    long = Small(*[sends(DATA * 4, 40_000)] * 6, sends(DATA * 4))
    assert fetch_bytes(long, "x", len(DATA) * 4) == DATA * 4
    assert long.starts == list(range(0, 280_000, 40_000))


@pytest.mark.parametrize("then", [fails(BadRange("wrong")), sends_all(DATA)])
def test_a_small_file_that_cannot_be_gone_on_with_is_begun_anew(then: Answer) -> None:
    source = Small(sends(DATA, 40_000), then, sends(DATA))
    assert fetch_bytes(source, "x", len(DATA), sleep=lambda _: None) == DATA


def test_a_small_file_that_does_not_end_is_refused() -> None:
    def endless(start: int) -> Reply:
        return Reply(0, iter(lambda: b"x" * 1000, b""))

    with pytest.raises(TrustError, match="more than 5000 bytes"):
        fetch_bytes(Small(endless), "metadata/timestamp.json", 5000)
