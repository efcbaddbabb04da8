"""The TFLite backend: it answers as the ONNX one does, and refuses what it does."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from test_encoders import DIM, SHAPE, WEIGHTS, images, mean_model, one_sentence, spec_of
from tflite_models import mean_tflite

from ecgedge import encoders
from ecgedge.encoders import available, load_bundle
from ecgedge.encoders.chatter import without_chatter
from ecgedge.errors import DamagedError, InputError, MismatchError, ReleaseError, UsageError

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert (extra tflite) is not installed")

ROOT = Path(__file__).resolve().parent.parent
MODEL = mean_tflite(WEIGHTS, SHAPE)


def write(folder: Path, model: bytes, **changes: object) -> Path:
    spec = spec_of(model, format="tflite", **changes)
    (folder / "model.tflite").write_bytes(model)
    (folder / "model.tflite.json").write_text(spec.to_json(), encoding="utf-8")
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write(tmp_path, MODEL)


@pytest.fixture
def encoder(bundle: Path) -> encoders.Encoder:
    return load_bundle(bundle, format="tflite")


def test_both_engines_give_the_same_embeddings(tmp_path, encoder):
    onnx = mean_model()
    (tmp_path / "model.onnx").write_bytes(onnx)
    (tmp_path / "model.json").write_text(spec_of(onnx).to_json(), encoding="utf-8")
    batch = images(5)
    found = encoder.encode(batch)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, load_bundle(tmp_path).encode(batch), atol=1e-6)


def test_an_image_does_not_depend_on_the_one_before_it(encoder):
    batch = images(4)
    backwards = encoder.encode(batch[::-1])[::-1]
    np.testing.assert_array_equal(encoder.encode(batch), backwards)


def test_no_image_gives_no_embedding(encoder):
    assert encoder.encode(images(0)).shape == (0, DIM)


def test_threads_that_ask_at_once_all_get_their_own_answer(encoder):
    batch = images(24)
    expected = encoder.encode(batch)
    wrong: list[int] = []

    def ask(row: int) -> None:
        for _ in range(40):
            if not np.array_equal(encoder.encode(batch[row : row + 1]), expected[row : row + 1]):
                wrong.append(row)

    threads = [threading.Thread(target=ask, args=(row,)) for row in range(len(batch))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_number_of_threads_does_not_change_the_answer(bundle, encoder):
    two = load_bundle(bundle, format="tflite", threads=2)
    np.testing.assert_allclose(two.encode(images()), encoder.encode(images()), atol=1e-6)


@pytest.mark.parametrize("wrong", [images()[0], images()[..., :999], images().astype(np.float64)])
def test_images_of_another_shape_or_dtype_are_refused(encoder, wrong):
    with pytest.raises(UsageError):
        encoder.encode(wrong)


def test_an_image_that_is_not_finite_or_gives_no_direction_is_refused(encoder):
    batch = images()
    batch[1, 0, 3, 500] = np.nan
    with pytest.raises(InputError):
        encoder.encode(batch)
    with pytest.raises(DamagedError):
        encoder.encode(np.zeros((1, *SHAPE), dtype=np.float32))


@pytest.mark.parametrize("position", np.linspace(0, len(MODEL) - 1, 12).astype(int))
def test_a_flipped_bit_is_refused_before_the_engine_sees_it(bundle, position, monkeypatch):
    monkeypatch.setattr("ecgedge.encoders.litert.open_interpreter", pytest.fail)
    data = bytearray(MODEL)
    data[position] ^= 1
    (bundle / "model.tflite").write_bytes(bytes(data))
    with pytest.raises(DamagedError, match="SHA-256 differs"):
        load_bundle(bundle, format="tflite")


@pytest.mark.parametrize("length", [0, 1, 7, 8, 60, 400, len(MODEL) // 2, len(MODEL) - 1])
def test_a_truncated_model_is_refused_even_with_a_true_hash(tmp_path, capfd, length):
    with pytest.raises(ReleaseError) as error:
        load_bundle(write(tmp_path, MODEL[:length]), format="tflite")
    assert one_sentence(error)
    assert capfd.readouterr().err == ""


def test_an_onnx_model_under_a_tflite_sidecar_is_refused(tmp_path):
    with pytest.raises(DamagedError, match="no TFLite model"):
        load_bundle(write(tmp_path, mean_model()), format="tflite")


@pytest.mark.parametrize(
    "model",
    [
        mean_tflite(WEIGHTS, (2, 12, 500)),
        mean_tflite(WEIGHTS, SHAPE, batch=2),
        mean_tflite(WEIGHTS[:, :5], SHAPE),
        mean_tflite(WEIGHTS, SHAPE, dtype="INT8"),
        mean_tflite(WEIGHTS, SHAPE, outputs=2),
    ],
    ids=["image", "batch", "embedding", "int8 input", "two outputs"],
)
def test_a_model_of_another_shape_or_quantization_is_a_mismatch(tmp_path, model):
    with pytest.raises(MismatchError) as error:
        load_bundle(write(tmp_path, model), format="tflite")
    assert one_sentence(error)


def test_a_sidecar_of_another_input_name_is_a_mismatch(tmp_path):
    with pytest.raises(MismatchError):
        load_bundle(write(tmp_path, MODEL, input_name="x"), format="tflite")


@pytest.mark.parametrize("kind", [{"operator": "CUSTOM"}, {"version": 99}])
def test_an_operator_that_this_engine_does_not_know_is_refused(tmp_path, capfd, kind):
    with pytest.raises(DamagedError, match="cannot be run") as error:
        load_bundle(write(tmp_path, mean_tflite(WEIGHTS, SHAPE, **kind)), format="tflite")
    assert one_sentence(error)
    assert capfd.readouterr().err == ""


def test_an_onnx_model_of_a_newer_opset_or_file_version_is_refused(tmp_path, capfd):
    onnx = pytest.importorskip("onnx")
    newer = onnx.load_model_from_string(mean_model())
    newer.opset_import[0].version = 99
    later = onnx.load_model_from_string(mean_model())
    later.ir_version = 99
    for model in (newer, later):
        data = model.SerializeToString()
        (tmp_path / "model.onnx").write_bytes(data)
        (tmp_path / "model.json").write_text(spec_of(data).to_json(), encoding="utf-8")
        with pytest.raises(DamagedError) as error:
            load_bundle(tmp_path)
        assert one_sentence(error)
    assert capfd.readouterr().err == ""


def test_loading_and_encoding_say_nothing_on_stderr(bundle, capfd):
    load_bundle(bundle, format="tflite").encode(images())
    assert capfd.readouterr().err == ""


def test_what_others_say_while_an_engine_loads_is_still_said(capfd):
    with without_chatter():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
        os.write(2, b"W0000 00:00:1795355411.627308    7350 x.cc:1] word\n")
        print("ours", file=sys.stderr)
    assert capfd.readouterr().err == "ours\n"


def test_stderr_comes_back_when_loading_fails(tmp_path, capfd):
    with pytest.raises(ReleaseError):
        load_bundle(write(tmp_path, MODEL[:400]), format="tflite")
    os.write(2, b"still here\n")
    assert capfd.readouterr().err == "still here\n"


def test_a_missing_engine_names_the_extra_to_install(bundle, monkeypatch):
    for name in ("ai_edge_litert", "ai_edge_litert.interpreter", "tflite_runtime"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ReleaseError, match=r"ecgedge\[tflite\]") as error:
        load_bundle(bundle, format="tflite")
    assert one_sentence(error)


@pytest.fixture
def only_tflite_runtime(monkeypatch):
    from types import ModuleType

    from ai_edge_litert.interpreter import Interpreter

    class Older(Interpreter):
        """The same API under the older package's name."""

    Older.__module__ = "tflite_runtime.interpreter"
    package, module = ModuleType("tflite_runtime"), ModuleType("tflite_runtime.interpreter")
    module.Interpreter = Older  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tflite_runtime", package)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", module)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)


