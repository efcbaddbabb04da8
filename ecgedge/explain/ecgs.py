"""The two ECGs of an explanation: as the encoder saw them, and as a person wants to see them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ecgedge.answer import Quality
from ecgedge.imaging.paper import Trace
from ecgedge.recording import FloatArray, Recording
from ecgedge.sight import condition_visible
from ecgedge.signal.conditioning import Conditioned
from ecgedge.signal.quality import WINDOW_S, assess

NO_SIGNALS = (
    "this release carries no signals, so the case's own ECG is not shown: name a folder in "
    "PTB-XL's layout that holds it with --corpus, or build with --signals"
)


@dataclass(frozen=True)
class Ecg:
    """conditioned: what the encoder is shown. trace: what a person is. origin: where from."""

    conditioned: Conditioned
    trace: Trace
    origin: Literal["query", "release", "corpus"]


def of_recording(recording: Recording, quality: Quality, origin: Literal["query", "corpus"]) -> Ecg:
    """In mV the recording itself is drawn; without a known amplitude its conditioned form."""
    conditioned = condition_visible(recording, quality)
    if recording.unit != "mV":
        return Ecg(conditioned, _relative(conditioned), origin)
    first = recording.signal[:, : round(WINDOW_S * recording.rate_hz)]
    return Ecg(conditioned, Trace(first, recording.rate_hz, in_mv=True), origin)


def of_release(signal: FloatArray) -> Ecg:
    """From the conditioned signal that a segment keeps."""
    conditioned = Conditioned(signal)
    return Ecg(conditioned, _relative(conditioned), "release")


def _relative(conditioned: Conditioned) -> Trace:
    return Trace(conditioned.signal, conditioned.rate_hz, in_mv=False)


def of_corpus(folder: Path, case_id: str) -> Ecg | str:
    """The case's record in a folder in PTB-XL's layout, or why there is none.

    Raises InputError for another layout or a record that cannot be read.
    """
    from ecgedge import formats
    from ecgedge.corpora.ptbxl import load_corpus

    corpus = load_corpus(folder, case_id.rpartition("/")[0])
    record = next((one for one in corpus.records if corpus.case_id(one) == case_id), None)
    if record is None or record.signal is None:
        told = "no record" if record is None else "no signal"
        return f"{folder} holds {told} of case {case_id}, so its own ECG is not shown"
    recording = formats.read(f"{record.signal}.hea")
    return of_recording(recording, assess(recording), "corpus")
