"""Probe queries: synthetic hearts whose nearest cases the centre wrote down.

They show that a cart's whole line, from filter to search, answers as the centre's
did. Processors differ in the last bits, so the comparison has a tolerance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from ecgedge.casebase.manifest import Probe
from ecgedge.casebase.search import CaseBase
from ecgedge.encoders import Encoder
from ecgedge.signal.synthetic import Heart, synthesize

#: An unremarkable heart, then fast, irregular without P, wide QRS, raised ST.
HEARTS = (
    Heart(),
    Heart(rate_bpm=140.0),
    Heart(rate_bpm=95.0, jitter=0.5, p_wave=0.0),
    Heart(rate_bpm=60.0, qrs_width=2.2),
    Heart(rate_bpm=80.0, st_mv=0.3),
)
EXPECTED = 5
#: Cosine: int8 engines on x86 and Arm agreed to 1e-4; a wrong model is off by far more.
TOLERANCE = 0.02

Ranking = Sequence[tuple[str, float]]


def make_probes(base: CaseBase, encoder: Encoder) -> tuple[Probe, ...]:
    """The five nearest cases of every probe heart."""
    from ecgedge.sight import embed_recording

    probes = []
    for heart in HEARTS:
        hits = base.search(embed_recording(synthesize(heart), encoder), EXPECTED)
        expect = tuple((hit.case.case_id, round(hit.similarity, 4)) for hit in hits)
        probes.append(Probe(asdict(heart), expect))
    return tuple(probes)


def difference(expected: Ranking, found: Ranking) -> str:
    """How an answer differs from the one written down, or "" when it is the same.

    The same means: rank by rank the cosine within TOLERANCE, and all case ids but one
    present. A case no farther than TOLERANCE from the last one found counts as
    present: nearly equal neighbours may swap places across the end of the list.
    """
    if len(found) != len(expected):
        return f"{len(found)} cases instead of {len(expected)}"
    gaps = [abs(ours - theirs) for (_, ours), (_, theirs) in zip(expected, found, strict=True)]
    if max(gaps, default=0.0) > TOLERANCE:
        return f"similarity differs by {max(gaps):.3f}"
    ids = {case_id for case_id, _ in found}
    last = found[-1][1] if found else 0.0
    absent = [one for one, cosine in expected if one not in ids and cosine > last + TOLERANCE]
    if len(absent) > 1:
        return f"cases {', '.join(absent)} are not found"
    return ""
