"""One engine asked by several threads at once answers each as if it were alone."""

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_release import HEARTS, build_release, heart

from ecgedge import encoders
from ecgedge.casebase import vectors
from ecgedge.casebase.release import Store
from ecgedge.casebase.search import CaseBase
from ecgedge.casebase.segment import CaseRecord, Segment
from ecgedge.casebase.writing import write_segment
from ecgedge.encoders import load_encoder
from ecgedge.engine import Engine
from ecgedge.prompts import shipped_prompts
from ecgedge.signal.synthetic import synthesize
from ecgedge.textsearch import TextSearch
from ecgedge.zeroshot import Classifier

ENCODER = "leads-1-int8-0123456789ab"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return build_release(tmp_path_factory.mktemp("threads") / "store", words=True)


@pytest.fixture(autouse=True)
def eager_switching() -> Iterator[None]:
    """Let the interpreter change threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(threads: int, tasks: list[Callable[[], Any]]) -> list[Any]:
    """What the tasks return, in order; the first `threads` of them start together."""
    gate = threading.Barrier(threads)

    def run(number: int) -> Any:
        if number < threads:
            gate.wait(timeout=60)
        return tasks[number]()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(len(tasks))))


@pytest.mark.parametrize("threads", [2, 8])
def test_an_engine_answers_threads_as_it_answers_one(store: Store, threads: int) -> None:
    names = list(HEARTS)

    def ask(engine: Engine, name: str) -> dict[str, Any]:
        return replace(engine.query(heart(name), draft=True), timings_ms={}).to_dict()

    alone = Engine.open(store.root)
    expected = {name: ask(alone, name) for name in names}
    fresh = Engine.open(store.root)  # nothing cached yet: the first use is shared too
    asked = [names[number % len(names)] for number in range(6 * threads)]
    told = at_once(threads, [lambda name=name: ask(fresh, name) for name in asked])
    assert told == [expected[name] for name in asked]


def test_words_are_searched_by_threads_as_by_one(store: Store) -> None:
    texts = ["atrial fibrillation", "Linksschenkelblock", "normal ecg", "LVH", "sinus rhythm"]
    alone = TextSearch.open(store.root)
    expected = {text: alone.search(text) for text in texts}
    fresh = TextSearch.open(store.root)
    asked = [texts[number % len(texts)] for number in range(40)]
    told = at_once(8, [lambda text=text: fresh.search(text) for text in asked])
    assert told == [expected[text] for text in asked]


@pytest.mark.parametrize("graph", [False, True], ids=["scan", "graph"])
def test_a_large_segment_gives_every_thread_its_own_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graph: bool
) -> None:
    count, dim = 3_000, 32
    monkeypatch.setattr(vectors, "EXACT_BELOW", 1 if graph else count + 1)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(count, dim)).astype(np.float32)
    cases = [
        CaseRecord(f"c/{i}", {"NORM": 1.0}, f"r{i}", 1, "F", "c", f"g{i}") for i in range(count)
    ]
    ref = write_segment(tmp_path, rows, cases, encoder_id=ENCODER)
    queries = rng.normal(size=(60, dim)).astype(np.float32)

    def ask(base: CaseBase, query: Any) -> list[tuple[str, float, str | None]]:
        hits = base.search(query, 12)
        return [(hit.case.case_id, hit.similarity, hit.case.report) for hit in hits]

    alone = CaseBase([Segment.open(tmp_path, ref, ENCODER)])
    expected = [ask(alone, query) for query in queries]
    fresh = CaseBase([Segment.open(tmp_path, ref, ENCODER)])
    tasks = [lambda query=query: ask(fresh, query) for query in queries]
    assert at_once(8, tasks * 5) == expected * 5


def test_an_engine_opened_on_two_cores_measures_beside_and_answers_the_same() -> None:
    recording = synthesize()
    alone, beside = Engine.open(), Engine.open(threads=2)
    assert (alone.threads, beside.threads) == (1, 2)
    one, two = (engine.query(recording) for engine in (alone, beside))
    assert replace(one, timings_ms={}) == replace(two, timings_ms={})


def test_a_query_keeps_one_of_its_cores_for_measuring_and_a_classifier_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[int] = []

    def spy(*parts: Path, threads: int) -> Any:
        given.append(threads)
        return load_encoder(*parts)

    monkeypatch.setattr(encoders, "load_encoder", spy)
    for threads in (1, 2, 3):
        Engine.open(threads=threads)
    Classifier.open(shipped_prompts(), threads=3)
    assert given == [1, 1, 2, 3]
