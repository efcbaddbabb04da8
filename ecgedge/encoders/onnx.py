"""The ONNX Runtime backend, set up for one image at a time on a small computer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ecgedge.encoders.common import check_images, first_line, unit_rows, verified_bytes
from ecgedge.encoders.spec import EncoderSpec
from ecgedge.errors import DamagedError, MismatchError, ReleaseError
from ecgedge.recording import FloatArray

_FATAL_ONLY = 4  # the caller gets one sentence from us, not ORT's log besides


class OnnxEncoder:
    """An `Encoder` over an ONNX Runtime session; see `load_onnx`."""

    def __init__(self, spec: EncoderSpec, session: Any) -> None:
        self.spec = spec
        self._session = session
        self._output = session.get_outputs()[0].name

    def encode(self, images: FloatArray) -> FloatArray:
        """float32 (n, C, H, W) -> float32 (n, embedding_dim), rows of length 1.

        One image at a time: a layer that works out its range at run time takes it over the
        whole batch, and a recording's embedding must not depend on its neighbours.
        """
        check_images(images, self.spec)
        if not len(images):
            return np.zeros((0, self.spec.embedding_dim), dtype=np.float32)
        try:
            rows = [self._run(image[None]) for image in np.ascontiguousarray(images)]
        except Exception as error:
            raise DamagedError(
                f"encoder {self.spec.id} failed on {len(images)} images: {first_line(error)}"
            ) from None
        return unit_rows(np.concatenate(rows), len(images), self.spec)

    def _run(self, image: FloatArray) -> FloatArray:
        """(1, C, H, W) -> what the model makes of it."""
        made: FloatArray = self._session.run([self._output], {self.spec.input_name: image})[0]
        return made


def load_onnx(model: Path, spec: EncoderSpec, threads: int) -> OnnxEncoder:
    """Verify the file's SHA-256, then start a session on the very bytes that were hashed.

    Raises DamagedError for other bytes or a model that cannot run, MismatchError
    for one whose inputs and outputs are not those of `spec`.
    """
    session = open_session(verified_bytes(model, spec.sha256), threads)
    _check_signature(session, spec)
    return OnnxEncoder(spec, session)


def open_session(data: bytes, threads: int) -> Any:
    """An onnxruntime.InferenceSession on the CPU, silent, with `threads` threads.

    Shared by every ONNX model of ecgedge. Raises DamagedError for bytes that ORT
    cannot run, ReleaseError where onnxruntime itself is missing.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ReleaseError(f"onnxruntime cannot be imported: {first_line(error)}") from None
    onnxruntime.set_default_logger_severity(_FATAL_ONLY)
    # ecgedge/__init__.py switches it off altogether, unless a program of the user's has
    # imported onnxruntime before ecgedge.
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # Arena, memory patterns and prepacking keep their defaults: turning them off saved
    # at most 1 MB for one image, and cost up to 25 MB at a batch of 32 or 10 % of the time.
    # Waiting threads would otherwise burn a core the front end needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        # Without "fallback", which prints on standard output and tries the same once more.
        return onnxruntime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:
        raise DamagedError(f"the model cannot be run: {first_line(error)}") from None


def _check_signature(session: Any, spec: EncoderSpec) -> None:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        raise MismatchError(
            f"encoder {spec.id} has {len(inputs)} inputs and {len(outputs)} outputs, not one each"
        )
    given, made = inputs[0], outputs[0]
    if given.name != spec.input_name or given.type != "tensor(float)":
        raise MismatchError(
            f"encoder {spec.id} takes {given.name} of {given.type}, "
            f"but its sidecar says {spec.input_name} of float32"
        )
    batch, *image = given.shape
    if isinstance(batch, int) or tuple(image) != spec.input_shape:
        raise MismatchError(
            f"encoder {spec.id} takes shape {given.shape}, "
            f"but its sidecar says (any number, {', '.join(map(str, spec.input_shape))})"
        )
    if made.type != "tensor(float)" or list(made.shape[1:]) != [spec.embedding_dim]:
        raise MismatchError(
            f"encoder {spec.id} gives shape {made.shape} of {made.type}, "
            f"but its sidecar says {spec.embedding_dim} float32 numbers an image"
        )
