"""trace-1 against a slow rasteriser, and what it must look like."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgedge.imaging.trace import TRACE_1
from ecgedge.signal.conditioning import Conditioned, condition
from ecgedge.signal.synthetic import Heart, synthesize

FINE = 32  # sub-rows a pixel


def slow_trace(signal: np.ndarray) -> np.ndarray:
    """Colour 32 sub-rows a pixel, one lead and column at a time, then average them."""
    ink = np.zeros((288, 512))
    middles = (np.arange(288 * FINE) + 0.5) / FINE
    for lead in range(12):
        for column in range(500):
            values = signal[lead, 2 * column : 2 * column + 3]
            values = values[~np.isnan(values)]
            if not len(values):
                continue
            y = 24 + 22 * lead - np.clip(4 * values, -32.5, 32.5)
            inked = (middles > y.min() - 0.5) & (middles < y.max() + 0.5)
            ink[:, column] += inked.reshape(288, FINE).mean(axis=1)
    return np.minimum(ink, 1)


def test_the_drawing_is_that_of_a_slow_rasteriser() -> None:
    signal = condition(synthesize(Heart(rate_bpm=120, jitter=0.4))).signal.copy()
    signal[4] = np.nan
    signal[1, 300:420] = np.nan
    image = TRACE_1.encode(Conditioned(signal))
    assert np.abs(image[0] - slow_trace(signal)).max() <= 2 / FINE


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 11), st.floats(-5, 5).map(lambda v: round(v * 1024) / 1024))
def test_a_level_is_a_line_one_pixel_thick_at_four_pixels_a_unit(lead: int, level: float) -> None:
    signal = np.full((12, 1000), np.nan, np.float32)
    signal[lead] = level
    ink = TRACE_1.encode(Conditioned(signal))[0]
    rows = np.arange(288) + 0.5
    middle = 24 + 22 * lead - 4 * level
    if 1 < middle < 287:
        assert np.allclose(ink[:, :500].sum(axis=0), 1)
        assert np.allclose(rows @ ink[:, :500], middle, atol=0.5)
    assert not ink[:, 500:].any()


def test_a_deflection_reaches_into_the_neighbours_rows_and_no_farther() -> None:
    signal = np.full((12, 1000), np.nan, np.float32)
    signal[6, :500] = 16.0
    signal[6, 500:] = -16.0
    ink = TRACE_1.encode(Conditioned(signal))[0]
    base = 24 + 22 * 6
    rows = np.flatnonzero(ink.any(axis=1))
    assert rows[0] == base - 33
    assert rows[-1] == base + 32


def test_a_gap_is_blank_paper() -> None:
    signal = np.zeros((12, 1000), np.float32)
    signal[:, 400:600] = np.nan
    drawn = TRACE_1.encode(Conditioned(signal))[0].any(axis=0)
    # A column joins to the next, so the one before the gap ends at its edge.
    assert drawn[:200].all()
    assert not drawn[200:299].any()
    assert drawn[300:500].all()


def test_the_picture_has_dark_ink_on_pink_paper() -> None:
    image = TRACE_1.encode(condition(synthesize()))
    picture = TRACE_1.picture(image)
    inked = image[0] == 1
    assert picture[inked].max() < 40
    blank = picture[image[0] == 0].astype(int)
    assert (blank[:, 0] >= blank[:, 1]).all()
    assert blank.min() > 150
