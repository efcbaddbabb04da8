"""The search benchmark: its vectors, its yardstick, and a whole small run."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import search  # noqa: E402
import search_page  # noqa: E402
import search_recall  # noqa: E402
from search_vectors import release_embeddings, resembling, structure, white  # noqa: E402


def test_drawn_vectors_lie_as_the_releases_do_and_white_noise_does_not() -> None:
    known = release_embeddings()
    real, drawn, noise = (
        structure(rows)
        for rows in (
            known,
            resembling(known, len(known), seed=5),
            white(len(known), known.shape[1], seed=5),
        )
    )
    for name, tolerance in (
        ("nearest_cosine_p10_p50_p90", 0.03),
        ("local_dimension_p10_p50_p90", 2.0),
    ):
        np.testing.assert_allclose(drawn[name], real[name], atol=tolerance)
        assert np.abs(np.subtract(noise[name], real[name])).min() > 10 * tolerance


def test_drawn_vectors_are_unit_rows_of_the_seed_and_keep_the_covariance() -> None:
    known = release_embeddings()
    drawn = resembling(known, 4_000, seed=1)
    np.testing.assert_array_equal(drawn, resembling(known, 4_000, seed=1))
    assert not np.array_equal(drawn, resembling(known, 4_000, seed=2))
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1, atol=1e-5)
    spreads = [np.linalg.svd(np.cov(rows.T), compute_uv=False)[:10] for rows in (known, drawn)]
    np.testing.assert_allclose(spreads[1], spreads[0], rtol=0.15)


def test_recall_counts_the_right_keys_among_the_found_in_any_order() -> None:
    right = np.arange(20).reshape(2, 10)
    assert search_recall.recall(right[:, ::-1], right) == 1
    half = np.where(np.arange(10) < 5, right, -1)
    assert search_recall.recall(half, right) == 0.5


def test_sixteen_bits_lose_least_and_usearchs_cast_most() -> None:
    rows = resembling(release_embeddings(), 3_000, seed=2)
    asked = resembling(release_embeddings(), 60, seed=1)
    found = list(search_recall.exact_types(rows, asked, search_recall.truth(rows, asked)).values())
    cast, scaled, _, fine, half = found
    assert cast < scaled < half <= fine
    assert fine > 0.995


def test_the_crossover_lies_where_the_graph_becomes_faster() -> None:
    def one(engine: str, count: int, taken: float) -> dict[str, object]:
        return {"engine": engine, "count": count, "k150": {"cpu_p50_ms": taken}}

    scans = [one("ours-scan", n, n / 1e5) for n in (20_000, 200_000)]
    graphs = [one("ours-graph", n, 1.0) for n in (20_000, 200_000)]
    assert search.crossover([*scans, *graphs]) == 100_000
    assert search.crossover([*scans[:1], *graphs]) is None
    assert search.crossover([*scans[1:], *graphs[1:]]) == 200_000
    assert search.crossover([]) is None


def test_a_second_run_measures_what_the_first_one_built(tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "search.py"),
        *("--sizes", "700", "--engines", "ours-graph,numpy"),
        *("--cache", str(tmp_path / "cache"), "-o", str(tmp_path / "out.json")),
    ]
    for number in range(2):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert ("building" in done.stderr) == (number == 0)
    results = json.loads((tmp_path / "out.json").read_text())
    graph, plain = results["engines"]
    assert plain["k10"]["recall_at_10"] == 1
    assert graph["k10"]["recall_at_10"] > 0.99
    assert graph["bytes"] > plain["bytes"] / 4
    assert graph["build"]["cpu_s"] > 0
    assert results["queries"][0]["count"] == 700
    assert "**missed**" in search_page.render({**results, "bars": {"p99_ms": (9.0, 5.0, 700)}})
    assert search_page.render(results) in done.stdout
