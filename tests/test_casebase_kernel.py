"""The two ways to multiply int8 rows with a query: another processor, the same scores."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.casebase import vectors
from ecgedge.casebase.vectors import Vectors, write_vectors


@given(count=st.integers(1, 3000), dim=st.integers(1, 1040), seed=st.integers(0, 99))
def test_the_int8_kernel_and_numpy_give_the_same_bits(count: int, dim: int, seed: int) -> None:
    kernel = vectors._int8_kernel()
    if kernel is None:
        pytest.skip("numkong has no vector code for this processor")
    rng = np.random.default_rng(seed)
    rows = rng.integers(-127, 128, (count, dim)).astype(np.int8)
    query = rng.integers(-127, 128, dim).astype(np.int8)
    truth = rows.astype(np.int64) @ query.astype(np.int64)
    for found in (kernel(rows, query), vectors._dots(rows, query)):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, truth)


def test_the_largest_products_of_the_largest_vectors_are_exact() -> None:
    rows = np.full((2, 1040), 127, np.int8)
    rows[1] = -127
    for dots in filter(None, (vectors._int8_kernel(), vectors._dots)):
        assert dots(rows, rows[0]).tolist() == [1040 * 127**2, -1040 * 127**2]


def test_a_processor_without_the_kernel_is_searched_by_numpy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(-127, 128, (300, 64)).astype(np.int8)
    write_vectors(tmp_path / "v", rows)
    none = np.empty(0, np.int64)
    keys, scores = Vectors(tmp_path / "v", 300, 64).search(rows[7], 20, none)
    monkeypatch.setattr(vectors, "_INT8_CAPABLE", ())
    vectors._int8_kernel.cache_clear()
    assert vectors._int8_kernel() is None
    again = Vectors(tmp_path / "v", 300, 64).search(rows[7], 20, none)
    vectors._int8_kernel.cache_clear()
    np.testing.assert_array_equal(again[0], keys)
    np.testing.assert_array_equal(again[1], scores)
