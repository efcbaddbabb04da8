"""The best rate at which ONNX Runtime multiplies int8 matrices here, on one thread.

What an encoder's arithmetic is held against: u8 activations times constant s8 weights, in each
of the operators that ONNX Runtime has for it and over a range of sizes.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

OPERATORS = ("MatMulInteger", "QLinearMatMul", "MatMulIntegerToFloat")
ROWS, SIDES = (128, 256, 512), ((256, 256), (512, 512), (1024, 1024), (2048, 512), (512, 2048))
_OPSET = 20


def best_rate(repeats: int = 7) -> dict[str, Any]:
    """The fastest of all: GMAC/s, the operator and m, k, n; its median over `repeats` runs."""
    found: list[dict[str, Any]] = []
    for name, m, (k, n) in itertools.product(OPERATORS, ROWS, SIDES):
        seconds = _median_s(name, m, k, n, repeats)
        rate = m * k * n / seconds / 1e9
        found.append({"gmac_s": rate, "operator": name, "m": m, "k": k, "n": n})
    return max(found, key=lambda one: float(one["gmac_s"]))


def multiplication(name: str, m: int, k: int, n: int) -> Callable[[], Any]:
    """One such product on one thread, to be timed."""
    from ecgedge.encoders.onnx import open_session

    session = open_session(_model(name, m, k, n), 1)
    feed = {"a": np.random.default_rng(0).integers(0, 255, (m, k), dtype=np.uint8)}
    return lambda: session.run(None, feed)


def _median_s(name: str, m: int, k: int, n: int, repeats: int) -> float:
    multiply = multiplication(name, m, k, n)
    multiply()
    taken = []
    for _ in range(repeats):
        begun = time.process_time()
        multiply()
        taken.append(time.process_time() - begun)
    return float(np.median(taken))


def _model(name: str, m: int, k: int, n: int) -> bytes:
    """One multiplication of a u8 input (m, k) with constant s8 weights (k, n)."""
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(1).integers(-127, 127, (k, n), dtype=np.int8)
    scale, zero = np.float32(0.01), np.uint8(128)
    inputs = {
        "MatMulInteger": ["a", "b", "za"],
        "QLinearMatMul": ["a", "sa", "za", "b", "sb", "zb", "sc", "za"],
        "MatMulIntegerToFloat": ["a", "b", "sa", "sb", "za"],
    }[name]
    kind = {"MatMulInteger": TensorProto.INT32, "QLinearMatMul": TensorProto.UINT8}
    constants = {"b": weights, "za": zero, "zb": np.int8(0), "sa": scale, "sb": scale}
    constants["sc"] = np.float32(10)
    domain = "com.microsoft" if name == "MatMulIntegerToFloat" else ""
    graph = helper.make_graph(
        [helper.make_node(name, inputs, ["c"], domain=domain)],
        "rate",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, [m, k])],
        [helper.make_tensor_value_info("c", kind.get(name, TensorProto.FLOAT), [m, n])],
        [numpy_helper.from_array(np.asarray(constants[key]), key) for key in {*inputs} - {"a"}],
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    data: bytes = model.SerializeToString()
    return data
