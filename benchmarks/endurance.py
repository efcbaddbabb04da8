"""A day of stream with a hundredth of its frames at fault, window by window against files.

    python benchmarks/endurance.py -o benchmarks/results/endurance.json --page docs/endurance.md

Octets of the simulated device go through decoder, session and engine in one process at full
speed; docs/endurance.md tells what is compared. About ten minutes on one quiet core; `--hours 1`
is quick. Recordings: LUDB's in ../shared/data/mixed-mv (or --data), else synthetic ones.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import page  # noqa: E402
from benchmarks.query import machine  # noqa: E402
from ecgedge.cli.base import progress  # noqa: E402
from ecgedge.engine import Engine  # noqa: E402
from ecgedge.errors import QualityRefused  # noqa: E402
from ecgedge.formats import read  # noqa: E402
from ecgedge.recording import Recording  # noqa: E402
from ecgedge.signal.synthetic import Heart, synthesize  # noqa: E402
from ecgedge.streaming.session import Session  # noqa: E402
from ecgedge.streaming.told import Notice, Window  # noqa: E402
from firmware_bridge.decoder import WireDecoder  # noqa: E402
from firmware_bridge.events import Channel, Configuration, Counters  # noqa: E402
from firmware_bridge.leads import counts_of, lead_map  # noqa: E402
from firmware_bridge.simulator import Sent, parse, simulate  # noqa: E402

RATE_HZ, WINDOW = 500.0, 5000
FAULTS = dict.fromkeys(("lost", "duplicated", "reordered", "flipped", "slipped"), 0.002)
DRIFT_PPM, JITTER_MS = 20.0, 2.0
SEED = 5
#: An ADS1298 wired as TI's front end is: channel 1 is V6, 8 is V1; gain 6, 2.4 V.
DEVICE = Configuration(
    device="00000000000000e5",
    boot=0,
    rate_hz=RATE_HZ,
    reference_mv=2400.0,
    encoding="twos",
    full_scale=(1 << 23) - 1,
    channels=(
        Channel("C6", "WCT", 6.0),
        Channel("LA", "RA", 6.0),
        Channel("LL", "RA", 6.0),
        *(Channel(chest, "WCT", 6.0) for chest in ("C2", "C3", "C4", "C5", "C1")),
    ),
)
#: Counters that the ledger knows to the last one.
COUNTED = (
    "octets", "frames", "samples", "lost", "gaps", "damaged", "duplicates", "reordered", "late",
    "stray",
    "restarts", "configurations", "unconfigured",
)  # fmt: skip
#: The first case of an answer, or why there is none.
Outcome = str


@dataclass
class Tally:
    """What became of the windows that were asked with."""

    answered: int = 0
    refused_for_quality: int = 0
    other_samples: int = 0  # windows with a sample that differs from the one sent
    clean: int = 0
    clean_as_saved: int = 0
    clean_as_original: int = 0
    holed: int = 0
    holed_as_saved: int = 0
    notices: dict[str, int] = field(default_factory=dict)


class Files:
    """What files of the same ten seconds answer: each recording of the loop, asked once.

    Saved is what a cart would have saved of an undisturbed stream: the converter's counts as
    leads in mV, in a file, read back by `formats.read`. Original is the recording's own file.
    """

    def __init__(self, engine: Engine, recordings: Sequence[Recording], folder: Path) -> None:
        self._engine, self._recordings, self._folder = engine, recordings, folder
        self._known: dict[int, tuple[Recording, Outcome, Outcome]] = {}

    def of(self, first: int) -> tuple[Recording, Outcome, Outcome]:
        """(saved, its outcome, the original's) for the window that begins at this sample."""
        number, within = divmod(first, WINDOW)
        assert within == 0, "windows of 10 s each 10 s begin where recordings do"
        number %= len(self._recordings)
        if number not in self._known:
            recording = self._recordings[number]
            path = self._folder / "saved.npy"
            np.save(path, lead_map(DEVICE).derive(counts_of(DEVICE, recording.signal)))
            saved = read(path, rate_hz=RATE_HZ, unit="mV")
            outcomes = [outcome(self._engine, one) for one in (saved, recording)]
            self._known[number] = saved, outcomes[0], outcomes[1]
        return self._known[number]


def outcome(engine: Engine, recording: Recording) -> Outcome:
    """The nearest case, or that the quality gate refuses."""
    try:
        return engine.query(recording, k=1).matches[0].case_id
    except QualityRefused:
        return "refused for quality"


def recordings(data: Path) -> tuple[str, list[Recording]]:
    """(what they are, ten seconds each in mV at 500 Hz)."""
    paths = sorted(data.glob("LUDB_*.hea"))
    if paths:
        whole = [read(path) for path in paths]
        return f"{len(whole)} recordings of LUDB", whole
    made = [
        synthesize(Heart(rate_bpm=50 + 5 * number, jitter=0.02 * number), rate_hz=RATE_HZ)
        for number in range(12)
    ]
    return f"{len(made)} synthetic recordings", made


def measure(hours: float, data: Path) -> dict[str, Any]:
    """The whole run; any exception ends it. hours: whole minutes."""
    name, played = recordings(data)
    engine, begun = Engine.open(), time.monotonic()
    text = ",".join(f"{fault}={share}" for fault, share in FAULTS.items())
    device = simulate(
        played,
        DEVICE,
        parse(f"{text},drift={DRIFT_PPM},jitter={JITTER_MS}"),
        seed=SEED,
        seconds=hours * 3600.0,
    )
    of_them = round(hours * 60)
    decoder = WireDecoder()
    session = Session(decoder, source="endurance")
    tally, rss_mib = Tally(), []
    with tempfile.TemporaryDirectory() as folder:
        files = Files(engine, played, Path(folder))
        minutes = by_minute(iter(device), session)
        for minute, told in enumerate(progress(minutes, "minutes of stream", of_them), 1):
            for one in told:
                if isinstance(one, Notice):
                    tally.notices[one.kind] = tally.notices.get(one.kind, 0) + 1
                else:
                    take(one, engine, files, tally)
            if minute % 60 == 0 or minute == of_them:
                rss_mib.append(round(resident_mib(), 2))
    return {
        "recordings": name,
        "release": engine.manifest.id,
        "machine": machine(),
        "hours": hours,
        "faults": FAULTS,
        "wall_s": round(time.monotonic() - begun, 1),
        "rss_mib_each_hour": rss_mib,
        "growth_mib": round(max(rss_mib) - rss_mib[0], 2),
        "injected": device.ledger.injected,
        "counters": compared(decoder.counters, device.ledger.expected),
        "windows": asdict(session.summary()),
        "compared": asdict(tally),
        "clock": {"set_drift_ppm": DRIFT_PPM} | asdict(session.clock.report()),
    }


def by_minute(sents: Iterator[Any], session: Session) -> Iterator[list[Window | Notice]]:
    """What the session says in each simulated minute; its end belongs to the last one."""
    told: list[Window | Notice] = []
    minute_s, host_us = 60.0, 0
    for sent in sents:
        assert isinstance(sent, Sent)
        if sent.t_s > minute_s:
            yield told
            told, minute_s = [], minute_s + 60
        host_us = round(sent.t_s * 1e6)
        told += session.feed(sent.octets, host_us)
    yield told + session.finish(host_us)


def take(window: Window, engine: Engine, files: Files, tally: Tally) -> None:
    """Ask with a window, and hold its samples and its answer to those of the files."""
    saved, as_saved, as_original = files.of(window.first)
    there = np.isfinite(window.recording.signal)
    tally.other_samples += not np.array_equal(
        window.recording.signal[there], saved.signal[there]
    ) or (window.clean and not np.array_equal(there, np.isfinite(saved.signal)))
    if window.refused:
        return
    found = outcome(engine, window.recording)
    tally.answered += found != "refused for quality"
    tally.refused_for_quality += found == "refused for quality"
    if window.clean:
        tally.clean += 1
        tally.clean_as_saved += found == as_saved
        tally.clean_as_original += found == as_original
    else:
        tally.holed += 1
        tally.holed_as_saved += found == as_saved


def compared(counters: Counters, expected: Counters) -> dict[str, dict[str, int]]:
    """Each counter as the decoder reports it, and as the faults injected make it."""
    return {
        name: {"reported": getattr(counters, name), "injected": getattr(expected, name)}
        for name in COUNTED
    }


def resident_mib() -> float:
    """Memory this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def bars(results: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """(bar, measured, met) of the issue."""
    counters, told = results["counters"], results["compared"]
    equal = all(one["reported"] == one["injected"] for one in counters.values())
    growth, lost = results["growth_mib"], counters["lost"]
    return [
        (
            "losses reported equal losses injected",
            f"{lost['reported']:,} and {lost['injected']:,} samples"
            + (", and all other counters equal" if equal else ", other counters differ"),
            equal,
        ),
        ("memory grows < 2 MiB after the first hour", f"{growth:.2f} MiB", growth < 2),
        (
            "every clean window's first case is the saved file's",
            f"{told['clean_as_saved']:,} of {told['clean']:,}",
            told["clean_as_saved"] == told["clean"],
        ),
        (
            "every sample of every window is the one sent, bit for bit, or NaN",
            f"{told['other_samples']} windows differ",
            told["other_samples"] == 0,
        ),
    ]


def tables(results: Mapping[str, Any]) -> str:
    """The results for docs/endurance.md."""
    told, windows, counters = results["compared"], results["windows"], results["counters"]
    clock, hourly = results["clock"], results["rss_mib_each_hour"]
    seconds = windows["seconds"]
    lines = [
        f"{results['hours']:g} simulated hours of {results['recordings']} in turns, in "
        f"{results['wall_s']:,.0f} s ({seconds / results['wall_s']:,.0f}x real time, files asked "
        f"too), release {results['release']}. No exception.",
        "",
        "| bar | measured | |",
        "|---|---|---|",
        *(
            f"| {bar} | {found} | {'met' if met else 'missed'} |"
            for bar, found, met in bars(results)
        ),
        "",
        "| counter | reported | by the faults injected |",
        "|---|---|---|",
        *(f"| {n} | {one['reported']:,} | {one['injected']:,} |" for n, one in counters.items()),
        "",
        "Frames at fault: "
        + ", ".join(f"{name} {count:,}" for name, count in results["injected"].items())
        + ".",
        "",
        "| windows | |",
        "|---|---|",
        f"| due | {windows['windows']:,} |",
        f"| refused for what is missing | {windows['refused']:,} |",
        f"| answered | {told['answered']:,} |",
        f"| refused for quality | {told['refused_for_quality']:,} |",
        f"| clean (not one sample missing) | {told['clean']:,} |",
        f"| of these with the first case of the saved file | {told['clean_as_saved']:,} |",
        f"| of these with the first case of the original file | {told['clean_as_original']:,} |",
        f"| with holes, not refused here | {told['holed']:,} |",
        f"| of these with the first case of the saved file | {told['holed_as_saved']:,} |",
        "",
        f"Memory held each hour, MiB: {', '.join(f'{mib:g}' for mib in hourly)}.",
    ]
    device = clock["device"]
    if device:
        lines += [
            "",
            f"Clock: drift set {clock['set_drift_ppm']:g} ppm, measured "
            f"{device['drift_ppm']:.3f} (stated within {device['within_ppm']:.2f}); jitter p50 "
            f"{device['p50_ms']:.2f}, p95 {device['p95_ms']:.2f}, at most "
            f"{device['max_ms']:.2f} ms, where 0 to {JITTER_MS:g} ms were drawn and a frame behind "
            "a lost one waits for four more.",
        ]
    lines += ["", ", ".join(f"{name} {value}" for name, value in results["machine"].items())]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=24, help="simulated hours [24]")
    default = ROOT.parent / "shared" / "data" / "mixed-mv"
    parser.add_argument("--data", type=Path, default=default, help="folder of LUDB_*.hea")
    parser.add_argument("-o", "--output", type=Path, help="write the results as JSON here")
    parser.add_argument("--page", type=Path, help="put the tables into this page")
    options = parser.parse_args()
    page.publish(lambda: measure(options.hours, options.data), tables, options.output, options.page)


if __name__ == "__main__":
    main()
