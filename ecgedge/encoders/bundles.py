"""The files of an encoder bundle, by the engine that runs them."""

from __future__ import annotations

from pathlib import Path

from ecgedge.encoders import MODEL_NAME, SPEC_NAME

FILES = {"onnx": (MODEL_NAME, SPEC_NAME), "tflite": ("model.tflite", "model.tflite.json")}


def bundle_files(text: str) -> tuple[Path, Path]:
    """(model, sidecar) of `FOLDER`, `FOLDER:onnx` or `FOLDER:tflite`; ONNX by default."""
    folder, _, kind = text.rpartition(":")
    if not folder or kind not in FILES:
        folder, kind = text, "onnx"
    model, spec = FILES[kind]
    return Path(folder) / model, Path(folder) / spec