def test_tflite_runtime_serves_where_only_that_exists(bundle, encoder, only_tflite_runtime):
    again = load_bundle(bundle, format="tflite")
    np.testing.assert_array_equal(again.encode(images()), encoder.encode(images()))


def test_tflite_runtime_gets_no_dynamic_range_model(tmp_path, only_tflite_runtime):
    write(tmp_path, MODEL, quantization="tflite-dynamic-convs")
    with pytest.raises(ReleaseError, match=r"answers wrongly.*ecgedge\[tflite\]"):
        load_bundle(tmp_path, format="tflite")


def test_an_engine_built_for_another_numpy_is_said_in_a_sentence(bundle, monkeypatch, capfd):
    from ai_edge_litert import interpreter

    def old(**options: object) -> None:
        os.write(2, b"A module that was compiled using NumPy 1.x cannot be run in NumPy 2\n")
        raise SystemError("returned a result with an exception set")

    old.__module__ = "tflite_runtime.interpreter"
    monkeypatch.setattr(interpreter, "Interpreter", old)
    with pytest.raises(ReleaseError, match="tflite_runtime does not work with numpy") as error:
        load_bundle(bundle, format="tflite")
    assert not isinstance(error.value, DamagedError)
    assert capfd.readouterr().err == ""


def test_an_unknown_format_of_a_bundle_is_refused(bundle):
    with pytest.raises(UsageError, match="not torch"):
        load_bundle(bundle, format="torch")


def test_the_available_formats_are_found_without_importing_an_engine():
    code = (
        "import json, sys; from ecgedge.encoders import available; "
        "engines = {'onnxruntime', 'ai_edge_litert', 'tflite_runtime'}; "
        "print(json.dumps([available(), sorted(engines & set(sys.modules))]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [["onnx", "tflite"], []]


def test_a_format_without_its_engine_is_not_available(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", None)
    assert available() == ("onnx",)


def test_the_engine_gets_the_bytes_that_were_hashed(bundle, monkeypatch):
    from ecgedge.encoders import litert

    seen: list[str] = []

    def swapped(data: bytes, threads: int) -> object:
        (bundle / "model.tflite").write_bytes(b"swapped behind our back")
        seen.append(hashlib.sha256(data).hexdigest())
        return original(data, threads)

    original = litert.open_interpreter
    monkeypatch.setattr(litert, "open_interpreter", swapped)
    encoder = load_bundle(bundle, format="tflite")
    assert seen == [encoder.spec.sha256]
    assert encoder.encode(images()).shape == (3, DIM)
