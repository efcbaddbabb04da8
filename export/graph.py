"""torch module -> ONNX bytes, the same for the same weights, free of local paths."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ecgedge.errors import ReleaseError

if TYPE_CHECKING:
    import torch

OPSET = 20


def to_onnx(
    module: torch.nn.Module,
    example: torch.Tensor,
    *,
    input_name: str,
    output_name: str,
    free_axes: Mapping[int, str],
) -> bytes:
    """Export one-input `module` (in eval mode) as a serialised ONNX model.

    free_axes: axis of the input -> name, for the axes that may have any length.

    Raises ReleaseError where the exporter cannot express the module.
    """
    import torch

    if module.training:
        raise ReleaseError("a module in training mode cannot be exported: dropout would be kept")
    axes = {axis: torch.export.Dim(name) for axis, name in free_axes.items()}
    try:
        with quiet(), torch.no_grad():
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[input_name],
                output_names=[output_name],
                dynamic_shapes=(axes,),
                custom_translation_table=_translations(),
                verbose=False,
            )
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ReleaseError(f"the network cannot be written as ONNX: {reason}") from error
    if program is None:
        raise ReleaseError("the network cannot be written as ONNX: the exporter gave nothing")
    return strip(program.model_proto)


def strip(model: Any) -> bytes:
    """Serialise an onnx.ModelProto without anything the computation does not need.

    The exporter notes Python stack traces, with the paths of the machine it ran on,
    at every node. Inferred shapes (`value_info`) go too: they are worked out again
    on loading, and stale ones make the quantizer fail.
    """
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    del model.functions[:]
    model.doc_string = graph.doc_string = ""
    model.producer_version = ""
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _translations() -> dict[Any, Any]:
    """Attention as two plain products.

    The exporter's own translation works out the shape of the transposed keys at
    run time, in eight extra nodes a block; on a net this small that costs several
    percent of a run.
    """
    import torch
    from onnxscript import opset20 as op

    def attention(  # type: ignore[no-untyped-def]
        query,
        key,
        value,
        attn_mask=None,
        dropout_p=0.0,
        is_causal=False,
        scale=None,
        enable_gqa=False,
    ):
        if attn_mask is not None or is_causal or dropout_p or enable_gqa:
            raise NotImplementedError("only plain attention is exported")
        factor = scale if scale is not None else 1 / math.sqrt(query.shape[-1])
        scores = op.MatMul(op.Mul(query, factor), op.Transpose(key, perm=[0, 1, 3, 2]))
        return op.MatMul(op.Softmax(scores, axis=-1), value)

    return {torch.ops.aten.scaled_dot_product_attention.default: attention}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Exporter and quantizer print to stdout, which belongs to the result, and warn of their
    own deprecations; none is ours to act on.
    """
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
