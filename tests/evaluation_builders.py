"""Small real folders for the evaluation's tests: a corpus in PTB-XL's layout, and stores.

The corpus' hearts are synthetic and their labels follow from how they were made.
The encoder is one random projection as an ONNX model; "int8" is the same with its
weights rounded, so that parity has something to measure.
"""

import csv
import hashlib
import random
from dataclasses import dataclass

import numpy as np
import pytest

from ecgedge.corpora.ptbxl import load_corpus
from ecgedge.recording import LEADS
from ecgedge.signal.synthetic import Heart, synthesize

STATEMENTS = [  # code, diagnostic class, subclass, form, rhythm
    ("NORM", "NORM", "NORM", "", ""),
    ("AFIB", "", "", "", "1.0"),
    ("SR", "", "", "", "1.0"),
    ("CLBBB", "CD", "CLBBB", "", ""),
    ("NDT", "STTC", "STTC", "1.0", ""),
    ("ISC_", "STTC", "ISC_", "", ""),
    ("IMI", "MI", "IMI", "", ""),
    ("LVH", "HYP", "LVH", "", ""),
]
HEARTS = [  # what the heart does, its codes, its report
    (Heart(), {"NORM": 100.0, "SR": 0.0}, "Sinusrhythmus. Normales EKG"),
    (Heart(p_wave=0, jitter=0.8, rate_bpm=95), {"AFIB": 0.0, "NDT": 50.0}, "Vorhofflimmern"),
    (Heart(qrs_width=3, t_wave=-1), {"CLBBB": 100.0, "SR": 0.0}, "Linksschenkelblock {n}"),
    (Heart(st_mv=0.4), {"ISC_": 100.0, "SR": 0.0}, "Ischämie, Verlauf {n}"),
]


@dataclass(frozen=True)
class Row:
    """One line of the database. unheard: no signal file is written."""

    record: int
    patient: int
    fold: int
    kind: int
    unheard: bool = False


def rows(count, *, first=1, fold=1, per_patient=2, unheard=0):
    """`count` rows of which the last `unheard` have no signal; hearts take turns by patient."""
    return [
        Row(
            first + i,
            first + i // per_patient,
            fold,
            (i // per_patient) % len(HEARTS),
            i >= count - unheard,
        )
        for i in range(count)
    ]


def write_corpus(root, lines):
    """The csv files and records100/ of these rows, in WFDB format 16."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "scp_statements.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(
            ["", "diagnostic", "form", "rhythm", "diagnostic_class", "diagnostic_subclass"]
        )
        for code, top, sub, form, rhythm in STATEMENTS:
            table.writerow([code, "1.0" if top else "", form, rhythm, top, sub])
    with (root / "ptbxl_database.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        head = ["ecg_id", "patient_id", "age", "sex", "report", "scp_codes", "strat_fold"]
        table.writerow([*head, "filename_lr", "filename_hr"])
        for row in lines:
            _, codes, report = HEARTS[row.kind]
            name = f"records100/{row.record:05d}_lr"
            facts = [row.record, f"{row.patient}.0", 60, 0, report.format(n=row.record), codes]
            table.writerow([*facts, row.fold, name, ""])
            if not row.unheard:
                write_signal(root / name, row)
    return load_corpus(root)


def write_signal(path, row):
    """One recording in WFDB format 16 at 100 Hz, 1 uV a unit, with a little noise of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    signal = synthesize(HEARTS[row.kind][0], rate_hz=100).signal
    signal = signal + np.random.default_rng(row.record).normal(0, 0.03, signal.shape)
    samples = np.round(signal * 1000).astype("<i2")
    path.with_name(path.name + ".dat").write_bytes(samples.T.tobytes())
    head = [f"{path.name} 12 100 {samples.shape[1]}"]
    head += [
        f"{path.name}.dat 16 1000/mV 16 0 {s[0]} 0 0 {n}"
        for s, n in zip(samples, LEADS, strict=True)
    ]
    path.with_name(path.name + ".hea").write_text("\n".join(head) + "\n")


def projection_model(seed, *, dim=24, rounded=False):
    """ONNX bytes: leads-1 image -> one random projection of it."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(seed).normal(size=(2 * 12 * 1000, dim)).astype(np.float32)
    weights[12 * 1000 :] = 0  # the mask says nothing here
    if rounded:
        weights = np.round(weights * 32) / 32
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["images"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "weights"], ["embedding"]),
        ],
        "projection",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 2, 12, 1000])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", dim])],
        [numpy_helper.from_array(weights, "weights")],
    )
    return _model_bytes(onnx, graph)


def text_model(seed, *, buckets=512, dim=24):
    """ONNX bytes: gram ids -> the sum of one random vector each (id 0 counts nothing)."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    table = np.random.default_rng(seed).normal(size=(buckets, dim)).astype(np.float32)
    table[0] = 0
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "ids"], ["each"]),
            helper.make_node("ReduceSum", ["each", "axes"], ["embedding"], keepdims=0),
        ],
        "text",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", "length"])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", dim])],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "axes"),
        ],
    )
    return _model_bytes(onnx, graph)


def _model_bytes(onnx, graph):
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 10
    return model.SerializeToString()


def write_store(root, corpus, folds, *, seed=1, rounded=False, text=False):
    """A store whose one release holds these folds' records, embedded with the device's code."""
    from ecgedge.casebase.release import Calibration, EncoderRef, Manifest, Store, TextRef
    from ecgedge.casebase.segment import CaseRecord
    from ecgedge.casebase.writing import write_segment
    from ecgedge.encoders import load_encoder
    from ecgedge.encoders.spec import EncoderSpec, encoder_id
    from ecgedge.formats import read
    from ecgedge.sight import embed_recording

    store = Store(root)
    spec = EncoderSpec(
        "", "onnx", "", "images", (2, 12, 1000), "float32", 24, "cond-1", "leads-1", "fp32"
    )
    data = projection_model(seed, rounded=rounded)
    sha = hashlib.sha256(data).hexdigest()
    spec = spec.with_model(sha, quantization="int8-rounded" if rounded else "fp32")
    assert spec.id == encoder_id("leads-1", spec.quantization, sha)
    reference = EncoderRef(spec.id, store.put_blob(data), store.put_blob(spec.to_json().encode()))
    encoder = load_encoder(store.blob(reference.model), store.blob(reference.spec))
    records = corpus.select(folds, with_signal=True)
    vectors = np.stack([embed_recording(read(record.signal), encoder) for record in records])
    cases = [
        CaseRecord(
            corpus.case_id(record),
            dict(record.statements),
            None,
            record.age,
            record.sex,
            "test",
            corpus.group(record),
        )
        for record in records
    ]
    segment = write_segment(store.blobs, vectors, cases, encoder_id=spec.id)
    manifest = Manifest(
        created="2020-05-25",
        encoder=reference,
        text=_put_text(store, TextRef) if text else None,
        conditioning="cond-1",
        imaging="leads-1",
        calibration=Calibration(5, 0.05, tuple(np.linspace(0, 1, 101).tolist())),
        segments=(segment,),
        withdrawn=(),
        probes=(),
    )
    store.activate(store.add_release(manifest))
    return root


def _put_text(store, reference):
    from ecgedge.encoders.text import TOKENIZER, TextSpec

    data = text_model(3)
    spec = TextSpec("onnx", hashlib.sha256(data).hexdigest(), TOKENIZER, 512, 24)
    return reference(store.put_blob(data), store.put_blob(spec.to_json().encode()))


def shuffled(items, seed=0):
    """The same items in another order."""
    return random.Random(seed).sample(list(items), len(items))
