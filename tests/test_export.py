"""Export: the ONNX file does what the network does, wherever and whenever it is made."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

from ecgedge.encoders import load_bundle, read_spec  # noqa: E402
from ecgedge.encoders.text import load_text, pad_ids  # noqa: E402
from ecgedge.errors import MismatchError, ReleaseError, UsageError  # noqa: E402
from ecgedge.training.model import EcgViT, TextTower, ViTConfig  # noqa: E402
from export.bundle import export_bundle, image_model, synthetic_images, write_bundle  # noqa: E402
from export.graph import to_onnx  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Towers:
    image_tower: torch.nn.Module
    text_tower: torch.nn.Module | None = None
    learnt: str = ""
    imaging: str = "leads-1"
    training: dict = field(default_factory=lambda: {"corpus": "none", "validation": {"auc": 0.5}})


def small_vit(**changes) -> torch.nn.Module:
    torch.manual_seed(0)
    config = {"width": 32, "depth": 2, "heads": 2, "dim": 16, "stem": 16} | changes
    return EcgViT(ViTConfig((2, 12, 1000), (12, 20), **config)).eval()


#: A noise-free heart is silent between its waves, and there the wavelets' magnitude is the
#: square root of almost nothing, which blows up the last bits of any two libraries.
QUIET = 5e-5


@pytest.fixture(scope="module")
def towers() -> Towers:
    torch.manual_seed(1)
    return Towers(small_vit(), TextTower(buckets=64, width=8, dim=16).eval())


@pytest.fixture(scope="module")
def bundle(towers, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("bundle") / "new" / "folder"
    report = export_bundle(towers, out)
    assert report.difference_random < 1e-5
    assert report.difference_synthetic < QUIET
    assert report.difference_text < 1e-5
    return out


def test_a_bundle_holds_four_files_and_nothing_half_written(bundle):
    assert {path.name for path in bundle.iterdir()} == {
        "model.onnx",
        "model.json",
        "text.onnx",
        "text.json",
    }


def test_an_exported_encoder_gives_what_torch_gives(towers, bundle):
    images = synthetic_images("leads-1")
    with torch.no_grad():
        expected = towers.image_tower(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(load_bundle(bundle).encode(images), expected, atol=QUIET)


def test_an_exported_text_tower_gives_what_torch_gives_for_any_length(towers, bundle):
    encoder = load_text(bundle / "text.onnx", bundle / "text.json")
    texts = ["sinus", "a b c d e f g h i j k", ""]
    with torch.no_grad():
        expected = towers.text_tower(torch.from_numpy(pad_ids(texts, 64))).numpy()
    np.testing.assert_allclose(encoder.encode(texts), expected, atol=1e-5)


def test_the_sidecar_carries_the_checkpoints_facts(bundle):
    spec = read_spec(bundle / "model.json")
    assert spec.training == {"corpus": "none"}
    assert spec.metrics == {"validation": {"auc": 0.5}}
    assert spec.quantization == "fp32"
    assert spec.embedding_dim == 16


def test_the_same_network_gives_the_same_bytes(towers, bundle):
    assert image_model(towers)[0] == (bundle / "model.onnx").read_bytes()


def test_an_exported_file_names_no_path_of_this_machine(bundle):
    for name in ("model.onnx", "text.onnx"):
        data = (bundle / name).read_bytes()
        assert not [word for word in (str(ROOT).encode(), b".py", b"stack_trace") if word in data]
        onnx.checker.check_model(onnx.load_model_from_string(data), full_check=True)


def test_attention_costs_no_shape_arithmetic_at_run_time(bundle):
    kinds = [node.op_type for node in onnx.load(bundle / "model.onnx").graph.node]
    assert kinds.count("Softmax") == 2
    assert kinds.count("Slice") == 1, "the signal that the wavelets look at; none in attention"
    assert kinds.count("Shape") <= 1


def test_a_network_for_another_encoding_is_a_mismatch(tmp_path):
    other = EcgViT(ViTConfig((1, 288, 512), (48, 32), width=16, depth=1, heads=2, dim=8)).eval()
    with pytest.raises(MismatchError):
        export_bundle(Towers(other), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_onnx_file_that_differs_from_torch_is_not_written(tmp_path):
    class Drifting(torch.nn.Module):
        """Computes one thing when exported and another when run: an exporter that errs."""

        def forward(self, images):
            shift = 0.0 if torch.compiler.is_exporting() else 0.01
            rows = images.mean(dim=3).flatten(1)
            return torch.nn.functional.normalize(rows + shift, dim=-1)

    with pytest.raises(ReleaseError, match="differs from torch"):
        export_bundle(Towers(Drifting().eval()), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_network_in_training_mode_is_refused():
    with pytest.raises(ReleaseError):
        to_onnx(
            small_vit().train(),
            torch.zeros(2, 2, 12, 1000),
            input_name="image",
            output_name="embedding",
            free_axes={0: "batch"},
        )


def test_a_network_the_exporter_cannot_express_is_refused_with_one_sentence():
    class Branching(torch.nn.Module):
        def forward(self, images):
            return images.mean(dim=(1, 2)) if images.sum() > 0 else images.amax(dim=(1, 2))

    with pytest.raises(ReleaseError) as error:
        to_onnx(
            Branching().eval(),
            torch.zeros(2, 2, 12, 1000),
            input_name="image",
            output_name="embedding",
            free_axes={0: "batch"},
        )
    assert "\n" not in str(error.value)


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError):
        write_bundle(tmp_path / "file", {"model.onnx": b""})


def test_the_command_answers_a_missing_checkpoint_in_json(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "export", "none.pt", "-o", str(tmp_path / "out"), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    payload = json.loads(done.stdout)
    assert payload["ok"] is False
    assert done.returncode == payload["error"]["exit_code"] == 3
    assert "Traceback" not in done.stderr
