"""The rounding of quantization-aware tuning is that of the int8 engines."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from benchmarks.tuning import round_input, round_weight, tune  # noqa: E402
from ecgedge.training.model import EcgViT, ViTConfig  # noqa: E402
from export.bundle import synthetic_images  # noqa: E402


@given(st.integers(0, 999))
def test_a_rounded_weight_has_at_most_255_levels_an_output_and_is_half_a_step_off(seed):
    weight = torch.from_numpy(np.random.default_rng(seed).standard_normal((3, 400))).float()
    rounded = round_weight(weight)
    for one, kept in zip(weight, rounded, strict=True):
        assert len(torch.unique(kept)) <= 255
        assert (one - kept).abs().max() <= one.abs().max() / 127 * 0.501


@given(st.integers(0, 999), st.booleans())
def test_a_rounded_input_has_at_most_256_levels_and_keeps_zero(seed, fixed):
    values = torch.from_numpy(np.random.default_rng(seed).standard_normal((2, 500))).float()
    values[:, 0] = 0
    rounded = round_input(values, (-1.0, 2.0) if fixed else None)
    assert (rounded[:, 0] == 0).all()
    assert all(len(torch.unique(row)) <= 256 for row in rounded)
    if fixed:
        assert rounded.min() >= -1.01
        assert rounded.max() <= 2.01


def test_gradients_pass_through_the_rounding_and_stop_outside_the_range():
    values = torch.tensor([[-5.0, 0.3, 1.0]], requires_grad=True)
    round_input(values, (-1.0, 2.0)).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [[0.0, 1.0, 1.0]]


def test_tuning_moves_the_weights_and_leaves_a_plain_network():
    torch.manual_seed(0)
    config = ViTConfig((2, 12, 1000), (12, 20), width=16, depth=1, heads=2, dim=8, stem=8)
    tower = EcgViT(config).eval()
    images = synthetic_images("leads-1")
    tuned = tune(
        tower, images, steps=2, batch=2, rate=1e-3, seed=0, progress=lambda items, label: items
    )
    changed = [
        not torch.equal(a, b) for a, b in zip(tower.parameters(), tuned.parameters(), strict=True)
    ]
    assert any(changed)
    plain = EcgViT(config).eval()
    plain.load_state_dict(tuned.state_dict())
    probe = torch.from_numpy(images)
    with torch.no_grad():
        torch.testing.assert_close(tuned(probe), plain(probe))
