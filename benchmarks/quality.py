"""Precision and recall of every quality reason: `python benchmarks/quality.py CORPUS...`

CORPUS is a folder in PTB-XL's layout (fold 9 is judged, at 500 Hz where it has that) or one with
LUDB's records in mV (LUDB_*.hea). One fault at a time is put into one lead of every recording, at
stated strengths (quality_faults.py), and what `assess` says of that lead and of the other eleven is
counted; exchanged electrodes by the exact algebra, calibration pulses in mV recordings. Beside
each: how often the same words fall on the recordings as they are. With neurokit2 (extra `bench`)
its verdict on the same leads is taken in the same run. One core, three minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

import numpy as np  # noqa: E402
from page import publish  # noqa: E402
from quality_faults import EINTHOVEN, EXCHANGES, FAULTS, LIMB_LEADS, PULSES, Fault  # noqa: E402
from quality_page import render  # noqa: E402
from quality_peers import PEER_FAULTS, novelty_swaps, peer  # noqa: E402

from ecgedge.answer import Quality  # noqa: E402
from ecgedge.corpora.ptbxl import load_corpus  # noqa: E402
from ecgedge.errors import InputError  # noqa: E402
from ecgedge.formats import read  # noqa: E402
from ecgedge.recording import LEADS, Recording  # noqa: E402
from ecgedge.sight import keep_buffers  # noqa: E402
from ecgedge.signal import faults  # noqa: E402
from ecgedge.signal.quality import WINDOW_S, assess  # noqa: E402

Recordings = Mapping[str, Recording]
CONTRADICTION = "limb leads contradict each other"
_TUNED, _JUDGED = frozenset(range(1, 9)), frozenset({9})
_Z = 1.96
_REPEATS = 20
#: Conditions of `ecgedge evaluate` that a stream meets: hum, drift, one lead off.
_ROBUST = ("robust_hum_50hz", "robust_wander", "robust_lead_off", "robust_lead_off_worst")


def proportion(hits: int, n: int) -> dict[str, Any]:
    """hits of n with Wilson's 95 % interval (1927)."""
    if not n:
        return {"hits": 0, "n": 0, "value": None, "lo": None, "hi": None}
    share, spread = hits / n, _Z**2 / n
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    lo, hi = max(0.0, middle - half), min(1.0, middle + half)
    return {"hits": hits, "n": n, "value": round(share, 4), "lo": round(lo, 4), "hi": round(hi, 4)}


def load(folder: Path) -> dict[str, Recordings]:
    """Name of a set -> its recordings; PTB-XL gives what limits were tuned on as well."""
    if not (folder / "ptbxl_database.csv").is_file():
        paths = sorted(folder.glob("LUDB_*.hea"))
        if not paths:
            raise InputError(f"{folder} is neither in PTB-XL's layout nor holds LUDB_*.hea")
        return {"LUDB": {path.stem: read(path) for path in paths}}
    corpus = load_corpus(folder)
    return {
        name: {
            record.record_id: _fine(record.signal)
            for record in corpus.select(folds, with_signal=True)
            if record.signal is not None
        }
        for name, folds in (("PTB-XL folds 1-8", _TUNED), ("PTB-XL fold 9", _JUDGED))
    }


def _fine(signal: Path) -> Recording:
    """At 500 Hz where the corpus has it: 100 Hz cannot hold mains hum."""
    fine = Path(str(signal).replace("records100", "records500").replace("_lr", "_hr") + ".hea")
    return read(fine if fine.is_file() else Path(f"{signal}.hea"))


def _seed(*words: str) -> int:
    return zlib.crc32("/".join(words).encode())


