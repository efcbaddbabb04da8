"""The four-way rhythm task: whom a recording belongs to, how votes decide, what scores say."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks import page, rhythm_page
from benchmarks import rhythm_task as task
from ecgedge.errors import UsageError
from ecgedge.evaluation.figures import patient_weights
from ecgedge.evaluation.metrics import nan_mean

CODES = sorted(set().union(*task.GROUPS.values()) | {"PACE", "SVARR", "BIGU", "NORM"})


@given(st.sets(st.sampled_from(CODES)))
def test_a_recording_has_a_group_only_if_its_codes_are_of_one_and_not_paced(codes):
    touched = {name for name, members in task.GROUPS.items() if members & codes}
    expected = touched.pop() if len(touched) == 1 and "PACE" not in codes else None
    assert task.group_of(codes) == expected


def test_no_code_is_in_two_groups():
    every = [code for members in task.GROUPS.values() for code in members]
    assert len(every) == len(set(every))


def asked(seed, queries=12, cases=30, patients=8):
    """Random similarities, each query and case of one of a few patients."""
    random = np.random.default_rng(seed)
    asker, owner = random.integers(0, patients, queries), random.integers(0, patients, cases)
    similarity = task.keep_apart(random.uniform(-1, 1, (queries, cases)), asker, owner)
    truth, held = random.integers(0, 4, queries), random.integers(0, 4, cases)
    return task.Asked(similarity, truth, held), asker, owner


@given(st.integers(0, 1000), st.sampled_from([1, 3, 10, 50]), st.sampled_from([0.02, 0.1, 0.5]))
def test_vote_shares_are_those_of_a_plain_loop_over_other_patients_cases(seed, k, temperature):
    it, asker, owner = asked(seed)
    shares = task.vote_shares(*task.nearest_cases(it), k, temperature)
    for query in range(len(it.truth)):
        others = [case for case in range(len(it.held)) if owner[case] != asker[query]]
        best = sorted(others, key=lambda case: -it.similarity[query, case])[:k]
        votes = np.zeros(4)
        for case in best:
            votes[it.held[case]] += np.exp(it.similarity[query, case] / temperature)
        np.testing.assert_allclose(shares[query], votes / votes.sum(), atol=1e-9)


def test_weighed_votes_hear_a_rare_group_that_plain_votes_do_not():
    held = np.array([0] * 90 + [1] * 10)
    shares = np.array([[0.8, 0.2, 0.0, 0.0], [0.95, 0.05, 0.0, 0.0]])
    assert task.decide(shares, held, "plain").tolist() == [0, 0]
    assert task.decide(shares, held, "weighed").tolist() == [1, 0]


@pytest.mark.parametrize("rule", sorted(task.RULES))
def test_a_group_without_cases_is_never_answered(rule):
    shares = np.array([[0.1, 0.3, 0.9, 0.0]])
    assert task.decide(shares, np.array([0, 1, 1]), rule).tolist() == [1]


labels = arrays(np.intp, 25, elements=st.integers(0, 3))


@given(labels, labels)
def test_scores_are_those_counted_by_hand(truth, said):
    told = {name: value[0] for name, value in task.scores(task.confusion(truth, said)).items()}
    present = sorted(set(truth.tolist()))
    recalls = {c: np.mean(said[truth == c] == c) for c in present}
    f1 = [2 * np.sum((truth == c) & (said == c)) / (np.sum(truth == c) + np.sum(said == c))
          for c in present]  # fmt: skip
    assert told["accuracy"] == pytest.approx(np.mean(truth == said))
    assert told["balanced_accuracy"] == pytest.approx(np.mean(list(recalls.values())))
    assert told["macro_f1"] == pytest.approx(np.mean(f1))
    if len(present) == 4:
        mix = {c: task.PUBLISHED_COUNTS[task.NAMES[c]] / 10_646 for c in present}
        expected = sum(mix[c] * recalls[c] for c in present)
        assert told["accuracy_published_mix"] == pytest.approx(expected)
    else:
        assert np.isnan(told["accuracy_published_mix"])


@given(labels)
def test_chance_is_what_one_constant_answer_scores(truth):
    most = int(np.bincount(truth, minlength=4).argmax())
    constant = task.scores(task.confusion(truth, np.full_like(truth, most)))
    chance = task.chances(truth)
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        assert chance[name] == pytest.approx(constant[name][0])


@given(labels, labels, st.integers(0, 100))
def test_a_bootstrap_draw_scores_the_records_it_drew(truth, said, seed):
    weights = patient_weights([str(i // 2) for i in range(len(truth))], draws=3, seed=seed)
    drawn = task.scores(task.confusion(truth, said, weights))
    for draw, counts in enumerate(weights.astype(int)):
        again = task.scores(task.confusion(np.repeat(truth, counts), np.repeat(said, counts)))
        for name, value in again.items():
            np.testing.assert_allclose(drawn[name][draw], value[0])


def test_tuning_finds_the_settings_that_answer_rightly_and_among_equals_the_most_neighbours():
    groups = np.repeat(np.arange(4), 12)
    distance = np.abs(groups[:, None] - groups[None]).astype(float)
    similarity = task.keep_apart(1 - distance, np.arange(48), np.arange(48))
    it = task.Asked(similarity, groups, groups)
    settings = task.tune(it, "weighed")
    _, said = task.answer(it, settings, "weighed")
    assert (said == groups).all()
    assert settings.k == max(task.NEIGHBOURS)


def test_an_outcome_tells_recall_precision_and_auc_of_each_group():
    truth, said = np.array([0, 0, 1, 2, 3, 3]), np.array([0, 1, 1, 2, 3, 0])
    shares = np.eye(4)[said]
    weights = patient_weights(list("abcdef"), draws=20)
    outcome = task.Outcome((task.Settings(5, 0.1),), shares, truth, said, weights)
    told = outcome.to_dict()
    assert told["groups"]["SR"]["recall"]["value"] == 0.5
    assert told["groups"]["SB"]["precision"] == 0.5
    assert told["groups"]["AF"]["auc"]["value"] == 1.0
    assert told["confusion"]["SVT"] == [1, 0, 0, 1]
    assert told["accuracy"]["value"] == pytest.approx(4 / 6)
    assert told["balanced_accuracy"]["value"] == pytest.approx(nan_mean(np.array([0.5, 1, 1, 0.5])))
    low, high = told["accuracy"]["lo"], told["accuracy"]["hi"]
    assert low < told["accuracy"]["value"] < high


def test_the_page_shows_the_recorded_figures():
    root = Path(__file__).resolve().parent.parent
    shown = page.between((root / "docs" / "rhythm.md").read_text(encoding="utf-8"))[1]
    results = json.loads((root / "benchmarks" / "results" / "rhythm.json").read_text())
    assert shown.strip() == rhythm_page.tables(results).strip()


def test_filling_a_page_changes_only_what_stands_between_the_marks(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    page.fill(path, "new\n")
    page.fill(path, "new\n")
    assert path.read_text() == f"before\n{page.BEGIN}\n\nnew\n\n{page.END}\nafter\n"


@pytest.mark.parametrize("text", ["", page.BEGIN, page.END + page.BEGIN, 2 * page.BEGIN + page.END])
def test_a_page_without_the_marks_is_not_written_to(tmp_path, text):
    path = tmp_path / "page.md"
    path.write_text(text)
    with pytest.raises(UsageError, match="once each"):
        page.fill(path, "new")
    assert path.read_text() == text
