"""Claims about ranked lists and intervals, each against an independent definition."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgedge.evaluation import figures, ranking


@given(st.integers(1, 12), st.data())
def test_hit_probability_is_the_hypergeometric_one(items, data):
    targets = data.draw(st.integers(0, items))
    room = data.draw(st.integers(-2, 15))
    places = min(max(room, 0), items)
    expected = 1 - math.comb(items - targets, places) / math.comb(items, places)
    assert ranking.hit_probability(items, targets, room) == pytest.approx(expected)


def test_expected_hits_is_the_share_of_all_tie_breaks_that_hit():
    scores = np.array([[0.5, 0.9, 0.5, 0.5, 0.1, 0.9]])
    targets = np.array([[True, False, False, True, True, False]])
    allowed = np.array([[True, True, True, True, True, False]])
    ks = (1, 2, 3, 4)
    found = ranking.expected_hits(scores, targets, allowed, ks)[:, 0]
    columns = np.flatnonzero(allowed[0])
    for k, value in zip(ks, found, strict=True):
        hits = []
        for order in itertools.permutations(columns):
            ranked = sorted(order, key=lambda column: -scores[0, column])[:k]
            hits.append(any(targets[0, column] for column in ranked))
        assert value == pytest.approx(np.mean(hits))


def test_a_row_without_an_allowed_target_never_hits():
    allowed = np.array([[True, False]])
    found = ranking.expected_hits(np.ones((1, 2)), np.array([[False, True]]), allowed, (1, 5))
    assert found.tolist() == [[0.0], [0.0]]


def test_precision_counts_unfilled_places_as_misses():
    assert ranking.precision_at_k([True, False, True, True, True, True], 5) == 0.8
    assert ranking.precision_at_k([True], 5) == 0.2


@settings(max_examples=30)
@given(st.lists(st.integers(0, 4).map(lambda i: i / 4), min_size=1, max_size=6), st.integers(1, 4))
def test_ndcg_of_every_order_lies_between_0_and_1_and_their_mean_is_the_random_one(gains, k):
    values = []
    for order in itertools.permutations(gains):
        ideal = sum(g / math.log2(r + 2) for r, g in enumerate(sorted(gains, reverse=True)[:k]))
        got = sum(g / math.log2(r + 2) for r, g in enumerate(order[:k]))
        value = ranking.ndcg_at_k(order, gains, k)
        if ideal == 0:
            assert math.isnan(value)
            return
        assert value == pytest.approx(got / ideal)
        values.append(value)
    assert max(values) == pytest.approx(1)
    assert ranking.random_ndcg_at_k(gains, k) == pytest.approx(np.mean(values))


@given(
    st.lists(st.sets(st.integers(0, 4)), min_size=1, max_size=5),
    st.lists(st.sets(st.integers(0, 4)), min_size=1, max_size=5),
)
def test_jaccard_is_overlap_over_union(left, right):
    def matrix(rows):
        return np.array([[code in row for code in range(5)] for row in rows])

    found = ranking.jaccard(matrix(left), matrix(right))
    for i, j in itertools.product(range(len(left)), range(len(right))):
        union = left[i] | right[j]
        expected = len(left[i] & right[j]) / len(union) if union else 0.0
        assert found[i, j] == pytest.approx(expected)


def test_a_draw_takes_all_records_of_a_patient_together_and_as_many_patients_as_there_are():
    groups = ["a", "b", "a", "c", "b", "a"]
    weights = figures.patient_weights(groups, draws=50)
    for draw in weights:
        counts = {group: {draw[i] for i, g in enumerate(groups) if g == group} for group in "abc"}
        assert all(len(seen) == 1 for seen in counts.values())
        assert sum(seen.pop() for seen in counts.values()) == 3


def test_the_interval_of_a_mean_is_close_to_the_normal_one_and_wider_for_repeated_patients():
    rng = np.random.default_rng(1)
    values = rng.normal(size=400)
    alone = figures.mean_figure(values, figures.patient_weights([str(i) for i in range(400)]))
    low, high = alone.interval
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.02)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.02)
    twice = figures.mean_figure(
        np.repeat(values[:200], 2), figures.patient_weights([str(i // 2) for i in range(400)])
    )
    wide = np.subtract(*reversed(twice.interval))
    assert wide == pytest.approx(2 * 1.96 * values[:200].std() / math.sqrt(200), abs=0.03)


def test_the_same_patients_give_the_same_draws():
    groups = [str(number % 7) for number in range(20)]
    first, second = figures.patient_weights(groups), figures.patient_weights(groups)
    assert (first == second).all()
    assert Counter(first.sum(axis=0) > 0) == {True: 20}


def test_queries_without_a_value_are_left_out_of_the_mean_and_of_n():
    weights = figures.patient_weights(["a", "b", "c"])
    figure = figures.mean_figure(
        np.array([1.0, np.nan, 0.0]), weights, chance=np.array([0.2, 9.0, 0.4])
    )
    assert (figure.value, figure.n) == (0.5, 2)
    assert figure.chance == pytest.approx(0.3)
    assert figures.mean_figure(np.full(3, np.nan), weights).to_dict()["why"]


def test_a_difference_carries_the_paired_interval():
    weights = figures.patient_weights([str(number) for number in range(50)])
    values = np.random.default_rng(2).normal(size=50)
    first = figures.mean_figure(values, weights)
    gap = figures.difference(figures.mean_figure(values + 0.25, weights), first)
    assert gap.interval == pytest.approx((0.25, 0.25))
    assert figures.difference(first, figures.missing("no twin")).to_dict()["why"] == "no twin"
