"""docs/results.md says what benchmarks/results says, and nothing else."""

import copy
import json
import re
from pathlib import Path

import pytest

from benchmarks.report import bars, others, sections
from benchmarks.report.text import number, signed
from benchmarks.report.wording import POINTS
from ecgedge.evaluation import robust
from ecgedge.evaluation.published import SYSTEMS, beside

ROOT = Path(__file__).resolve().parent.parent
FOLD = json.loads((ROOT / "benchmarks" / "results" / "fold9.json").read_text(encoding="utf-8"))


def _with(name, **parts):
    """The committed results with one int8 figure changed."""
    told = copy.deepcopy(FOLD)
    figure = {"value": None, "lo": None, "hi": None, "n": 9, "chance": None}
    told["metrics"]["int8"][name] = figure | parts
    return {"fold9": told}


def _row(text, label):
    return next(line for line in text.splitlines() if line.startswith(f"| {label}"))


def test_the_page_is_the_one_made_from_the_committed_results(tmp_path):
    pytest.importorskip("matplotlib")
    from benchmarks.report import page

    page.write(ROOT / "benchmarks" / "results", tmp_path)
    made = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert made == (ROOT / "docs" / "results.md").read_text(encoding="utf-8"), (
        "make it anew: scripts/results"
    )
    pictures = set(re.findall(r"\]\((results/[a-z_]+\.svg)\)", made))
    assert pictures == {f"results/{path.name}" for path in (tmp_path / "results").iterdir()}
    assert all((ROOT / "docs" / name).is_file() for name in pictures)


def test_the_same_results_draw_the_same_bytes(tmp_path):
    pytest.importorskip("matplotlib")
    from benchmarks.report import plots

    points = [{"probability": 0.1, "observed": 0.2, "pairs": 5}]
    for name in ("first.svg", "second.svg"):
        plots.reliability(points, tmp_path / name)
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()


def test_calibration_and_novelty_are_told_where_the_evaluation_left_them(tmp_path):
    pytest.importorskip("matplotlib")
    from benchmarks.report import page

    told = _with("ece", value=0.03, lo=0.02, hi=0.05)
    int8 = told["fold9"]["metrics"]["int8"]
    int8["ece"]["points"] = [{"probability": 0.1, "observed": 0.2, "pairs": 5}]
    curve = [{"coverage": 1.0, "risk": 0.1}, {"coverage": 0.5, "risk": 0.05}]
    int8["aurc_labels"] = int8["ece"] | {"curve": curve, "chance": 0.1}
    kind = {"value": 0.97, "lo": 0.9, "hi": 1.0, "n": 7, "warned_or_refused": 0.826}
    int8["novelty_auroc"] = int8["ece"] | {"kinds": {"played backwards": kind}}
    text = page.compose(told, tmp_path)
    assert "(results/reliability.svg)" in text
    assert "(results/risk_coverage.svg)" in text
    assert {"reliability.svg", "risk_coverage.svg"} <= {path.name for path in tmp_path.iterdir()}
    assert "| played backwards | 0.970 | 0.900 to 1.000 | 83% | 7 |" in text


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (0.95, 0.94, 0.96, "met, reach too"),
        (0.91, 0.905, 0.94, "met"),
        (0.91, 0.88, 0.94, "met (interval spans the bar)"),
        (0.88, 0.85, 0.89, "**missed by 0.020**"),
        (0.89, 0.85, 0.91, "**missed by 0.010** (interval spans the bar)"),
    ],
)
def test_a_bar_is_judged_by_the_figure(value, low, high, said):
    text = bars.section(_with("auc_super", value=value, lo=low, hi=high))
    assert f"| {said} |" in _row(text, "super AUC of supports")


def test_where_less_is_better_a_smaller_figure_meets_the_bar():
    text = bars.section(_with("hard_hamming", value=0.12, lo=0.11, hi=0.13))
    assert "| met |" in _row(text, "hard labels, Hamming loss")
    text = bars.section(_with("hard_hamming", value=0.2, lo=0.19, hi=0.21))
    assert "**missed by 0.060**" in _row(text, "hard labels, Hamming loss")


def test_a_change_of_auc_is_told_as_a_loss_with_its_interval_turned():
    text = bars.section(_with("robust_print_3x4", value=-0.05, lo=-0.07, hi=0.01))
    row = _row(text, "loss of super AUC, 3x4 print")
    assert "**0.050** | -0.010 to 0.070 |" in row
    assert "**missed by 0.020** (interval spans the bar)" in row


def test_a_bar_without_a_figure_says_why():
    text = bars.section(_with("ece", why="nothing to calibrate"))
    assert "not computed: nothing to calibrate" in _row(text, "calibration error")


