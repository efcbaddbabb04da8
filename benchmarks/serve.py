"""What a warm engine spares: a cold `ecgedge query` with and without `ecgedge serve`.

    python benchmarks/serve.py -o benchmarks/results/serve.json --page docs/serve.md

New processes take turns (python alone, the two big imports, a local query, a served one), and
each ratio is the median of the ratios within a turn: a busy machine slows all of a turn.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import page  # noqa: E402
from benchmarks.query import EXAMPLE, as_installed, grow_store, machine, run_new  # noqa: E402
from ecgedge.casebase.release import builtin_store  # noqa: E402

PYTHON, IMPORTS = "python alone", "import numpy, onnxruntime"
LOCAL, SERVED = "ecgedge query, local", "ecgedge query, served"
RATIOS = ((SERVED, LOCAL), (SERVED, IMPORTS), (SERVED, PYTHON), (LOCAL, IMPORTS))


def measure(cases: int, runs: int, requests: int) -> dict[str, Any]:
    """All of it, on a temporary copy of the built-in release with `cases` cases."""
    with tempfile.TemporaryDirectory() as folder:
        store = grow_store(builtin_store(), Path(folder) / "store", cases)
        with serving(Path(folder) / "s.sock", store.root) as (path, pid):
            before_mib = resident_mib(pid)
            processes, ratios = in_turns(commands(store.root), runs, path)
            warm = asked(path, requests)
            after_mib = resident_mib(pid)
    return {
        "release": builtin_store().current_id(),
        "cases": cases,
        "machine": machine(),
        "runs": runs,
        "processes": processes,
        "ratios": ratios,
        "warm": warm,
        "server_mib": {"ready": before_mib, "after": after_mib},
    }


def commands(store: Path) -> dict[str, list[str]]:
    """What each kind of new process runs."""
    query = ["-m", "ecgedge", "query", "--json", "--store", str(store), str(EXAMPLE)]
    return {
        PYTHON: ["-c", "pass"],
        IMPORTS: ["-c", "import numpy, onnxruntime"],
        LOCAL: [*query, "--no-serve"],
        SERVED: query,
    }


@contextmanager
def serving(path: Path, store: Path) -> Iterator[tuple[Path, int]]:
    """A server of this store for the block: its socket and process id."""
    command = [sys.executable, "-m", "ecgedge", "serve", "--socket", str(path)]
    server = subprocess.Popen(
        [*command, "--store", str(store)],
        env=_environment(path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not path.exists():
            if server.poll() is not None:
                sys.exit(f"ecgedge serve ended with {server.returncode}")
            time.sleep(0.05)
        yield path, server.pid
    finally:
        server.terminate()
        server.wait()


def in_turns(
    words: Mapping[str, list[str]], runs: int, path: Path
) -> tuple[dict[str, Any], dict[str, float]]:
    """(each kind's median seconds, CPU seconds and peak MiB, the ratios of wall time)."""
    turns = []
    for number in range(runs + 1):
        turn = {name: _launch(one, path) for name, one in words.items()}
        if number:  # the first fills the disk cache and is not counted
            turns.append(turn)
    units = ("s", "cpu_s", "mib")
    processes = {
        name: {f"median_{unit}": median(turn[name][unit] for turn in turns) for unit in units}
        for name in words
    }
    ratios = {
        f"{above} / {below}": median(turn[above]["s"] / turn[below]["s"] for turn in turns)
        for above, below in RATIOS
    }
    return processes, ratios


def asked(path: Path, requests: int) -> dict[str, float]:
    """Milliseconds of a request over one open connection, and of the engine within it."""
    line = json.dumps({"schema": "ecgedge/1", "command": "query", "path": str(EXAMPLE)})
    there_ms, engine_ms = [], []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(path))
        replies = connection.makefile("rb")
        for _ in range(requests):
            begun = time.perf_counter()
            connection.sendall(line.encode() + b"\n")
            told = json.loads(replies.readline())
            there_ms.append((time.perf_counter() - begun) * 1e3)
            engine_ms.append(told["timings_ms"]["total"])
    return {
        "requests": requests,
        "p50_ms": median(there_ms),
        "p99_ms": sorted(there_ms)[int(0.99 * (requests - 1))],
        "reading_and_engine_p50_ms": median(engine_ms),
    }


def resident_mib(pid: int) -> float:
    """Memory a process holds now, of files it has mapped only what was touched."""
    status = Path(f"/proc/{pid}/status").read_text()
    (kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kib) / 1024


def _environment(path: Path) -> dict[str, str]:
    threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    here = {"PYTHONPATH": str(ROOT), "ECGEDGE_SOCKET": str(path)}
    return as_installed(str(path.parent / "bytecode")) | threads | here


def _launch(words: list[str], path: Path) -> dict[str, float]:
    done = run_new([sys.executable, *words], _environment(path))
    return {"s": done.seconds, "cpu_s": done.cpu_s, "mib": done.peak_mib}


def tables(results: Mapping[str, Any]) -> str:
    """The results for docs/serve.md."""
    lines = [
        f"New processes, {results['runs']} turns, {results['cases']:,} cases, one thread:",
        "",
        "| a new process | median, s | CPU, s | peak, MiB |",
        "|---|---|---|---|",
    ]
    for name, one in results["processes"].items():
        figures = f"{one['median_s']:.3f} | {one['median_cpu_s']:.3f} | {one['median_mib']:.0f}"
        lines.append(f"| {name} | {figures} |")
    lines += ["", "| wall time, median of the ratios within a turn | |", "|---|---|"]
    lines += [f"| {name} | {value:.2f} |" for name, value in results["ratios"].items()]
    warm, held = results["warm"], results["server_mib"]
    lines += [
        "",
        f"Over one open connection, {warm['requests']} requests by path: p50 "
        f"{warm['p50_ms']:.1f} ms, p99 {warm['p99_ms']:.1f} ms, of which reading the file and "
        f"the engine take {warm['reading_and_engine_p50_ms']:.1f} ms. The server holds "
        f"{held['ready']:.0f} MiB when it is ready and {held['after']:.0f} MiB after all of it.",
        "",
        ", ".join(f"{name} {value}" for name, value in results["machine"].items()),
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=20_000, help="size of the case base [20000]")
    parser.add_argument("--runs", type=int, default=15, help="turns of new processes [15]")
    parser.add_argument("--requests", type=int, default=300, help="over one connection [300]")
    parser.add_argument("-o", "--output", type=Path, help="write the results as JSON here")
    parser.add_argument("--page", type=Path, help="put the tables into this page, docs/serve.md")
    options = parser.parse_args()
    page.publish(
        lambda: measure(options.cases, options.runs, options.requests),
        tables,
        options.output,
        options.page,
    )


if __name__ == "__main__":
    main()
