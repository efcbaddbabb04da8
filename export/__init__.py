"""Checkpoint -> encoder bundle (ONNX with its JSON sidecar). Workstation only."""
