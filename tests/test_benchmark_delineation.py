"""The delineation benchmark scores as its page says, and the page shows what was recorded."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "benchmarks"))

from delineation_table import behind, markdown  # noqa: E402
from ludb import TOLERANCE_S, Lead, pairs, read_marks, reference_intervals, score  # noqa: E402

KEY = (1, 1)
BEATS = np.arange(1.0, 9.0)


def waves(shift_s: float = 0.0) -> dict[str, np.ndarray]:
    return {
        symbol: np.stack([BEATS + at - half, BEATS + at, BEATS + at + half], axis=1) + shift_s
        for symbol, at, half in (("p", -0.16, 0.05), ("N", 0.0, 0.05), ("t", 0.3, 0.08))
    }


MARKS = {KEY: Lead(waves(), (0.7, 8.5))}


@given(shift_ms=st.integers(-149, 149))
def test_a_constant_error_is_a_mean_without_deviation(shift_ms: int) -> None:
    figures = score(MARKS, {KEY: waves(shift_ms / 1e3)}, [KEY])
    for wave in figures.values():
        for point in wave.values():
            assert (point["sensitivity"], point["ppv"], point["n"]) == (100, 100, 8)
            assert point["mean_ms"] == pytest.approx(shift_ms, abs=1e-6)
            assert point["sd_ms"] == pytest.approx(0, abs=1e-6)


def test_missed_and_wrong_waves_count_inside_of_the_marked_span_only() -> None:
    found = waves()
    found["p"] = found["p"][2:]  # two missed
    extra = np.array([[3.4, 3.45, 3.5], [0.1, 0.15, 0.2], [9.7, 9.75, 9.8]])
    found["N"] = np.concatenate([found["N"], extra])  # one wrong, two where nothing is marked
    figures = score(MARKS, {KEY: found}, [KEY])
    assert figures["P"]["peak"]["sensitivity"] == 75
    assert figures["P"]["peak"]["ppv"] == 100
    assert figures["QRS"]["onset"]["sensitivity"] == 100
    assert figures["QRS"]["onset"]["ppv"] == pytest.approx(100 * 8 / 9)


def test_a_lead_without_an_answer_has_found_nothing() -> None:
    figures = score(MARKS, {}, [KEY])
    assert figures["T"]["offset"]["sensitivity"] == 0


@given(
    marked=st.lists(st.floats(0, 5), max_size=6, unique=True),
    found=st.lists(st.floats(0, 5), max_size=6, unique=True),
)
def test_pairs_are_one_to_one_and_within_the_window(
    marked: list[float], found: list[float]
) -> None:
    left, right = pairs(np.array(marked), np.array(found))
    assert len(set(left.tolist())) == len(left) == len(set(right.tolist())) == len(right)
    apart = np.abs(np.array(marked)[left] - np.array(found)[right])
    assert (apart <= TOLERANCE_S).all()
    for one in set(range(len(marked))) - set(left.tolist()):
        for other in set(range(len(found))) - set(right.tolist()):
            assert abs(marked[one] - found[other]) > TOLERANCE_S, "a pair was left apart"


def test_reference_intervals_come_from_the_marks() -> None:
    marks = {(1, row): Lead(waves(), (0.7, 8.5)) for row in range(12)}
    told = reference_intervals(marks, 1, range(12))
    expected = {"heart_rate": 60.0, "pr": 160.0, "qrs": 100.0, "qt": 430.0}
    assert told == pytest.approx(expected)


def test_behind_names_every_figure_that_is_not_better() -> None:
    good = {"sensitivity": 99.0, "ppv": 99.0, "mean_ms": 1.0, "sd_ms": 10.0}
    bad = {"sensitivity": 98.0, "ppv": 98.0, "mean_ms": -2.0, "sd_ms": 11.0}
    part = {
        name: {wave: dict.fromkeys(("onset", "peak", "offset"), it) for wave in ("P", "QRS", "T")}
        for name, it in (("ours, alone", good), ("worse", bad), ("same", good))
    }
    assert behind(part, "worse") == []
    assert len(behind(part, "same")) == 24


def test_the_marks_of_ludb_are_whole(shared_data: Path) -> None:
    path = shared_data / "mixed-mv" / "ludb_delineation.csv.gz"
    if not path.is_file():
        pytest.skip("LUDB is not there")
    marks = read_marks(path)
    assert len(marks) == 2400
    waves_of = [lead.waves for lead in marks.values()]
    counted = {symbol: sum(len(one[symbol]) for one in waves_of) for symbol in "pNt"}
    assert counted == {"p": 16797, "N": 21965, "t": 19661}  # counted with zgrep


def test_the_page_shows_the_recorded_figures() -> None:
    page = (ROOT / "docs" / "measurements.md").read_text(encoding="utf-8")
    recorded = (ROOT / "benchmarks" / "results" / "delineation.json").read_text(encoding="utf-8")
    shown = page.partition("delineation.json -->\n")[2].partition("<!-- end -->")[0]
    assert shown.strip() == markdown(json.loads(recorded)).strip()
