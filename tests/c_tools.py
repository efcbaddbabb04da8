"""What tests of the C header share: compilers, warnings as errors, and the encoder's words."""

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.events import ELECTRODES, NUMBER_ENCODINGS

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


class Encoder:
    """tests/c/encode.c, compiled with sanitizers."""

    def __init__(self, folder: Path, compiler: str = "gcc", standard: str = "c99") -> None:
        self.path = folder / f"encode-{compiler}-{standard}"
        language = "c++" if "++" in standard else "c"
        words = [f"-std={standard}", *WARNINGS, *SANITIZED, "-x", language, C / "encode.c"]
        compile_c(compiler, *words, "-o", self.path)

    def answers(self, lines: Iterable[str]) -> list[list[str]]:
        """The words printed for each line: hexadecimal frame (or "refused"), tag, next number."""
        text = "\n".join(lines)
        done = subprocess.run(
            [str(self.path)], input=text, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return [line.split() for line in done.stdout.splitlines()]
