"""Recordings of a corpus -> embeddings, on all cores, in chunks that survive a kill.

Each finished chunk is kept as a file, so a build that is started again goes on
where it stopped. A recording that cannot be read is listed with its reason.
"""

from __future__ import annotations

import hashlib
import io
import json
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ecgedge.atomic import write_atomic
from ecgedge.corpora.ptbxl import CorpusRecord
from ecgedge.encoders import Encoder
from ecgedge.errors import EcgedgeError, InputError
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


def encode_records(
    records: Sequence[CorpusRecord],
    load: LoadEncoder,
    work: Path,
    *,
    workers: int = 1,
    progress: Progress = lambda items, _label, _count: items,
) -> Encoded:
    """Embed every recording as a query would be.

    load: makes a single-threaded encoder; must be picklable when workers > 1.
    work: folder for finished chunks; the caller removes it when all is done.

    Raises InputError when not one recording could be encoded.
    """
    encoder = load()
    folder = work / _work_key(encoder.spec.id, records)
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(records), CHUNK)
    chunks = {start: _Chunk.load(folder / f"{start}.npz") for start in starts}
    paths = {start: _headers(records[start : start + CHUNK]) for start in starts}
    todo = {start: paths[start] for start, chunk in chunks.items() if chunk is None}

    def run() -> Iterator[int]:
        for start in starts:
            if start not in todo:
                yield from range(len(paths[start]))
        for start, chunk in _encode_all(todo, load, encoder, workers):
            write_atomic(folder / f"{start}.npz", chunk.to_bytes())
            chunks[start] = chunk
            yield from range(len(paths[start]))

    for _ in progress(run(), "encoding recordings", len(records)):
        pass
    return _gather(records, [chunk for chunk in chunks.values() if chunk is not None])


def _work_key(encoder_id: str, records: Sequence[CorpusRecord]) -> str:
    """A name for this encoder on these files as they are now: an edited file is read anew."""
    digest = hashlib.sha256(f"{encoder_id} {TRAITS} {CHUNK}".encode())
    for header in _headers(records):
        for path in (Path(header), Path(header).with_suffix(".dat")):
            status = path.stat() if path.is_file() else None
            state = (status.st_size, status.st_mtime_ns) if status else None
            digest.update(f"\n{path} {state}".encode())
    return digest.hexdigest()[:16]


def _headers(records: Sequence[CorpusRecord]) -> list[str]:
    return [f"{record.signal}.hea" for record in records]


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


def _encode_all(
    todo: dict[int, list[str]], load: LoadEncoder, encoder: Encoder, workers: int
) -> Iterator[tuple[int, _Chunk]]:
    """(start, chunk) as each is finished, in any order."""
    if workers <= 1 or len(todo) <= 1:
        for start, paths in todo.items():
            yield start, _encode_chunk(paths, encoder)
        return
    # Spawned, not forked: onnxruntime's threads do not survive a fork.
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(load,)
    )
    try:
        running = {pool.submit(_encode_in_worker, paths): start for start, paths in todo.items()}
        for done in as_completed(running):
            yield running[done], done.result()
    except BrokenProcessPool:
        raise EcgedgeError(
            "a worker process died, perhaps for lack of memory: run the same command again "
            "(it goes on where it stopped), with fewer --workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_worker_encoder: Encoder | None = None


def _start_worker(load: LoadEncoder) -> None:
    global _worker_encoder
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _worker_encoder = load()


def _encode_in_worker(paths: list[str]) -> _Chunk:
    assert _worker_encoder is not None
    return _encode_chunk(paths, _worker_encoder)


def _encode_chunk(paths: Sequence[str], encoder: Encoder) -> _Chunk:
    embeddings = np.full((len(paths), encoder.spec.embedding_dim), np.nan, dtype=np.float32)
    relations = np.full((len(paths), N_PAIRS), np.nan)
    shape = np.full((len(paths), len(SHAPE)), np.nan)
    reasons = []
    for number, path in enumerate(paths):
        seen, reason = _encode_one(path, encoder)
        if seen is not None:
            traits = measure(seen.conditioned)
            embeddings[number] = seen.embedding
            relations[number], shape[number] = traits.relations, traits.shape
        reasons.append(reason)
    return _Chunk(embeddings, relations, shape, tuple(reasons))


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
