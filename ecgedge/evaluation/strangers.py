"""What novelty must notice: the declared set of recordings unlike a case base.

Fixed, so that a figure means the same next year. Each kind is made from the split's own
recordings (rate, length and unit stay theirs), seeded by their place in the split. Other
populations come as files and are told apart, since no split brings them along.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import ecgedge
from ecgedge import formats
from ecgedge.errors import InputError
from ecgedge.recording import LEADS, Recording
from ecgedge.signal import corrupt

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Stranger:
    """One kind, how to make one of a recording and a seed.

    group: "electrodes", "noise", "time" or "no ECG".
    """

    name: str
    group: str
    make: Callable[[Recording, int], Recording]


def _white(recording: Recording, rng: np.random.Generator) -> Floats:
    return rng.standard_normal((len(LEADS), recording.n_samples))


def _sine(recording: Recording, rng: np.random.Generator) -> Floats:
    """One frequency between those of the slowest and the fastest heart, any phases."""
    angle = 2 * np.pi * rng.uniform(0.7, 8.0) * _time_s(recording)
    return np.asarray(np.sin(angle + rng.uniform(0, 2 * np.pi, (len(LEADS), 1))))


def _walk(recording: Recording, rng: np.random.Generator) -> Floats:
    return np.asarray(np.cumsum(_white(recording, rng), axis=1) / np.sqrt(recording.rate_hz))


def _eeg(recording: Recording, rng: np.random.Generator) -> Floats:
    """Like an EEG: noise that falls with frequency, and an alpha rhythm of 10 Hz."""
    spectrum = np.fft.rfft(_white(recording, rng), axis=1)
    frequency = np.fft.rfftfreq(recording.n_samples, 1 / recording.rate_hz)
    noise = np.fft.irfft(spectrum / np.maximum(frequency, 0.5), recording.n_samples, axis=1)
    phase = rng.uniform(0, 2 * np.pi, (len(LEADS), 1))
    alpha = np.sin(2 * np.pi * 10 * _time_s(recording) + phase)
    return np.asarray(noise / noise.std() + 0.7 * alpha)


def _text(recording: Recording, rng: np.random.Generator) -> Floats:
    """The bytes of a text file taken for samples."""
    content = (Path(ecgedge.__file__).parent / "statements.json").read_bytes()
    samples = np.frombuffer(content, dtype=np.uint8).astype(np.float64)
    starts = rng.integers(0, len(samples), (len(LEADS), 1))
    places = (starts + np.arange(recording.n_samples)) % len(samples)
    return np.asarray(samples[places] / 100)


def _time_s(recording: Recording) -> Floats:
    return np.arange(recording.n_samples) / recording.rate_hz


def _made(name: str, generate: Callable[[Recording, np.random.Generator], Floats]) -> Stranger:
    def make(recording: Recording, seed: int) -> Recording:
        signal = generate(recording, np.random.default_rng(seed)).astype(np.float32)
        return replace(recording, signal=signal)

    return Stranger(name, "no ECG", make)


STRANGERS = (
    Stranger("LA/RA exchanged", "electrodes", lambda it, _: corrupt.swap_limb(it, "LA/RA")),
    Stranger("RA/LL exchanged", "electrodes", lambda it, _: corrupt.swap_limb(it, "RA/LL")),
    Stranger("LA/LL exchanged", "electrodes", lambda it, _: corrupt.swap_limb(it, "LA/LL")),
    Stranger("V1/V2 exchanged", "electrodes", lambda it, _: corrupt.swap_chest(it, "V1", "V2")),
    Stranger("V3/V4 exchanged", "electrodes", lambda it, _: corrupt.swap_chest(it, "V3", "V4")),
    Stranger("V1-V6 reversed", "electrodes", lambda it, _: corrupt.reverse_chest(it)),
    Stranger("EMG, 6 dB", "noise", lambda it, seed: corrupt.emg_noise(it, 6, seed)),
    Stranger("EMG, 0 dB", "noise", lambda it, seed: corrupt.emg_noise(it, 0, seed)),
    Stranger("EMG, -6 dB", "noise", lambda it, seed: corrupt.emg_noise(it, -6, seed)),
    Stranger("played backwards", "time", lambda it, _: corrupt.reverse_time(it)),
    _made("white noise", _white),
    _made("sines", _sine),
    _made("random walk", _walk),
    _made("EEG-like", _eeg),
    _made("bytes of a text", _text),
)


def populations(folder: Path) -> Mapping[str, Sequence[Path]]:
    """Recordings of other populations in a folder, by the `dataset` column of its records.csv
    (columns file, dataset), or all under the folder's name.

    Raises InputError when the folder holds no recording.
    """
    paths = formats.find_recordings(folder)
    if not paths:
        raise InputError(f"{folder} holds no recording of another population")
    known: dict[str, str] = {}
    table = folder / "records.csv"
    if table.is_file():
        with table.open(encoding="utf-8", newline="") as file:
            known = {row.get("file", ""): row.get("dataset", "") for row in csv.DictReader(file)}
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(known.get(path.stem) or folder.name, []).append(path)
    return found
