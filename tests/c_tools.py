"""What tests of the C header share: compilers, warnings as errors, and the encoder's words."""

import random
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firmware_bridge.events import ELECTRODES, NUMBER_ENCODINGS, Channel, Configuration
from firmware_bridge.wire import data_body, seal

ROOT = Path(__file__).resolve().parent.parent
C = ROOT / "tests" / "c"
STUBS = C / "stubs"
INCLUDE = ROOT / "firmware_bridge" / "include"
WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wshadow",
    "-Wpedantic",
    "-Wcast-qual",
    "-Wundef",
    "-Werror",
]
SANITIZED = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def need(compiler: str) -> str:
    """The compiler's path; skips the test where there is none."""
    found = shutil.which(compiler)
    if not found:
        pytest.skip(f"{compiler} is not installed: scripts/firmware-tools installs it")
    return found


def compile_c(compiler: str, *words: str | Path) -> None:
    """Run a compiler with the header's folder; fails with what it printed."""
    command = [need(compiler), "-I", str(INCLUDE), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"


def configuration_line(fields: dict[str, Any]) -> str:
    """The words of tests/c/encode.c for a configuration, given as in vectors/configuration.json."""
    words = [
        "configuration",
        fields["device"],
        fields["boot"],
        round(fields["rate_hz"] * 1000),
        round(fields["reference_mv"] * 1000),
        NUMBER_ENCODINGS.index(fields["encoding"]),
        fields["full_scale"],
        0 if fields["amplitude_known"] else 1,
        len(fields["channels"]),
    ]
    for one in fields["channels"]:
        words += [ELECTRODES.index(one["positive"]), ELECTRODES.index(one["negative"])]
        words.append(round(one["gain"] * 100))
    return " ".join(map(str, words))


def data_line(fields: dict[str, Any]) -> str:
    """The words of tests/c/encode.c for a data frame, given as in vectors/data.json."""
    counts: Sequence[Sequence[int]] = fields["counts"]
    t_us = fields["t_us"]
    words = ["data", fields["tag"], fields["first"], int(t_us is None), t_us or 0]
    words += [fields["off"], fields["off_valid"], len(counts[0]), len(counts)]
    words += [count & 0xFFFFFFFF for row in counts for count in row]
    return " ".join(map(str, words))


def cobs_line(data: bytes) -> str:
    """The words of tests/c/encode.c for octets to be stuffed."""
    return " ".join(map(str, ["cobs", len(data), *data]))


def random_data(rng: random.Random) -> tuple[dict[str, object], bytes]:
    """Fields of a data frame, and the frame that Python makes of them."""
    shape = rng.randint(1, 15), rng.randint(1, 8)
    octets = rng.choice([[0, 1], [0, 255], [255], range(1, 256), range(256)])
    raw = bytes(rng.choices(octets, k=3 * shape[0] * shape[1]))
    signed = rng.random() < 0.7
    triples = (raw[at : at + 3] for at in range(0, len(raw), 3))
    values = [int.from_bytes(three, "little", signed=signed) for three in triples]
    counts = np.array(values, dtype=np.int32).reshape(shape)
    bits = rng.choice([8, 32, 64])
    told = {
        "first": rng.getrandbits(rng.choice([4, 32])),
        "t_us": None if rng.random() < 0.1 else rng.getrandbits(bits),
        "off": rng.getrandbits(16),
        "off_valid": rng.getrandbits(16),
        "tag": rng.getrandbits(32),
    }
    return {**told, "counts": counts.tolist()}, seal(data_body(counts, **told))


def random_configuration(rng: random.Random) -> Configuration:
    """Any configuration that the wire can say, its tag not set."""

    def channel() -> Channel:
        electrodes = rng.choice(ELECTRODES), rng.choice(ELECTRODES)
        return Channel(*electrodes, rng.randint(1, 65535) / 100)

    encoding = rng.choice(NUMBER_ENCODINGS)
    return Configuration(
        f"{rng.getrandbits(rng.choice([8, 64])):016x}",
        rng.getrandbits(32),
        rng.randint(1, 2**32 - 1) / 1000,
        rng.randint(1, 2**32 - 1) / 1000,
        encoding,
        rng.randint(1, 2**24 - 1 if encoding == "offset" else 2**23),
        tuple(channel() for _ in range(rng.randint(1, 8))),
        amplitude_known=rng.random() < 0.5,
    )


@dataclass(frozen=True)
class Machine:
    """How to compile for a machine, and what runs its programs here."""

    compiler: str = "gcc"
    standard: str = "c99"
    options: tuple[str, ...] = tuple(SANITIZED)
    emulator: str | None = None


class Encoder:
    """tests/c/encode.c, compiled; with sanitizers unless the machine says otherwise."""

    def __init__(self, folder: Path, machine: Machine = Machine()) -> None:
        path = folder / "encode"
        language = "c++" if "++" in machine.standard else "c"
        words = [f"-std={machine.standard}", *WARNINGS, *machine.options, "-x", language]
        self._command = [need(machine.emulator)] if machine.emulator else []
        compile_c(machine.compiler, *words, C / "encode.c", "-o", path)
        self._command.append(str(path))

    def answers(self, lines: Iterable[str]) -> list[list[str]]:
        """The words printed for each line: hexadecimal frame (or "refused"), tag, next number."""
        text = "\n".join(lines)
        done = subprocess.run(
            self._command, input=text, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return [line.split() for line in done.stdout.splitlines()]
