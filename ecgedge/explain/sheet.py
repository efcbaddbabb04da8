"""The picture of an explanation: both ECGs on paper, what carried the similarity marked."""

from __future__ import annotations

import textwrap
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from ecgedge.answer import NOTICE, Explanation, Occlusion
from ecgedge.explain.ecgs import Ecg
from ecgedge.explain.reasons import Explained
from ecgedge.imaging.letters import ADVANCE_PX, LINE_PX, Colour, write
from ecgedge.imaging.paper import WIDTH_PX, Mark, draw
from ecgedge.statements import statement_name

#: So many regions are outlined and numbered; the others are only shaded.
NUMBERED = 5

_INK, _NOTICE = (20, 20, 30), (150, 30, 30)
_LEFT_PX = 6
_COLUMNS = (WIDTH_PX - 2 * _LEFT_PX) // ADVANCE_PX
_LEGEND = (
    "Shaded: hiding this part lowers the similarity, the darker the more; 1 to 5 do so most. "
    "Right of a lead and under a second: the drop when all of it is hidden."
)


def picture(explained: Explained, source: str) -> NDArray[np.uint8]:
    """RGB, uint8 (height, 1138, 3). source: what the query is called, for the title."""
    told = explained.explanation
    shared = "; ".join(map(statement_name, told.shared)) or "none of the supported ones"
    name = PurePath(source).name or "the recording"
    title = [
        *_wrapped(f"Query {name} and case {told.case_id}, match {told.rank}"),
        *_wrapped(f"Similarity (cosine) {told.similarity:.3f}. Shared statements: {shared}"),
        *_wrapped(_LEGEND),
    ]
    parts = [
        _words(title),
        _words(_wrapped(f"QUERY, {_scale(explained.query)}")),
        _ecg(explained.query, told.query),
        _words(_wrapped(f"CASE {told.case_id}{_origin(explained.case)}")),
        _case(explained, told),
        _words(_wrapped(NOTICE), _NOTICE),
    ]
    return np.concatenate(parts)


def _scale(ecg: Ecg) -> str:
    amplitude = "10 mm/mV" if ecg.trace.in_mv else "amplitude relative (no unit)"
    return f"25 mm/s, {amplitude}"


def _origin(case: Ecg | None) -> str:
    if case is None:
        return ""
    kept = ", 0.5-40 Hz as kept" if case.origin == "release" else ""
    return f", {_scale(case)}{kept}"


def _case(explained: Explained, told: Explanation) -> NDArray[np.uint8]:
    if explained.case is None or told.case is None:
        return _words(_wrapped(f"{told.why[:1].upper()}{told.why[1:]}."))
    return _ecg(explained.case, told.case)


def _ecg(ecg: Ecg, occlusion: Occlusion) -> NDArray[np.uint8]:
    strongest = max((region.drop for region in occlusion.regions), default=0.0)
    marks = [
        Mark(
            region.lead,
            region.start_s,
            region.end_s,
            region.drop / strongest,
            str(place) if place <= NUMBERED else "",
        )
        for place, region in enumerate(occlusion.regions, start=1)
        if region.drop > 0
    ]
    leads = {lead: f"{drop:+.3f}" for lead, drop in occlusion.leads.items()}
    return draw(
        ecg.trace,
        marks,
        lead_figures=leads,
        second_figures=[f"{one.drop:+.3f}" for one in occlusion.seconds],
    )


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), _COLUMNS)


def _words(lines: list[str], colour: Colour = _INK) -> NDArray[np.uint8]:
    """Lines of text on white, as wide as the paper."""
    rgb = np.full((LINE_PX * len(lines) + LINE_PX // 2, WIDTH_PX, 3), 255, np.uint8)
    for number, line in enumerate(lines):
        write(rgb, line, _LEFT_PX, LINE_PX // 3 + LINE_PX * number, colour)
    return rgb
