"""P, QRS and T on LUDB, ours beside neurokit2 in one run: `python benchmarks/delineation.py`.

Needs LUDB's records (WFDB) and ludb_delineation.csv.gz in one folder (--data), and for the
other side `pip install -e '.[bench]'` (neurokit2). Every lead is given to both by itself; a
third column shows ours with all leads together, as a query uses it. Our constants were tuned
on the records with odd numbers, so the even ones stand for themselves.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

import numpy as np  # noqa: E402
from delineation_table import behind, table  # noqa: E402
from ludb import RATE_HZ, RECORDS, Marks, read_marks, reference_intervals, score  # noqa: E402

from ecgedge.formats import read  # noqa: E402
from ecgedge.recording import LEADS, Recording  # noqa: E402
from ecgedge.signal.conditioning import condition  # noqa: E402
from ecgedge.signal.delineation import Delineation, Waves, delineate  # noqa: E402
from ecgedge.signal.measurements import INDEPENDENT, measure  # noqa: E402
from ecgedge.signal.quality import assess  # noqa: E402

Found = dict[tuple[int, int], dict[str, Marks]]

HOME = "II"  # the lead that neurokit2's further methods are run on
#: Its method "peak" gives no T onsets or P offsets, and its marks do not line up with its beats.
METHODS = ("dwt", "cwt")


def ours(recording: Recording, rows: Iterable[int]) -> dict[int, dict[str, Marks]]:
    """Delineate the given rows together; waves by row."""
    marks = delineate(condition(recording))
    return {row: _waves(marks, marks.leads.index(row)) for row in rows if row in marks.leads}


def _waves(marks: Delineation, row: int) -> dict[str, Marks]:
    def table(waves: Waves) -> Marks:
        columns = (waves.onset[row], waves.peak[row], waves.offset[row])
        stacked = np.stack(columns, axis=1)
        return stacked[np.isfinite(stacked[:, 1])]

    return {"p": table(marks.p), "N": table(marks.qrs), "t": table(marks.t)}


def alone(recording: Recording, row: int) -> dict[str, Marks] | None:
    """Delineate one lead without knowing the others."""
    signal = np.full_like(recording.signal, np.nan)
    signal[row] = recording.signal[row]
    return ours(Recording(signal, recording.rate_hz, "mV"), [row]).get(row)


def neurokit(recording: Recording, row: int, method: str) -> dict[str, Marks] | None:
    """neurokit2 as its documentation uses it; None where it raises."""
    try:
        import neurokit2
    except ImportError:
        sys.exit("neurokit2 is not there: pip install -e '.[bench]', or score ours by --methods ''")
    rate = int(recording.rate_hz)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            clean = neurokit2.ecg_clean(recording.signal[row].astype(float), sampling_rate=rate)
            beats = neurokit2.ecg_peaks(clean, sampling_rate=rate)[1]["ECG_R_Peaks"]
            told = neurokit2.ecg_delineate(clean, beats, sampling_rate=rate, method=method)[1]
        except (ValueError, IndexError, ZeroDivisionError, KeyError, TypeError):
            return None

    def table(wave: str, peaks: Any) -> Marks:
        missing = [np.nan] * len(beats)
        on, off = (told.get(f"ECG_{wave}_{end}", missing) for end in ("Onsets", "Offsets"))
        return np.stack([np.asarray(one, float) / rate for one in (on, peaks, off)], axis=1)

    none = [np.nan] * len(beats)
    return {
        "p": table("P", told.get("ECG_P_Peaks", none)),
        "N": table("R", beats),
        "t": table("T", told.get("ECG_T_Peaks", none)),
    }


def run(
    recordings: Mapping[int, Recording], rows: Sequence[int], methods: Sequence[str]
) -> tuple[dict[str, Found], dict[str, int]]:
    """Every system's waves by (record, row), and how many leads each failed on."""
    single: dict[str, Callable[[Recording, int], dict[str, Marks] | None]] = {"ours, alone": alone}
    for method in methods:
        single[f"neurokit2 {method}"] = lambda one, row, method=method: neurokit(one, row, method)
    found: dict[str, Found] = {name: {} for name in (*single, "ours, together")}
    failed = dict.fromkeys(single, 0)
    home = LEADS.index(HOME)
    begun = time.monotonic()
    for done, (record, recording) in enumerate(recordings.items(), start=1):
        for row, waves in ours(recording, rows).items():
            found["ours, together"][record, row] = waves
        for name, system in single.items():
            further = name not in ("ours, alone", f"neurokit2 {(*methods, '')[0]}")
            for row in [home] if further and home in rows else rows:
                told = system(recording, row)
                if told is None:
                    failed[name] += 1
                else:
                    found[name][record, row] = told
        _progress(done, len(recordings), time.monotonic() - begun)
    return found, failed


