"""Loading an encoder: whatever is not exactly what its sidecar says is refused."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecgedge.encoders import Encoder, load_bundle, load_encoder, read_spec
from ecgedge.encoders.spec import CONDITIONINGS, IMAGE_SHAPES, EncoderSpec, encoder_id
from ecgedge.errors import (
    DamagedError,
    EcgedgeError,
    InputError,
    MismatchError,
    ReleaseError,
    UsageError,
)
from ecgedge.imaging import encoding_ids, get_encoding
from ecgedge.signal import conditioning

onnx = pytest.importorskip("onnx")

SHAPE = (2, 12, 1000)
DIM = 8
WEIGHTS = np.random.default_rng(5).standard_normal((24, DIM)).astype(np.float32)


def mean_model(weights: np.ndarray = WEIGHTS, shape: tuple = SHAPE, batch: object = "n") -> bytes:
    """A real ONNX file: the mean over time of each row, through one matrix."""
    h = onnx.helper
    image = h.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [batch, *shape])
    out = h.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, [batch, weights.shape[1]])
    constants = [
        onnx.numpy_helper.from_array(weights, "w"),
        onnx.numpy_helper.from_array(np.array([3], np.int64), "axes"),
        onnx.numpy_helper.from_array(np.array([-1, shape[0] * shape[1]], np.int64), "flat"),
    ]
    nodes = [
        h.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
        h.make_node("Reshape", ["mean", "flat"], ["rows"]),
        h.make_node("MatMul", ["rows", "w"], ["embedding"]),
    ]
    graph = h.make_graph(nodes, "g", [image], [out], constants)
    opset = [h.make_opsetid("", 20)]
    return h.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


def spec_of(model: bytes, **changes: object) -> EncoderSpec:
    sha256 = hashlib.sha256(model).hexdigest()
    fields: dict = {
        "format": "onnx",
        "sha256": sha256,
        "input_name": "image",
        "input_shape": SHAPE,
        "input_dtype": "float32",
        "embedding_dim": DIM,
        "conditioning": "cond-1",
        "imaging": "leads-1",
        "quantization": "fp32",
        "training": {"corpus": "none"},
        "metrics": {},
    } | changes
    return EncoderSpec(
        id=encoder_id(fields["imaging"], fields["quantization"], fields["sha256"]), **fields
    )


def write(folder: Path, model: bytes, spec: EncoderSpec) -> Path:
    (folder / "model.onnx").write_bytes(model)
    (folder / "model.json").write_text(spec.to_json(), encoding="utf-8")
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write(tmp_path, mean_model(), spec_of(mean_model()))


@pytest.fixture
def encoder(bundle: Path) -> Encoder:
    return load_bundle(bundle)


def images(count: int = 3) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, *SHAPE)).astype(np.float32)


def one_sentence(error: pytest.ExceptionInfo[BaseException]) -> bool:
    return "\n" not in str(error.value) and 10 < len(str(error.value)) < 400


def test_the_table_of_images_is_what_imaging_and_conditioning_make():
    assert dict(IMAGE_SHAPES) == {id_: get_encoding(id_).shape for id_ in encoding_ids()}
    assert CONDITIONINGS == (conditioning.ID,)


def test_embeddings_are_the_models_output_scaled_to_length_one(encoder):
    batch = images()
    raw = batch.mean(axis=3, dtype=np.float64).reshape(3, 24) @ WEIGHTS
    expected = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    found = encoder.encode(batch)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_batch_gives_what_its_images_give_one_by_one(encoder):
    batch = images(5)
    apart = np.concatenate([encoder.encode(image[None]) for image in batch])
    np.testing.assert_allclose(encoder.encode(batch), apart, atol=1e-6)


def test_views_that_are_not_contiguous_are_encoded_alike(encoder):
    batch = images(4)
    np.testing.assert_array_equal(encoder.encode(batch[::2]), encoder.encode(batch[::2].copy()))


def test_no_image_gives_no_embedding(encoder):
    assert encoder.encode(images(0)).shape == (0, DIM)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_does_not_change_the_answer(bundle, encoder, threads):
    other = load_bundle(bundle, threads=threads)
    np.testing.assert_allclose(other.encode(images()), encoder.encode(images()), atol=1e-6)


def test_less_than_one_thread_is_refused(bundle):
    with pytest.raises(UsageError):
        load_bundle(bundle, threads=0)


@pytest.mark.parametrize(
    "wrong",
    [
        images()[0],
        images()[:, :1],
        images()[..., :999],
        images().astype(np.float64),
        [1.0, 2.0],
    ],
)
def test_images_of_another_shape_or_dtype_are_refused(encoder, wrong):
    with pytest.raises(UsageError) as error:
        encoder.encode(wrong)
    assert one_sentence(error)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_that_is_not_finite_is_refused(encoder, value):
    batch = images()
    batch[1, 0, 3, 500] = value
    with pytest.raises(InputError) as error:
        encoder.encode(batch)
    assert one_sentence(error)


def test_an_embedding_without_direction_is_refused_not_returned(encoder):
    with pytest.raises(DamagedError):
        encoder.encode(np.zeros((1, *SHAPE), dtype=np.float32))


def test_an_embedding_that_overflows_is_refused(tmp_path):
    model = mean_model(np.full((24, DIM), 3e38, dtype=np.float32))
    encoder = load_bundle(write(tmp_path, model, spec_of(model)))
    with pytest.raises(DamagedError):
        encoder.encode(np.full((1, *SHAPE), 10, dtype=np.float32))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_flipped_bit_of_the_model_is_refused(bundle, position, bit):
    data = bytearray(mean_model())
    data[int(position * len(data))] ^= 1 << bit
    (bundle / "model.onnx").write_bytes(bytes(data))
    with pytest.raises(DamagedError) as error:
        load_bundle(bundle)
    assert one_sentence(error)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(junk=st.binary(max_size=300))
def test_bytes_that_are_no_model_are_refused_even_with_a_true_hash(tmp_path, capfd, junk):
    write(tmp_path, junk, spec_of(junk))
    with pytest.raises(EcgedgeError) as error:
        load_bundle(tmp_path)
    assert isinstance(error.value, ReleaseError)
    assert one_sentence(error)
    assert capfd.readouterr().err == ""


def test_a_truncated_model_is_refused_even_with_a_true_hash(tmp_path):
    model = mean_model()[:-40]
    with pytest.raises(ReleaseError) as error:
        load_bundle(write(tmp_path, model, spec_of(model)))
    assert one_sentence(error)


@pytest.mark.parametrize(
    "changes",
    [
        {"conditioning": "cond-2"},
        {"imaging": "leads-9"},
        {"imaging": "trace-1"},
        {"input_shape": (2, 12, 500)},
        {"input_name": "x"},
        {"embedding_dim": 9},
    ],
)
def test_a_sidecar_that_this_code_or_this_model_does_not_fit_is_a_mismatch(tmp_path, changes):
    model = mean_model()
    with pytest.raises(MismatchError) as error:
        load_bundle(write(tmp_path, model, spec_of(model, **changes)))
    assert one_sentence(error)


def test_a_model_of_another_image_shape_than_its_sidecar_is_a_mismatch(tmp_path):
    model = mean_model(shape=(2, 12, 500))
    with pytest.raises(MismatchError):
        load_bundle(write(tmp_path, model, spec_of(model)))


def test_a_model_with_a_fixed_batch_is_a_mismatch(tmp_path):
    model = mean_model(batch=1)
    with pytest.raises(MismatchError):
        load_bundle(write(tmp_path, model, spec_of(model)))


@pytest.mark.parametrize("missing", ["model.onnx", "model.json"])
def test_a_missing_file_is_named(bundle, missing):
    (bundle / missing).unlink()
    with pytest.raises(DamagedError, match=missing):
        load_bundle(bundle)


def test_a_folder_in_place_of_the_model_is_refused(bundle):
    (bundle / "model.onnx").unlink()
    (bundle / "model.onnx").mkdir()
    with pytest.raises(DamagedError):
        load_encoder(bundle / "model.onnx", bundle / "model.json")


def test_a_sidecar_reads_back_as_it_was_written():
    spec = spec_of(mean_model(), metrics={"validation": {"auc_super": 0.9}})
    assert EncoderSpec.from_json(spec.to_json()) == spec
    assert spec.to_json() == EncoderSpec.from_json(spec.to_json()).to_json()


def test_the_id_of_a_spec_follows_its_model_and_recipe():
    spec = spec_of(mean_model()).with_model("a" * 64, quantization="int8-linear")
    assert spec.id == "leads-1-int8-linear-aaaaaaaaaaaa"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"format_version": 2}, MismatchError),
        ({"format_version": True}, MismatchError),
        ({"format": "savedmodel"}, MismatchError),
        ({"input_dtype": "float16"}, MismatchError),
        ({"id": "leads-1-fp32-000000000000"}, DamagedError),
        ({"sha256": "A" * 64}, DamagedError),
        ({"input_shape": [2, 12]}, DamagedError),
        ({"input_shape": [2, 12, 0]}, DamagedError),
        ({"input_shape": [2, 12, 1000.0]}, DamagedError),
        ({"input_shape": [True, 12, 1000]}, DamagedError),
        ({"embedding_dim": -1}, DamagedError),
        ({"embedding_dim": "8"}, DamagedError),
        ({"imaging": "../x"}, DamagedError),
        ({"imaging": 3}, DamagedError),
        ({"input_name": ""}, DamagedError),
        ({"metrics": []}, DamagedError),
        ({"surprise": 1}, DamagedError),
    ],
)
def test_a_sidecar_field_of_another_kind_is_refused(change, kind):
    payload = json.loads(spec_of(mean_model()).to_json()) | change
    with pytest.raises(kind) as error:
        EncoderSpec.from_json(json.dumps(payload))
    assert one_sentence(error)


@pytest.mark.parametrize("name", json.loads(spec_of(b"").to_json()))
def test_a_sidecar_that_lacks_a_field_is_refused(name):
    payload = json.loads(spec_of(mean_model()).to_json())
    del payload[name]
    with pytest.raises(ReleaseError):
        EncoderSpec.from_json(json.dumps(payload))


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"a": 1', '{"id": 1, "id": 2}', '{"metrics": NaN}', "[" * 100_000]
)
def test_text_that_is_no_sidecar_is_refused(text):
    with pytest.raises(ReleaseError) as error:
        EncoderSpec.from_json(text)
    assert one_sentence(error)


def test_a_sidecar_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "model.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DamagedError):
        read_spec(tmp_path / "model.json")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_mutated_sidecar_is_read_or_refused_but_never_crashes(data):
    text = spec_of(mean_model()).to_json()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 12)))
    mutated = text[:start] + data.draw(st.text(max_size=6)) + text[end:]
    try:
        EncoderSpec.from_json(mutated)
    except ReleaseError as error:
        assert "\n" not in str(error)  # noqa: PT017
