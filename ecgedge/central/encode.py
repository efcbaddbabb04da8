"""Recordings of a corpus -> embeddings, by a workforce, in chunks that survive a kill.

Each finished chunk is kept as a file, so a build that is started again goes on
where it stopped. A recording that cannot be read is listed with its reason.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ecgedge.atomic import write_atomic
from ecgedge.central.workforce import LocalWorkforce, Workforce
from ecgedge.corpora.ptbxl import CorpusRecord
from ecgedge.encoders import Encoder
from ecgedge.errors import EcgedgeError, InputError, UsageError
from ecgedge.recording import FloatArray
from ecgedge.signal.traits import ID as TRAITS
from ecgedge.signal.traits import N_PAIRS, SHAPE, Traits, measure

if TYPE_CHECKING:
    from ecgedge.sight import Seen

#: Recordings in one unit of work: half a second to lose when killed.
CHUNK = 64

LoadEncoder = Callable[[], Encoder]
#: (items, label, how many) -> the same items, shown as they pass.
Progress = Callable[[Iterable[int], str, int], Iterable[int]]


@dataclass(frozen=True)
class Skipped:
    """A recording that gave no embedding, and why, in one sentence."""

    record: CorpusRecord
    reason: str


@dataclass(frozen=True)
class Encoded:
    """records: those that were encoded, in the order given. embeddings: (len(records), dim).
    traits: of each record, for the novelty model.
    """

    records: tuple[CorpusRecord, ...]
    embeddings: FloatArray
    traits: tuple[Traits, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class _Chunk:
    """embeddings: (n, dim), NaN where a reason says why there is none. relations, shape: the
    traits, (n, 66) and (n, 13).
    """

    embeddings: FloatArray
    relations: NDArray[np.float64]
    shape: NDArray[np.float64]
    reasons: tuple[str, ...]

    def to_bytes(self) -> bytes:
        buffer = io.BytesIO()
        np.savez(
            buffer,
            embeddings=self.embeddings,
            relations=self.relations,
            shape=self.shape,
            reasons=np.array(json.dumps(self.reasons)),
        )
        return buffer.getvalue()

    @classmethod
    def load(cls, path: Path) -> _Chunk | None:
        try:
            with np.load(path, allow_pickle=False) as data:
                arrays = (data["embeddings"], data["relations"], data["shape"])
                return cls(*arrays, tuple(json.loads(str(data["reasons"]))))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None  # not there, or not whole: it is encoded again


@dataclass(frozen=True)
class _File:
    """A recording as the machine that builds sees it.

    header: its path. state: (bytes, mtime_ns) of its header and its samples, None where
    there is no such file.
    """

    header: str
    state: tuple[tuple[int, int] | None, ...]

    @classmethod
    def of(cls, record: CorpusRecord) -> _File:
        header = f"{record.signal}.hea"
        return cls(header, _state(header))


def _state(header: str) -> tuple[tuple[int, int] | None, ...]:
    found = []
    for path in (Path(header), Path(header).with_suffix(".dat")):
        status = path.stat() if path.is_file() else None
        found.append((status.st_size, status.st_mtime_ns) if status else None)
    return tuple(found)


def encode_records(
    records: Sequence[CorpusRecord],
    load: LoadEncoder,
    work: Path,
    *,
    workforce: Workforce | None = None,
    progress: Progress = lambda items, _label, _count: items,
) -> Encoded:
    """Embed every recording as a query would be.

    load: makes a single-threaded encoder; must be picklable for other processes.
    work: folder for finished chunks; the caller removes it when all is done.
    workforce: who does it; this process alone when None.

    Raises InputError when not one recording could be encoded, UsageError when a worker does
    not see the corpus, EcgedgeError when one dies.
    """
    files = [_File.of(record) for record in records]
    folder = work / _work_key(load().spec.id, files)
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(records), CHUNK)
    chunks = {start: _Chunk.load(folder / f"{start}.npz") for start in starts}
    pieces = {start: tuple(files[start : start + CHUNK]) for start in starts}
    todo = {start: pieces[start] for start, chunk in chunks.items() if chunk is None}

    def run() -> Iterator[int]:
        for start in starts:
            if start not in todo:
                yield from range(len(pieces[start]))
        for start, chunk in (workforce or LocalWorkforce()).run(_EncodeJob(load), todo):
            write_atomic(folder / f"{start}.npz", chunk.to_bytes())
            chunks[start] = chunk
            yield from range(len(pieces[start]))

    for _ in progress(run(), "encoding recordings", len(records)):
        pass
    return _gather(records, [chunk for chunk in chunks.values() if chunk is not None])


def _work_key(encoder_id: str, files: Sequence[_File]) -> str:
    """A name for this encoder on these files as they are now: an edited file is read anew."""
    digest = hashlib.sha256(f"{encoder_id} {TRAITS} {CHUNK}".encode())
    for file in files:
        digest.update(f"\n{file.header} {file.state}".encode())
    return digest.hexdigest()[:16]


def _gather(records: Sequence[CorpusRecord], chunks: Sequence[_Chunk]) -> Encoded:
    reasons = [reason for chunk in chunks for reason in chunk.reasons]
    kept = [number for number, reason in enumerate(reasons) if not reason]
    skipped = tuple(
        Skipped(record, reason) for record, reason in zip(records, reasons, strict=True) if reason
    )
    if not kept:
        why = f", the first because: {skipped[0].reason}" if skipped else ": there are none"
        raise InputError(f"none of {len(records)} recordings could be encoded{why}")
    embeddings = np.concatenate([chunk.embeddings for chunk in chunks])[kept]
    relations = np.concatenate([chunk.relations for chunk in chunks])
    shape = np.concatenate([chunk.shape for chunk in chunks])
    traits = tuple(Traits(relations[number], shape[number]) for number in kept)
    return Encoded(tuple(records[number] for number in kept), embeddings, traits, skipped)


@dataclass(frozen=True)
class _EncodeJob:
    """One chunk of recordings a piece."""

    load: LoadEncoder

    def begin(self) -> Callable[[Sequence[_File]], _Chunk]:
        return partial(_encode_chunk, encoder=self.load())


def _encode_chunk(files: Sequence[_File], encoder: Encoder) -> _Chunk:
    embeddings = np.full((len(files), encoder.spec.embedding_dim), np.nan, dtype=np.float32)
    relations = np.full((len(files), N_PAIRS), np.nan)
    shape = np.full((len(files), len(SHAPE)), np.nan)
    reasons = []
    for number, file in enumerate(files):
        _check_seen(file)
        seen, reason = _encode_one(file.header, encoder)
        if seen is not None:
            traits = measure(seen.conditioned)
            embeddings[number] = seen.embedding
            relations[number], shape[number] = traits.relations, traits.shape
        reasons.append(reason)
    return _Chunk(embeddings, relations, shape, tuple(reasons))


def _check_seen(file: _File) -> None:
    """A node that does not see the corpus must not pass for one full of unreadable files."""
    sizes = [state and state[0] for state in file.state]
    if [state and state[0] for state in _state(file.header)] != sizes:
        raise UsageError(
            f"{file.header} is not there, or not the same, for the worker on {platform.node()}: "
            "leave the corpus as it is while it is encoded, and on a cluster keep it on storage "
            "that every node sees under this path"
        )


def _encode_one(path: str, encoder: Encoder) -> tuple[Seen | None, str]:
    """(what the encoder saw and made of it, "") or (None, why not).

    A recording the cart would refuse to answer for is no case to show either.
    """
    from ecgedge import formats
    from ecgedge.sight import see_recording
    from ecgedge.signal.quality import assess

    try:
        recording = formats.read(path)
    except EcgedgeError as error:
        return None, str(error)
    except Exception as error:  # one odd file must not cost the other 20,000
        return None, f"{path} made the reader fail: {type(error).__name__}: {error}"
    quality = assess(recording)
    if quality.verdict == "refuse":
        return None, f"{path} is refused for its quality: {'; '.join(quality.reasons)}"
    try:
        return see_recording(recording, encoder, quality), ""
    except EcgedgeError as error:
        return None, str(error)