def clean(recordings: Recordings, judged: Mapping[str, Quality]) -> dict[str, Any]:
    """What is said of the recordings as they are."""
    leads = [lead for quality in judged.values() for lead in quality.per_lead]
    reasons = Counter(word for lead in leads for word in lead.reasons)
    warned = {name: quality.warnings[0] for name, quality in judged.items() if quality.warnings}
    whole = Counter(quality.verdict for quality in judged.values())
    return {
        "recordings": len(recordings),
        "verdicts": {word: proportion(whole[word], len(judged)) for word in ("poor", "refuse")},
        "leads": {word: proportion(count, len(leads)) for word, count in reasons.most_common()},
        "refused_leads": proportion(sum(lead.verdict == "refuse" for lead in leads), len(leads)),
        "contradictions": proportion(
            sum(CONTRADICTION in quality.reasons for quality in judged.values()), len(judged)
        ),
        "warned": proportion(len(warned), len(judged)),
        "warnings": {name: one.evidence["exchange"] for name, one in warned.items()},
        "pulses": proportion(sum(bool(q.cut_s) for q in judged.values()), len(judged)),
    }


def faulted(recordings: Recordings, fault: Fault) -> Iterator[tuple[str, str, Recording]]:
    """(name, lead, the recording with the fault in that lead), the lead drawn for each."""
    for name, recording in recordings.items():
        seed = _seed(name, fault.reason, fault.strength)
        lead = fault.leads[seed % len(fault.leads)]
        yield name, lead, fault.inject(recording, lead, seed)


def one_fault(recordings: Recordings, fault: Fault) -> dict[str, Any]:
    """How often the struck lead is told by the right word, and how often another lead is."""
    told = marked = refused = others = 0
    for _, lead, worse in faulted(recordings, fault):
        for one in assess(worse).per_lead:
            named = fault.reason in one.reasons
            if one.lead == lead:
                told, marked = told + named, marked + (one.verdict != "ok")
                refused += one.verdict == "refuse"
            # A copy has two sides.
            elif not (fault.reason == "copy" and one.lead == "V4"):
                others += named
    n = len(recordings)
    return {
        "reason": fault.reason,
        "strength": fault.strength,
        "meant": fault.caught,
        "recall": proportion(told, n),
        "precision": proportion(told, told + others),
        "marked": proportion(marked, n),
        "refused": proportion(refused, n),
    }


def contradictions(recordings: Recordings) -> list[dict[str, Any]]:
    """One limb lead against Einthoven's law."""
    rows = []
    for strength, factor in EINTHOVEN:
        told = sum(
            CONTRADICTION
            in assess(faults.scale(one, LIMB_LEADS[_seed(name, strength) % 6], factor)).reasons
            for name, one in recordings.items()
        )
        rows.append({"strength": strength, "recall": proportion(told, len(recordings))})
    return rows


def exchanges(recordings: Recordings) -> list[dict[str, Any]]:
    """Warnings of recordings whose electrodes are exchanged by algebra."""
    rows = []
    for name, exchange in EXCHANGES.items():
        said = [assess(exchange(one)).warnings for one in recordings.values()]
        right = sum(bool(w) and w[0].evidence["exchange"] == name for w in said)
        rows.append(
            {
                "exchange": name,
                "named": proportion(right, len(said)),
                "warned": proportion(sum(map(bool, said)), len(said)),
            }
        )
    return rows


def pulses(recordings: Recordings) -> list[dict[str, Any]]:
    """Pulses put into recordings in mV: found, and cut where they are (to a tenth of a second)."""
    rows = []
    for where, start_s, dead_s in PULSES:
        span = (start_s - (dead_s or 0), min(start_s + 0.2 + (dead_s or 0), WINDOW_S))
        exact = 0
        for recording in recordings.values():
            window = recording.signal[:, : round(WINDOW_S * recording.rate_hz)]
            pulsed = faults.calibrate(replace(recording, signal=window), start_s, dead_s=dead_s)
            cut = assess(pulsed).cut_s
            exact += len(cut) == 1 and bool(np.abs(np.subtract(cut[0], span)).max() < 0.1)
        rows.append({"where": where, "recall": proportion(exact, len(recordings))})
    return rows


