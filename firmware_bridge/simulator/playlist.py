"""Recordings one after another, without end if need be: what a device's electrodes feel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from ecgedge.errors import UsageError
from ecgedge.recording import LEADS, Recording

#: The same recording at another rate.
Resample = Callable[[Recording, float], Recording]


class Playlist:
    """Recordings as one signal that can be had at any rate, and begins anew at its end."""

    def __init__(self, recordings: Sequence[Recording], resample: Resample | None = None) -> None:
        """Raises UsageError for no recording, an empty one, or mV mixed with NU."""
        if not recordings or not all(one.n_samples for one in recordings):
            raise UsageError("there is no sample to play")
        if len({one.unit for one in recordings}) > 1:
            raise UsageError("recordings in mV and in NU cannot be played on one device")
        self._recordings = list(recordings)
        self._resample = resample
        self._at = lru_cache(maxsize=2)(self._resampled)

    @property
    def amplitude_known(self) -> bool:
        return self._recordings[0].unit == "mV"

    def samples(self, rate_hz: float) -> int:
        """How many samples one time through has. Raises UsageError as `take` does."""
        return self._at(rate_hz)[1][-1]

    def take(self, rate_hz: float, start: int, n: int) -> NDArray[np.float32]:
        """n samples from number `start` on: (12, n) in mV or NU.

        Raises UsageError where a recording has another rate and nothing was given to resample.
        """
        recordings, ends = self._at(rate_hz)
        out = np.empty((len(LEADS), n), dtype=np.float32)
        filled = 0
        while filled < n:
            at = (start + filled) % ends[-1]
            which = int(np.searchsorted(ends, at, side="right"))
            signal = recordings[which].signal
            begin = at - (ends[which] - signal.shape[1])
            piece = signal[:, begin : begin + n - filled]
            out[:, filled : filled + piece.shape[1]] = piece
            filled += piece.shape[1]
        return out

    def _resampled(self, rate_hz: float) -> tuple[list[Recording], list[int]]:
        played = [self._at_rate(one, rate_hz) for one in self._recordings]
        return played, list(accumulate(one.n_samples for one in played))

    def _at_rate(self, recording: Recording, rate_hz: float) -> Recording:
        if recording.rate_hz == rate_hz:
            return recording
        if self._resample is None:
            raise UsageError(
                f"{recording.source or 'a recording'} has {recording.rate_hz:g} samples a "
                f"second, the device {rate_hz:g}"
            )
        return self._resample(recording, rate_hz)
