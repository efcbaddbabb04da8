"""`trace-1`: the ECG drawn as on paper, 25 mm/s, 12 rows of 10 s, 2 pixels a millimetre.

One grey channel, ink 1 on paper 0. Rows are 11 mm apart and a tall deflection
runs into its neighbours' rows, as it does on paper, but no farther. The
conditioned signal has no millivolts; one unit is drawn as 0.2 mV at 10 mm/mV
(2 mm), about what the standard deviation of a resting ECG lead is. Where nothing
was recorded the paper is blank.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecgedge.imaging.base import WINDOW_S, WINDOW_SAMPLES, ImageEncoding, window
from ecgedge.recording import LEADS, FloatArray
from ecgedge.signal.conditioning import Conditioned

PX_PER_MM = 2
MM_PER_S = 25
MM_PER_MV = 10
NOMINAL_MV_PER_UNIT = 0.2
ROW_PX = 22
TOP_PX = 24  # the first base line, low enough for a tall R in lead I
LINE_PX = 1.0

_PX_PER_UNIT = NOMINAL_MV_PER_UNIT * MM_PER_MV * PX_PER_MM
_COLUMNS = WINDOW_S * MM_PER_S * PX_PER_MM  # 500
_STEP = WINDOW_SAMPLES // _COLUMNS  # samples a column
_WIDTH = 512  # 500 columns of time, then blank
_HEIGHT = 288
_REACH_PX = 1.5 * ROW_PX - LINE_PX / 2  # to the far edge of the neighbour's row
_BASELINES_PX = TOP_PX + ROW_PX * np.arange(len(LEADS))[:, None]


def encode(conditioned: Conditioned) -> FloatArray:
    """float32 (1, 288, 512) in [0, 1], ink 1."""
    signal = window(conditioned).astype(np.float64)
    # A column spans _STEP samples and the first of the next, so that lines join.
    following = np.concatenate([signal[:, _STEP::_STEP], signal[:, -1:]], axis=1)
    columns = np.dstack([signal.reshape(len(LEADS), _COLUMNS, _STEP), following])
    with np.errstate(invalid="ignore"):
        high = np.fmax.reduce(columns, axis=2)
        low = np.fmin.reduce(columns, axis=2)
    drawn = np.isfinite(high)
    top = _BASELINES_PX - np.clip(high * _PX_PER_UNIT, -_REACH_PX, _REACH_PX) - LINE_PX / 2
    bottom = _BASELINES_PX - np.clip(low * _PX_PER_UNIT, -_REACH_PX, _REACH_PX) + LINE_PX / 2
    column = np.broadcast_to(np.arange(_COLUMNS), drawn.shape)[drawn]
    ink = _edges(top[drawn], column) - _edges(bottom[drawn], column)
    return np.minimum(np.cumsum(ink, axis=0)[None, :_HEIGHT], 1).clip(0).astype(np.float32)


def _edges(y: NDArray[np.float64], column: NDArray[np.intp]) -> NDArray[np.float64]:
    """Where ink starts, as differences down each column; shape (_HEIGHT + 2, _WIDTH).

    The running sum of starts minus that of ends is how much of each pixel is
    covered: an edge inside a pixel covers a part of it, which is the antialiasing.
    """
    y = np.clip(y, 0, _HEIGHT)
    pixel = y.astype(np.int64)
    part = y - pixel
    index = pixel * _WIDTH + column
    size = (_HEIGHT + 2) * _WIDTH
    starts = np.bincount(index, 1 - part, size)
    starts = starts + np.bincount(index + _WIDTH, part, size)
    return np.asarray(starts, np.float64).reshape(-1, _WIDTH)


def picture(image: FloatArray) -> NDArray[np.uint8]:
    """The trace in near-black on pink paper with 1 mm and 5 mm lines; (288, 512, 3)."""
    paper = np.empty((_HEIGHT, _WIDTH, 3))
    paper[:] = (1.0, 0.94, 0.94)
    for spacing, colour in ((PX_PER_MM, (1.0, 0.88, 0.88)), (5 * PX_PER_MM, (0.96, 0.70, 0.70))):
        paper[::spacing] = colour
        paper[:, ::spacing] = colour
    ink = image[0][..., None]
    rgb = paper * (1 - ink) + np.array([0.08, 0.08, 0.12]) * ink
    return np.asarray(np.round(rgb * 255), np.uint8)


TRACE_1 = ImageEncoding(
    id="trace-1",
    shape=(1, _HEIGHT, _WIDTH),
    patch=(48, 32),
    encode=encode,
    picture=picture,
)
