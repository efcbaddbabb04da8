"""Stage 0: what is hidden, what is learnt from filling it in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from training_builders import STILL, silent, tiny_config, trainer, write_tiny  # noqa: E402

from ecgedge.signal.conditioning import condition  # noqa: E402
from ecgedge.signal.synthetic import Heart, synthesize  # noqa: E402
from ecgedge.training import checkpoint  # noqa: E402
from ecgedge.training.model import ViTConfig  # noqa: E402
from ecgedge.training.pretrain import Decoder, filling_loss, hide, pretrain  # noqa: E402


def hearts(count):
    rates = np.linspace(50, 120, count)
    return np.stack([condition(synthesize(Heart(rate_bpm=float(r)))).signal for r in rates])


@given(st.integers(0, 2**32), st.integers(41, 1000))
def test_hiding_only_ever_takes_away_and_always_takes_something(seed, n):
    signal = np.random.default_rng(1).standard_normal((12, n)).astype(np.float32)
    hidden = hide(signal, np.random.default_rng(seed))
    gone = np.isnan(hidden)
    assert gone.any()
    np.testing.assert_array_equal(hidden[~gone], signal[~gone])
    assert np.isfinite(signal).all()


@pytest.mark.parametrize(("shape", "patch"), [((2, 12, 1000), (12, 40)), ((3, 64, 96), (16, 16))])
def test_the_decoder_puts_each_token_back_where_its_patch_was_cut(shape, patch):
    decoder = Decoder(ViTConfig(shape, patch, width=8))
    tokens = torch.zeros(1, decoder.grid[0] * decoder.grid[1], 8)
    tokens[0, 3] = 1.0
    with torch.no_grad():
        decoder.project.bias.zero_()
        drawn = decoder(tokens)
    assert drawn.shape == (1, *shape)
    row, column = divmod(3, decoder.grid[1])
    tall, wide = patch
    inside = (..., slice(row * tall, (row + 1) * tall), slice(column * wide, (column + 1) * wide))
    assert drawn[inside].abs().min() > 0
    drawn[inside] = 0
    assert drawn.abs().max() == 0


def test_only_what_was_hidden_is_scored():
    clean, seen = torch.ones(1, 1, 2, 2), torch.tensor([[[[1.0, 0.0], [1.0, 1.0]]]])
    told = torch.tensor([[[[9.0, 1.0], [9.0, 9.0]]]])
    assert float(filling_loss(told, clean, seen)) == 0
    told[0, 0, 0, 1] = 2.0
    assert float(filling_loss(told, clean, seen)) == pytest.approx(0.5)


def test_filling_in_is_learnt_and_changes_the_tower_the_same_way_each_time():
    signals = hearts(8)
    losses, towers = [], []
    for epochs in (1, 12, 12):
        config = tiny_config(pretrain_epochs=epochs, learning_rate=3e-3, augment=STILL)
        torch.manual_seed(0)
        tower, _ = checkpoint.build_towers(config)
        losses.append(pretrain(tower, signals, config, silent, "cpu"))
        towers.append(tower.state_dict())
    assert losses[1] < 0.9 * losses[0]
    assert losses[1] == losses[2]
    assert all(torch.equal(towers[1][name], towers[2][name]) for name in towers[1])


def test_a_run_with_a_stage_0_logs_it_and_goes_on_from_it(tmp_path):
    corpus = write_tiny(tmp_path / "corpus")
    plain = trainer(corpus, tmp_path / "plain", tiny_config(epochs=1))
    filled = trainer(corpus, tmp_path / "filled", tiny_config(epochs=1, pretrain_epochs=1))
    before = {name: value.clone() for name, value in filled.image_tower.state_dict().items()}
    plain.fit()
    filled.fit()
    log = (tmp_path / "filled" / "log.jsonl").read_text().splitlines()
    assert '"loss_filling"' in log[0]
    assert len(log) == 2
    ours, theirs = filled.image_tower.state_dict(), plain.image_tower.state_dict()
    assert any(not torch.equal(ours[name], theirs[name]) for name in before)
