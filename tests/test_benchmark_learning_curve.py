"""The learning curve: what is drawn, what stays hidden, and what a fitted law may say."""

import argparse
import dataclasses
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import learning_page, page, power_law
from benchmarks import learning_plan as plan
from benchmarks.learning_summary import summarise
from ecgedge.corpora.ptbxl import Corpus, CorpusRecord, StatementTable
from ecgedge.errors import UsageError

patients = st.lists(st.integers(0, 20), min_size=3, max_size=40)


def records(numbers, fold=1):
    """One recording of each patient number, in this order."""
    return [
        CorpusRecord(f"{fold}{at:03d}", f"{fold}-{number}", fold, "report", {}, None, None, "here")
        for at, number in enumerate(numbers)
    ]


def ids(some):
    return {record.record_id for record in some}


@given(patients, st.integers(0, 5), st.data())
def test_a_smaller_draw_of_a_seed_is_part_of_a_larger_one(numbers, seed, data):
    every = records(numbers)
    sizes = st.integers(2, len(every))
    small, large = sorted([data.draw(sizes), data.draw(sizes)])
    assert ids(plan.draw(every, small, seed)) <= ids(plan.draw(every, large, seed))
    assert ids(plan.draw(every, large, seed)) <= ids(plan.draw(every, None, seed)) == ids(every)


@given(patients, st.integers(0, 5), st.data())
def test_a_draw_takes_whole_patients_and_no_more_of_them_than_it_needs(numbers, seed, data):
    every = records(numbers)
    size = data.draw(st.integers(2, len(every)))
    kept = plan.draw(every, size, seed)
    taken = {record.patient_id for record in kept}
    assert taken.isdisjoint({r.patient_id for r in every if r not in kept})
    largest = max(numbers.count(number) for number in numbers)
    assert size <= len(kept) < size + largest


def test_seeds_draw_different_patients():
    every = records(range(40))
    assert len({frozenset(ids(plan.draw(every, 20, seed))) for seed in range(3)}) == 3


def test_more_than_there_is_cannot_be_drawn():
    with pytest.raises(UsageError, match="the folds have 3"):
        plan.draw(records([1, 2, 3]), 4, 0)


def test_hiding_takes_signals_only_from_the_training_folds_and_leaves_every_report(tmp_path):
    learn, ask = records(range(6)), records(range(4), fold=9)
    table = StatementTable({}, {}, frozenset(), frozenset())
    corpus = Corpus("toy", tmp_path, (*learn, *ask), table)
    hidden = plan.hide(corpus, (1,), learn[:2])
    assert ids(hidden.select({1}, with_signal=True)) == ids(learn[:2])
    assert ids(hidden.select({9}, with_signal=True)) == ids(ask)
    assert [r.report for r in hidden.records] == [r.report for r in corpus.records]
    assert corpus.select({1}, with_signal=True) == learn


@given(st.integers(64, 1400), st.integers(8, 64))
def test_every_size_makes_as_many_steps_as_all_of_them_within_half_an_epoch(size, batch):
    epochs = plan.epochs_for(size, 1441, 36, batch)
    made = epochs * plan.steps(size, batch)
    assert abs(made - 36 * plan.steps(1441, batch)) <= plan.steps(size, batch) / 2


def test_settings_reach_the_run_and_its_augmentation():
    given_ = dict(map(plan.parse_setting, ["width=64", "learning_rate=3e-4", "augment.gain=0.1"]))
    config = plan.configure(given_, encoding="leads-1", train_folds=(1,), valid_folds=(2,))
    assert (config.width, config.learning_rate, config.augment.gain) == (64, 3e-4, 0.1)


@pytest.mark.parametrize("text", ["width", "girth=3", "augment=1", "augment.girth=1"])
def test_a_setting_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="KEY=VALUE"):
        plan.parse_setting(text)


sizes = np.array([250.0, 500.0, 1000.0, 1441.0])
exponents = st.sampled_from(power_law.EXPONENTS.tolist())


@given(st.floats(0, 0.5), st.floats(0.01, 0.5), exponents)
def test_a_known_law_is_found_and_carried_on(floor, scale, exponent):
    true = power_law.Curves(*(np.array([v]) for v in (floor, scale, exponent)), most=1441.0)
    found = power_law.fit(sizes, np.stack([true.at(n) for n in sizes], axis=1))
    assert found.at(17_000)[0] == pytest.approx(true.at(17_000)[0], abs=1e-6)
    assert found.exponent[0] == pytest.approx(exponent)


@given(st.lists(st.floats(0.02, 0.98), min_size=4, max_size=4))
def test_the_law_never_expects_harm_from_more_or_the_impossible(errors):
    found = power_law.fit(sizes, np.array([errors]))
    expected = [found.at(n)[0] for n in (250, 1441, 17_000, 1e9)]
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(expected))
    assert expected[-1] >= 0


