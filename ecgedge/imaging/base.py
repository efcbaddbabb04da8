"""What an image encoding is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecgedge.recording import FloatArray
from ecgedge.signal.conditioning import RATE_HZ, Conditioned

#: Every encoding shows this much time; shorter recordings are padded as missing.
WINDOW_S = 10
WINDOW_SAMPLES = WINDOW_S * RATE_HZ


@dataclass(frozen=True)
class ImageEncoding:
    """One way to make an ECG image.

    id: e.g. "leads-1". shape: (channels, height, width) of the float32 image.
    patch: (height, width) of the tile that becomes one token of the encoder.
    encode: Conditioned -> float32 image of `shape`, finite everywhere.
    picture: image -> uint8 RGB array (height, width, 3) for a person to look at.
    """

    id: str
    shape: tuple[int, int, int]
    patch: tuple[int, int]
    encode: Callable[[Conditioned], FloatArray]
    picture: Callable[[FloatArray], NDArray[np.uint8]]


#: Images lie on multiples of 1/GRID, which absorbs the last-bit differences between
#: FFT and BLAS builds: the golden images in tests/ are exact on every machine.
GRID = 4096


def snap(image: NDArray[np.float64]) -> FloatArray:
    """The float32 image with every value moved to the nearest grid point; same shape."""
    return (np.round(image * GRID) / GRID).astype(np.float32)


def window(conditioned: Conditioned) -> FloatArray:
    """The first 10 s, shape (12, 1000), NaN where missing or past the end."""
    signal = conditioned.signal[:, :WINDOW_SAMPLES]
    if signal.shape[1] == WINDOW_SAMPLES:
        return signal
    padded = np.full((signal.shape[0], WINDOW_SAMPLES), np.nan, dtype=np.float32)
    padded[:, : signal.shape[1]] = signal
    return padded
