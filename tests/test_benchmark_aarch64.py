"""When an emulated board passes: its answers lie within the stated tolerance of this machine's."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.aarch64 import TOLERANCE, board, differences, table, within

ANSWER: dict[str, Any] = {
    "ok": True,
    "source": "a.csv",
    "quality": {"verdict": "ok"},
    "matches": [{"case_id": f"c{n}", "similarity": 0.9 - 0.01 * n} for n in range(10)],
    "supports": [{"code": "SR", "strength": 0.9}, {"code": "AFIB", "strength": 0.2}],
    "novelty": {"score": 0.5, "verdict": "usual"},
    "measurements": {
        "pr": {"value": 160.0, "unit": "ms"},
        "r_I": {"value": 0.8, "unit": "mV"},
        "regularity": {"value": "regular", "unit": ""},
        "qt": {"value": None, "unit": "ms"},
    },
}


def _changed(*path: Any, to: Any) -> dict[str, Any]:
    answer = copy.deepcopy(ANSWER)
    place: Any = answer
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return answer


def test_the_same_answer_is_within_and_differs_in_nothing() -> None:
    gaps = differences(ANSWER, copy.deepcopy(ANSWER))
    assert within(gaps)
    assert gaps["neighbours"] == 1
    assert all(gaps[name] == 0 for name in TOLERANCE if name != "neighbours")


@pytest.mark.parametrize(
    "answer",
    [
        _changed("matches", 9, "case_id", to="another"),
        _changed("matches", 3, "similarity", to=0.9 - 0.03 + 0.009),
        _changed("supports", 1, "strength", to=0.24),
        _changed("measurements", "pr", "value", to=160.1),
    ],
)
def test_one_case_less_or_a_last_digit_are_within(answer: dict[str, Any]) -> None:
    assert within(differences(ANSWER, answer))


@pytest.mark.parametrize(
    "answer",
    [
        _changed("matches", to=ANSWER["matches"][:8]),
        _changed("matches", 3, "similarity", to=0.88),
        _changed("supports", to=[{"code": "SR", "strength": 0.9}]),
        _changed("measurements", "pr", "value", to=162.0),
        _changed("measurements", "r_I", "value", to=0.81),
        _changed("measurements", "qt", "value", to=400.0),
        _changed("measurements", "regularity", "value", to="irregular"),
        _changed("quality", "verdict", to="poor"),
        _changed("novelty", "verdict", to="unlike anything here"),
    ],
)  # fmt: skip
def test_another_neighbour_measurement_or_verdict_is_not(answer: dict[str, Any]) -> None:
    assert not within(differences(ANSWER, answer))


def _run(folder: Path, **exits: int) -> None:
    folder.mkdir()
    for step in ("verify", "query-0", "tests"):
        (folder / f"{step}.exit").write_text(f"{exits.get(step, 0)} 12\n")
    checks = {"ok": True, "checks": [{"name": "encoder", "ok": True}]}
    (folder / "verify").write_text(json.dumps(checks) + "\n")
    (folder / "query-0").write_text(json.dumps(ANSWER) + "\n")
    report = '<testsuite tests="5" failures="{}" errors="0" skipped="1"/>'
    failures = int(bool(exits.get("tests", 0)))
    (folder / "tests.xml").write_text(f"<testsuites>{report.format(failures)}</testsuites>")


def test_a_board_passes_where_every_step_did(tmp_path: Path) -> None:
    _run(tmp_path / "here")
    _run(tmp_path / "pi4")
    found = board(tmp_path, "pi4", ["encoder-a"])
    assert found["passed"]
    assert found["tests"] == {"passed": 4, "failed": 0, "skipped": 1}
    results = {"boards": {"pi4": found}, "encoders": ["encoder-a"], "installed_mb": {"numpy": 50.0}}
    text = table({**results, "emulated_work_s": 600})
    assert "| 1 of 1 |" in text
    assert "4 passed, 0 failed, 1 skipped" in text


@pytest.mark.parametrize("step", ["verify", "query-0", "tests"])
def test_a_board_fails_where_one_step_did(tmp_path: Path, step: str) -> None:
    _run(tmp_path / "here")
    _run(tmp_path / "pi4", **{step: 132})
    assert not board(tmp_path, "pi4", ["encoder-a"])["passed"]


def test_a_board_that_answered_nothing_fails(tmp_path: Path) -> None:
    _run(tmp_path / "here")
    _run(tmp_path / "pi4")
    (tmp_path / "pi4" / "verify").unlink()
    assert not board(tmp_path, "pi4", ["encoder-a"])["passed"]


def test_the_runtime_tests_are_named_by_files_that_exist() -> None:
    root = Path(__file__).resolve().parent.parent
    named = (root / "tests" / "device.txt").read_text(encoding="utf-8").splitlines()
    assert len(named) > 10
    assert [name for name in named if not (root / name).is_file()] == []
