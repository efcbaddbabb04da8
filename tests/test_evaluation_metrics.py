"""Claims about the metrics, each against an independent definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ecgedge.evaluation import metrics


def _pairs_auc(labels, scores):
    """By definition: over all positive-negative pairs."""
    wins = [
        1.0 if p > n else 0.5 if p == n else 0.0 for p in scores[labels] for n in scores[~labels]
    ]
    return np.mean(wins)


def _f1(labels, predicted):
    tp = sum(a and b for a, b in zip(labels, predicted, strict=True))
    wrong = sum(a != b for a, b in zip(labels, predicted, strict=True))
    return 2 * tp / (2 * tp + wrong) if tp or wrong else 0.0


labelled = st.lists(
    st.tuples(st.booleans(), st.integers(0, 6).map(lambda i: i / 4)), min_size=2, max_size=40
)


@given(labelled)
def test_roc_auc_is_the_share_of_pairs_ranked_right_with_ties_as_halves(rows):
    labels = np.array([row[0] for row in rows])
    scores = np.array([row[1] for row in rows])
    value = metrics.roc_auc(labels, scores)
    if labels.all() or not labels.any():
        assert np.isnan(value)
    else:
        assert value == pytest.approx(_pairs_auc(labels, scores))


def test_roc_auc_is_scipys_mann_whitney_statistic():
    rng = np.random.default_rng(3)
    labels = rng.random(300) < 0.2
    scores = np.round(rng.normal(size=300) + labels, 1)
    u = stats.mannwhitneyu(scores[labels], scores[~labels]).statistic
    assert metrics.roc_auc(labels, scores) == pytest.approx(u / labels.sum() / (~labels).sum())


def test_macro_auc_leaves_out_classes_with_too_few_positives_or_no_negative():
    scores = np.array([[0.9, 0.1, 0.5], [0.8, 0.2, 0.5], [0.1, 0.3, 0.5], [0.2, 0.4, 0.5]])
    labels = np.array([[1, 1, 1], [1, 0, 1], [0, 0, 1], [0, 0, 1]], dtype=bool)
    assert metrics.macro_auc(labels, scores, min_positives=2) == 1.0
    assert metrics.macro_auc(labels, scores) == 0.5  # 1.0 and 0.0
    assert np.isnan(metrics.macro_auc(labels[:, 2:], scores[:, 2:]))


@settings(max_examples=40)
@given(labelled, st.integers(0, 5))
def test_weights_mean_repeating_the_rows(rows, seed):
    labels = np.array([row[0] for row in rows])
    scores = np.array([row[1] for row in rows])
    weights = np.random.default_rng(seed).integers(0, 3, size=(70, len(rows)))
    drawn = metrics.auc_draws(labels, scores, weights.astype(float))
    predicted = scores[:, None] > 0.6
    columns = labels[:, None]
    f1 = metrics.macro_f1(columns, predicted, weights.astype(float))
    for draw in (0, 33, 69):
        chosen = np.repeat(np.arange(len(rows)), weights[draw])
        np.testing.assert_allclose(
            drawn[draw], metrics.roc_auc(labels[chosen], scores[chosen]), atol=1e-12
        )
        assert f1[draw] == pytest.approx(_f1(labels[chosen], predicted[chosen, 0]))


@given(labelled)
def test_no_threshold_gives_a_better_f1_than_the_chosen_one(rows):
    labels = np.array([row[0] for row in rows])
    scores = np.array([row[1] for row in rows])
    (threshold,) = metrics.choose_thresholds(labels[:, None], scores[:, None])
    chosen = _f1(labels, scores >= threshold)
    if not labels.any():
        assert not (scores >= threshold).any()
        return
    assert chosen == pytest.approx(max(_f1(labels, scores >= t) for t in scores))


def test_hard_label_scores_agree_with_their_definitions():
    rng = np.random.default_rng(5)
    labels, predicted = rng.random((60, 3)) < 0.4, rng.random((60, 3)) < 0.5
    assert metrics.macro_f1(labels, predicted)[0] == pytest.approx(
        np.mean([_f1(labels[:, c], predicted[:, c]) for c in range(3)])
    )
    assert metrics.hamming_loss(labels, predicted)[0] == pytest.approx(
        (labels ^ predicted).sum() / labels.size
    )
    halves = [
        (predicted[labels[:, c], c].mean() + (~predicted[~labels[:, c], c]).mean()) / 2
        for c in range(3)
    ]
    assert metrics.balanced_accuracy(labels, predicted)[0] == pytest.approx(np.mean(halves))
