"""A small but complete release for tests: a linear ONNX encoder and synthetic hearts as cases."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from ecgedge.casebase.manifest import Calibration, EncoderRef, Manifest, TextRef
from ecgedge.casebase.release import Store
from ecgedge.casebase.segment import CaseRecord
from ecgedge.casebase.writing import write_segment
from ecgedge.central.cases import case_texts
from ecgedge.central.schema import source_of
from ecgedge.encoders import load_encoder
from ecgedge.encoders.spec import EncoderSpec, encoder_id
from ecgedge.encoders.text import TOKENIZER, TextSpec, learnt_grams, load_text
from ecgedge.imaging import get_encoding
from ecgedge.recording import Recording
from ecgedge.sight import embed_recording
from ecgedge.signal.synthetic import Heart, synthesize
from ecgedge.statements import statement_terms, statements
from ecgedge.textsearch import case_words

DIM = 16
BUCKETS = 4096
HEARTS = {
    "test/normal": (Heart(), {"SR": 0.0, "NORM": 100.0}, "sinus rhythm, normal ecg"),
    "test/fast": (Heart(rate_bpm=120), {"STACH": 0.0, "NORM": 80.0}, None),
    "test/fibrillating": (Heart(rate_bpm=90, jitter=0.7, p_wave=0.0), {"AFIB": 0.0}, None),
    "test/wide": (Heart(qrs_width=2.2), {"SR": 0.0, "CLBBB": 100.0}, "linksschenkelblock"),
    "test/thick": (Heart(rate_bpm=67), {"SR": 0.0, "LVH": 90.0, "VCLVH": 0.0}, None),
    "test/withdrawn": (Heart(rate_bpm=66.2), {"SR": 0.0}, None),
}


def linear_encoder(imaging: str = "leads-1", seed: int = 0) -> tuple[bytes, EncoderSpec]:
    """Model bytes and sidecar of a fixed random projection of the image."""
    onnx = pytest.importorskip("onnx")
    shape = get_encoding(imaging).shape
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(int(np.prod(shape)), DIM)).astype(np.float32)
    bias = rng.normal(size=DIM).astype(np.float32)
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [
            node("Flatten", ["images"], ["flat"]),
            node("MatMul", ["flat", "weights"], ["projected"]),
            node("Add", ["projected", "bias"], ["embedding"]),
        ],
        "linear",
        [value("images", kind, ["n", *shape])],
        [value("embedding", kind, ["n", DIM])],
        [
            onnx.numpy_helper.from_array(weights, "weights"),
            onnx.numpy_helper.from_array(bias, "bias"),
        ],
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9
    )
    spec = EncoderSpec("", "onnx", "", "images", shape, "float32", DIM, "cond-1", imaging, "fp32")
    data = model.SerializeToString()
    return data, spec.with_model(hashlib.sha256(data).hexdigest())


def linear_text(reports: list[str], seed: int = 1, dim: int = DIM) -> tuple[bytes, TextSpec]:
    """Model bytes and sidecar of a text tower that adds up one fixed vector a gram.

    It has seen every word of the reports and of our statements' names.
    """
    onnx = pytest.importorskip("onnx")
    table = np.random.default_rng(seed).normal(size=(BUCKETS, dim)).astype(np.float32)
    table[0] = 0
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [
            node("Gather", ["table", "ids"], ["grams"]),
            node("ReduceSum", ["grams", "axis"], ["embedding"], keepdims=0),
        ],
        "bag",
        [value("ids", onnx.TensorProto.INT64, ["n", "grams"])],
        [value("embedding", onnx.TensorProto.FLOAT, ["n", dim])],
        [
            onnx.numpy_helper.from_array(table, "table"),
            onnx.numpy_helper.from_array(np.array([1], dtype=np.int64), "axis"),
        ],
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9
    )
    data = model.SerializeToString()
    seen = [*reports, *(statement_terms(code) for code in statements())]
    sha256 = hashlib.sha256(data).hexdigest()
    return data, TextSpec("onnx", sha256, TOKENIZER, BUCKETS, dim, learnt_grams(seen * 2))


def build_release(root: Path, *, words: bool = False) -> Store:
    """A store whose active release knows HEARTS, one of them withdrawn.

    words: with a text tower, report vectors and a keyword index.
    """
    store = Store(root)
    data, spec = linear_encoder()
    assert spec.id == encoder_id("leads-1", "fp32", spec.sha256)
    model, sidecar = store.put_blob(data), store.put_blob(spec.to_json().encode())
    encoder = load_encoder(store.blob(model), store.blob(sidecar))
    embeddings = np.stack([embed_recording(heart(name), encoder) for name in HEARTS])
    cases = [
        CaseRecord(name, codes, report, 50 + i, "FM"[i % 2], source_of(name), f"{i:012x}")
        for i, (name, (_, codes, report)) in enumerate(HEARTS.items())
    ]
    text, extra = None, {}
    if words:
        reports = [case.report or "" for case in cases]
        tower, told = linear_text(reports)
        text = TextRef(store.put_blob(tower), store.put_blob(told.to_json().encode()))
        loaded = load_text(store.blob(text.model), store.blob(text.spec))
        extra = {"texts": case_texts(loaded, reports), "words": [case_words(one) for one in cases]}
    ref = write_segment(store.blobs, embeddings, cases, encoder_id=spec.id, **extra)
    manifest = Manifest(
        created="2026-01-01",
        encoder=EncoderRef(spec.id, model, sidecar),
        text=text,
        conditioning="cond-1",
        imaging="leads-1",
        calibration=Calibration(4, 0.1, tuple(np.linspace(0.5, 1.0, 101).tolist())),
        segments=(ref,),
        withdrawn=("test/withdrawn",),
        probes=(),
    )
    store.activate(store.add_release(manifest))
    return store


def heart(name: str) -> Recording:
    """The recording of one of HEARTS, 500 Hz, in mV."""
    return synthesize(HEARTS[name][0])


def write_csv(path: Path, recording: Recording) -> Path:
    """A recording as the CSV that `ecgedge.read` takes; rate and unit must be given with it."""
    from ecgedge.recording import LEADS

    np.savetxt(
        path, recording.signal.T, fmt="%.4f", delimiter=",", header=",".join(LEADS), comments=""
    )
    return path
