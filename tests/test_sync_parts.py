"""Parts of files across power cuts, stops and disks that refuse."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_source import (
    DATA,
    OTHER,
    SHA256,
    TARGET,
    Cart,
    Scripted,
    sends,
)

from ecgedge import disk
from ecgedge.errors import UsageError
from ecgedge.sync.fetch import fetch
from ecgedge.sync.parts import Flushing, parse_name, part_name, sweep
from ecgedge.sync.transport import Reply


@pytest.fixture
def cart(tmp_path: Path) -> Cart:
    return Cart(tmp_path)


@given(st.from_regex(r"\A[0-9a-f]{64}\Z"), st.integers(min_value=0, max_value=10**15))
def test_a_parts_name_says_whose_it_is_and_how_much_of_it_counts(sha256: str, n: int) -> None:
    assert parse_name(part_name(sha256, n)) == (sha256, n)


@given(st.text(max_size=90))
def test_no_other_file_is_taken_for_a_part(name: str) -> None:
    parsed = parse_name(name)
    assert parsed is None or part_name(*parsed).lstrip("0") == name.lstrip("0")


@given(
    durable=st.integers(min_value=0, max_value=len(DATA)),
    tail=st.binary(max_size=200),
)
def test_after_a_power_cut_only_what_was_flushed_counts(
    tmp_path_factory: pytest.TempPathFactory, durable: int, tail: bytes
) -> None:
    cart = Cart(tmp_path_factory.mktemp("cart"))
    cart.leave(durable, DATA[:durable] + tail)
    source = Scripted(sends(DATA))
    cart.fetch(source)
    assert cart.has_it()
    assert source.starts == ([] if durable == len(DATA) else [durable])
    assert sum(cart.ticks) == len(DATA)
    assert cart.ticks[0] == durable


@pytest.mark.parametrize(
    ("durable", "content"),
    [(5000, DATA[:4999]), (len(DATA) + 1, DATA + b"x"), (0, b"torn")],
    ids=["shorter than its name says", "longer than signed", "nothing flushed"],
)
def test_a_part_that_cannot_be_gone_on_with_is_begun_anew(
    cart: Cart, durable: int, content: bytes
) -> None:
    cart.leave(durable, content)
    source = Scripted(sends(DATA))
    cart.fetch(source)
    assert cart.has_it()
    assert source.starts == [0]


def test_of_several_parts_of_a_file_the_longest_is_gone_on_with(cart: Cart) -> None:
    for durable in (1000, 9000, 500):
        cart.leave(durable, DATA[:durable])
    source = Scripted(sends(DATA))
    cart.fetch(source)
    assert cart.has_it()
    assert source.starts == [9000]


def test_a_damaged_part_costs_one_clean_download(cart: Cart) -> None:
    cart.leave(9000, OTHER[:9000])
    source = Scripted(sends(DATA))
    cart.fetch(source)
    assert cart.has_it()
    assert source.starts == [9000, 0]
    assert sum(cart.ticks) == len(DATA)


def test_a_stop_by_hand_keeps_what_came(cart: Cart) -> None:
    def stopped(start: int) -> Reply:
        def chunks() -> Iterator[bytes]:
            yield DATA[:3000]
            raise KeyboardInterrupt

        return Reply(0, chunks())

    with pytest.raises(KeyboardInterrupt):
        cart.fetch(Scripted(stopped))
    assert cart.left == [part_name(SHA256, 3000)]


@pytest.mark.parametrize(
    ("call", "number", "next_step"),
    [
        ("write", errno.ENOSPC, "free some space"),
        ("fsync", errno.ENOSPC, "free some space"),
        ("create", errno.EROFS, "make it writable"),
        ("rename", errno.EROFS, "make it writable"),
        ("make_folder", errno.EACCES, "make it writable"),
        ("fsync", errno.EIO, "check the disk"),
        ("fsync_folder", errno.EIO, "check the disk"),
    ],
)
def test_a_disk_that_refuses_is_a_sentence_and_loses_nothing_flushed(
    cart: Cart, monkeypatch: pytest.MonkeyPatch, call: str, number: int, next_step: str
) -> None:
    if call != "create":  # what an earlier run left makes creating unnecessary
        cart.leave(9000, DATA[:9000])
    good = getattr(disk, call)
    calls = []

    def refuse(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) > 2 or call in ("create", "make_folder", "fsync_folder"):
            raise OSError(number, os.strerror(number))
        return good(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(disk, call, refuse)
        with pytest.raises(UsageError, match=next_step):
            cart.fetch(Scripted(sends(DATA)))
    if call == "fsync":
        assert len(calls) == 3  # one that failed is never asked again
    kept = sum(int(name.split(".")[1]) for name in cart.left)
    source = Scripted(sends(DATA))
    cart.fetch(source)
    assert cart.has_it()
    assert source.starts == [kept]


def test_a_part_is_flushed_after_so_many_seconds_too(tmp_path: Path) -> None:
    seconds = itertools.count()  # one at each look at the clock: one a chunk
    seen: list[str] = []
    fetch(
        Scripted(sends(DATA)),
        TARGET,
        tmp_path / "parts",
        tmp_path / "blobs",
        tick=lambda _: seen.extend(path.name for path in (tmp_path / "parts").glob("*")),
        flushing=Flushing(1 << 20, every_s=3.0, clock=lambda: float(next(seconds))),
    )
    assert part_name(SHA256, 3000) in seen
    assert part_name(SHA256, 2000) not in seen


def test_sweeping_leaves_only_what_is_wanted(cart: Cart) -> None:
    cart.leave(9000, DATA[:9000])
    (cart.parts / part_name("0" * 64, 5)).write_bytes(b"12345")
    (cart.parts / "what is this").write_bytes(b"")
    sweep(cart.parts, [SHA256])
    assert cart.left == [part_name(SHA256, 9000)]
    sweep(cart.parts, [])
    assert cart.left == []
    sweep(cart.parts / "none", [])
