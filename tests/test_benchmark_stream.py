"""The benchmark of `ecgedge watch`: its log is a stream like any, and its parts do all the work."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmark_pages import assert_shows_what_is_kept

from benchmarks import stream

ROOT = Path(__file__).resolve().parent.parent


def test_every_part_goes_through_the_whole_log(tmp_path: Path) -> None:
    log = stream.write_log(tmp_path / "stream.ecglog", 12)
    assert stream.read(log) == stream.decode(log) == 12 * stream.RATE_HZ // stream.SAMPLES
    assert stream.windows(log) == 3


def test_the_table_holds_the_measured_figures_and_says_whether_the_bar_is_met() -> None:
    results = stream.measure(12, 1, 0)
    text = stream.tables(results)
    assert list(results["real_time"]) == [stream.READ, stream.DECODE, stream.SESSION, stream.WHOLE]
    assert f"| {stream.WHOLE} | {results['ms_a_second'][stream.WHOLE]:.2f} |" in text
    slow = {**results["real_time"], stream.WHOLE: 19.9}
    assert "is MISSED" in stream.tables({**results, "real_time": slow})
    fast = {**results["real_time"], stream.WHOLE: 20.1}
    assert "is met" in stream.tables({**results, "real_time": fast})
    assert results["query_ms"] > 0


def test_a_part_that_lost_a_window_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "windows", lambda log: 0)
    with pytest.raises(stream.UsageError, match="0 windows of 3"):
        stream.measure(12, 1, 0)


def test_the_page_shows_the_results_that_are_kept() -> None:
    assert_shows_what_is_kept("stream", "watch")
