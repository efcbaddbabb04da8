"""A release of a small corpus, and the same corpus grown by a few patients."""

import csv
from pathlib import Path

from central_builders import KINDS, write_bundle, write_corpus, write_signal
from small_release import linear_text

from ecgedge.central.add import AddRequest
from ecgedge.central.build import BuildRequest, build_release
from ecgedge.corpora.ptbxl import load_corpus, parse_folds

DATE = "2026-11-22"
BEFORE, AFTER = 24, 36


class Grown:
    """Folders: `before` and `after` are one corpus, `bundle` and `text` its models."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.before = write_corpus(root / "before", BEFORE)
        self.after = write_corpus(root / "after", AFTER)
        self.bundle = write_bundle(root / "bundle")
        self.text = root / "text"
        self.text.mkdir()
        model, spec = linear_text(["Befund AFIB", "Befund NORM"], dim=24)
        (self.text / "text.onnx").write_bytes(model)
        (self.text / "text.json").write_text(spec.to_json())

    def build(self, out: Path, corpus: Path | None = None, **changes) -> str:
        facts = {
            "corpus": load_corpus(corpus or self.before),
            "bundle": self.bundle,
            "out": out,
            "folds": parse_folds("1-8"),
            "valid_folds": parse_folds("9"),
            "created": DATE,
            "text": self.text,
            "attribution": "the authors",
        }
        return build_release(BuildRequest(**(facts | changes))).release

    def adding(self, out: Path, corpus: Path | None = None, **changes) -> AddRequest:
        facts = {
            "corpus": load_corpus(corpus or self.after),
            "out": out,
            "folds": parse_folds("1-8"),
            "created": DATE,
            "attribution": "the authors",
        }
        return AddRequest(**(facts | changes))


def append_record(corpus: Path, number: int, *, patient: int, fold: int) -> str:
    """One more recording of this patient in this fold; its case id."""
    name = f"records100/{number:05d}_lr"
    with (corpus / "ptbxl_database.csv").open("a", newline="", encoding="utf-8") as file:
        codes = {"NORM": 100.0, "SR": 0.0}
        csv.writer(file).writerow(
            [number, f"{patient}.0", 60.0, 1, "Befund NORM", codes, fold, name, ""]
        )
    write_signal(corpus / name, KINDS["NORM"], seed=number)
    return f"ptb-xl/{number}"


def blobs(store: Path) -> dict[str, bytes]:
    """Every file of a store that has a hash for its name."""
    return {path.name: path.read_bytes() for path in (store / "blobs").iterdir()}
