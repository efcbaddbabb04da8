"""Report text -> unit vector in the same space as the ECG images.

Reports are short, half telegram style, German, English and a little Swedish, so
the tower is a bag of hashed words and word pairs: no vocabulary file, no
language switch, and a word never seen still lands somewhere. The pairs carry
negation ("no st", "keine hypertrophie").
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
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

#: A word or pair of words counts as learnt when this many reports hold it.
SEEN_IN = 2

_WORD = re.compile(r"[^\W_]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_COUNT = 2**24
#: Reports spell umlauts both ways; a user may spell them the other way.
_SPELT_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_ENDINGS = ("e", "n", "en", "er", "es", "em", "s")
_SHORTEST_STEM = 5
_UMLAUTS = (("ae", "ä"), ("oe", "ö"), ("ue", "ü"), ("ss", "ß"))


def normalise(report: str) -> str:
    """Lower-case words with single spaces: what makes two reports the same text."""
    return " ".join(_WORD.findall(report.lower()))


def spellings(word: str) -> tuple[str, ...]:
    """A normalised word as it is, then with its umlauts spelt out, then with them put in."""
    umlauts = word
    for plain, umlaut in _UMLAUTS:
        umlauts = umlauts.replace(plain, umlaut)
    return tuple(dict.fromkeys((word, word.translate(_SPELT_OUT), umlauts)))


def _inflections(word: str) -> list[str]:
    """Other forms a German or English word may have, by its ending alone."""
    stems = [word, *(word.removesuffix(end) for end in _ENDINGS if word.endswith(end))]
    long_enough = [stem for stem in stems if len(stem) >= _SHORTEST_STEM]
    return [f"{stem}{end}" for stem in long_enough for end in ("", *_ENDINGS)]


def _grams(words: Sequence[str]) -> list[str]:
    """The words, then the neighbouring pairs (grams-1)."""
    return [*words, *(f"{left} {right}" for left, right in itertools.pairwise(words))]


def _hash(gram: str) -> int:
    return zlib.crc32(gram.encode())


def _ids(hashes: Iterable[int], buckets: int) -> list[int]:
    return [value % (buckets - 1) + 1 for value in hashes]


def grams(report: str) -> list[str]:
    """The words of a report, then its pairs of neighbouring words, at most MAX_GRAMS (grams-1)."""
    return _grams(normalise(report).split())[:MAX_GRAMS]


def gram_ids(report: str, buckets: int) -> list[int]:
    """Ids 1..buckets-1 of the words and neighbouring pairs of a report (grams-1)."""
    return _ids(map(_hash, grams(report)), buckets)


def pad_ids(reports: Sequence[str], buckets: int) -> NDArray[np.int64]:
    """int64 (len(reports), longest): gram ids, 0 where a report has fewer."""
    return _padded([gram_ids(report, buckets) for report in reports])


def learnt_grams(reports: Iterable[str]) -> str:
    """What `TextSpec.learnt` holds for a tower that was trained on these reports.

    Hashes alone: which words a report held cannot be read back from them.
    """
    count: Counter[str] = Counter()
    for report in reports:
        count.update(set(_grams(normalise(report).split())))
    hashes = sorted({_hash(gram) for gram, reports in count.items() if reports >= SEEN_IN})
    return base64.b64encode(np.array(hashes, dtype="<u4").tobytes()).decode()


def _padded(rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    padded = np.zeros((len(rows), max(1, *(len(row) for row in rows), 1)), dtype=np.int64)
    for row, ids in zip(padded, rows, strict=True):
        row[: len(ids)] = ids
    return padded


@dataclass(frozen=True)
class TextSpec:
    """The sidecar of a text tower.

    buckets: size of the hash table, padding included. learnt: base64 of the ascending
    CRC-32s (little-endian, 4 bytes each) of the words and pairs of words seen in SEEN_IN
    reports or more in training; empty where the tower's maker did not say.
    """

    format: str
    sha256: str
    tokenizer: str
    buckets: int
    embedding_dim: int
    learnt: str = ""

    def to_json(self) -> str:
        told = {name: value for name, value in asdict(self).items() if name != "learnt" or value}
        return json.dumps(told, indent=1, sort_keys=True) + "\n"

    @cached_property
    def learnt_hashes(self) -> frozenset[int]:
        """Raises DamagedError where `learnt` is not what it should be."""
        try:
            hashes = np.frombuffer(base64.b64decode(self.learnt, validate=True), dtype="<u4")
        except (TypeError, ValueError, binascii.Error):
            raise DamagedError("the text model's list of learnt words cannot be read") from None
        return frozenset(hashes.tolist())

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
        if not isinstance(spec.learnt, str) or not spec.learnt.isascii():
            raise DamagedError("the text model's list of learnt words cannot be read")
        return spec


class TextEncoder:
    """A loaded text tower.

    `encode` is for reports, as in training; `encode_query` for what a user writes. Both give
    float32 (n, dim) of unit norm.
    """

    def __init__(self, spec: TextSpec, session: Any) -> None:
        self.spec = spec
        self._session = session

    def encode(self, texts: Sequence[str]) -> FloatArray:
        return self._run([gram_ids(text, self.spec.buckets) for text in texts])

    def encode_query(self, texts: Sequence[str]) -> FloatArray:
        """As `encode`, without words and pairs never seen in training: those would be noise.

        A word counts as seen in its other spelling or inflection, too; where the sidecar does
        not say which were seen, all count. A text without a word that was seen has no meaning
        here: ask `unseen` first.
        """
        learnt = self.spec.learnt_hashes
        if not learnt:
            return self.encode(texts)
        rows = []
        for text in texts:
            words = [self._spelling(word) for word in normalise(text).split()]
            hashes = [value for value in map(_hash, _grams(words)) if value in learnt]
            rows.append(_ids(hashes[:MAX_GRAMS], self.spec.buckets))
        return self._run(rows)

    def unseen(self, text: str) -> tuple[str, ...]:
        """The words of a text that training never saw; () where the sidecar does not say."""
        learnt = self.spec.learnt_hashes
        words = dict.fromkeys(normalise(text).split()) if learnt else {}
        return tuple(word for word in words if _hash(self._spelling(word)) not in learnt)

    def knows(self, text: str) -> bool:
        """Whether training saw a word of this text, or the sidecar does not say."""
        return len(self.unseen(text)) < len(set(normalise(text).split()))

    def _spelling(self, word: str) -> str:
        """The first spelling, or else other form, that training saw; itself if there is none."""
        spelt = spellings(word)
        forms = (form for one in spelt for form in _inflections(one))
        learnt = self.spec.learnt_hashes
        return next((one for one in itertools.chain(spelt, forms) if _hash(one) in learnt), word)

    def _run(self, rows: Sequence[Sequence[int]]) -> FloatArray:
        if not rows:
            return np.zeros((0, self.spec.embedding_dim), dtype=np.float32)
        try:
            (vectors,) = self._session.run(None, {"ids": _padded(rows)})
        except Exception as error:
            told = str(error).partition("\n")[0]
            raise DamagedError(f"the text model failed on {len(rows)} texts: {told}") from None
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
