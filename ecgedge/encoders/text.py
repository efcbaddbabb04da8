"""Report text -> unit vector in the same space as the ECG images.

Reports are short, half telegram style, German, English and a little Swedish, so
the tower is a bag of hashed words and word pairs: no vocabulary file, no
language switch, and a word never seen still lands somewhere. The pairs carry
negation ("no st", "keine hypertrophie").
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgedge.errors import DamagedError, MismatchError
from ecgedge.recording import FloatArray

#: The files of a text tower in a bundle folder.
TEXT_MODEL_NAME, TEXT_SPEC_NAME = "text.onnx", "text.json"
TOKENIZER = "grams-1"
MAX_GRAMS = 192

_WORD = re.compile(r"[^\W_]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_COUNT = 2**24


def normalise(report: str) -> str:
    """Lower-case words with single spaces: what makes two reports the same text."""
    return " ".join(_WORD.findall(report.lower()))


def grams(report: str) -> list[str]:
    """The words of a report, then its pairs of neighbouring words, at most MAX_GRAMS."""
    words = normalise(report).split()
    pairs = [f"{left} {right}" for left, right in itertools.pairwise(words)]
    return (words + pairs)[:MAX_GRAMS]


def gram_ids(report: str, buckets: int) -> list[int]:
    """Ids 1..buckets-1 of the words and neighbouring pairs of a report (grams-1)."""
    return [zlib.crc32(gram.encode()) % (buckets - 1) + 1 for gram in grams(report)]


def pad_ids(reports: Sequence[str], buckets: int) -> NDArray[np.int64]:
    """int64 (len(reports), longest): gram ids, 0 where a report has fewer."""
    rows = [gram_ids(report, buckets) for report in reports]
    padded = np.zeros((len(rows), max(1, *(len(row) for row in rows), 1)), dtype=np.int64)
    for row, ids in zip(padded, rows, strict=True):
        row[: len(ids)] = ids
    return padded


@dataclass(frozen=True)
class TextSpec:
    """The sidecar of a text tower. buckets: size of the hash table, padding included."""

    format: str
    sha256: str
    tokenizer: str
    buckets: int
    embedding_dim: int

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> TextSpec:
        """Raises DamagedError for anything else than a TextSpec's JSON."""
        try:
            spec = cls(**json.loads(text))
        except (TypeError, ValueError, RecursionError) as error:
            raise DamagedError(f"the text model's sidecar cannot be read: {error}") from None
        counts = (spec.buckets, spec.embedding_dim)
        if not all(type(count) is int and 0 < count <= _MAX_COUNT for count in counts):
            raise DamagedError("the text model's buckets and embedding_dim are not usable numbers")
        if spec.buckets < 2:
            raise DamagedError("the text model has no bucket beside the one for padding")
        if not isinstance(spec.sha256, str) or not _SHA256.fullmatch(spec.sha256):
            raise DamagedError("the text model's sha256 is not 64 hexadecimal digits")
        if not isinstance(spec.tokenizer, str) or spec.format != "onnx":
            raise DamagedError("the text model's format is not onnx or its tokenizer has no name")
        return spec


class TextEncoder:
    """A loaded text tower; `encode` gives float32 (n, dim) of unit norm."""

    def __init__(self, spec: TextSpec, session: Any) -> None:
        self.spec = spec
        self._session = session

    def encode(self, texts: Sequence[str]) -> FloatArray:
        if not texts:
            return np.zeros((0, self.spec.embedding_dim), dtype=np.float32)
        ids = pad_ids(texts, self.spec.buckets)
        try:
            (vectors,) = self._session.run(None, {"ids": ids})
        except Exception as error:
            told = str(error).partition("\n")[0]
            raise DamagedError(f"the text model failed on {len(texts)} texts: {told}") from None
        norm = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(norm, 1e-12), dtype=np.float32)


def load_text(model: Path, spec: Path) -> TextEncoder:
    """Open a text tower; raises DamagedError or MismatchError."""
    from ecgedge.encoders.onnx import open_session

    try:
        read = TextSpec.from_json(spec.read_text(encoding="utf-8"))
        data = model.read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedError(f"the text model cannot be read: {error}") from None
    if hashlib.sha256(data).hexdigest() != read.sha256:
        raise DamagedError(f"{model.name} is not the text model its sidecar names")
    if read.tokenizer != TOKENIZER:
        raise MismatchError(f"the text model wants tokenizer {read.tokenizer}, not {TOKENIZER}")
    session = open_session(data, threads=1)
    taken = [(item.name, item.type, len(item.shape)) for item in session.get_inputs()]
    given = [(item.type, list(item.shape[1:])) for item in session.get_outputs()]
    if taken != [("ids", "tensor(int64)", 2)] or given != [("tensor(float)", [read.embedding_dim])]:
        raise MismatchError(
            f"{model.name} does not turn ids into the {read.embedding_dim} numbers its sidecar says"
        )
    return TextEncoder(read, session)
