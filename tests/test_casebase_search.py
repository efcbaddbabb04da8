"""Search: exact, ordered, complete, and blind to withdrawn cases."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgedge.casebase import vectors, writing
from ecgedge.casebase.search import CaseBase
from ecgedge.casebase.segment import CaseRecord, Segment
from ecgedge.casebase.vectors import Vectors, quantize, remainders, write_vectors
from ecgedge.casebase.voting import vote_weights
from ecgedge.casebase.writing import write_segment
from ecgedge.errors import MismatchError, ReleaseError

ENCODER = "leads-1-int8-0123456789ab"
NONE = np.empty(0, np.int64)


def random_rows(count: int, dim: int, seed: int = 0) -> np.ndarray:
    """Unit rows in loose clusters, as embeddings lie."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(12, dim))
    rows = centres[rng.integers(12, size=count)] + 0.8 * rng.normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def oracle(rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Cosines of int8 vectors in float64, written the plain way."""
    numbers, asked = rows.astype(np.float64), query.astype(np.float64)
    return numbers @ asked / np.linalg.norm(numbers, axis=1) / np.linalg.norm(asked)


def case(number: int, part: int = 0) -> CaseRecord:
    return CaseRecord(f"c{part}/{number}", {"NORM": 100.0}, None, 50, "F", "x", f"g{number % 7}")


@pytest.fixture(scope="module")
def two_segments(tmp_path_factory) -> tuple[list[Segment], dict[str, np.ndarray]]:
    folder = tmp_path_factory.mktemp("segments")
    segments, embedding = [], {}
    for part, count in enumerate((40, 25)):
        rows = random_rows(count, 24, seed=part)
        cases = [case(i, part) for i in range(count)]
        ref = write_segment(folder, rows, cases, encoder_id=ENCODER)
        segments.append(Segment.open(folder, ref, ENCODER))
        embedding |= {one.case_id: row for one, row in zip(cases, quantize(rows), strict=True)}
    return segments, embedding


@pytest.mark.parametrize("count", [5, 3_000])
def test_search_equals_a_numpy_cosine_oracle_in_recall_and_order(tmp_path, count):
    rows = quantize(random_rows(count, 32))
    write_vectors(tmp_path / "v", rows)
    index = Vectors(tmp_path / "v", count, 32)
    for query in quantize(random_rows(20, 32, seed=9)):
        keys, scores = index.search(query, 10, NONE)
        truth = oracle(rows, query)
        expected = np.lexsort((np.arange(count), -truth))[:10]
        np.testing.assert_allclose(scores, truth[keys], atol=1e-6)
        np.testing.assert_allclose(truth[keys], truth[expected], atol=1e-7)


def test_every_case_finds_itself_first(tmp_path):
    rows = quantize(random_rows(500, 32))
    write_vectors(tmp_path / "v", rows)
    index = Vectors(tmp_path / "v", 500, 32)
    for key in range(0, 500, 50):
        keys, scores = index.search(rows[key], 1, NONE)
        assert keys[0] == key
        assert scores[0] == pytest.approx(1, abs=1e-6)


def test_equal_vectors_are_ranked_by_key(tmp_path):
    rows = np.repeat(quantize(random_rows(1, 16)), 200, axis=0)
    write_vectors(tmp_path / "v", rows)
    keys, _ = Vectors(tmp_path / "v", 200, 16).search(rows[0], 3, NONE)
    assert keys.tolist() == [0, 1, 2]


@pytest.mark.parametrize("usearch_loads", [True, False])
def test_above_the_crossover_the_graph_finds_what_the_scan_finds(
    tmp_path, monkeypatch, usearch_loads
):
    rows = quantize(random_rows(2_000, 32))
    write_vectors(tmp_path / "v", rows)
    exact = Vectors(tmp_path / "v", 2_000, 32)
    monkeypatch.setattr(vectors, "EXACT_BELOW", 100)
    if not usearch_loads:
        monkeypatch.setattr(vectors, "_open_graph", lambda *_: None)
    large = Vectors(tmp_path / "v", 2_000, 32)
    excluded = np.arange(0, 2_000, 3)
    shared = 0
    for query in quantize(random_rows(40, 32, seed=5)):
        expected, _ = exact.search(query, 10, excluded)
        keys, scores = large.search(query, 10, excluded)
        assert len(keys) == 10
        assert not set(keys) & set(excluded)
        assert (np.diff(scores) <= 0).all()
        shared += len(set(keys) & set(expected))
    assert shared >= 0.95 * 400 if usearch_loads else shared == 400


def test_a_large_segment_with_nearly_everything_excluded_still_gives_what_is_left(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(vectors, "EXACT_BELOW", 100)
    rows = quantize(random_rows(1_000, 16))
    write_vectors(tmp_path / "v", rows)
    keys, _ = Vectors(tmp_path / "v", 1_000, 16).search(rows[0], 10, np.arange(996))
    assert sorted(keys) == [996, 997, 998, 999]


@pytest.fixture(scope="module")
def dense(tmp_path_factory) -> tuple[np.ndarray, Path]:
    """20,000 unit rows so close together that int8 mixes up their order, and their file."""
    rng = np.random.default_rng(3)
    rows = (rng.normal(size=24) + 0.15 * rng.normal(size=(20_000, 24))).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    path = tmp_path_factory.mktemp("dense") / "v"
    levels = quantize(rows)
    write_vectors(path, levels, remainders(rows, levels))
    return rows, path


def test_the_graph_of_a_dense_case_base_finds_what_float32_finds_and_int8_cannot(
    dense, monkeypatch
):
    rows, path = dense
    exact = Vectors(path, *rows.shape)
    monkeypatch.setattr(vectors, "EXACT_BELOW", 100)
    graph = Vectors(path, *rows.shape)
    found = {"scan": 0, "graph": 0}
    for query in rows[::400] + np.float32(1e-3):
        right = set(np.argsort(-(rows @ query), kind="stable")[:10].tolist())
        found["scan"] += len(right & set(exact.search(query, 10, NONE)[0].tolist()))
        found["graph"] += len(right & set(graph.search(query, 10, NONE)[0].tolist()))
    assert found["graph"] >= 0.99 * 500 > 0.97 * 500 > found["scan"]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), k=st.integers(1, 180), cut=st.floats(0, 1))
def test_the_graph_never_gives_a_withdrawn_case_and_orders_what_it_gives(dense, seed, k, cut):
    rows, path = dense
    rng = np.random.default_rng(seed)
    query = rows[rng.integers(len(rows))] + rng.normal(0, 0.02, rows.shape[1]).astype(np.float32)
    near = np.argsort(-(rows @ query))[:200]
    excluded = np.unique(near[rng.random(200) < cut])  # those that would have been found
    held, vectors.EXACT_BELOW = vectors.EXACT_BELOW, 100
    try:
        keys, scores = Vectors(path, *rows.shape).search(query, k, excluded)
    finally:
        vectors.EXACT_BELOW = held
    assert len(set(keys.tolist())) == k
    assert not set(keys.tolist()) & set(excluded.tolist())
    assert (np.diff(scores) <= 0).all()
    unit = rows[keys].astype(np.float64) @ query / np.linalg.norm(query)
    np.testing.assert_allclose(scores, unit, atol=1e-4)  # 16 bits, not 8


def test_the_graph_ranks_equal_vectors_by_key(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "EXACT_BELOW", 10)
    rows = np.repeat(random_rows(20, 16), 10, axis=0)
    write_vectors(tmp_path / "v", quantize(rows))
    keys, scores = Vectors(tmp_path / "v", 200, 16).search(rows[55], 10, NONE)
    assert keys.tolist() == list(range(50, 60))
    assert len(set(scores.tolist())) == 1


def test_many_withdrawn_cases_of_a_large_segment_are_left_out_exactly(dense, monkeypatch):
    rows, path = dense
    excluded = np.arange(0, len(rows), 2)
    expected = Vectors(path, *rows.shape).search(rows[0], 10, excluded)
    monkeypatch.setattr(vectors, "EXACT_BELOW", 100)
    found = Vectors(path, *rows.shape).search(rows[0], 10, excluded)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@given(seed=st.integers(0, 999), dim=st.integers(1, 200))
def test_rows_and_remainders_hold_a_vector_to_a_part_in_thirty_thousand(seed, dim):
    unit = np.random.default_rng(seed).normal(size=(5, dim)).astype(np.float32)
    levels = quantize(unit)
    lost = remainders(unit, levels)
    peak = np.abs(unit).max(axis=1, keepdims=True)
    again = (levels + lost / 256) * peak / 127
    assert np.abs(again - unit).max() <= 1.01 * peak.max() / 127 / 256


def test_a_file_without_remainders_is_searched_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "EXACT_BELOW", 100)
    rows = random_rows(2_000, 32)
    write_vectors(tmp_path / "v", quantize(rows))
    keys, _ = Vectors(tmp_path / "v", 2_000, 32).search(rows[7], 10, NONE)
    assert keys[0] == 7


def test_a_segment_keeps_remainders_only_where_the_graph_is_asked(tmp_path, monkeypatch):
    rows = random_rows(200, 16)
    cases = [case(i) for i in range(200)]
    small = write_segment(tmp_path, rows, cases, encoder_id=ENCODER)
    monkeypatch.setattr(writing, "EXACT_BELOW", 100)
    monkeypatch.setattr(vectors, "EXACT_BELOW", 100)
    large = write_segment(tmp_path, rows, cases, encoder_id=ENCODER)
    sizes = [(tmp_path / ref.vectors).stat().st_size for ref in (small, large)]
    assert sizes[1] - sizes[0] == 200 * 16 + 8
    opened = Segment.open(tmp_path, large, ENCODER)
    assert opened.search(rows[3], 3, NONE)[0][0] == 3


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_withdrawn_and_excluded_cases_never_appear_and_nothing_else_is_lost(two_segments, data):
    segments, embedding = two_segments
    ids = sorted(embedding)
    withdrawn = data.draw(st.frozensets(st.sampled_from([*ids, "elsewhere/1"])))
    cases = data.draw(st.frozensets(st.sampled_from(ids), max_size=5))
    groups = data.draw(st.frozensets(st.sampled_from([f"g{i}" for i in range(8)]), max_size=7))
    k = data.draw(st.integers(0, 70))
    query = data.draw(st.sampled_from(ids))
    base = CaseBase(segments, withdrawn)
    hits = base.search(
        embedding[query].astype(np.float32), k, exclude_groups=groups, exclude_cases=cases
    )
    allowed = {
        one.case_id
        for one in base.all_cases()
        if one.group not in groups and one.case_id not in cases
    }
    assert allowed == {
        i for i in ids if i not in withdrawn | cases and f"g{int(i[3:]) % 7}" not in groups
    }
    found = [hit.case.case_id for hit in hits]
    assert len(found) == len(set(found)) == min(k, len(allowed))
    assert set(found) <= allowed
    truth = {i: oracle(embedding[i][None], embedding[query])[0] for i in allowed}
    best = sorted(truth.values(), reverse=True)[:k]
    np.testing.assert_allclose([hit.similarity for hit in hits], best, atol=1e-6)
    np.testing.assert_allclose([truth[i] for i in found], best, atol=1e-6)


@pytest.mark.parametrize("below", [1, 50_000])
def test_writing_or_searching_vectors_leaves_onnxruntime_importable(tmp_path, below):
    """usearch imported before onnxruntime would crash the process."""
    program = f"""
import numpy as np
from pathlib import Path
from ecgedge.casebase import segment, vectors
vectors.EXACT_BELOW = {below}
path, rows = Path({str(tmp_path / "v")!r}), np.eye(8, dtype=np.int8)
vectors.write_vectors(path, rows)
vectors.Vectors(path, 8, 8).search(rows[0], 3, np.empty(0, np.int64))
import onnxruntime
print(onnxruntime.get_available_providers())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_small_case_base_is_searched_without_importing_usearch(tmp_path):
    rows = quantize(random_rows(20, 8))
    write_vectors(tmp_path / "v", rows)
    program = f"""
import sys
import numpy as np
from pathlib import Path
from ecgedge.casebase.vectors import Vectors
keys, _ = Vectors(Path({str(tmp_path / "v")!r}), 20, 8).search(np.ones(8, np.int8), 3,
    np.empty(0, np.int64))
assert len(keys) == 3 and not {{"usearch", "onnxruntime", "sqlite3"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_length_of_a_case_base_leaves_withdrawn_cases_out(two_segments):
    segments, embedding = two_segments
    base = CaseBase(segments, frozenset({"c0/1", "c1/2", "unknown"}))
    assert len(base) == len(base.all_cases()) == len(embedding) - 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_a_query_without_a_direction_is_refused(two_segments, bad):
    query = np.full(24, bad, dtype=np.float32)
    with pytest.raises(ReleaseError, match="not finite or is all zero"):
        CaseBase(two_segments[0]).search(query, 5)


@pytest.mark.parametrize("shape", [(23,), (1, 24), (25,)])
def test_a_query_of_another_shape_is_refused(two_segments, shape):
    with pytest.raises(MismatchError, match="a query of shape"):
        CaseBase(two_segments[0]).search(np.ones(shape, np.float32), 5)


@given(
    similarities=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=50),
    temperature=st.sampled_from([0.02, 0.05, 0.2, 1.0]),
)
def test_vote_weights_sum_to_one_and_favour_the_nearer(similarities, temperature):
    values = np.array(similarities, dtype=np.float32)
    weights = vote_weights(values, temperature)
    assert weights.sum() == pytest.approx(1, abs=1e-5)
    assert (np.diff(weights[np.argsort(values)]) >= -1e-9).all()
    plain = np.exp(values.astype(np.float64) / temperature)
    np.testing.assert_allclose(weights, plain / plain.sum(), atol=1e-5)
