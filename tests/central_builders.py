"""A corpus in PTB-XL's layout and an encoder bundle, small, real and written here."""

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from ecgedge.signal.synthetic import Heart, synthesize

DIM = 24
KINDS = {
    "NORM": Heart(),
    "CLBBB": Heart(qrs_width=2.2),
    "IMI": Heart(st_mv=0.4, t_wave=-0.6),
    "AFIB": Heart(rate_bpm=105, jitter=0.6, p_wave=0.0),
}
_STATEMENTS = [
    ("NORM", "1.0", "", "", "NORM", "NORM"),
    ("CLBBB", "1.0", "", "", "CD", "CLBBB"),
    ("IMI", "1.0", "", "", "MI", "IMI"),
    ("AFIB", "", "", "1.0", "", ""),
    ("SR", "", "", "1.0", "", ""),
]


def write_corpus(root: Path, count: int = 40, *, per_patient: int = 2, folds: int = 9) -> Path:
    """`count` recordings, two a patient; kinds and folds take turns from patient to patient."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "scp_statements.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["", "diagnostic", "form", "rhythm", "diagnostic_class", "diagnostic_subclass"]
        )
        writer.writerows(_STATEMENTS)
    with (root / "ptbxl_database.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = ["ecg_id", "patient_id", "age", "sex", "report", "scp_codes", "strat_fold"]
        writer.writerow([*names, "filename_lr", "filename_hr"])
        for number in range(1, count + 1):
            patient = (number - 1) // per_patient
            code = list(KINDS)[patient % len(KINDS)]
            codes = {code: 100.0, "SR": 0.0}
            name = f"records100/{number:05d}_lr"
            writer.writerow(
                [number, f"{patient}.0", 60.0, number % 2, f"Befund {code}", codes,
                 patient % folds + 1, name, ""]
            )  # fmt: skip
            write_signal(root / name, KINDS[code], seed=number)
    return root


def write_signal(name: Path, heart: Heart, seed: int) -> None:
    """WFDB format 16 at 100 Hz, 1,000 steps a mV, with a little noise."""
    name.parent.mkdir(parents=True, exist_ok=True)
    recording = synthesize(heart, rate_hz=100.0)
    noise = np.random.default_rng(seed).normal(0, 0.02, recording.signal.shape)
    samples = np.round((recording.signal + noise) * 1000).astype("<i2")
    leads = ["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]
    lines = [f"{name.name} 12 100 {samples.shape[1]}"]
    lines += [f"{name.name}.dat 16 1000/mV 16 0 {row[0]} 0 0 {lead}"
              for lead, row in zip(leads, samples, strict=True)]  # fmt: skip
    Path(f"{name}.hea").write_text("\n".join(lines) + "\n")
    Path(f"{name}.dat").write_bytes(samples.T.tobytes())


def write_bundle(folder: Path, *, seed: int = 0) -> Path:
    """An ONNX encoder of leads-1 images: random filters, ReLU, mean over time, projection."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(seed)
    filters = rng.normal(size=(16, 2, 12, 25)).astype(np.float32)
    filters[:, 1] = 0  # the mask channel says nothing here
    weights = rng.normal(size=(16, DIM)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["images", "filters"], ["waves"], strides=[1, 5]),
        helper.make_node("Relu", ["waves"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["raw"]),
        helper.make_node("LpNormalization", ["raw"], ["embedding"], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 2, 12, 1000])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", DIM])],
        [
            numpy_helper.from_array(filters, "filters"),
            numpy_helper.from_array(weights, "weights"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    folder.mkdir(parents=True, exist_ok=True)
    data = model.SerializeToString()
    (folder / "model.onnx").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    spec = {
        "format_version": 1,
        "id": f"leads-1-fp32-{digest[:12]}",
        "format": "onnx",
        "sha256": digest,
        "input_name": "images",
        "input_shape": [2, 12, 1000],
        "input_dtype": "float32",
        "embedding_dim": DIM,
        "conditioning": "cond-1",
        "imaging": "leads-1",
        "quantization": "fp32",
        "training": {},
        "metrics": {},
    }
    (folder / "model.json").write_text(json.dumps(spec))
    return folder
