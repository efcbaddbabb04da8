"""torch module -> TFLite bytes, the same for the same weights, free of local names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ecgedge.encoders.chatter import without_chatter
from ecgedge.errors import ReleaseError
from export.graph import quiet

if TYPE_CHECKING:
    import torch


def to_tflite(
    module: torch.nn.Module, example: torch.Tensor, *, input_name: str, output_name: str
) -> bytes:
    """Convert one-input `module` (in eval mode) to a TFLite model of the example's shape.

    The batch stays the example's: a free one keeps XNNPACK, which plans its memory once,
    from taking the graph.

    Raises ReleaseError where the converter is missing or cannot express the module.
    """
    if module.training:
        raise ReleaseError("a module in training mode cannot be exported: dropout would be kept")
    try:
        with quiet(), without_chatter():
            import litert_torch
    except ImportError as error:
        raise ReleaseError(
            f"TFLite needs the converter, which is not installed ({error}): scripts/setup with "
            "the extra convert, or --no-tflite to do without"
        ) from None
    try:
        with quiet(), without_chatter():
            converted = bytes(litert_torch.convert(module, (example,)).model_content())
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ReleaseError(f"the network cannot be written as TFLite: {reason}") from error
    return rename(converted, input_name, output_name)


def rename(data: bytes, input_name: str, output_name: str) -> bytes:
    """The model with its tensors numbered instead of named after the network's classes.

    The runtime goes by number; the quantizer and our sidecar go by name, so each tensor
    keeps a name of its own. Buffers, operators and their order stay what they are.
    """
    model = read_flatbuffer(data)
    for part in model.subgraphs:
        part.name = None
        for number, tensor in enumerate(part.tensors):
            tensor.name = f"t{number}".encode()
    main = model.subgraphs[0]
    main.tensors[main.inputs[0]].name = input_name.encode()
    main.tensors[main.outputs[0]].name = output_name.encode()
    return write_flatbuffer(model)


def read_flatbuffer(data: bytes) -> Any:
    """A TFLite model as the object tree of its schema."""
    from ai_edge_litert.tools.flatbuffer_utils import read_model_from_bytearray

    return read_model_from_bytearray(bytearray(data))


def write_flatbuffer(model: Any) -> bytes:
    """The object tree as bytes again; the same tree gives the same bytes."""
    from ai_edge_litert.tools.flatbuffer_utils import convert_object_to_bytearray

    return bytes(convert_object_to_bytearray(model))
