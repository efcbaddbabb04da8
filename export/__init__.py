"""Checkpoint -> encoder bundle (ONNX and TFLite with JSON sidecars). Workstation only.

A bundle is a folder: model.onnx and model.json (the image encoder), the same as
model.tflite and model.tflite.json, and where the checkpoint holds a text tower,
text.onnx and text.json.
"""
