"""How fast the wire decoder is, as a ratio to real time, on one core, beside its peers.

    python benchmarks/decoder.py -o benchmarks/results/decoder.json --page docs/bridge.md

Everything is measured in turns in one run. The peers need
`pip install cobs==1.2.2 pyserial && pip install --no-deps pyOpenBCI==0.13`; those that are not
installed are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

for _library in ("OMP", "OPENBLAS"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import numpy as np  # noqa: E402
import query  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from page import publish  # noqa: E402

from ecgedge.signal.synthetic import synthesize  # noqa: E402
from firmware_bridge import decoder as ours  # noqa: E402
from firmware_bridge import wire  # noqa: E402
from firmware_bridge.events import Channel, Configuration, Counters  # noqa: E402
from firmware_bridge.leads import counts_of  # noqa: E402

RATE_HZ, CHANNELS = 500, 8
BAR = 200
READ_OCTETS = 4096
ELECTRODES = ("LA", "LL", "C1", "C2", "C3", "C4", "C5", "C6")
#: One frame in a hundred has one of them.
FAULTS = ("lost", "twice", "swapped", "flipped")
Samples = NDArray[np.int32]


def device() -> Configuration:
    inputs = tuple(Channel(one, "RA", 6.0) for one in ELECTRODES)  # type: ignore[arg-type]
    told = Configuration("00000000000000aa", 1, RATE_HZ, 2400.0, "twos", 2**23 - 1, inputs)
    return wire.tagged(told)


def samples(seconds: int) -> Samples:
    """An ECG as a front end gives it: with noise and the electrodes' voltage of tens of mV."""
    heart = synthesize(rate_hz=RATE_HZ).signal
    leads = np.tile(heart, -(-seconds // 10))[:, : seconds * RATE_HZ].astype(np.float64)
    counts = counts_of(device(), leads).astype(np.int64)
    rng = np.random.default_rng(0)
    offsets = rng.integers(-(10**6), 10**6, CHANNELS)
    return (counts + offsets + rng.integers(-60, 60, counts.shape)).astype(np.int32)


def frames(counts: Samples, size: int) -> list[bytes]:
    told = device()
    return [
        wire.seal(wire.data_body(counts[at : at + size], first=at, t_us=2000 * at, tag=told.tag))
        for at in range(0, len(counts), size)
    ]


def with_faults(sent: list[bytes]) -> list[bytes]:
    """The same with 1 % of its frames lost, doubled, swapped or with a bit flipped, by seed."""
    rng = np.random.default_rng(1)
    out: list[bytes] = []
    for frame in sent:
        fault = FAULTS[rng.integers(len(FAULTS))] if rng.random() < 0.01 else ""
        if fault == "flipped":
            at = int(rng.integers(len(frame) - 1))
            frame = frame[:at] + bytes([frame[at] ^ 1]) + frame[at + 1 :]
        if fault != "lost":
            out += [frame] * (2 if fault == "twice" else 1)
        if fault == "swapped" and len(out) > 1:
            out[-1], out[-2] = out[-2], out[-1]
    return out


def decode(pieces: list[bytes]) -> Counters:
    decoder = ours.WireDecoder()
    for piece in pieces:
        decoder.feed(piece)
    decoder.finish()
    return decoder.counters


def bare(pieces: list[bytes]) -> int:
    """No order, gaps, configurations or checks beyond the CRC: what any decoder has to do."""
    rest, taken = b"", 0
    header = wire.DATA_HEADER
    for piece in pieces:
        *runs, rest = (rest + piece).split(b"\0")
        for run in runs:
            body = ours.unstuff(run)
            if body is None or zlib.crc32(body[:-4]) != struct.unpack("<I", body[-4:])[0]:
                continue
            if body[0] == 0x11:
                fields = header.unpack_from(body)
                octets = np.frombuffer(body, np.uint8, offset=header.size)[:-4].reshape(-1, 3)
                wide = np.zeros((len(octets), 4), np.uint8)
                wide[:, 1:] = octets
                taken += len(wide.view("<i4").reshape(-1, fields[4]) >> 8)
    return taken


def cyton_records(counts: Samples) -> bytes:
    """33 octets a sample: OpenBCI's, which has no checksum."""
    octets = counts.astype(">i4").view(np.uint8).reshape(len(counts), -1, 4)[:, :, 1:]
    out = np.zeros((len(counts), 33), np.uint8)
    out[:, 0], out[:, 1], out[:, 32] = 0xA0, np.arange(len(counts)) % 256, 0xC0
    out[:, 2:26] = octets.reshape(len(counts), -1)
    return out.tobytes()


def py_open_bci() -> ModuleType | None:
    """Its module for the Cyton alone: the package wants Bluetooth to be imported."""
    found = importlib.util.find_spec("pyOpenBCI")
    if not found or not found.origin or not importlib.util.find_spec("serial"):
        return None
    spec = importlib.util.spec_from_file_location("cyton", Path(found.origin).parent / "cyton.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_cyton(module: ModuleType, records: bytes) -> int:
    """pyOpenBCI's own loop, its serial port replaced by octets that are there."""
    board = module.OpenBCICyton.__new__(module.OpenBCICyton)
    board.ser, board.read_state, board.packets_dropped = io.BytesIO(records), 0, 0
    board.start_time, board.board_type, board.streaming = "", "Cyton", False
    taken = 0
    for _ in range(len(records) // 33):
        board.parse_board_data()
        taken += 1
    return taken


def in_reads(sent: list[bytes], size: int) -> list[bytes]:
    """These frames with a configuration each second, as a program reads them."""
    told = wire.seal(wire.configuration_body(device()))
    a_second = RATE_HZ // size
    parts = (told + b"".join(sent[at : at + a_second]) for at in range(0, len(sent), a_second))
    stream = b"".join(parts)
    return [stream[at : at + READ_OCTETS] for at in range(0, len(stream), READ_OCTETS)]


def cases(seconds: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each thing that is measured, by name; peers on the last of our streams."""
    counts = samples(seconds)
    for size in (5, 10):
        sent = frames(counts, size)
        faulty, clean = in_reads(with_faults(sent), size), in_reads(sent, size)
        yield f"WireDecoder, {size} samples a frame, 1 % faulty", partial(decode, faulty)
        yield f"WireDecoder, {size} samples a frame, clean", partial(decode, clean)
    yield "the same, each frame read by itself", partial(decode, sent)
    if importlib.util.find_spec("cobs"):
        yield "the same, unstuffed by cobs 1.2.2 (C)", partial(with_c_cobs, decode, clean)
        yield "split, cobs 1.2.2 (C), crc32, struct, numpy", partial(with_c_cobs, bare, clean)
    yield "split, our unstuff, crc32, struct, numpy", partial(bare, clean)
    module = py_open_bci()
    if module:
        records = cyton_records(counts[: 20 * RATE_HZ])
        yield "pyOpenBCI 0.13, Cyton records", partial(read_cyton, module, records)


def with_c_cobs(run: Callable[[list[bytes]], object], pieces: list[bytes]) -> object:
    """run, with the C extension of PyPI's cobs in place of our unstuffing."""
    from cobs import cobs

    kept, ours.unstuff = ours.unstuff, cobs.decode
    try:
        return run(pieces)
    finally:
        ours.unstuff = kept


def measure(seconds: int, rounds: int) -> dict[str, Any]:
    runs = dict(cases(seconds))
    laps: dict[str, list[float]] = {name: [] for name in runs}
    counted = {name: run() for name, run in runs.items()}  # warm, and not timed
    for _ in range(rounds):
        for name, run in runs.items():
            begun = time.perf_counter()
            run()
            laps[name].append(time.perf_counter() - begun)
    results: dict[str, Any] = {}
    for name, taken in laps.items():
        length = 20 if name.startswith("pyOpenBCI") else seconds
        row = {"real_time_ratio": length / median(taken), "worst_ratio": length / max(taken)}
        seen = counted[name]
        if isinstance(seen, Counters):
            row |= {"frames": seen.frames, "lost": seen.lost, "damaged": seen.damaged}
            row |= {"duplicates": seen.duplicates, "reordered": seen.reordered}
        results[name] = row
    slowest = min(row["real_time_ratio"] for name, row in results.items() if "WireDecoder" in name)
    return {
        "machine": query.machine(),
        "seconds_of_stream": seconds,
        "rounds": rounds,
        "rate_hz": RATE_HZ,
        "channels": CHANNELS,
        "bar": {"allowed": BAR, "slowest": slowest, "met": slowest >= BAR},
        "results": results,
    }


def tables(results: dict[str, Any]) -> str:
    machine, bar = results["machine"], results["bar"]
    lines = [
        f"{results['seconds_of_stream']} s of stream at {results['rate_hz']} Hz x "
        f"{results['channels']} channels, one thread, median of {results['rounds']} rounds in "
        f"turns ({machine['cpu']}, Python {machine['python']}, numpy {machine['numpy']}, "
        f"load {machine['load_1min']}):",
        "",
        "| | times real time | slowest round |",
        "|---|---:|---:|",
    ]
    for name, row in results["results"].items():
        lines.append(f"| {name} | {row['real_time_ratio']:.0f} | {row['worst_ratio']:.0f} |")
    lines += [
        "",
        f"The bar is {bar['allowed']}: {'met' if bar['met'] else 'MISSED'} "
        f"({bar['slowest']:.0f} in the slowest of its rows).",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300, help="of stream [300]")
    parser.add_argument("--rounds", type=int, default=7, help="[7]")
    parser.add_argument("-o", "--output", type=Path, help="write the JSON to this file")
    parser.add_argument("--page", type=Path, help="fill this page's table")
    options = parser.parse_args()
    publish(lambda: measure(options.seconds, options.rounds), tables, options.output, options.page)


if __name__ == "__main__":
    main()
