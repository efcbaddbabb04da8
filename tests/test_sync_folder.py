"""A repository in a folder, and what names a source."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from ecgedge.errors import NetworkError, TrustError, UsageError
from ecgedge.sync.fetch import fetch, fetch_bytes
from ecgedge.sync.folder import FolderSource
from ecgedge.sync.http import HttpSource
from ecgedge.sync.source import open_source
from ecgedge.sync.transport import Missing
from ecgedge.sync.trusted import Target

DATA = bytes(range(256)) * 1024


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    root = tmp_path / "stick 1"
    (root / "metadata").mkdir(parents=True)
    (root / "targets" / "blobs").mkdir(parents=True)
    (root / "metadata" / "timestamp.json").write_bytes(b"{}")
    (root / "targets" / "blobs" / "x").write_bytes(DATA)
    (tmp_path / "secret").write_bytes(b"not for the cart")
    return root


def read(source: FolderSource, path: str = "targets/blobs/x", start: int = 0) -> bytes:
    with source.open(path, start) as reply:
        assert reply.start == start
        return b"".join(reply.chunks)


def test_a_file_is_read_from_any_byte_on(stick: Path) -> None:
    source = FolderSource(stick)
    assert read(source) == DATA
    assert read(source, start=1000) == DATA[1000:]
    assert read(source, start=len(DATA)) == b""
    with source.open("targets/blobs/x") as reply:
        assert reply.total_bytes == len(DATA)


def test_a_part_from_the_network_is_finished_from_a_stick(stick: Path, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(DATA).hexdigest()
    (stick / "targets" / "blobs" / "x").rename(stick / "targets" / "blobs" / sha256)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / f"{sha256}.1000.part").write_bytes(DATA[:1000])
    ticks: list[int] = []
    target = Target(f"blobs/{sha256}", len(DATA), sha256)
    fetch(FolderSource(stick), target, tmp_path / "parts", tmp_path / "blobs", tick=ticks.append)
    assert (tmp_path / "blobs" / sha256).read_bytes() == DATA
    assert ticks[0] == 1000
    assert sum(ticks) == len(DATA)


@pytest.mark.parametrize("path", ["metadata/2.root.json", "metadata", "metadata/x/y", "x"])
def test_what_a_repository_lacks_is_missing(stick: Path, path: str) -> None:
    with pytest.raises(Missing):
        read(FolderSource(stick), path)


def test_a_stick_that_was_pulled_out_is_not_a_repository_that_lacks_a_file(stick: Path) -> None:
    source = FolderSource(stick)
    shutil.rmtree(stick)
    with pytest.raises(NetworkError, match="plug the stick in") as caught:
        read(source, "metadata/2.root.json")
    assert not isinstance(caught.value, Missing)
    stick.mkdir()  # the empty folder of a mount point
    with pytest.raises(NetworkError, match="plug the stick in") as caught:
        read(source, "metadata/2.root.json")
    assert not isinstance(caught.value, Missing)


def test_a_stick_pulled_out_while_it_is_read_is_a_sentence(
    stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> bytes:
        shutil.rmtree(stick)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", gone)
    with pytest.raises(NetworkError, match="plug the stick in"):
        read(FolderSource(stick))


def test_a_bad_sector_is_a_sentence(stick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bad(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", bad)
    with pytest.raises(NetworkError, match=r"cannot be read \(Input/output error\)"):
        read(FolderSource(stick))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_a_sentence(stick: Path) -> None:
    (stick / "metadata" / "timestamp.json").chmod(0)
    with pytest.raises(NetworkError, match="Permission denied"):
        read(FolderSource(stick), "metadata/timestamp.json")


@pytest.mark.parametrize("path", ["../secret", "metadata/../../secret", "/etc/passwd", "a\\..\\b"])
def test_no_name_leads_out_of_the_folder(stick: Path, path: str) -> None:
    with pytest.raises(TrustError):
        read(FolderSource(stick), path)


def test_no_link_leads_out_of_the_folder(stick: Path) -> None:
    (stick / "targets" / "out").symlink_to(stick.parent / "secret")
    (stick / "targets" / "up").symlink_to(stick.parent)
    for path in ("targets/out", "targets/up/secret"):
        with pytest.raises(TrustError, match="leads out"):
            read(FolderSource(stick), path)


def test_links_within_the_folder_and_to_it_are_followed(stick: Path) -> None:
    (stick / "targets" / "y").symlink_to("blobs/x")
    (stick.parent / "link").symlink_to(stick)
    assert read(FolderSource(stick.parent / "link"), "targets/y") == DATA


def test_links_in_a_circle_end(stick: Path) -> None:
    (stick / "targets" / "a").symlink_to("b")
    (stick / "targets" / "b").symlink_to("a")
    with pytest.raises(NetworkError, match="cannot be read"):
        read(FolderSource(stick), "targets/a")


def test_a_pipe_in_place_of_a_file_does_not_hold_the_cart(stick: Path) -> None:
    os.mkfifo(stick / "targets" / "pipe")
    with pytest.raises(Missing):
        read(FolderSource(stick), "targets/pipe")


def test_a_source_is_named_by_its_address_or_its_folder(stick: Path) -> None:
    assert isinstance(open_source("HTTPS://server/path"), HttpSource)
    assert open_source("HTTPS://server/path").name == "https://server/path"
    for text in (
        str(stick),
        f"file://{str(stick).replace(' ', '%20')}",
        f"FILE://localhost{stick}",
    ):
        source = open_source(text)
        assert isinstance(source, FolderSource)
        assert fetch_bytes(source, "metadata/timestamp.json", 10) == b"{}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no source is named"),
        ("a\0b", "no source is named"),
        ("s3://bucket/path", "cannot read from s3"),
        ("ftp://server/path", "cannot read from ftp"),
        ("file://server/path", "three slashes"),
        ("file://", "three slashes"),
        ("http://", "no web address"),
    ],
)
def test_what_names_no_source_is_a_sentence(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_source(text)
