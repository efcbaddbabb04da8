"""How fast `ecgedge watch` goes through a log: the whole of it, and its parts, on one core.

    python benchmarks/stream.py -o benchmarks/results/stream.json --page docs/watch.md

A log as a device of 8 channels at 500 Hz writes it, one read a frame of 10 samples, is replayed
with a window and a query every second and every answer as a line of JSON. Each part is timed
together with those it needs: reading, then decoding, then windows, then queries.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
for _library in ("OMP", "OPENBLAS", "MKL"):  # one thread, also in numpy's linear algebra
    os.environ[f"{_library}_NUM_THREADS"] = "1"

import ecgedge  # noqa: E402, F401  # before onnxruntime: see its first lines
from benchmarks import page  # noqa: E402
from benchmarks.query import grow_store, machine  # noqa: E402
from ecgedge.answer import Answer  # noqa: E402
from ecgedge.casebase.release import builtin_store  # noqa: E402
from ecgedge.envelope import dumps  # noqa: E402
from ecgedge.errors import UsageError  # noqa: E402
from ecgedge.recording import Recording  # noqa: E402
from ecgedge.serving.keeper import Keeper  # noqa: E402
from ecgedge.signal.synthetic import Heart, synthesize  # noqa: E402
from ecgedge.streaming.arrivals import End, Octets  # noqa: E402
from ecgedge.streaming.log import header_line, record  # noqa: E402
from ecgedge.streaming.replies import Answered  # noqa: E402
from ecgedge.streaming.service import Wanted, open_stream  # noqa: E402
from ecgedge.streaming.watcher import Told, Watcher  # noqa: E402
from firmware_bridge import wire  # noqa: E402
from firmware_bridge.devices import configuration  # noqa: E402
from firmware_bridge.leads import counts_of  # noqa: E402

#: The least multiple of real time for the whole pipeline with a query every second.
BAR = 20.0
EVERY_S = 1.0
RATE_HZ, SAMPLES = 500, 10
READ, DECODE, SESSION, WHOLE = "read the log", "+ decode", "+ windows", "+ queries: ecgedge watch"


def measure(seconds: int, turns: int, cases: int) -> dict[str, Any]:
    """Every part in turns, on a temporary copy of the built-in release."""
    with tempfile.TemporaryDirectory() as folder:
        log = write_log(Path(folder) / "stream.ecglog", seconds)
        store = builtin_store()
        if cases:
            store = grow_store(store, Path(folder) / "store", cases)
        keeper = Keeper(store.root)
        query_ms: list[float] = []
        parts: dict[str, Callable[[], int]] = {
            READ: lambda: read(log),
            DECODE: lambda: decode(log),
            SESSION: lambda: windows(log),
            WHOLE: lambda: watch(log, keeper, query_ms),
        }
        took: dict[str, list[float]] = {name: [] for name in parts}
        for turn in range(turns + 1):
            for name, run in parts.items():
                begun = time.perf_counter()
                done = run()
                if turn:  # the first fills caches and is not counted
                    took[name].append(time.perf_counter() - begun)
                if name in (SESSION, WHOLE) and done != seconds - 9:
                    raise UsageError(f"{name}: {done} windows of {seconds - 9}")
        octets = log.stat().st_size
    return {
        "machine": machine(),
        "cases": cases or len(keeper.engine.casebase if keeper.engine else ()),
        "seconds": seconds,
        "every_s": EVERY_S,
        "rate_hz": RATE_HZ,
        "channels": 8,
        "log_octets": octets,
        "turns": turns,
        "bar": BAR,
        "real_time": {name: seconds / median(one) for name, one in took.items()},
        "ms_a_second": {name: 1e3 * median(one) / seconds for name, one in took.items()},
        "query_ms": median(query_ms),
    }


def write_log(path: Path, seconds: int) -> Path:
    """A device's stream: a frame every 20 ms, its configuration every second."""
    device = wire.tagged(configuration("ecgedge"))
    heart = synthesize(Heart(jitter=0.1), rate_hz=RATE_HZ, duration_s=seconds)
    counts = counts_of(device, heart.signal)
    told = wire.seal(wire.configuration_body(device))
    with path.open("wb") as file:
        file.write(header_line({"device": "ecgedge", "source": "/dev/ttyACM0"}))
        for at in range(0, len(counts), SAMPLES):
            now_us = at * 1_000_000 // RATE_HZ
            body = wire.data_body(
                counts[at : at + SAMPLES], first=at, t_us=now_us, tag=device.tag, off_valid=0xFF
            )
            data = (told if at % RATE_HZ == 0 else b"") + wire.seal(body)
            file.write(record(Octets(now_us, data)))
    return path


