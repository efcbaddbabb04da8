"""The two ways to multiply int8 rows with a query, and the best of many scores."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.casebase import scan
from ecgedge.casebase.scan import top
from ecgedge.casebase.vectors import Vectors, write_vectors


@given(count=st.integers(1, 3000), dim=st.integers(1, 1040), seed=st.integers(0, 99))
def test_simsimd_and_numpy_give_the_same_bits(count: int, dim: int, seed: int) -> None:
    simd = scan._simd_dots()
    assert simd is not None
    rng = np.random.default_rng(seed)
    rows = rng.integers(-127, 128, (count, dim)).astype(np.int8)
    query = rng.integers(-127, 128, dim).astype(np.int8)
    truth = rows.astype(np.int64) @ query.astype(np.int64)
    for found in (simd(rows, query), scan._numpy_dots(rows, query)):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, truth)


def test_the_largest_products_of_the_largest_vectors_are_exact() -> None:
    rows = np.full((2, 1040), 127, np.int8)
    rows[1] = -127
    for dots in filter(None, (scan._simd_dots(), scan._numpy_dots)):
        assert dots(rows, rows[0]).tolist() == [1040 * 127**2, -1040 * 127**2]


def test_where_simsimd_does_not_load_numpy_searches_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(-127, 128, (300, 64)).astype(np.int8)
    query = rng.normal(size=64).astype(np.float32)
    write_vectors(tmp_path / "v", rows)
    none = np.empty(0, np.int64)
    keys, scores = Vectors(tmp_path / "v", 300, 64).search(query, 20, none)
    monkeypatch.setitem(sys.modules, "simsimd", None)
    scan._simd_dots.cache_clear()
    assert scan._simd_dots() is None
    again = Vectors(tmp_path / "v", 300, 64).search(query, 20, none)
    scan._simd_dots.cache_clear()
    np.testing.assert_array_equal(again[0], keys)
    np.testing.assert_array_equal(again[1], scores)


@given(
    scores=st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.25, 1.0]), min_size=1, max_size=400),
    k=st.integers(1, 20),
)
def test_top_equals_a_full_stable_sort(scores: list[float], k: int) -> None:
    values = np.array(scores, dtype=np.float32)
    assert top(values, k).tolist() == np.argsort(-values, kind="stable")[:k].tolist()


@given(
    count=st.integers(1, 5_000), k=st.integers(1, 200), masked=st.floats(0, 1), seed=st.integers(0)
)
def test_top_of_many_scores_half_of_them_masked_equals_a_full_stable_sort(
    count: int, k: int, masked: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 50, count).astype(np.float32)  # many ties
    values[rng.random(count) < masked] = -np.inf
    assert top(values, k).tolist() == np.argsort(-values, kind="stable")[:k].tolist()
