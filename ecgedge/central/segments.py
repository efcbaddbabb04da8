"""Encoded recordings -> segments of at most so many cases, each written by one worker.

Where a segment ends depends on the order of the recordings and on nothing else, so neither the
number of workers nor the engine shows in the bytes; and a corpus that has grown at its end gives
the same first segments again, which no cart fetches twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from ecgedge.atomic import write_atomic
from ecgedge.casebase.segment import CaseRecord, SegmentRef
from ecgedge.casebase.writing import write_segment
from ecgedge.central.cases import case_record, case_texts
from ecgedge.central.encode import Progress
from ecgedge.central.signals import packed_ecg
from ecgedge.central.workforce import LocalWorkforce, Workforce
from ecgedge.corpora.ptbxl import Corpus, CorpusRecord
from ecgedge.encoders.text import TextEncoder, load_text
from ecgedge.errors import InputError, UsageError
from ecgedge.recording import FloatArray
from ecgedge.textsearch import case_words


@dataclass(frozen=True)
class Kept:
    """What the segments shall hold beside vectors and statements.

    text: paths of the text tower's model and sidecar, None for no report vectors.
    reports: the original sentences. signals: each case's ECG.
    """

    text: tuple[Path, Path] | None = None
    reports: bool = True
    signals: bool = False


@dataclass(frozen=True)
class _Part:
    """The cases of one segment. reports: what the text tower reads, kept or not.
    signals: paths without suffix, none to keep no ECG.
    """

    embeddings: FloatArray
    cases: tuple[CaseRecord, ...]
    reports: tuple[str, ...]
    signals: tuple[Path, ...]

    def key(self, job: _SegmentJob) -> str:
        """A name for these cases written by this job."""
        digest = hashlib.sha256(self.embeddings.tobytes())
        digest.update(repr((job, self.cases, self.reports, self.signals)).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class _SegmentJob:
    """Writes one segment a piece."""

    blobs: Path
    encoder_id: str
    text: tuple[Path, Path] | None

    def begin(self) -> Callable[[_Part], SegmentRef]:
        text = load_text(*self.text) if self.text else None
        return partial(_write, job=self, text=text)


def _write(part: _Part, job: _SegmentJob, text: TextEncoder | None) -> SegmentRef:
    return write_segment(
        job.blobs,
        part.embeddings,
        part.cases,
        encoder_id=job.encoder_id,
        texts=case_texts(text, part.reports) if text and any(part.reports) else None,
        words=[case_words(case) for case in part.cases],
        ecgs=[packed_ecg(signal) for signal in part.signals] or None,
    )


def write_segments(
    blobs: Path,
    corpus: Corpus,
    records: Sequence[CorpusRecord],
    embeddings: FloatArray,
    *,
    encoder_id: str,
    kept: Kept,
    work: Path,
    most_cases: int | None = None,
    workforce: Workforce | None = None,
    progress: Progress = lambda items, _label, _count: items,
) -> tuple[SegmentRef, ...]:
    """Write the cases into `blobs`, in their order, most_cases to a segment (all when None).

    embeddings: (len(records), dim). work: folder for notes on finished segments, so that a
    build that was killed goes on; the caller removes it.

    Raises InputError without records, UsageError for a folder that a worker does not share,
    what `write_segment` raises, EcgedgeError when a worker dies.
    """
    if not records:
        raise InputError("no recording of the case base's folds could be encoded, see skipped.csv")
    step = most_cases or len(records)
    job = _SegmentJob(blobs, encoder_id, kept.text)
    parts = [
        _part(corpus, records[start : start + step], embeddings[start : start + step], kept)
        for start in range(0, len(records), step)
    ]
    notes = [work / f"segment-{part.key(job)[:16]}.json" for part in parts]
    refs = {number: ref for number, note in enumerate(notes) if (ref := _read(note, blobs))}
    todo = {number: part for number, part in enumerate(parts) if number not in refs}

    def run() -> Iterator[int]:
        for number in refs:
            yield from range(len(parts[number].cases))
        for number, ref in (workforce or LocalWorkforce()).run(job, todo):
            _check_shared(blobs, ref)
            write_atomic(notes[number], json.dumps(asdict(ref)).encode())
            refs[number] = ref
            yield from range(ref.count)

    for _ in progress(run(), "writing segments", len(records)):
        pass
    return tuple(refs[number] for number in range(len(parts)))


def _part(
    corpus: Corpus, records: Sequence[CorpusRecord], embeddings: FloatArray, kept: Kept
) -> _Part:
    signals = [record.signal for record in records if record.signal is not None]
    return _Part(
        embeddings,
        tuple(case_record(corpus, record, kept.reports) for record in records),
        tuple(record.report for record in records),
        tuple(signals) if kept.signals else (),
    )


def _read(note: Path, blobs: Path) -> SegmentRef | None:
    """The finished segment of a note, or None: then it is written (again)."""
    try:
        ref = SegmentRef(**json.loads(note.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return ref if all((blobs / name).is_file() for name in (ref.vectors, ref.cases)) else None


def _check_shared(blobs: Path, ref: SegmentRef) -> None:
    if not all((blobs / name).is_file() for name in (ref.vectors, ref.cases)):
        raise UsageError(
            f"a worker wrote its segment where this machine does not see it: on a cluster {blobs} "
            "must be on storage that every node sees under this path"
        )
