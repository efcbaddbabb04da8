"""Does a decoder of fixed-length records ever give out leads that are not aligned?

python benchmarks/record_locks.py -o benchmarks/results/record_locks.json --page docs/devices.md

Each trial is an ECG with electrode offsets, packed as a device sends it, in which octets go
missing or appear at random places; every sample that comes out must be one that was sent.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.page import publish
from firmware_bridge.devices import DEVICES, configuration, open_decoder
from firmware_bridge.events import Configuration, Frame
from firmware_bridge.leads import counts_of
from firmware_bridge.records import pack

SECONDS, SLIPS, NOISE_MV = 2.0, 6, 0.001
#: random: offsets of up to 300 mV. worst: offsets that make every channel look like sync.
OFFSETS = ("random", "worst")


def beats_mv(samples: int, rate_hz: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Twelve leads of one shape, (12, samples): nothing here looks at what they mean."""
    phase = np.arange(samples) / rate_hz * 1.2 % 1
    waves = [(0.2, 0.03, 0.1), (0.375, 0.01, 1.0), (0.39, 0.008, -0.25), (0.6, 0.05, 0.3)]
    beat = sum(high * np.exp(-(((phase - at) / wide) ** 2)) for at, wide, high in waves)
    return rng.uniform(-1, 1.2, (12, 1)) * beat


def offset_counts(name: str, told: Configuration, worst: bool, rng: np.random.Generator) -> Any:
    """An offset for each channel, in counts."""
    channels = len(told.channels)
    if worst and name.startswith("ads129") and told.encoding == "twos":
        return -(2**22) + rng.integers(2**17, 2**20 - 2**17, channels)  # high nibble 0xC
    if worst and name == "cyton":
        return -(2**24) + 0xA08000 + rng.integers(-(2**12), 2**12, channels)  # high octet 0xA0
    half = told.full_scale / (2 if told.encoding == "offset" else 1)
    limit_mv = min(300.0, 0.8 * told.reference_mv / told.channels[0].gain)
    mv = rng.uniform(-limit_mv, limit_mv, channels)
    return (mv * told.channels[0].gain * half / told.reference_mv).astype(np.int64)


def stream(name: str, seed: int, *, worst: bool = False) -> tuple[NDArray[np.int32], bytearray]:
    """Counts with 1 uV of noise, (n, channels), and their records."""
    rng = np.random.default_rng(seed)
    told = configuration(name)
    samples = int(SECONDS * told.rate_hz)
    leads = beats_mv(samples, told.rate_hz, rng)
    counts = counts_of(told, leads).astype(np.int64) + offset_counts(name, told, worst, rng)
    half = told.full_scale / (2 if told.encoding == "offset" else 1)
    noise = NOISE_MV * told.channels[0].gain * half / told.reference_mv
    counts += rng.normal(0, noise, counts.shape).astype(np.int64)
    lowest = 0 if told.encoding == "offset" else -told.full_scale - 1
    kept = np.clip(counts, lowest, told.full_scale).astype(np.int32)
    return kept, bytearray(b"".join(pack(DEVICES[name], kept)))


def slip(data: bytearray, record: int, rng: np.random.Generator) -> None:
    """Take out or put in some octets, not a whole number of records: that no one could see."""
    at = int(rng.integers(len(data)))
    octets = int(rng.integers(1, record) + record * rng.integers(3))
    if rng.random() < 0.5:
        del data[at : at + octets]
    else:
        data[at:at] = rng.bytes(octets)


def trial(name: str, seed: int, *, worst: bool = False) -> tuple[int, int, int]:
    """Samples that were never sent but came out, that were sent and came out, that were sent."""
    counts, data = stream(name, seed, worst=worst)
    layout = DEVICES[name].record
    assert layout is not None
    rng = np.random.default_rng([seed, 1])
    for _ in range(SLIPS):
        slip(data, layout.octets, rng)
    decoder = open_decoder(name)
    events = [*decoder.feed(bytes(data)), *decoder.finish()]
    sent = {bytes(row) for row in counts}
    came = [bytes(row) for one in events if isinstance(one, Frame) for row in one.counts]
    counters = decoder.counters
    assert counters.data_octets + counters.damaged_octets == len(data), "octets unaccounted for"
    wrong = sum(row not in sent for row in came)
    return wrong, len(came) - wrong, len(counts)


def measure(trials: int) -> dict[str, Any]:
    """Sums over the trials, for every format of records."""
    rows = []
    for name, device in DEVICES.items():
        for offsets in OFFSETS if device.record is not None else ():
            sums = np.sum([trial(name, s, worst=offsets == "worst") for s in range(trials)], axis=0)
            wrong, right, sent = (int(one) for one in sums)
            slips = SLIPS * trials
            rows.append(
                {"device": name, "offsets": offsets, "slips": slips, "wrong_samples": wrong,
                 "given": right, "sent": sent}
            )  # fmt: skip
    return {"trials": trials, "seconds": SECONDS, "noise_mv": NOISE_MV, "rows": rows}


def tables(results: dict[str, Any]) -> str:
    """Markdown."""
    lines = [
        "| device | electrode offsets | slips | misaligned samples given | of those sent, given |",
        "|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        share = 100 * row["given"] / row["sent"]
        lines.append(
            f"| {row['device']} | {row['offsets']} | {row['slips']} | {row['wrong_samples']} "
            f"| {share:.1f} % |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--trials", type=int, default=1000)
    chosen = parser.parse_args()
    publish(lambda: measure(chosen.trials), tables, chosen.output, chosen.page)


if __name__ == "__main__":
    main()
