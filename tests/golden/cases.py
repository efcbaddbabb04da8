"""The recordings of the golden vectors, and how the vectors are written anew.

    PYTHONPATH=.:tests python -m golden.cases

Only run it when cond-1 or an image encoding gets a new id: a change of output
under an old id would silently part encoders and case bases from the cart.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ecgedge.imaging import encoding_ids, get_encoding
from ecgedge.imaging.base import GRID as IMAGE_GRID
from ecgedge.recording import FloatArray, Recording
from ecgedge.signal.conditioning import GRID, condition
from ecgedge.signal.synthetic import Heart, synthesize

FOLDER = Path(__file__).parent
CONDITIONED = FOLDER / "cond-1.npz"
IMAGES = FOLDER / "images.json"
MISSING = np.iinfo(np.int16).min


def with_gaps() -> Recording:
    recording = synthesize(Heart(rate_bpm=75))
    signal = recording.signal.copy()
    signal[7] = np.nan
    signal[0, 1000:1600] = np.nan
    signal[:, 4000:4010] = np.nan
    signal[9, :500] = np.nan
    return Recording(signal, recording.rate_hz, "mV")


def with_wander_and_hum() -> Recording:
    recording = synthesize(Heart(rate_bpm=52, st_mv=0.15), rate_hz=1000)
    time = np.arange(recording.n_samples) / 1000
    noise = 0.4 * np.sin(2 * np.pi * 0.21 * time) + 0.1 * np.sin(2 * np.pi * 50 * time)
    return Recording((recording.signal + noise).astype(np.float32), 1000, "mV")


CASES: dict[str, Callable[[], Recording]] = {
    "sinus-500": synthesize,
    "irregular-100": lambda: synthesize(Heart(rate_bpm=110, jitter=0.5, p_wave=0), rate_hz=100),
    "wide-250": lambda: synthesize(Heart(qrs_width=2.0), rate_hz=250),
    "fast-360": lambda: synthesize(Heart(rate_bpm=200), rate_hz=360),
    "wander-1000": with_wander_and_hum,
    "long-2000": lambda: synthesize(Heart(rate_bpm=45), rate_hz=2000, duration_s=12.345),
    "short-257": lambda: synthesize(rate_hz=257, duration_s=3.3),
    "gaps-500": with_gaps,
}


def on_grid(conditioned: FloatArray) -> np.ndarray:
    """Whole numbers of 1/1024, MISSING for NaN; exact for cond-1 output."""
    scaled = np.nan_to_num(conditioned.astype(np.float64) * GRID)
    whole = np.round(scaled).astype(np.int16)
    assert np.array_equal(whole, scaled), "cond-1 output is off its grid"
    return np.where(np.isnan(conditioned), np.int16(MISSING), whole)


def fingerprint(image: FloatArray) -> dict[str, object]:
    """SHA-256 of the image in whole grid steps, and a few of its values to read."""
    steps = np.round(image.astype(np.float64) * IMAGE_GRID).astype("<i4")
    assert np.array_equal(steps / IMAGE_GRID, image), "the image is off its grid"
    excerpt = steps.ravel()[:: max(1, steps.size // 24)] / IMAGE_GRID
    return {"sha256": hashlib.sha256(steps.tobytes()).hexdigest(), "excerpt": excerpt.tolist()}


def main() -> None:
    conditioned = {name: condition(make()) for name, make in CASES.items()}
    np.savez_compressed(CONDITIONED, **{k: on_grid(v.signal) for k, v in conditioned.items()})
    images = {
        encoding: {k: fingerprint(get_encoding(encoding).encode(v)) for k, v in conditioned.items()}
        for encoding in encoding_ids()
    }
    IMAGES.write_text(json.dumps(images, indent=1) + "\n")


if __name__ == "__main__":
    main()