def read(log: Path) -> int:
    source = open_stream(Wanted(str(log), EVERY_S)).source
    count = 0
    while not isinstance(source.read(0), End):
        count += 1
    source.close()
    return count


def decode(log: Path) -> int:
    stream = open_stream(Wanted(str(log), EVERY_S))
    while not isinstance(arrival := stream.source.read(0), End):
        if isinstance(arrival, Octets):
            stream.decoder.feed(arrival.data)
    stream.decoder.finish()
    stream.source.close()
    return stream.decoder.counters.frames


def windows(log: Path) -> int:
    stream = open_stream(Wanted(str(log), EVERY_S))
    while not isinstance(arrival := stream.source.read(0), End):
        if isinstance(arrival, Octets):
            stream.session.feed(arrival.data, arrival.host_us)
            stream.session.tick(arrival.host_us)
    stream.session.finish(arrival.host_us)
    stream.source.close()
    return stream.session.summary().windows


def watch(log: Path, keeper: Keeper, query_ms: list[float]) -> int:
    """All of it; the windows that were answered."""

    def query(recording: Recording) -> Answer:
        with keeper.opened() as (engine, _):
            return engine.query(recording)

    with Path(os.devnull).open("w") as sink:

        def tell(told: Told) -> None:
            if isinstance(told, Answered):
                query_ms.append(told.answer.timings_ms["total"])
                sink.write(dumps(told.answer.to_dict()))

        stream = open_stream(Wanted(str(log), EVERY_S))
        watcher = Watcher(stream.source, stream.session, query, tell)
        watcher.run()
        stream.source.close()
    return watcher.tally.answered


def tables(results: Mapping[str, Any]) -> str:
    """The results for docs/watch.md."""
    lines = [
        f"{results['seconds']} s of {results['channels']} channels at {results['rate_hz']} Hz, a "
        f"window and a query every {results['every_s']:g} s, {results['cases']:,} cases, one core, "
        f"median of {results['turns']} turns; each line includes those above:",
        "",
        "| | ms for a second of stream | times real time |",
        "|---|---|---|",
    ]
    for name, times in results["real_time"].items():
        lines.append(f"| {name} | {results['ms_a_second'][name]:.2f} | {times:.0f} |")
    met = "met" if results["real_time"][WHOLE] >= results["bar"] else "MISSED"
    lines += [
        "",
        f"The bar, {results['bar']:g} times real time for the whole, is {met}. A query takes "
        f"{results['query_ms']:.1f} ms of it.",
        "",
        ", ".join(f"{name} {value}" for name, value in results["machine"].items()),
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=120, help="of stream [120]")
    parser.add_argument("--turns", type=int, default=5, help="counted runs of each part [5]")
    parser.add_argument("--cases", type=int, default=20_000, help="0: the release's own [20000]")
    parser.add_argument("-o", "--output", type=Path, help="write the results as JSON here")
    parser.add_argument("--page", type=Path, help="put the table into this page, docs/watch.md")
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core for all threads
    page.publish(
        lambda: measure(options.seconds, options.turns, options.cases),
        tables,
        options.output,
        options.page,
    )


if __name__ == "__main__":
    main()
