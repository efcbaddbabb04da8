"""Checkpoint -> encoder bundle (ONNX with its JSON sidecar). Workstation only.

A bundle is a folder: model.onnx and model.json (the image encoder), and where the
checkpoint holds a text tower, text.onnx and text.json.
"""
