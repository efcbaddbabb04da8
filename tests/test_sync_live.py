"""Syncs and rollbacks under programs that are answering: no query fails, none is dropped."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from centre_builders import Centre, ecgedge, process, sync_words
from serving_builders import RECORD, Connection, ask, copy_store, end, request, running
from watch_builders import PATIENCE_S, Watched, octets, wait_until

from ecgedge import explain, formats
from ecgedge.casebase.release import Store
from ecgedge.engine import Engine
from ecgedge.explain import sheet
from ecgedge.prompts import shipped_prompts
from ecgedge.signal.synthetic import synthesize
from ecgedge.textsearch import TextSearch
from ecgedge.zeroshot import Classifier

ASKING = 4


@pytest.fixture
def centre(tmp_path: Path) -> Centre:
    return Centre.at(tmp_path)


@pytest.fixture
def store(centre: Centre, tmp_path: Path) -> Store:
    """A cart's store with release "one"."""
    centre.offer("one")
    synced(centre, tmp_path / "cart")
    return Store(tmp_path / "cart")


def synced(centre: Centre, folder: Path) -> None:
    """A sync that installs something, by a process of its own."""
    done = process(*sync_words(centre, folder))
    assert done.returncode == 0, done.stderr


def own_files(store: Store, release: str) -> list[Path]:
    (segment,) = store.manifest(release).segments
    return [store.blobs / segment.vectors, store.blobs / segment.cases]


def name_of(answer: dict[str, Any]) -> str:
    """Which release's cases an answer shows."""
    (name,) = {match["case_id"].split("/")[0] for match in answer["matches"]}
    return str(name)


class Asker:
    """Asks again and again until it is told to stop; every reply is kept."""

    def __init__(self, ask_once: Callable[[], dict[str, Any]]) -> None:
        self.replies: list[dict[str, Any]] = []
        self.ask_once = ask_once

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.replies.append(self.ask_once())

    @property
    def last(self) -> str:
        return name_of(self.replies[-1]) if self.replies and self.replies[-1]["ok"] else ""


@contextmanager
def asking(path: Path, store: Store) -> Iterator[list[Asker]]:
    """Connections that ask a server without a pause, and `ecgedge query` one after another."""
    stop = threading.Event()
    with ThreadPoolExecutor(ASKING + 1) as pool:
        connections = [Connection(path) for _ in range(ASKING)]
        line = request(path=str(RECORD))
        askers = [Asker(lambda one=one: one.ask(line)) for one in connections]  # type: ignore[misc]
        askers.append(Asker(lambda: queried(store)))
        running_now: list[Future[None]] = [pool.submit(one.run, stop) for one in askers]
        try:
            yield askers
        finally:
            stop.set()
            for one in running_now:
                one.result(PATIENCE_S)
            for connection in connections:
                connection.close()


def queried(store: Store) -> dict[str, Any]:
    done = process("query", RECORD, "--store", store.root, "--json")
    assert done.returncode == 0, done
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_not_one_query_fails_while_syncs_install_collect_and_a_rollback_returns(
    centre: Centre, store: Store, tmp_path: Path
) -> None:
    one = store.current_id()
    gone = own_files(store, one)
    with running(tmp_path / "s.sock", "--store", str(store.root)) as server:
        with asking(tmp_path / "s.sock", store) as askers:
            for name in ("two", "three"):
                centre.offer(name)
                synced(centre, store.root)
                wait_until(lambda name=name: all(asker.last == name for asker in askers))
            assert not any(path.exists() for path in gone), "collected under its readers"
            assert process("rollback", "--store", store.root).returncode == 0
            wait_until(lambda: all(asker.last == "two" for asker in askers))
        code, out, err = end(server)
    assert code == 0
    assert json.loads(out)["failed"] == 0
    assert "Traceback" not in err
    for asker in askers:
        assert all(reply["ok"] for reply in asker.replies)
        order = [name for name, _ in groupby(map(name_of, asker.replies))]
        assert order in (["one", "two", "three", "two"], ["two", "three", "two"])
        for reply in asker.replies:
            assert not [note for note in reply["notes"] if "cannot be opened" in note]
            assert f"this is {name_of(reply)}" in reply["notes"]
    assert json.loads(out)["answered"] >= sum(len(asker.replies) for asker in askers[:ASKING])


def test_a_server_that_slept_through_two_syncs_answers_from_the_third_release(
    centre: Centre, store: Store, tmp_path: Path
) -> None:
    gone = own_files(store, store.current_id())
    with running(tmp_path / "s.sock", "--store", str(store.root)) as server:
        for name in ("two", "three"):
            centre.offer(name)
            synced(centre, store.root)
        assert not any(path.exists() for path in gone)
        assert name_of(ask(tmp_path / "s.sock", request(path=str(RECORD)))) == "three"
        assert end(server)[0] == 0


def test_a_watch_takes_up_each_release_between_two_windows_and_drops_none(
    centre: Centre, store: Store
) -> None:
    gone = own_files(store, store.current_id())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with Watched(f"tcp://127.0.0.1:{port}", "--store", str(store.root)) as watched:
            listener.settimeout(PATIENCE_S)
            device, _ = listener.accept()
            with device:
                device.sendall(octets(10.5))
                assert name_of(watched.until("", "answer")) == "one"
                for number, name in enumerate(("two", "three")):
                    centre.offer(name)
                    assert ecgedge(*sync_words(centre, store.root)).returncode == 0
                    device.sendall(octets(10, first=5250 + 5000 * number))
                    assert name_of(watched.until("", "answer")) == name
                code, summary = watched.stop()
    assert not any(path.exists() for path in gone)
    assert (code, summary["windows"]["dropped"], summary["windows"]["failed"]) == (0, 0, 0)
    assert summary["windows"]["answered"] == 3


def test_what_is_open_never_looks_for_its_files_again(tmp_path: Path) -> None:
    """The release inside the package has all parts: both encoders' engine, words, novelty."""
    store = copy_store(tmp_path / "store")
    recording = formats.read(RECORD)
    kept = tmp_path / "kept"
    shutil.copytree(store.root, kept)
    engine, words = Engine.open(store.root, threads=2), TextSearch.open(store.root)
    classifier = Classifier.open(shipped_prompts(), store.root)
    shutil.rmtree(store.root)
    answer = engine.query(recording, draft=True)
    assert answer.matches == Engine.open(kept, threads=2).query(recording).matches
    assert answer.draft is not None
    explained = explain.explain(engine, recording, answer, 1)
    assert sheet.picture(explained, "x").size
    assert words.search("atrial fibrillation").meaning
    assert classifier.classify(synthesize()).scores