def cost(recordings: Recordings) -> dict[str, float]:
    """Processor time of one verdict, ms: the least of several rounds over some recordings.

    In memory that is kept, as an engine's process has it.
    """
    keep_buffers()
    some = list(recordings.values())[:40]
    rounds = []
    for _ in range(_REPEATS):
        begun = time.process_time()
        for one in some:
            assess(one)
        rounds.append((time.process_time() - begun) / len(some) * 1e3)
    return {"assess_ms": round(min(rounds), 3), "median_ms": round(float(np.median(rounds)), 3)}


def robust(path: Path) -> dict[str, Any]:
    """What hum, drift and one lead off do to the superclasses' AUC, as `evaluate` measured it."""
    metrics = json.loads(path.read_text(encoding="utf-8"))["metrics"]["int8"]
    return {
        name: {key: metrics[name].get(key) for key in ("value", "lo", "hi", "n", "snr_db", "lead")}
        for name in _ROBUST
    }


def measure(folders: Sequence[Path], peers: bool, evaluation: Path) -> dict[str, Any]:
    """Every figure as plain data."""
    sets = {name: held for folder in folders for name, held in load(folder).items() if held}
    results: dict[str, Any] = {"sets": {}, "robust": robust(evaluation)}
    for name, recordings in sets.items():
        print(f"{name}: {len(recordings)} recordings", file=sys.stderr)
        judged = {key: assess(one) for key, one in recordings.items()}
        told = results["sets"][name] = {"clean": clean(recordings, judged)}
        told["exchanges"] = exchanges(recordings)
        if name.endswith("folds 1-8"):
            continue
        in_mv = all(one.unit == "mV" for one in recordings.values())
        told["faults"] = [
            one_fault(recordings, fault) for fault in FAULTS if in_mv or not fault.mv_only
        ]
        told["contradictions"] = contradictions(recordings)
        told["pulses"] = pulses(recordings) if in_mv else []
        told["novelty"] = novelty_swaps(recordings, EXCHANGES, told["clean"]["warned"]["hits"])
        told["novelty"] = {
            key: value if key == "threshold" else {n: proportion(*c) for n, c in value.items()}
            for key, value in told["novelty"].items()
        }
        told["cost"] = cost(recordings)
        if peers:
            told["peer"] = compared(recordings)
    return results


def compared(recordings: Recordings) -> list[dict[str, Any]]:
    """The same faulted leads judged by us and by neurokit2, and the same leads without a fault."""
    rows: list[dict[str, Any]] = []
    for fault in (one for one in FAULTS if (one.reason, one.strength) in PEER_FAULTS):
        counts: Counter[str] = Counter()
        for name, lead, worse in faulted(recordings, fault):
            row = LEADS.index(lead)
            for state, one in (("fault", worse), ("clean", recordings[name])):
                verdict = assess(one).per_lead[row].verdict
                counts[f"ours {state} marked"] += verdict != "ok"
                counts[f"ours {state} refused"] += verdict == "refuse"
                theirs = peer(one, row)
                counts[f"peer {state} marked"] += theirs != "Excellent"
                counts[f"peer {state} refused"] += theirs == "Unacceptable"
        keys = [f"{a} {b} {c}" for a in ("ours", "peer") for b in ("fault", "clean")
                for c in ("marked", "refused")]  # fmt: skip
        rows.append(
            {"fault": f"{fault.reason}, {fault.strength}"}
            | {key: proportion(counts[key], len(recordings)) for key in keys}
        )
    return rows


def main() -> None:
    """Measure, print the tables, write the JSON and the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path, nargs="+", help="PTB-XL's layout, or LUDB's records")
    parser.add_argument("--no-peers", action="store_true", help="leave neurokit2 out")
    default = ROOT / "benchmarks" / "results" / "fold9.json"
    parser.add_argument("--evaluation", type=Path, default=default, help="of `ecgedge evaluate`")
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON")
    parser.add_argument("--page", type=Path, help="fill the tables of docs/quality.md")
    asked = parser.parse_args()
    publish(
        lambda: measure(asked.corpus, not asked.no_peers, asked.evaluation),
        render,
        asked.output,
        asked.page,
    )


if __name__ == "__main__":
    main()
