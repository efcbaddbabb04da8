"""Resuming for real: nginx as the server, and a process that is killed in mid-download."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import threading
from pathlib import Path

import nginx
import pytest
from faulty_server import Handler, serving

from ecgedge.errors import NetworkError
from ecgedge.sync.fetch import fetch, fetch_bytes
from ecgedge.sync.http import HttpSource
from ecgedge.sync.parts import parse_name, part_name
from ecgedge.sync.transport import Missing
from ecgedge.sync.trusted import Target

DATA = random.Random(7).randbytes(2_000_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
TARGET = Target(f"blobs/{SHA256}", len(DATA), SHA256)
BLOB = f"targets/blobs/{SHA256}"
FLUSH_BYTES = 100_000

_FETCH = """\
import sys
from pathlib import Path
from ecgedge.sync.fetch import fetch
from ecgedge.sync.parts import Flushing
from ecgedge.sync.source import open_source
from ecgedge.sync.trusted import Target
url, folder, sha256, length, flush = sys.argv[1:]
fetch(
    open_source(url),
    Target(f"blobs/{sha256}", int(length), sha256),
    Path(folder, "parts"),
    Path(folder, "blobs"),
    tick=lambda count: print(count, flush=True),
    flushing=Flushing(int(flush), every_s=float("inf")),
)
"""


def start(url: str, folder: Path) -> subprocess.Popen[str]:
    """A process that fetches the blob and prints its ticks."""
    return subprocess.Popen(
        [sys.executable, "-c", _FETCH, url, str(folder), SHA256, str(len(DATA)), str(FLUSH_BYTES)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parent.parent,
    )


def publish(root: Path) -> Path:
    (root / "targets" / "blobs").mkdir(parents=True)
    (root / BLOB).write_bytes(DATA)
    (root / "metadata").mkdir()
    (root / "metadata" / "timestamp.json").write_bytes(b"{}")
    return root


def finish(url: str, folder: Path) -> list[int]:
    """The ticks of a fetch in this process."""
    ticks: list[int] = []
    fetch(HttpSource(url), TARGET, folder / "parts", folder / "blobs", tick=ticks.append)
    assert (folder / "blobs" / SHA256).read_bytes() == DATA
    assert list((folder / "parts").iterdir()) == []
    return ticks


@pytest.mark.parametrize("killed_at", [0, 150_000, 1_234_567])
def test_a_killed_process_loses_no_more_than_was_not_flushed(
    tmp_path: Path, killed_at: int
) -> None:
    dead = threading.Event()

    def stalls(handler: Handler) -> None:
        """Sends so much and holds the line until the process is dead."""
        handler.begin(200, Content_Length=len(DATA))
        handler.send(DATA[:killed_at])
        dead.wait()
        handler.close_connection = True

    with serving({BLOB: DATA}, stalls) as log:
        process = start(log.url, tmp_path)
        assert process.stdout is not None
        came = 0
        process.stdout.readline()  # what was there before: nothing
        while came < killed_at:
            came += int(process.stdout.readline())
        process.kill()
        process.wait()
        process.stdout.close()
        dead.set()
        left = [parse_name(path.name) for path in (tmp_path / "parts").glob("*")]
        flushed = max((one[1] for one in left if one), default=0)
        assert killed_at - FLUSH_BYTES < flushed <= killed_at
        ticks = finish(log.url, tmp_path)
    assert ticks[0] == flushed
    assert log.requests[1:] == [(f"/{BLOB}", f"bytes={flushed}-" if flushed else None)]


def test_nginx_sends_pieces_of_files(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / part_name(SHA256, 1_500_000)).write_bytes(DATA[:1_500_000])
    with nginx.serving(publish(tmp_path / "repository"), tmp_path / "nginx") as url:
        assert finish(url, tmp_path)[0] == 1_500_000
        source = HttpSource(url)
        assert fetch_bytes(source, "metadata/timestamp.json", 100) == b"{}"
        with pytest.raises(Missing):
            fetch_bytes(source, "metadata/2.root.json", 100)
    log = (tmp_path / "nginx" / "access.log").read_text()
    assert '" 206 500000 ' in log
    assert '" 404 ' in log


def test_nginx_that_goes_down_in_mid_download_and_comes_back(tmp_path: Path) -> None:
    root, scratch = publish(tmp_path / "repository"), tmp_path / "nginx"
    slowly = "limit_rate 50k; limit_rate_after 300k;"
    with nginx.serving(root, scratch, slowly) as url:
        process = start(url, tmp_path)
        assert process.stdout is not None
        came = 0
        while came < 200_000:
            came += int(process.stdout.readline())
    process.stdout.close()
    process.kill()
    process.wait()
    with pytest.raises(NetworkError, match="cannot be reached"):
        fetch(
            HttpSource(url),
            TARGET,
            tmp_path / "parts",
            tmp_path / "blobs",
            tick=lambda _: None,
            sleep=lambda _: None,
        )
    with nginx.serving(root, scratch) as url:
        assert finish(url, tmp_path)[0] >= 100_000
