"""Checkpoints: whole or not at all, and never taken from a file that is none."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from training_builders import tiny_config  # noqa: E402

from ecgedge.errors import InputError  # noqa: E402
from ecgedge.imaging import encoding_ids, get_encoding  # noqa: E402
from ecgedge.signal.conditioning import Conditioned, condition  # noqa: E402
from ecgedge.signal.synthetic import synthesize  # noqa: E402
from ecgedge.training import checkpoint  # noqa: E402
from ecgedge.training.config import TrainConfig  # noqa: E402


def state_of(config):
    """What a run exports, of untrained towers."""
    image_tower, text_tower = checkpoint.build_towers(config)
    return {
        "config": config.to_dict(),
        "averaged": image_tower.state_dict(),
        "text_tower": text_tower.state_dict(),
        "facts": {"corpus": "test"},
    }


@pytest.fixture(scope="module")
def state():
    return state_of(tiny_config())


@pytest.mark.parametrize("encoding_id", encoding_ids())
def test_a_checkpoint_of_each_encoding_gives_unit_vectors_also_without_the_chest(
    tmp_path, encoding_id
):
    checkpoint.save(tmp_path / "best.pt", state_of(tiny_config(encoding=encoding_id)))
    loaded = checkpoint.load(tmp_path / "best.pt")
    assert loaded.imaging == encoding_id
    assert loaded.training == {"corpus": "test"}
    assert not loaded.image_tower.training
    assert not loaded.text_tower.training
    whole = condition(synthesize()).signal
    limb, nothing = whole.copy(), np.full_like(whole, np.nan)
    limb[6:] = np.nan
    encode = get_encoding(encoding_id).encode
    images = np.stack([encode(Conditioned(signal)) for signal in (whole, limb, nothing)])
    with torch.no_grad():
        vectors = loaded.image_tower(torch.from_numpy(images))
        words = loaded.text_tower(torch.tensor([[1, 2, 0], [0, 0, 0]]))
    assert vectors.shape == (3, 16)
    assert words.shape == (2, 16)
    for rows in (vectors, words):
        np.testing.assert_allclose(rows.norm(dim=1).numpy(), 1, atol=1e-5)
    assert not torch.allclose(vectors[0], vectors[1])


def test_settings_survive_the_way_through_a_file(tmp_path, state):
    config = tiny_config()
    assert TrainConfig.from_dict(config.to_dict()) == config
    checkpoint.save(tmp_path / "best.pt", state)
    assert checkpoint.load(tmp_path / "best.pt").config == config


def test_the_weights_loaded_are_the_weights_saved(tmp_path, state):
    checkpoint.save(tmp_path / "best.pt", state)
    loaded = checkpoint.load(str(tmp_path / "best.pt")).image_tower.state_dict()
    assert loaded.keys() == state["averaged"].keys()
    assert all(torch.equal(loaded[name], value) for name, value in state["averaged"].items())


def test_the_untrained_control_follows_from_its_seed():
    first, same, other = (
        checkpoint.untrained(tiny_config(seed=seed)).image_tower.head.weight for seed in (1, 1, 2)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_run_killed_while_saving_keeps_its_last_checkpoint(tmp_path, state, monkeypatch, moment):
    path = tmp_path / "last.pt"
    checkpoint.save(path, state)
    before = path.read_bytes()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(*((os, "fsync") if moment == "fsync" else (type(path), "replace")), killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(path, state | {"facts": {"corpus": "later"}})
    monkeypatch.undo()
    assert path.read_bytes() == before
    checkpoint.save(path, state | {"facts": {"corpus": "later"}})
    assert checkpoint.load(path).training == {"corpus": "later"}
    assert [item.name for item in tmp_path.iterdir()] == ["last.pt"]


def torch_bytes(value):
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def zip_bytes():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"nothing")
    return file.getvalue()


FOREIGN = {
    "empty": b"",
    "text": b"ecg_id,patient_id\n1,2\n",
    "pickle": pickle.dumps({"format": checkpoint.FORMAT}),
    "code": pickle.dumps(os.getcwd),
    "zip": zip_bytes(),
    "list": torch_bytes([1, 2]),
    "other dict": torch_bytes({"model": {}}),
    "other version": torch_bytes({"format": "ecgedge-checkpoint/2"}),
    "bare": torch_bytes({"format": checkpoint.FORMAT}),
}


def refused(path):
    with pytest.raises(InputError) as error:
        checkpoint.load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_is_no_checkpoint_is_refused_with_one_sentence(tmp_path, name):
    (tmp_path / "x.pt").write_bytes(FOREIGN[name])
    refused(tmp_path / "x.pt")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert "No such file" in refused(tmp_path / "none.pt")
    refused(tmp_path)


@given(st.binary(max_size=200), st.sampled_from([b"", b"PK\x03\x04", b"\x80\x02"]))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_refused(tmp_path_factory, data, head):
    path = tmp_path_factory.getbasetemp() / "bytes.pt"
    path.write_bytes(head + data)
    refused(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(tmp_path, state, share):
    checkpoint.save(tmp_path / "best.pt", state)
    data = (tmp_path / "best.pt").read_bytes()
    (tmp_path / "best.pt").write_bytes(data[: int(share * len(data))])
    refused(tmp_path / "best.pt")


def test_a_checkpoint_of_another_architecture_is_refused_with_one_sentence(tmp_path, state):
    path = tmp_path / "best.pt"
    for changes in (
        {"width": 64},
        {"depth": 2},
        {"encoding": "trace-1"},
        {"text_buckets": 9},
        {"width": "32"},
    ):
        checkpoint.save(path, state | {"config": state["config"] | changes})
        refused(path)


def test_settings_this_version_does_not_know_are_named(tmp_path, state):
    path = tmp_path / "best.pt"
    checkpoint.save(path, state | {"config": state["config"] | {"momentum": 0.9}})
    assert "momentum" in refused(path)
    augment = state["config"]["augment"] | {"mirror": 1}
    for config in (7, {}, state["config"] | {"augment": augment}):
        checkpoint.save(path, state | {"config": config})
        refused(path)
    checkpoint.save(path, {name: state[name] for name in state if name != "facts"})
    refused(path)


def test_a_checkpoint_says_which_words_it_saw_and_an_older_one_says_nothing(tmp_path, state):
    checkpoint.save(tmp_path / "old.pt", state)
    checkpoint.save(tmp_path / "new.pt", {**state, "learnt": "AAAA"})
    assert checkpoint.load(tmp_path / "old.pt").learnt == ""
    assert checkpoint.load(tmp_path / "new.pt").learnt == "AAAA"
