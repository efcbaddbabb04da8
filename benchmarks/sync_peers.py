"""The same change by other means: rsync of our files, and one index and one database that were
added to in place, brought over by rsync's deltas or by zstd's patches.
"""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sync_release import Drawn
from wire import Relay

from ecgedge.casebase.vectors import CONNECTIVITY, EXPANSION_ADD, quantize
from ecgedge.textsearch import case_words

_TABLES = """
CREATE TABLE cases (key INTEGER PRIMARY KEY, case_id TEXT UNIQUE, statements TEXT, age INTEGER,
    sex TEXT, source TEXT, patient TEXT, report_vector BLOB);
CREATE INDEX by_patient ON cases (patient);
CREATE VIRTUAL TABLE words USING fts5(told, content='');
"""


def write_monolith(folder: Path, drawn: Drawn) -> None:
    """One usearch index and one database of all cases."""
    folder.mkdir()
    _add(folder, drawn, _index(drawn.embeddings.shape[1]), 0)


def grow_monolith(folder: Path, grown: Path, drawn: Drawn) -> None:
    """A copy with these cases added in place: `Index.add`, and rows inserted."""
    shutil.copytree(folder, grown)
    index = _index(drawn.embeddings.shape[1])
    index.load(str(grown / "index.usearch"))
    _add(grown, drawn, index, len(index))


def _index(dim: int) -> Any:
    from usearch.index import Index

    return Index(
        ndim=dim,
        metric="cos",
        dtype="i8",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
    )


def _add(folder: Path, drawn: Drawn, index: Any, start: int) -> None:
    keys = np.arange(start, start + len(drawn.cases), dtype=np.uint64)
    index.add(keys, quantize(drawn.embeddings), threads=1)
    index.save(str(folder / "index.usearch"))
    rows = [
        (int(key), case.case_id, str(dict(case.statements)), case.age, case.sex, case.source,
         case.group, vector.tobytes())
        for key, case, vector in zip(keys, drawn.cases, drawn.texts.vectors, strict=True)
    ]  # fmt: skip
    with closing(sqlite3.connect(folder / "cases.sqlite")) as database:
        if not start:
            database.executescript(_TABLES)
        database.executemany("INSERT INTO cases VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        words = [(int(key), case_words(case)) for key, case in zip(keys, drawn.cases, strict=True)]
        database.executemany("INSERT INTO words (rowid, told) VALUES (?, ?)", words)
        database.commit()


@contextmanager
def rsync_daemon(served: Path, folder: Path) -> Iterator[tuple[str, Relay]]:
    """(address, relay) of an rsync daemon on loopback. folder: for its configuration."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    configuration = folder / "rsyncd.conf"
    configuration.write_text(
        f"use chroot = no\nport = {port}\naddress = 127.0.0.1\n[served]\npath = {served}\n"
        "read only = yes\n"
        # A daemon of root's would else become nobody, who may not read our scratch folder.
        + (f"uid = {os.getuid()}\ngid = {os.getgid()}\n" if os.getuid() == 0 else "")
    )
    command = ["rsync", "--daemon", "--no-detach", f"--config={configuration}"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        _listening(port, process)
        relay = Relay(port)
        try:
            yield f"rsync://127.0.0.1:{relay.port}/served/", relay
        finally:
            relay.close()
    finally:
        process.terminate()
        process.wait()


def _listening(port: int, process: subprocess.Popen[bytes]) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if process.poll() is not None:
                raise
            time.sleep(0.01)


def rsync_bytes(new: Path, old: Path, work: Path, *options: str) -> int:
    """Bytes both ways until a copy of `old` is as `new`, by rsync's delta algorithm."""
    cart = work / "cart"
    shutil.copytree(old, cart)
    with rsync_daemon(new, work) as (address, relay):
        relay.take()
        command = ["rsync", "--archive", "--no-whole-file", *options, address, f"{cart}/"]
        subprocess.run(command, check=True)
        total = relay.take()
    _same(new, cart)
    shutil.rmtree(cart)
    return total


def zstd_patch_bytes(new: Path, old: Path, work: Path) -> int:
    """Bytes of the patches from each file of `old` to its namesake, which a server would keep
    for every pair of releases; whole and compressed where there is none.
    """
    total = 0
    patch, back = work / "patch", work / "back"
    for path in sorted(new.iterdir()):
        before = [f"--patch-from={old / path.name}"] if (old / path.name).exists() else []
        common = ["zstd", "--quiet", "--force", "--long=30", *before]
        best = [*common, "-19", "--single-thread", str(path), "-o", str(patch)]
        subprocess.run(best, check=True, stderr=subprocess.DEVNULL)  # it gives advice there
        subprocess.run([*common, "--decompress", str(patch), "-o", str(back)], check=True)
        if back.read_bytes() != path.read_bytes():
            raise RuntimeError(f"zstd did not restore {path.name}")
        total += patch.stat().st_size
    return total


def _same(new: Path, cart: Path) -> None:
    for path in new.iterdir():
        if (cart / path.name).read_bytes() != path.read_bytes():
            raise RuntimeError(f"rsync did not bring {path.name}")