@given(st.lists(st.floats(0.05, 0.95), min_size=4, max_size=4))
@settings(max_examples=20)
def test_no_other_law_within_the_bounds_fits_better(errors):
    """Against scipy's bounded least squares, started from several exponents."""
    optimize = pytest.importorskip("scipy.optimize")
    y = np.array(errors)
    found = power_law.fit(sizes, y[None])
    ours = sum((found.at(n)[0] - e) ** 2 for n, e in zip(sizes, y, strict=True))

    def residual(p):
        return p[0] + p[1] * (sizes / sizes[-1]) ** -p[2] - y

    for start in (0.05, 0.3, 1.0):
        theirs = optimize.least_squares(
            residual, (0.1, 0.1, start), bounds=([0, 0, 0.05], [np.inf, np.inf, 1.0])
        )
        assert ours <= 2 * theirs.cost + 1e-4


@given(st.floats(0.01, 0.5), exponents)
def test_a_fixed_floor_is_kept(scale, exponent):
    y = scale * (sizes / 1441.0) ** -exponent
    found = power_law.fit(sizes, y[None], floor=0.0)
    assert found.floor[0] == 0
    assert found.at(17_000)[0] == pytest.approx(scale * (17_000 / 1441) ** -exponent)


def test_two_sizes_fit_no_law_with_a_floor():
    with pytest.raises(ValueError, match="too few sizes"):
        power_law.fit(sizes[:2], np.array([[0.2, 0.1]]))


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=2, max_size=4))
def test_redrawn_means_stay_within_what_each_size_measured(runs):
    drawn = power_law.redraw([np.array(one) for one in runs], 50, 1)
    assert drawn.shape == (50, len(runs))
    for column, one in zip(drawn.T, runs, strict=True):
        assert min(one) - 1e-12 <= column.min()
        assert column.max() <= max(one) + 1e-12


def test_the_summary_gives_the_mean_over_seeds_and_carries_a_falling_error_on():
    points = [
        {
            "size": size,
            "seed": seed,
            "recordings": size,
            "patients": size,
            "epochs": 1,
            "steps": 1,
            "asked": 9,
            "auc_super": 1 - 0.2 * (size / 250) ** -0.5 + 0.001 * (seed - 1),
            "auc_super_all_cases": None,
            "report_r10": 0.1,
        }
        for size in (250, 500, 1000)
        for seed in range(3)
    ]
    told = summarise(points, 4000)
    auc = told["metrics"]["auc_super"]
    assert auc["mean"] == pytest.approx([0.8, 1 - 0.2 / 2**0.5, 0.9])
    assert auc["sd"] == pytest.approx([0.001] * 3)
    assert auc["expected"]["value"] == pytest.approx(0.95, abs=1e-6)
    assert auc["expected"]["lo"] <= 0.95 <= auc["expected"]["hi"]
    assert told["metrics"]["report_r10"]["expected"]["value"] == pytest.approx(0.1)
    assert told["metrics"]["auc_super_all_cases"]["fit"] is None
    page = learning_page.tables(told)
    assert "| 1000 | 1 | 1 | 0.900 (0.001) | 0.100 (0.000) | none |" in page


def test_the_page_shows_the_recorded_curve():
    root = Path(__file__).resolve().parent.parent
    shown = page.between((root / "docs" / "learning_curve.md").read_text(encoding="utf-8"))[1]
    recorded = root / "benchmarks" / "results" / "learning_curve.json"
    if not recorded.exists():
        pytest.skip("no learning curve is recorded")
    results = json.loads(recorded.read_text(encoding="utf-8"))
    assert shown.strip() == learning_page.tables(results).strip()


def test_a_sweep_measures_every_point_once_and_reads_it_the_second_time(tmp_path, capsys):
    pytest.importorskip("torch")
    from training_builders import tiny_config, write_tiny

    from benchmarks import learning_curve as curve

    corpus = write_tiny(tmp_path / "corpus")
    tiny = dataclasses.asdict(tiny_config())
    words = [f"{name}={tiny[name]}" for name in ("batch", "width", "depth", "heads", "dim", "stem")]
    words += ["text_epochs=1", "text_buckets=256", "text_width=8", "extra_reports=4"]
    options = argparse.Namespace(
        corpus=corpus.root,
        output=tmp_path / "runs",
        sizes=[8, None],
        seeds=2,
        epochs=1,
        encoding="leads-1",
        train_folds="1",
        valid_folds="2",
        settings=words,
        at=100,
        device="cpu",
        workers=0,
    )
    told = curve.sweep(options)
    assert [(p["size"], p["seed"], p["steps"]) for p in told["points"]] == [
        (8, 0, 2),
        (16, 0, 2),
        (8, 1, 2),
        (16, 1, 2),
    ]
    assert [p["epochs"] for p in told["points"]] == [2, 1, 2, 1]
    assert told["metrics"]["report_r10"]["mean"] == [1.0, 1.0]  # 8 reports in all
    assert told["metrics"]["report_r10"]["fit"] is None
    files = sorted((tmp_path / "runs").rglob("*.*"))
    times = [path.stat().st_mtime_ns for path in files]
    assert curve.sweep(options) == told
    assert [path.stat().st_mtime_ns for path in files] == times
    options.settings = [*words, "weight_decay=0.1"]
    with pytest.raises(UsageError, match="holds another run"):
        curve.sweep(options)
