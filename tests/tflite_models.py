"""Small real TFLite files, put together operator by operator: no converter is needed."""

import numpy as np


def mean_tflite(
    weights: np.ndarray,
    shape: tuple[int, ...],
    *,
    batch: int = 1,
    dtype: str = "FLOAT32",
    operator: str = "FULLY_CONNECTED",
    version: int = 1,
    outputs: int = 1,
) -> bytes:
    """The mean over time of each row of (batch, C, H, W), through one matrix (C*H, dim).

    dtype: of input and output. operator, version: what stands for the matrix product.
    outputs: how often the embedding is put out.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools.flatbuffer_utils import convert_object_to_bytearray

    kinds = {**vars(schema.TensorType)}
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    tensors: list = []

    def tensor(name: str, size: tuple[int, ...], kind: str, data: np.ndarray | None = None) -> int:
        one = schema.TensorT()
        one.name, one.shape, one.type, one.buffer = name.encode(), list(size), kinds[kind], 0
        if kind == "INT8":
            one.quantization = schema.QuantizationParametersT()
            one.quantization.scale, one.quantization.zeroPoint = [0.05], [0]
        if data is not None:
            one.buffer = len(model.buffers)
            model.buffers.append(schema.BufferT())
            model.buffers[-1].data = np.frombuffer(data.tobytes(), np.uint8)
        tensors.append(one)
        return len(tensors) - 1

    rows, dim = weights.shape
    image = tensor("image", (batch, *shape), dtype)
    axis = tensor("axis", (1,), "INT32", np.array([3], np.int32))
    mean = tensor("mean", (batch, *shape[:2]), dtype)
    size = tensor("size", (2,), "INT32", np.array([batch, rows], np.int32))
    flat = tensor("flat", (batch, rows), dtype)
    kernel = np.ascontiguousarray(weights.T.astype(np.float32 if dtype == "FLOAT32" else np.int8))
    matrix = tensor("matrix", (dim, rows), dtype, kernel)
    found = tensor("unit_vector", (batch, dim), dtype)
    model.operatorCodes, operators = [], []
    for kind, inputs, made, step in (
        ("MEAN", [image, axis], mean, 1),
        ("RESHAPE", [mean, size], flat, 1),
        (operator, [flat, matrix, -1], found, version),
    ):
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = step
        one = schema.OperatorT()
        one.opcodeIndex = len(model.operatorCodes)
        one.inputs, one.outputs = inputs, [made]
        if kind == "FULLY_CONNECTED":
            one.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
            one.builtinOptions = schema.FullyConnectedOptionsT()
        model.operatorCodes.append(code)
        operators.append(one)
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = tensors, operators
    graph.inputs, graph.outputs = [image], [found] * outputs
    model.subgraphs = [graph]
    return bytes(convert_object_to_bytearray(model))
