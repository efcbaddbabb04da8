"""LUDB's marks, and how a delineation is scored against them.

LUDB (Kalyakulina et al. 2020, IEEE Access 8:186181; ODC-BY) holds 200 records of 12 leads and
10 s. Cardiologists marked P, QRS and T lead by lead, but left the first and the last beats out.
"""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecgedge.recording import LEADS
from ecgedge.signal.beat_statistics import outermost

RECORDS = range(1, 201)
RATE_HZ = 500
#: A mark is found when one of ours is this near (the window of ANSI/AAMI EC57), in seconds.
TOLERANCE_S = 0.15
WAVES = {"p": "P", "N": "QRS", "t": "T"}
POINTS = ("onset", "peak", "offset")

Marks = NDArray[np.float64]


@dataclass(frozen=True)
class Lead:
    """waves: by LUDB's symbol, (n, 3) onset, peak and offset in seconds, NaN where unmarked.

    span: from the first mark to the last, in seconds.
    """

    waves: Mapping[str, Marks]
    span: tuple[float, float]


def read_marks(path: Path) -> dict[tuple[int, int], Lead]:
    """ludb_delineation.csv.gz -> marks by (record, row of the lead)."""
    rows = {lead.lower(): row for row, lead in enumerate(LEADS)}
    told: dict[tuple[int, int], list[tuple[float, str]]] = defaultdict(list)
    with gzip.open(path, "rt") as file:
        for line in csv.DictReader(file):
            mark = (int(line["sample_500hz"]) / RATE_HZ, line["symbol"])
            told[int(line["record"]), rows[line["lead"]]].append(mark)
    return {key: _lead(sorted(marks)) for key, marks in told.items()}


def _lead(marks: list[tuple[float, str]]) -> Lead:
    waves: dict[str, list[tuple[float, float, float]]] = {symbol: [] for symbol in WAVES}
    ends = [(np.nan, ""), *marks, (np.nan, "")]
    for before, (time, symbol), after in zip(ends, ends[1:], ends[2:], strict=False):
        if symbol in waves:
            onset = before[0] if before[1] == "(" else np.nan
            offset = after[0] if after[1] == ")" else np.nan
            waves[symbol].append((onset, time, offset))
    found = {symbol: np.array(rows).reshape(-1, 3) for symbol, rows in waves.items()}
    return Lead(found, (marks[0][0], marks[-1][0]))


def pairs(marked: Marks, found: Marks) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of marks and finds that belong together: one to one, the nearest first."""
    apart = np.abs(marked[:, None] - found)
    left, right = [], []
    for flat in np.argsort(apart, axis=None, kind="stable"):
        one, other = np.unravel_index(flat, apart.shape)
        if apart[one, other] > TOLERANCE_S:
            break
        if one not in left and other not in right:
            left.append(one)
            right.append(other)
    return np.array(left, np.intp), np.array(right, np.intp)


def score(
    marks: Mapping[tuple[int, int], Lead],
    found: Mapping[tuple[int, int], Mapping[str, Marks]],
    keys: Iterable[tuple[int, int]],
) -> dict[str, dict[str, dict[str, float]]]:
    """Wave -> point -> sensitivity and ppv (per cent), mean and sd of the error (ms), n.

    Finds outside of the marked span are not held against anyone; a lead for which nothing is
    given has found nothing.
    """
    keys = list(keys)
    return {
        name: {
            point: _score_point(marks, found, keys, symbol, column)
            for column, point in enumerate(POINTS)
        }
        for symbol, name in WAVES.items()
    }


def _score_point(
    marks: Mapping[tuple[int, int], Lead],
    found: Mapping[tuple[int, int], Mapping[str, Marks]],
    keys: Iterable[tuple[int, int]],
    symbol: str,
    column: int,
) -> dict[str, float]:
    right = missed = wrong = 0
    errors: list[float] = []
    for key in keys:
        marked = marks[key].waves[symbol][:, column]
        marked = marked[np.isfinite(marked)]
        ours = found[key][symbol] if key in found else np.empty((0, 3))
        ours = ours[np.isfinite(ours[:, column])]
        at, of = pairs(marked, ours[:, column])
        place = np.where(np.isfinite(ours[:, 1]), ours[:, 1], ours[:, column])
        counted = (place >= marks[key].span[0]) & (place <= marks[key].span[1])
        counted[of] = False
        right, missed, wrong = (
            right + len(at),
            missed + len(marked) - len(at),
            wrong + int(counted.sum()),
        )
        errors += (1e3 * (ours[of, column] - marked[at])).tolist()
    return {
        "sensitivity": 100 * right / max(right + missed, 1),
        "ppv": 100 * right / max(right + wrong, 1),
        "mean_ms": float(np.mean(errors)) if errors else float("nan"),
        "sd_ms": float(np.std(errors)) if errors else float("nan"),
        "n": right,
    }


def reference_intervals(
    marks: Mapping[tuple[int, int], Lead], record: int, rows: Iterable[int]
) -> dict[str, float]:
    """Rate and global intervals of the marks: outermost over the leads, median over the beats.

    Outermost but for one lead in seven: with eight leads the second earliest and second latest.
    """
    share = 1 / 7
    beats = marks[record, 1].waves["N"][:, 1]
    begin, end, p, t = (np.full((12, len(beats)), np.nan) for _ in range(4))
    for row in rows:
        waves = marks[record, row].waves
        at, of = pairs(beats, waves["N"][:, 1])
        begin[row, at], end[row, at] = waves["N"][of, 0], waves["N"][of, 2]
        for on, _, off in waves["p"]:
            following = np.searchsorted(beats, off)
            if following < len(beats) and beats[following] - on < 0.6:
                p[row, following] = on
        for on, _, off in waves["t"]:
            before = np.searchsorted(beats, on) - 1
            if before >= 0 and off - beats[before] < 0.8:
                t[row, before] = off
    onset, j_point = outermost(begin, share), -outermost(-end, share)
    return {
        "heart_rate": 60 / float(np.diff(beats).mean()) if len(beats) > 1 else float("nan"),
        "pr": _median_ms(onset - outermost(p, share)),
        "qrs": _median_ms(j_point - onset),
        "qt": _median_ms(-outermost(-t, share) - onset),
    }


def _median_ms(seconds: Marks) -> float:
    known = seconds[np.isfinite(seconds)]
    return 1e3 * float(np.median(known)) if len(known) else float("nan")
