"""ONNX Runtime's fused operators: the same function, in fewer steps."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from ecgedge.encoders.onnx import open_session  # noqa: E402
from ecgedge.errors import ReleaseError  # noqa: E402
from ecgedge.training.model import EcgViT, ViTConfig  # noqa: E402
from export.bundle import synthetic_images  # noqa: E402
from export.graph import to_onnx  # noqa: E402
from quantization.fusion import fuse, quantize_columns, settle  # noqa: E402
from quantization.quantizer import Quantizer  # noqa: E402
from quantization.recipes import choose_recipes  # noqa: E402

IMAGES = synthetic_images("leads-1")


def exported(**changes) -> bytes:
    torch.manual_seed(0)
    settings = {"width": 32, "depth": 2, "heads": 2, "dim": 16, "stem": 16} | changes
    net = EcgViT(ViTConfig((2, 12, 1000), (12, 20), **settings)).eval()
    example = torch.zeros(2, 2, 12, 1000)
    return to_onnx(
        net, example, input_name="image", output_name="unit_vector", free_axes={0: "batch"}
    )


@pytest.fixture(scope="module")
def plain() -> bytes:
    return exported()


def kinds(model: bytes) -> Counter:
    return Counter(node.op_type for node in onnx.load_model_from_string(model).graph.node)


def run(model: bytes, images=IMAGES) -> np.ndarray:
    return open_session(model, 1).run(None, {"image": images})[0]


def test_fused_attention_gives_what_the_exported_one_gives(plain):
    fused = fuse(plain, int8_linear=False)
    assert kinds(fused)["MultiHeadAttention"] == 2
    assert kinds(fused)["Softmax"] == 0
    np.testing.assert_allclose(run(fused), run(plain), atol=2e-6)


def test_every_linear_layer_of_a_block_becomes_one_int8_operator_with_its_bias(plain):
    fused = fuse(plain)
    assert kinds(fused)["DynamicQuantizeMatMul"] == 2 * 4
    assert kinds(fused)["MatMul"] == 0
    graph = onnx.load_model_from_string(fused).graph
    assert all(len(n.input) == 5 for n in graph.node if n.op_type == "DynamicQuantizeMatMul")
    assert (run(fused) * run(plain)).sum(axis=1).min() > 0.999


def test_a_fused_model_takes_any_batch_and_each_image_by_itself(plain):
    fused = fuse(plain, int8_linear=False)
    together = run(fused)
    apart = np.concatenate([run(fused, image[None]) for image in IMAGES])
    np.testing.assert_allclose(together, apart, atol=2e-6)


def test_the_same_model_is_fused_into_the_same_bytes_and_holds_nothing_unread(plain):
    fused = fuse(plain)
    assert fused == fuse(plain)
    graph = onnx.load_model_from_string(fused).graph
    read = {name for node in graph.node for name in node.input}
    assert {tensor.name for tensor in graph.initializer} <= read


def test_attention_in_another_shape_is_refused_and_not_guessed_at():
    from onnx import TensorProto, helper

    nodes = [helper.make_node("Relu", ["image"], ["a"]), helper.make_node("Softmax", ["a"], ["b"])]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("image", "b")
    ]
    graph = helper.make_graph(nodes, "odd", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    with pytest.raises(ReleaseError, match="attention is not written"):
        fuse(model.SerializeToString())


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_convolutions_are_rounded_once_and_the_result_stays_close(tmp_path, activation):
    model = exported(activation=activation)
    (recipe,) = choose_recipes("int8-fused")
    quantizer = Quantizer(model, IMAGES, tmp_path)
    made = quantizer.apply(recipe)
    assert (run(made) * run(model)).sum(axis=1).min() > 0.995
    graph = onnx.load_model_from_string(made).graph
    makers = {name: node for node in graph.node for name in node.output}
    behind = [makers[node.input[0]].op_type for node in graph.node if node.op_type == "Relu"]
    assert behind.count("Conv") == 4, "the stem's four, straight behind their convolutions"
    assert "DequantizeLinear" not in behind


def test_settling_a_model_twice_changes_nothing_more(plain, tmp_path):
    (recipe,) = choose_recipes("int8-fused")
    made = Quantizer(plain, IMAGES, tmp_path).apply(recipe)
    assert settle(made) == made


@settings(max_examples=50)
@given(rows=st.integers(1, 20), columns=st.integers(1, 20), seed=st.integers(0, 999))
def test_columns_are_rounded_to_half_a_step_and_use_all_levels(rows, columns, seed):
    weight = np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)
    weight[:, 0] = 0
    whole, scale = quantize_columns(weight)
    assert whole.dtype == np.int8
    assert (np.abs(whole[:, 1:]).max(axis=0, initial=0) == 127).all()
    assert (np.abs(whole * scale - weight) <= scale * 0.501).all()