def _progress(done: int, of: int, seconds: float) -> None:
    if sys.stderr.isatty() or done == of:
        bar = "#" * (30 * done // of)
        left = seconds / done * (of - done)
        print(f"\r[{bar:<30}] {done}/{of} records, {left:3.0f} s left ", end="", file=sys.stderr)
        if done == of:
            print(file=sys.stderr)


def intervals(marks: Any, recordings: Mapping[int, Recording]) -> dict[str, dict[str, float]]:
    """What `measure` says less what the marks say, per record."""
    apart: dict[str, list[float]] = {}
    unsaid: dict[str, int] = {}
    for record, recording in recordings.items():
        truth = reference_intervals(marks, record, INDEPENDENT)
        said = measure(recording, assess(recording))
        for name, value in truth.items():
            measured = said[name].value
            if np.isnan(value):
                # The marks have none: right is to say none.
                unsaid.setdefault(f"{name} said", 0)
                unsaid[f"{name} said"] += measured is not None
            elif measured is None:
                unsaid[name] = unsaid.get(name, 0) + 1
            else:
                apart.setdefault(name, []).append(float(measured) - value)
    return {
        name: {
            "n": len(values),
            "mean": float(np.mean(values)),
            "sd": float(np.std(values)),
            "median_absolute": float(np.median(np.abs(values))),
            "unsaid_though_marked": unsaid.get(name, 0),
            "said_though_unmarked": unsaid.get(f"{name} said", 0),
        }
        for name, values in apart.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(os.environ.get("ECGEDGE_DATA", ROOT.parent / "shared" / "data")) / "mixed-mv"
    parser.add_argument("--data", type=Path, default=default, help="folder with LUDB_*.hea")
    parser.add_argument("--leads", default=HOME, help="comma-separated, or all [II]")
    parser.add_argument("--records", type=int, default=len(RECORDS), help="the first so many")
    parser.add_argument("--methods", default="dwt", help="of neurokit2; all but the first in II")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("-o", "--output", type=Path, help="also write the JSON to this file")
    options = parser.parse_args()
    names = LEADS if options.leads == "all" else tuple(options.leads.split(","))
    unknown = [name for name in names if name not in LEADS]
    if unknown:
        parser.error(f"{', '.join(unknown)}: leads are {', '.join(LEADS)}")
    methods = [method for method in options.methods.split(",") if method]
    if not set(methods) <= set(METHODS):
        parser.error(f"{options.methods}: methods are {', '.join(METHODS)}")
    rows = [LEADS.index(name) for name in names]
    marks = read_marks(options.data / "ludb_delineation.csv.gz")
    chosen = list(RECORDS)[: options.records]
    recordings = {record: read(options.data / f"LUDB_{record}.hea") for record in chosen}
    assert all(one.rate_hz == RATE_HZ for one in recordings.values())
    found, failed = run(recordings, rows, methods)
    results = summary(marks, found, failed, rows, chosen)
    results["intervals"] = intervals(marks, recordings)
    text = json.dumps(results, indent=1)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")
    print(text if options.json else table(results))


def summary(
    marks: Any, found: Mapping[str, Found], failed: Mapping[str, int], rows: Any, chosen: Any
) -> dict[str, Any]:
    """Figures for all records, those tuned on and those held out; lead II also by itself."""
    halves = {"all records": chosen, "odd records, tuned on": [r for r in chosen if r % 2]}
    halves["even records, held out"] = [record for record in chosen if not record % 2]
    groups = {"lead II": [1]} if 1 in rows else {}
    if list(rows) != [1]:
        named = ", ".join(LEADS[row] for row in rows)
        groups["all leads" if len(rows) == len(LEADS) else f"leads {named}"] = list(rows)
    figures: dict[str, Any] = {}
    for group, members in groups.items():
        for half, records in halves.items():
            keys = [
                (record, row) for record in records for row in members if (record, row) in marks
            ]
            systems = {
                name: waves
                for name, waves in found.items()
                if len({r for _, r in waves}) >= len(members)
            }
            if keys:
                figures[f"{group}, {half}"] = {
                    name: score(marks, waves, keys) for name, waves in systems.items()
                }
    others = [name for name in found if name.startswith("neurokit2")]
    lost = {
        title: {name: behind(part, name) for name in others if name in part}
        for title, part in figures.items()
    }
    return {"figures": figures, "behind": lost, "failed_leads": dict(failed)}


if __name__ == "__main__":
    main()
