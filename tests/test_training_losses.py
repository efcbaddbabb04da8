"""The losses against slow loops, and what they push and pull."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from training_builders import unit_rows  # noqa: E402

from ecgedge.training.losses import measured_loss, soft_contrastive, vote_loss  # noqa: E402

SEEDS = st.integers(0, 2**31)


def softmax(values):
    top = max(values)
    total = sum(math.exp(value - top) for value in values)
    return [math.exp(value - top) / total for value in values]


def contrastive_by_hand(rows, columns, same, scale):
    """Mean of both directions: cross-entropy of each anchor to its evenly spread positives."""
    logits = [[scale * float(np.dot(r, c)) for c in columns] for r in rows]

    def mean_loss(logits, same):
        losses = []
        for line, marks in zip(logits, same, strict=True):
            if any(marks):
                share = softmax(line)
                logs = [math.log(s) for s, mark in zip(share, marks, strict=True) if mark]
                losses.append(-sum(logs) / len(logs))
        return sum(losses) / len(losses)

    back = list(zip(*logits, strict=True)), list(zip(*same, strict=True))
    return 0.5 * (mean_loss(logits, same) + mean_loss(*back))


def drawn(seed, count=5, extra=3, dim=6):
    """Rows, columns, and marks that always include each row's own column."""
    rng = np.random.default_rng(seed)
    rows, columns = unit_rows(rng, count, dim), unit_rows(rng, count + extra, dim)
    same = torch.from_numpy(rng.random((count, count + extra)) < 0.25)
    same[torch.arange(count), torch.arange(count)] = True
    return rows, columns, same, float(rng.uniform(0.5, 30))


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_the_contrastive_loss_is_what_a_slow_loop_computes(seed):
    rows, columns, same, scale = drawn(seed)
    expected = contrastive_by_hand(
        rows.numpy().astype(float), columns.numpy().astype(float), same.tolist(), scale
    )
    loss = soft_contrastive(rows, columns, same, torch.tensor(scale))
    assert float(loss) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_with_own_pairs_only_it_is_clips_cross_entropy(seed):
    rows, columns, _, scale = drawn(seed, extra=0)
    logits = scale * rows @ columns.T
    own = torch.arange(len(rows))
    clip = 0.5 * (
        torch.nn.functional.cross_entropy(logits, own)
        + torch.nn.functional.cross_entropy(logits.T, own)
    )
    loss = soft_contrastive(rows, columns, torch.eye(len(rows)) > 0, torch.tensor(scale))
    assert float(loss) == pytest.approx(float(clip), rel=1e-4, abs=1e-5)


def push_between_the_first_two(marked, seed):
    """dLoss/d(similarity of ECG 0 and report 1), where 0 and 1 have the same text and ECG.

    The rows are the unit vectors of the space, so a column's coordinate i is its
    similarity to row i.
    """
    rng = np.random.default_rng(seed)
    columns = unit_rows(rng, 5, 5)
    columns[:, 1] = columns[:, 0]
    columns[1] = columns[0]
    columns.requires_grad_()
    same = torch.eye(5) > 0
    if marked:
        same[0, 1] = same[1, 0] = True
    soft_contrastive(torch.eye(5), columns, same, torch.tensor(10.0)).backward()
    return float(columns.grad[1, 0])


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_identical_reports_are_not_pushed_apart(seed):
    assert push_between_the_first_two(False, seed) > 0
    assert push_between_the_first_two(True, seed) <= 1e-7


def test_a_report_without_a_partner_is_pushed_away_and_never_pulled():
    columns = unit_rows(np.random.default_rng(3), 8, 5).requires_grad_()
    same = torch.eye(5, 8) > 0
    soft_contrastive(torch.eye(5), columns, same, torch.tensor(10.0)).backward()
    assert (columns.grad[5:] > 0).all()  # coordinates are similarities to the five rows


def votes_by_hand(embedding, labels, scale):
    """Cross-entropy of each row's labels against the others' votes."""
    losses = []
    for i, anchor in enumerate(embedding):
        others = [j for j in range(len(embedding)) if j != i]
        weight = softmax([scale * float(np.dot(anchor, embedding[j])) for j in others])
        for column, label in enumerate(labels[i]):
            share = sum(w * labels[j][column] for w, j in zip(weight, others, strict=True))
            share = min(max(share, 1e-3), 1 - 1e-3)
            losses.append(-math.log(share if label else 1 - share))
    return sum(losses) / len(losses)


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_the_vote_loss_is_what_a_slow_loop_computes(seed):
    rng = np.random.default_rng(seed)
    embedding = unit_rows(rng, 6, 5)
    labels = (rng.random((6, 4)) < 0.5).astype(np.float32)
    scale = float(rng.uniform(0.5, 20))
    expected = votes_by_hand(embedding.numpy().astype(float), labels.tolist(), scale)
    loss = vote_loss(embedding, torch.from_numpy(labels), scale)
    assert float(loss) == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_the_vote_loss_falls_as_neighbours_of_equal_labels_approach():
    labels = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])

    def loss(angle):
        """Two of a kind `angle` apart, the two kinds at right angles."""
        at = torch.tensor([0.0, angle, math.pi / 2, math.pi / 2 + angle])
        return float(vote_loss(torch.stack([at.cos(), at.sin()], dim=1), labels, 10.0))

    losses = [loss(angle) for angle in (1.2, 0.9, 0.6, 0.3, 0.0)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > 2 * losses[-1]


def test_nobody_votes_for_themselves():
    """Two records of opposite labels: each sees only the other, whose vote is wrong."""
    embedding = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    loss = vote_loss(embedding, torch.tensor([[1.0], [0.0]]), 10.0)
    assert float(loss) == pytest.approx(-math.log(1e-3), rel=1e-4)


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_rows_without_measured_intervals_teach_nothing(seed):
    rng = np.random.default_rng(seed)
    measured = torch.tensor(rng.standard_normal((6, 3)), dtype=torch.float32)
    measured[::2] = float("nan")
    predicted = torch.tensor(rng.standard_normal((6, 3)), dtype=torch.float32, requires_grad=True)
    loss = measured_loss(predicted, measured)
    loss.backward()
    assert not predicted.grad[::2].any()
    assert predicted.grad[1::2].all()
    known = (predicted - measured)[1::2].detach().abs()
    smooth = torch.where(known < 1, 0.5 * known**2, known - 0.5)
    assert float(loss.detach()) == pytest.approx(float(smooth.sum()) / 18, rel=1e-4)


def test_nothing_measured_at_all_costs_nothing():
    assert float(measured_loss(torch.ones(2, 3), torch.full((2, 3), torch.nan))) == 0
