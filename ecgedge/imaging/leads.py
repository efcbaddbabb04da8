"""`leads-1`: the lead-by-time image, one row a lead, one column a sample.

Channel 0 is the conditioned signal with 0 where nothing was recorded; channel 1
is 1 where a sample was recorded and 0 where not, so that the encoder can tell a
flat line from no line.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecgedge.imaging.base import WINDOW_SAMPLES, ImageEncoding, window
from ecgedge.recording import LEADS, FloatArray
from ecgedge.signal.conditioning import Conditioned


def encode(conditioned: Conditioned) -> FloatArray:
    """float32 (2, 12, 1000): signal, observed."""
    signal = window(conditioned)
    observed = np.isfinite(signal)
    return np.stack([np.where(observed, signal, np.float32(0)), observed.astype(np.float32)])


def picture(image: FloatArray) -> NDArray[np.uint8]:
    """Blue below, red above, white at zero, grey where missing; leads 24 rows tall."""
    signal, observed = image
    level = np.tanh(signal / 3)[..., None]
    warm = np.array([0.70, 0.09, 0.17]) - 1
    cold = np.array([0.13, 0.40, 0.67]) - 1
    rgb = 1 + np.where(level > 0, level * warm, -level * cold)
    rgb = np.where(observed[..., None] > 0, rgb, 0.6)
    return np.repeat((rgb * 255).astype(np.uint8), 24, axis=0)


LEADS_1 = ImageEncoding(
    id="leads-1",
    shape=(2, len(LEADS), WINDOW_SAMPLES),
    patch=(len(LEADS), 40),
    encode=encode,
    picture=picture,
)
