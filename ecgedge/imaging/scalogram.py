"""`scalogram-1`: how much of each frequency is in each lead at each moment.

The magnitude of a complex Morlet wavelet transform (Torrence and Compo 1998,
omega0 = 6) at 24 frequencies evenly spaced in log from 0.7 to 40 Hz, scaled so
that a sine of amplitude A reads A, averaged to 25 frames a second and then
log-compressed. Low frequencies come first. The 12 leads are the channels. Gaps
count as zero signal, and a missing sample makes its frame zero.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgedge.imaging.base import WINDOW_S, ImageEncoding, snap, window
from ecgedge.recording import LEADS, FloatArray
from ecgedge.signal.conditioning import RATE_HZ, Conditioned

OMEGA0 = 6.0
FREQUENCIES_HZ = np.geomspace(0.7, 40.0, 24)
FRAMES_PER_S = 25

_FRAMES = WINDOW_S * FRAMES_PER_S
_STEP = RATE_HZ // FRAMES_PER_S
# Zeros behind the window, over 4 standard deviations of the longest wavelet, so
# that the end does not wrap around into the start; 1600 has small prime factors.
_N_FFT = 1600
_GAIN = 4.0  # log1p(_GAIN * magnitude): linear below about 0.25 of a lead's deviation


def magnitudes(signal: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """|wavelet transform| of (leads, n) at 100 Hz; (leads, 24, n), in the signal's unit."""
    spectra = np.fft.rfft(signal.astype(np.float64), _N_FFT, axis=1)
    wavelets = _wavelets()
    padded = np.zeros((len(wavelets), _N_FFT), np.complex128)
    result = np.empty((len(signal), len(wavelets), signal.shape[1]))
    # Lead by lead, because one large transform spends its time on fresh memory.
    for lead, spectrum in enumerate(spectra):
        np.multiply(spectrum, wavelets, out=padded[:, : len(spectrum)])
        np.abs(np.fft.ifft(padded, axis=1)[:, : signal.shape[1]], out=result[lead])
    return result


@lru_cache(maxsize=1)
def _wavelets() -> NDArray[np.float64]:
    """The wavelets in the frequency domain, (24, 801); 2 because the other half is cut off."""
    f = np.fft.rfftfreq(_N_FFT, 1 / RATE_HZ)
    ratio = f / FREQUENCIES_HZ[:, None]
    gain = 2 * np.exp(-0.5 * (OMEGA0 * (ratio - 1)) ** 2) * (f > 0)
    # Without this, products with subnormal numbers take most of the time.
    return np.where(gain > 1e-16, gain, 0)


def encode(conditioned: Conditioned) -> FloatArray:
    """float32 (12, 24, 250): leads, frequencies (low first), frames."""
    signal = window(conditioned)
    observed = np.isfinite(signal)
    magnitude = magnitudes(np.where(observed, signal, np.float32(0)))
    # Slices added up: several times faster than a mean over an axis of four.
    a, b, c, d = (magnitude[:, :, i::_STEP] for i in range(_STEP))
    whole = observed.reshape(len(LEADS), 1, _FRAMES, _STEP).all(axis=3)
    return snap(np.log1p((a + b + c + d) * (_GAIN / _STEP)) * whole)


# A perceptually even ramp, dark to light; RGB at equal steps of 0 to the top level.
_COLOURS = np.array(
    [
        (0, 0, 4),
        (31, 12, 72),
        (85, 15, 109),
        (136, 34, 106),
        (186, 54, 85),
        (227, 89, 51),
        (249, 140, 10),
        (249, 201, 50),
        (252, 255, 164),
    ],
    dtype=np.float64,
)
_TOP_LEVEL = np.log1p(_GAIN * 3)


def picture(image: FloatArray) -> NDArray[np.uint8]:
    """Leads from top to bottom, high frequencies up, dark to light; (12 * 26, 500, 3)."""
    at = np.clip(image[:, ::-1] / _TOP_LEVEL, 0, 1) * (len(_COLOURS) - 1)
    rgb = np.stack([np.interp(at, range(len(_COLOURS)), c) for c in _COLOURS.T], axis=-1)
    rgb = np.pad(rgb, ((0, 0), (0, 2), (0, 0), (0, 0)), constant_values=128)
    rows = np.round(rgb).astype(np.uint8).reshape(-1, _FRAMES, 3)
    return np.repeat(rows, 2, axis=1)


SCALOGRAM_1 = ImageEncoding(
    id="scalogram-1",
    shape=(len(LEADS), len(FREQUENCIES_HZ), _FRAMES),
    patch=(len(FREQUENCIES_HZ), 10),
    encode=encode,
    picture=picture,
)
