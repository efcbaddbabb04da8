"""Which parts of an ECG carry its similarity to another: hide a part, embed again, compare.

Occlusion (Zeiler and Fergus 2014) asks the model itself what it would say without a
part. A part is hidden as what was never recorded is, so the encoder sees an input it
was trained on, not a grey patch that it was not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecgedge.answer import Occlusion, Region
from ecgedge.encoders import Encoder
from ecgedge.imaging import get_encoding
from ecgedge.recording import LEADS, FloatArray
from ecgedge.signal.conditioning import RATE_HZ, Conditioned

METHOD = (
    "occlusion: each part is hidden from the encoder as if it had not been recorded; its drop is "
    "by how much the cosine with the other ECG's vector falls"
)
PART_SAMPLES = RATE_HZ  # one second
#: Images encoded at once: 15 % faster than one by one, and no more than 1 MB.
BATCH = 8

#: Passes items through while showing how far it is: (items, label, length).
Progress = Callable[[Iterable[Any], str, int], Iterable[Any]]


class Part(NamedTuple):
    """Samples start to stop of one lead, or of all of them (lead None)."""

    lead: int | None
    start: int
    stop: int


def silent(items: Iterable[Any], _label: str, _length: int) -> Iterable[Any]:
    """Progress that shows nothing."""
    return items


def similarities(
    conditioned: Conditioned,
    hidings: Sequence[Sequence[Part]],
    encoder: Encoder,
    target: FloatArray,
    progress: Progress = silent,
    label: str = "occluding",
) -> NDArray[np.float64]:
    """The cosine with target, once for each set of parts hidden together, (len(hidings),).

    target: float32 (dim,), length 1.
    """
    found = np.empty(len(hidings))
    for start in progress(range(0, len(hidings), BATCH), label, -(-len(hidings) // BATCH)):
        images = [_image(conditioned, parts, encoder) for parts in hidings[start : start + BATCH]]
        found[start : start + BATCH] = encoder.encode(np.stack(images)) @ target
    return found


def embedding(conditioned: Conditioned, encoder: Encoder) -> FloatArray:
    """The whole ECG's embedding, float32 (dim,), length 1."""
    whole: FloatArray = encoder.encode(_image(conditioned, (), encoder)[None])[0]
    return whole


def _image(conditioned: Conditioned, hidden: Sequence[Part], encoder: Encoder) -> FloatArray:
    signal = conditioned.signal.copy()
    for lead, start, stop in hidden:
        signal[slice(None) if lead is None else lead, start:stop] = np.nan
    return get_encoding(encoder.spec.imaging).encode(Conditioned(signal))


def cells(conditioned: Conditioned) -> list[Part]:
    """Every second of every lead in which something was recorded."""
    signal = conditioned.signal
    return [
        Part(lead, start, stop)
        for lead in range(len(LEADS))
        for start, stop in _seconds(conditioned)
        if np.isfinite(signal[lead, start:stop]).any()
    ]


def _seconds(conditioned: Conditioned) -> list[tuple[int, int]]:
    length = conditioned.n_samples
    return [(at, min(at + PART_SAMPLES, length)) for at in range(0, length, PART_SAMPLES)]


def occlude(
    conditioned: Conditioned,
    encoder: Encoder,
    target: FloatArray,
    progress: Progress = silent,
    label: str = "occluding",
) -> Occlusion:
    """What carried the similarity of an ECG to target, lead by second, by lead and by second.

    Takes one encoding for each part, 143 for 12 leads of 10 s.
    """
    inner = cells(conditioned)
    seconds = [Part(None, *span) for span in _seconds(conditioned)]
    recorded = np.flatnonzero(np.isfinite(conditioned.signal).any(axis=1)).tolist()
    leads = [Part(lead, 0, conditioned.n_samples) for lead in recorded]
    parts = [*inner, *leads, *seconds]
    hidings: list[list[Part]] = [[], *([part] for part in parts)]
    found = similarities(conditioned, hidings, encoder, target, progress, label)
    regions = [
        _region(part, found[0] - after) for part, after in zip(parts, found[1:], strict=True)
    ]
    n_inner, n_leads = len(inner), len(leads)
    ranked = sorted(regions[:n_inner], key=lambda it: -it.drop)
    return Occlusion(
        similarity=round(float(found[0]), 4),
        regions=tuple(ranked),
        leads={one.lead: one.drop for one in regions[n_inner : n_inner + n_leads]},
        seconds=tuple(regions[n_inner + n_leads :]),
    )


def _region(part: Part, drop: float) -> Region:
    lead = "" if part.lead is None else LEADS[part.lead]
    return Region(lead, part.start / RATE_HZ, part.stop / RATE_HZ, round(float(drop), 5))
