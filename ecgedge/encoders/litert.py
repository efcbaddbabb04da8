"""The TFLite backend: LiteRT's interpreter with XNNPACK, one image at a time.

Engines. `ai-edge-litert` is the maintained one; `tflite-runtime` has the same
Interpreter and is used only where the former is not installed, on old boards. Its
last release (2.14, 2023) cannot run a model beside numpy 2, and beside numpy 1.26 it
answers garbage for a dynamic-range file without a word (cosine 0.2; float32 and static
files are right). Dynamic-range files are therefore refused there. What protects from
whatever else an engine gets wrong is the release's probe queries: `ecgedge verify` encodes
known hearts on this very machine and compares their nearest cases with the centre's.

Files. The interpreter refuses a truncated model but not an altered one: of 40 bits
flipped one at a time near a file's ends it ran 32, some with another answer and no
word. So it gets only bytes whose SHA-256 is the sidecar's, as content, never a path that
could change in between.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from ecgedge.encoders.chatter import without_chatter
from ecgedge.encoders.common import check_images, first_line, unit_rows, verified_bytes
from ecgedge.encoders.spec import EncoderSpec
from ecgedge.errors import DamagedError, MismatchError, ReleaseError
from ecgedge.recording import FloatArray

#: At byte 4 of every TFLite file; without it the interpreter would talk of flatbuffers.
_IDENTIFIER = b"TFL3"
#: In the name of every recipe whose weights are int8 and activations float32.
_DYNAMIC = "dynamic"


class LiteRtEncoder:
    """An `Encoder` over a TFLite interpreter; see `load_litert`.

    An interpreter holds one set of tensors: threads that encode at once wait for each
    other.
    """

    def __init__(self, spec: EncoderSpec, interpreter: Any) -> None:
        self.spec = spec
        self._interpreter = interpreter
        self._input = int(interpreter.get_input_details()[0]["index"])
        self._output = int(interpreter.get_output_details()[0]["index"])
        self._lock = threading.Lock()

    def encode(self, images: FloatArray) -> FloatArray:
        """float32 (n, C, H, W) -> float32 (n, embedding_dim), rows of length 1."""
        check_images(images, self.spec)
        raw = np.zeros((len(images), self.spec.embedding_dim), dtype=np.float32)
        try:
            with self._lock:
                for row, image in zip(raw, images, strict=True):
                    self._interpreter.set_tensor(self._input, np.ascontiguousarray(image)[None])
                    self._interpreter.invoke()
                    row[:] = self._interpreter.get_tensor(self._output)[0]
        except (RuntimeError, ValueError) as error:
            raise DamagedError(
                f"encoder {self.spec.id} failed on {len(images)} images: {first_line(error)}"
            ) from None
        return unit_rows(raw, len(images), self.spec)


def load_litert(model: Path, spec: EncoderSpec, threads: int) -> LiteRtEncoder:
    """Verify the file's SHA-256, then start an interpreter on the very bytes that were hashed.

    Raises DamagedError for other bytes or a model that cannot run, MismatchError for one
    whose input and output are not those of `spec`, ReleaseError where no engine is installed.
    """
    data = verified_bytes(model, spec.sha256)
    if data[4:8] != _IDENTIFIER:
        raise DamagedError(f"{model} is no TFLite model, though its sidecar names these bytes")
    interpreter = open_interpreter(data, threads)
    if _package(interpreter) == "tflite_runtime" and _DYNAMIC in spec.quantization:
        raise ReleaseError(
            f"tflite-runtime answers wrongly for {spec.quantization} models such as {spec.id}: "
            "pip install 'ecgedge[tflite]'"
        )
    _check_signature(interpreter, spec)
    return LiteRtEncoder(spec, interpreter)


def open_interpreter(data: bytes, threads: int) -> Any:
    """A TFLite Interpreter over these bytes, its tensors allocated, XNNPACK on, silent.

    Raises DamagedError for bytes that it cannot run (truncated, an operator or version
    that this engine does not know), ReleaseError where no engine works here.
    """
    engine = None
    try:
        with without_chatter():
            engine = _engine()
            interpreter = engine(model_content=data, num_threads=threads)
            interpreter.allocate_tensors()
    except ReleaseError:
        raise
    except SystemError:  # from an extension that was built for another numpy
        raise ReleaseError(
            f"the installed {_package(engine)} does not work with numpy {np.__version__}: "
            "pip install 'ecgedge[tflite]'"
        ) from None
    except Exception as error:
        raise DamagedError(f"the model cannot be run: {first_line(error)}") from None
    return interpreter


def _package(thing: Any) -> str:
    return str(thing.__module__).partition(".")[0]


def _engine() -> Any:
    """The Interpreter class of the engine that is installed."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as missing:
        try:
            from tflite_runtime.interpreter import Interpreter
        # Built for numpy 1, it fails beside numpy 2 with more than one kind of error.
        except (ImportError, AttributeError) as error:
            absent = getattr(error, "name", None) == "tflite_runtime"
            raise ReleaseError(
                "this encoder is a TFLite model, and no engine for it can be imported "
                f"({first_line(missing if absent else error)}): pip install 'ecgedge[tflite]'"
            ) from None
    return Interpreter


def _check_signature(interpreter: Any, spec: EncoderSpec) -> None:
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if len(inputs) != 1 or len(outputs) != 1:
        raise MismatchError(
            f"encoder {spec.id} has {len(inputs)} inputs and {len(outputs)} outputs, not one each"
        )
    given, made = inputs[0], outputs[0]
    if given["name"] != spec.input_name or given["dtype"] is not np.float32:
        raise MismatchError(
            f"encoder {spec.id} takes {given['name']} of {np.dtype(given['dtype'])}, "
            f"but its sidecar says {spec.input_name} of float32"
        )
    if tuple(given["shape"]) != (1, *spec.input_shape):
        raise MismatchError(
            f"encoder {spec.id} takes shape {tuple(map(int, given['shape']))}, "
            f"but its sidecar says (1, {', '.join(map(str, spec.input_shape))})"
        )
    if made["dtype"] is not np.float32 or tuple(made["shape"]) != (1, spec.embedding_dim):
        raise MismatchError(
            f"encoder {spec.id} gives shape {tuple(map(int, made['shape']))} of "
            f"{np.dtype(made['dtype'])}, but its sidecar says {spec.embedding_dim} float32 "
            f"numbers an image"
        )
