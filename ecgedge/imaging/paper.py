"""Twelve leads on ECG paper for a person: 25 mm/s, 10 mm/mV, with parts marked.

One row a lead, 10 s, 4 pixels a millimetre. A tall deflection runs into its neighbours'
rows, as it does on paper, but no farther. Without a known amplitude one unit (the
standard deviation of a lead) is drawn 2 mm tall, and the paper says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecgedge.imaging.base import WINDOW_S
from ecgedge.imaging.letters import LINE_PX, width_px, write
from ecgedge.recording import LEADS, FloatArray

PX_PER_MM = 4
PX_PER_S = 25 * PX_PER_MM
PX_PER_MV = 10 * PX_PER_MM
PX_PER_UNIT = 2 * PX_PER_MM
ROW_PX = 13 * PX_PER_MM
NAMES_PX, FIGURES_PX = 52, 86  # margins left and right of the paper
WIDTH_PX = NAMES_PX + WINDOW_S * PX_PER_S + FIGURES_PX
TOP_PX = 5 * PX_PER_MM  # above the first row, for a tall R in lead I
SECONDS_PX = 22  # below the paper

_PAPER_PX = (TOP_PX + len(LEADS) * ROW_PX, WINDOW_S * PX_PER_S)
HEIGHT_PX = _PAPER_PX[0] + SECONDS_PX
_PAPER, _FINE, _COARSE = (255, 246, 244), (252, 226, 222), (240, 178, 172)
_INK, _FAINT = (20, 20, 30), (120, 110, 110)
_MARK, _EDGE = np.array([255, 150, 0]), (200, 60, 0)
_MARK_OPACITY = 0.55
_THICK_PX = 1.6
_OUTLINE_PX = 2


@dataclass(frozen=True)
class Trace:
    """What is drawn. signal: float32 (12, n), NaN where missing, in mV or (in_mv false) without
    a unit; rate_hz samples a second, at least 100.
    """

    signal: FloatArray
    rate_hz: float
    in_mv: bool


@dataclass(frozen=True)
class Mark:
    """A part of one lead to shade. weight: 0 to 1. label: outlined and named, unless ""."""

    lead: str
    start_s: float
    end_s: float
    weight: float
    label: str = ""


def draw(
    trace: Trace,
    marks: Sequence[Mark] = (),
    *,
    lead_figures: Mapping[str, str] | None = None,
    second_figures: Sequence[str] = (),
) -> NDArray[np.uint8]:
    """The paper with its margins, uint8 (HEIGHT_PX, WIDTH_PX, 3).

    lead_figures: words right of a lead. second_figures: words under second 0, 1, ...
    """
    sheet = np.full((HEIGHT_PX, WIDTH_PX, 3), 255, np.uint8)
    paper = _grid()
    for mark in marks:
        _shade(paper, mark)
    ink = _ink(trace)[..., None]
    paper = paper * (1 - ink) + np.array(_INK) * ink
    height, width = _PAPER_PX
    sheet[:height, NAMES_PX : NAMES_PX + width] = np.round(paper).astype(np.uint8)
    for mark in marks:
        if mark.label:
            _outline(sheet, mark)
    for row, lead in enumerate(LEADS):
        middle = TOP_PX + row * ROW_PX + ROW_PX // 2 - 8
        write(sheet, lead, 6, middle, _INK)
        write(sheet, (lead_figures or {}).get(lead, ""), NAMES_PX + width + 8, middle, _FAINT)
    for second, words in enumerate(second_figures[:WINDOW_S]):
        left = NAMES_PX + second * PX_PER_S + (PX_PER_S - width_px(words)) // 2
        write(sheet, words, left, height + 4, _FAINT)
    return sheet


def _grid() -> NDArray[np.float64]:
    paper = np.empty((*_PAPER_PX, 3))
    paper[:] = _PAPER
    for spacing, colour in ((PX_PER_MM, _FINE), (5 * PX_PER_MM, _COARSE)):
        paper[::spacing] = colour
        paper[:, ::spacing] = colour
    return paper


def _box(mark: Mark) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) in pixels of the paper."""
    top = TOP_PX + LEADS.index(mark.lead) * ROW_PX
    return top, top + ROW_PX, round(mark.start_s * PX_PER_S), round(mark.end_s * PX_PER_S)


def _shade(paper: NDArray[np.float64], mark: Mark) -> None:
    top, bottom, left, right = _box(mark)
    opacity = _MARK_OPACITY * min(max(mark.weight, 0.0), 1.0)
    place = paper[top:bottom, left:right]
    place *= 1 - opacity
    place += opacity * _MARK


def _outline(sheet: NDArray[np.uint8], mark: Mark) -> None:
    top, bottom, left, right = _box(mark)
    box = sheet[top:bottom, NAMES_PX + left : NAMES_PX + right]
    for edge in (
        box[:_OUTLINE_PX],
        box[-_OUTLINE_PX:],
        box[:, :_OUTLINE_PX],
        box[:, -_OUTLINE_PX:],
    ):
        edge[:] = _EDGE
    box[_OUTLINE_PX:LINE_PX, _OUTLINE_PX : width_px(mark.label) + 6] = 255
    write(sheet, mark.label, NAMES_PX + left + 5, top + 5, _EDGE)


def _ink(trace: Trace) -> NDArray[np.float64]:
    """How much of each pixel of the paper the line covers, 0 to 1."""
    high, low = _columns(trace)
    reach = 1.5 * ROW_PX - _THICK_PX / 2
    scale = PX_PER_MV if trace.in_mv else PX_PER_UNIT
    ink = np.zeros(_PAPER_PX)
    rows = np.arange(_PAPER_PX[0])[:, None]
    for lead in range(len(LEADS)):
        base = TOP_PX + lead * ROW_PX + ROW_PX / 2
        with np.errstate(invalid="ignore"):
            top = base - np.clip(high[lead] * scale, -reach, reach) - _THICK_PX / 2
            bottom = base - np.clip(low[lead] * scale, -reach, reach) + _THICK_PX / 2
            around = slice(max(0, TOP_PX + (lead - 1) * ROW_PX), TOP_PX + (lead + 2) * ROW_PX)
            covered = np.minimum(rows[around] + 1, bottom) - np.maximum(rows[around], top)
        ink[around] = np.maximum(ink[around], np.nan_to_num(covered).clip(0, 1))
    return ink


def _columns(trace: Trace) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(highest, lowest) value of each lead in each pixel column, (12, 1000), NaN where missing.

    A column also spans the first sample of the next one, so that lines join.
    """
    width = _PAPER_PX[1]
    signal = trace.signal.astype(np.float64)
    if trace.in_mv:  # a lead's base line is where its row is
        known = np.isfinite(signal).any(axis=1)
        signal[known] -= np.nanmedian(signal[known], axis=1, keepdims=True)
    starts = np.ceil(np.arange(width + 1) * trace.rate_hz / PX_PER_S - 1e-6).astype(int)
    padded = np.full((len(LEADS), max(int(starts[-1]) + 1, signal.shape[1])), np.nan)
    padded[:, : signal.shape[1]] = signal
    first = padded[:, starts[1:]]
    inside = padded[:, : starts[-1]]
    with np.errstate(invalid="ignore"):
        high = np.fmax.reduceat(inside, starts[:-1], axis=1)
        low = np.fmin.reduceat(inside, starts[:-1], axis=1)
        here = np.isfinite(high)
        high, low = np.fmax(high, first), np.fmin(low, first)
    high[~here] = low[~here] = np.nan
    return high, low
