"""How a recording is seen: conditioned, drawn, embedded; and how long each took.

The centre, the evaluation and the cart all embed through here, so that a case and a query
are always treated alike.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ecgedge.answer import Quality
from ecgedge.imaging import get_encoding
from ecgedge.recording import FloatArray, Recording
from ecgedge.signal import conditioning
from ecgedge.signal.calibration_pulse import without_pulses
from ecgedge.signal.quality import WINDOW_S, assess, unusable

if TYPE_CHECKING:
    from ecgedge.encoders import Encoder


_BUFFER_BYTES = 4 << 20


class Stopwatch:
    """Milliseconds between laps, by name."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Book the time since the last lap under this name."""
        now = time.perf_counter()
        self.laps[name] = round((now - self._last) * 1e3, 3)
        self._last = now

    def finish(self) -> dict[str, float]:
        """All laps and their total."""
        return {**self.laps, "total": round((self._last - self._start) * 1e3, 3)}


@dataclass(frozen=True)
class Seen:
    """A recording as the encoder met it, and its embedding, float32 (dim,), length 1."""

    conditioned: conditioning.Conditioned
    embedding: FloatArray


def see_recording(
    recording: Recording,
    encoder: Encoder,
    quality: Quality | None = None,
) -> Seen:
    """Condition and embed a recording's first 10 s.

    Leads that quality calls unusable are hidden from the encoder; quality is
    assessed here when it is not given. Never refuses: that is the caller's choice.
    """
    conditioned = condition_visible(recording, quality or assess(recording))
    return see_conditioned(conditioned, encoder, Stopwatch())


def see_conditioned(
    conditioned: conditioning.Conditioned, encoder: Encoder, watch: Stopwatch
) -> Seen:
    """What is left to do for a recording that has been conditioned."""
    image = get_encoding(encoder.spec.imaging).encode(conditioned)
    watch.lap("image")
    embedding: FloatArray = encoder.encode(image[None])[0]
    watch.lap("encode")
    return Seen(conditioned, embedding)


def keep_buffers() -> None:
    """Let this process keep the memory that every recording needs anew, up to 0.7 MB a piece.

    glibc gives blocks of 128 kB and more back to the system at once, and takes them again page
    by page, until it has seen a larger one freed. ONNX Runtime happens to free one while it loads
    a model; LiteRT does not, and conditioning took twice as long.
    """
    np.empty(_BUFFER_BYTES, dtype=np.uint8)  # never touched, so it costs no memory


def embed_recording(
    recording: Recording,
    encoder: Encoder,
    quality: Quality | None = None,
) -> FloatArray:
    """The embedding that `see_recording` makes, float32 (dim,), length 1."""
    return see_recording(recording, encoder, quality).embedding


def condition_visible(recording: Recording, quality: Quality) -> conditioning.Conditioned:
    """What an image is made of: the first 10 s, conditioned, what is unusable NaN."""
    return conditioning.condition(_visible(recording, quality))


def _visible(recording: Recording, quality: Quality) -> Recording:
    """The first 10 s, unusable leads and calibration pulses NaN."""
    signal = without_pulses(recording, quality.cut_s)[:, : round(WINDOW_S * recording.rate_hz)]
    hidden = unusable(quality)
    if hidden.any():
        signal = signal.copy()
        signal[hidden] = np.nan
    return replace(recording, signal=signal)
