"""The files of an encoder bundle, by the engine that runs them."""

from __future__ import annotations

from pathlib import Path

from ecgedge.encoders import BUNDLE_NAMES


def bundle_files(text: str) -> tuple[Path, Path]:
    """(model, sidecar) of `FOLDER`, `FOLDER:onnx` or `FOLDER:tflite`; ONNX by default."""
    folder, _, kind = text.rpartition(":")
    if not folder or kind not in BUNDLE_NAMES:
        folder, kind = text, "onnx"
    model, spec = BUNDLE_NAMES[kind]
    return Path(folder) / model, Path(folder) / spec
