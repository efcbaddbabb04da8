"""Standard ONNX -> the same network in ONNX Runtime's fused operators.

A net this small spends as long between operators as in them: the exported graph has some
270 of them, and each costs ONNX Runtime several microseconds besides its arithmetic. Its
contrib operators (domain com.microsoft, in every CPU build since 1.17) do what the exporter
wrote in many steps:

    attention     Reshape, Transpose, Mul, MatMul, Softmax ...  -> MultiHeadAttention
    linear layer  MatMul, Add                                   -> DynamicQuantizeMatMul

The second makes the layer int8 as well: weights as signed bytes with a scale an output
channel, activations as unsigned bytes over the range they have in this very recording.
ONNX Runtime's own optimizer finds neither in a graph that torch 2.13 exported.
SkipLayerNormalization was tried: slower than a sum and a LayerNormalization.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from ecgedge.errors import ReleaseError

DOMAIN = "com.microsoft"
_LEVELS = 127


def fuse(model: bytes, *, int8_linear: bool = True) -> bytes:
    """The same function of the image in fewer operators.

    model: fp32 ONNX bytes from `export`. int8_linear: linear layers in int8, see above.

    Raises ReleaseError where attention is there and not written as our exporter does.
    """
    proto = onnx.load_model_from_string(model)
    graph = _Graph(proto.graph)
    for softmax in graph.of("Softmax"):
        _fuse_attention(graph, softmax)
    if int8_linear:
        for product in graph.of("MatMul"):
            _fuse_linear(graph, product)
    graph.drop_unread()
    proto.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


class _Graph:
    """An onnx graph with its edges at hand."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self._index()

    def _index(self) -> None:
        self.makers = {name: node for node in self.graph.node for name in node.output}
        self.users: dict[str, list[Any]] = {}
        for node in self.graph.node:
            for name in node.input:
                self.users.setdefault(name, []).append(node)

    def of(self, kind: str) -> list[Any]:
        return [node for node in self.graph.node if node.op_type == kind]

    def array(self, name: str) -> NDArray[Any] | None:
        """A constant's value, or None for anything worked out at run time."""
        tensor = self.constants.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def add_constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants[name] = numpy_helper.from_array(value, name)
        self.graph.initializer.append(self.constants[name])
        return name

    def only_user(self, node: Any) -> Any | None:
        users = self.users.get(node.output[0], [])
        return users[0] if len(users) == 1 else None

    def replace(self, old: list[Any], new: Any) -> None:
        """Put a node where the last of some others stood, and forget them."""
        nodes = list(self.graph.node)
        place = max(nodes.index(node) for node in old)
        kept = [*nodes[:place], new, *nodes[place + 1 :]]
        kept = [node for node in kept if node is new or node not in old]
        del self.graph.node[:]
        self.graph.node.extend(kept)
        self._index()

    def drop_unread(self) -> None:
        """Forget nodes and constants that nothing reads any more."""
        ends = {output.name for output in self.graph.output}
        kept: list[Any] = []
        for node in reversed(self.graph.node):  # makers stand before their users
            read = ends | {name for user in kept for name in user.input}
            if read.intersection(node.output):
                kept.append(node)
        del self.graph.node[:]
        self.graph.node.extend(reversed(kept))
        read = {name for node in kept for name in node.input}
        constants = [tensor for tensor in self.graph.initializer if tensor.name in read]
        del self.graph.initializer[:]
        self.graph.initializer.extend(constants)
        self._index()


def _fuse_attention(graph: _Graph, softmax: Any) -> None:
    """softmax(q k / sqrt(d)) v on heads cut out of (B, N, D) and put together again."""
    scores = graph.makers[softmax.input[0]]
    mix = graph.only_user(softmax)
    merge = mix and graph.only_user(mix)
    flat = merge and graph.only_user(merge)
    scaled = graph.makers.get(scores.input[0])
    kinds = [node.op_type if node else None for node in (scores, scaled, mix, merge, flat)]
    expected = ["MatMul", "Mul", "MatMul", "Transpose", "Reshape"]
    if scaled is None or mix is None or flat is None or kinds != expected:
        raise ReleaseError(f"attention is not written as the exporter writes it: {kinds}")
    old = [scores, softmax, scaled, mix, merge, flat]
    parts, heads = [], 0
    for end in (scaled.input[0], scores.input[1], mix.input[1]):
        turned = graph.makers[end]
        cut = graph.makers[turned.input[0]]
        shape = graph.array(cut.input[1])
        if (turned.op_type, cut.op_type) != ("Transpose", "Reshape") or shape is None:
            raise ReleaseError("attention's heads are not cut as the exporter cuts them")
        heads = int(shape[2])
        parts.append(cut.input[0])
        old += [turned, cut]
    new = helper.make_node(
        "MultiHeadAttention", parts, list(flat.output), domain=DOMAIN, num_heads=heads
    )
    new.name = softmax.name
    graph.replace(old, new)


def _fuse_linear(graph: _Graph, product: Any) -> None:
    """x W + b with a constant W, (K, N), as int8."""
    weight = graph.array(product.input[1])
    if weight is None:
        return
    added = graph.only_user(product)
    biases = () if added is None else tuple(_biases(graph, added, product.output[0]))
    whole, scale = quantize_columns(weight)
    name = product.name or product.output[0]
    inputs = [
        product.input[0],
        graph.add_constant(f"{name}_weight", whole),
        graph.add_constant(f"{name}_scale", scale),
        graph.add_constant(f"{name}_zero", np.zeros(len(scale), np.int8)),
        *biases[:1],
    ]
    old = [product, added] if biases else [product]
    new = helper.make_node("DynamicQuantizeMatMul", inputs, list(old[-1].output), domain=DOMAIN)
    new.name = name
    graph.replace(old, new)


def _biases(graph: _Graph, added: Any, product: str) -> Iterator[str]:
    """The constant vector that a node adds to a product, if that is what it does."""
    if added.op_type != "Add":
        return
    for name in added.input:
        value = graph.array(name)
        if name != product and value is not None and value.ndim == 1:
            yield name


def quantize_columns(
    weight: NDArray[np.float32],
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """(K, N) -> int8 (K, N) and scales (N,): each column's largest weight becomes 127."""
    peak = np.abs(weight).max(axis=0)
    scale = (np.where(peak > 0, peak, 1) / _LEVELS).astype(np.float32)
    return np.round(weight / scale).astype(np.int8), scale


def settle(model: bytes) -> bytes:
    """Take out the roundings that nothing needs from a graph with quantized convolutions.

    The quantizer rounds what a convolution hands to ReLU, half of it negative, and then
    again behind it: only the second is kept. What no int8 operator reads is not rounded.
    """
    proto = onnx.load_model_from_string(model)
    graph = _Graph(proto.graph)
    for restored in graph.of("DequantizeLinear"):
        rounded = graph.makers.get(restored.input[0])
        if rounded is None:
            continue  # a weight
        whole = rounded.input[0]
        maker = graph.makers.get(whole)
        for user in graph.users.get(restored.output[0], []):
            from_conv = maker is not None and maker.op_type == "Conv"
            if user.op_type == "Relu" if from_conv else user.op_type not in ("Conv", "MaxPool"):
                user.input[list(user.input).index(restored.output[0])] = whole
    graph.drop_unread()
    data: bytes = proto.SerializeToString(deterministic=True)
    return data