def test_every_figure_of_the_evaluation_but_single_leads_is_in_a_table():
    text = "\n".join(sections.point(FOLD, title) for title in POINTS) + sections.classes(FOLD)
    for name, told in FOLD["metrics"]["int8"].items():
        single = name in {f"robust_lead_off_{lead}" for lead in robust.LEADS}
        if told["value"] is None or single:
            continue
        digits = 4 if name.startswith("parity") else 3
        show = signed if name.startswith("robust") else number
        assert f"| {show(told['value'], digits)} |" in text, name


def test_every_figure_that_is_null_says_why():
    told = _with("bleu1", why="no texts")["fold9"]
    title = next(title for title in POINTS if title.startswith("6."))
    assert "Not computed (no texts): BLEU-1." in sections.point(told, title)


def test_every_published_system_stands_beside_ours_once_with_what_it_was_tested_on():
    text = sections.beside(FOLD)
    for system in SYSTEMS:
        assert text.count(f"| {system.system} |") == 1
        assert system.trained
        assert system.tested


def test_the_terminal_shows_the_first_published_system():
    assert beside("auc_super") == (0.930, "Strodthoff 2021, supervised")
    assert beside("robust_5s") is None


def _score(sensitivity):
    return {"sensitivity": sensitivity, "ppv": 99.0, "mean_ms": -1.5, "sd_ms": 8.0, "n": 40}


def test_delineation_is_judged_on_the_records_it_was_not_tuned_on():
    waves = {"QRS": {"peak": _score(99.7)}}
    told = {"ours, together": waves, "neurokit2 dwt": {"QRS": {"peak": _score(98.0)}}}
    results = {
        "fold9": FOLD,
        "delineation": {
            "figures": {
                "lead II, even records, held out": told,
                "lead II, odd records, tuned on": {"ours, together": {}},
            }
        },
    }
    text = bars.section(results)
    assert "**0.997** |  | 40 | met | LUDB, lead II, even records, held out" in _row(
        text, "QRS sensitivity"
    )
    assert "**missed by 0.005**" in _row(text, "QRS PPV")
    assert "| QRS peak | 99.70, 99.00; -1.5, 8.0 | 98.00, 99.00; -1.5, 8.0 |" in others.delineation(
        results["delineation"]
    )
    assert "QRS sensitivity" not in bars.section({"fold9": FOLD})


def test_the_learning_curve_tells_means_and_what_is_expected_of_more(tmp_path):
    expected = {"value": 0.95, "lo": 0.93, "hi": 0.96}
    metric = {"mean": [0.8, 0.9], "sd": [0.01, None], "expected": expected}
    points = [
        {"seed": seed, "recordings": n, "auc_super": 0.8, "report_r10": 0.1}
        for seed in (1, 2)
        for n in (250, 1441)
    ]
    results = {
        "points": points,
        "sizes": [250.0, 1441.0],
        "at": 17000,
        "metrics": {
            "auc_super": metric,
            "report_r10": {"mean": [0.05, 0.1], "fit": None, "why": "two sizes"},
        },
    }
    text = others.learning_curve(results)
    assert "mean of 2 seeds" in text
    assert "| 1,441 | 0.900 | 0.100 |" in text
    assert "| 17,000, extrapolated | 0.950 (0.930 to 0.960) | two sizes |" in text
    pytest.importorskip("matplotlib")
    from benchmarks.report import plots

    plots.learning_curve(results, tmp_path / "curve.svg")
    assert "superclass AUC" in (tmp_path / "curve.svg").read_text(encoding="utf-8")


def test_rhythm_and_search_are_told_with_their_intervals():
    figure = {"value": 0.9, "lo": 0.8, "hi": 0.95, "n": 150, "chance": 0.4}
    rule = {"accuracy": figure, "balanced_accuracy": figure | {"value": 0.7}}
    text = others.rhythm({"models": {"scalogram-1": {"validation": {"plain": rule}}}})
    cells = "0.900 (0.800 to 0.950) | 0.700 (0.800 to 0.950) | 150"
    assert f"| scalogram-1 | fold 9, plain votes | {cells} |" in text
    ways = dict.fromkeys(("meaning", "keywords", "difference"), figure)
    found = {"cases": 1441, "in_domain": "it has read these", "precision": {"German": ways}}
    assert "| German | 0.900 (0.800 to 0.950) |" in others.words(found)
    assert "| 0.400 | 150 |" in others.words(found)


def test_a_zero_has_no_sign():
    assert (number(-0.0001), signed(0.0), signed(0.0124), signed(-0.5)) == (
        "0.000",
        "0.000",
        "+0.012",
        "-0.500",
    )
