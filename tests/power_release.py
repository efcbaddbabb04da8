"""Releases so small that every byte of a sync can be watched: about 60 kB, and they answer."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from small_release import DIM

from ecgedge.casebase.manifest import Calibration, EncoderRef, Manifest
from ecgedge.casebase.release import Store
from ecgedge.casebase.segment import CaseRecord, SegmentRef
from ecgedge.casebase.writing import write_segment
from ecgedge.encoders import load_encoder
from ecgedge.encoders.spec import EncoderSpec
from ecgedge.engine import Engine
from ecgedge.imaging import get_encoding
from ecgedge.sight import embed_recording
from ecgedge.signal.synthetic import Heart, synthesize

POOL = 50  # samples a mean is taken over, so that the encoder's weights are few
HEARTS = {f"test/{rate}": Heart(rate_bpm=rate) for rate in range(50, 110, 10)}
QUESTION = synthesize(Heart(rate_bpm=75))


def pooled_encoder(seed: int = 0) -> tuple[bytes, EncoderSpec]:
    """Model bytes and sidecar of a fixed random projection of the image's means."""
    onnx = pytest.importorskip("onnx")
    shape = get_encoding("leads-1").shape
    means = int(np.prod(shape)) // POOL
    weights = np.random.default_rng(seed).normal(size=(means, DIM)).astype(np.float32)
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    kind = onnx.TensorProto.FLOAT
    pool = {"kernel_shape": [1, POOL], "strides": [1, POOL]}
    graph = onnx.helper.make_graph(
        [
            node("AveragePool", ["images"], ["pooled"], **pool),
            node("Flatten", ["pooled"], ["flat"]),
            node("MatMul", ["flat", "weights"], ["embedding"]),
        ],
        "pooled",
        [value("images", kind, ["n", *shape])],
        [value("embedding", kind, ["n", DIM])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    data = onnx.helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()
    spec = EncoderSpec("", "onnx", "", "images", shape, "float32", DIM, "cond-1", "leads-1", "fp32")
    return data, spec.with_model(hashlib.sha256(data).hexdigest())


def tiny_releases(root: Path, count: int) -> tuple[Store, list[str]]:
    """A store with so many releases, of which each has one segment more than the one before."""
    store = Store(root)
    data, spec = pooled_encoder()
    model, sidecar = store.put_blob(data), store.put_blob(spec.to_json().encode())
    encoder = load_encoder(store.blob(model), store.blob(sidecar))
    embeddings = np.stack([embed_recording(synthesize(one), encoder) for one in HEARTS.values()])
    segments: list[SegmentRef] = []
    for number in range(count):
        cases = [
            CaseRecord(f"{name}/{number}", {"SR": 0.0}, None, 50, "F", "made up", f"{name}{number}")
            for name in HEARTS
        ]
        segments.append(write_segment(store.blobs, embeddings, cases, encoder_id=spec.id))
    ids = [
        store.add_release(
            Manifest(
                created=f"2026-01-0{number}",
                encoder=EncoderRef(spec.id, model, sidecar),
                text=None,
                conditioning="cond-1",
                imaging="leads-1",
                calibration=Calibration(4, 0.1, tuple(np.linspace(0.5, 1.0, 101).tolist())),
                segments=tuple(segments[:number]),
                withdrawn=(),
                probes=(),
            )
        )
        for number in range(1, count + 1)
    ]
    store.activate(ids[-1])
    return store, ids


class Answers:
    """Sees that a store's current release is whole and answers.

    The same bytes answer alike, so each release is asked once and its files are hashed always.
    """

    def __init__(self) -> None:
        self.asked: dict[str, int] = {}

    def __call__(self, store: Store, release: str | None = None) -> str:
        """The release (by default the current one); raises where it is not whole."""
        manifest = store.manifest(release)
        for name in manifest.blobs():
            store.blob(name)
        if manifest.id not in self.asked:
            answer = Engine.open(store.root, release=manifest.id).query(QUESTION, k=3)
            assert len(answer.matches) == 3
        self.asked[manifest.id] = self.asked.get(manifest.id, 0) + 1
        return manifest.id
