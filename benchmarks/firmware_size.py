"""What the C encoder costs on a Cortex-M: `python benchmarks/firmware_size.py -o FILE`.

Compiles `tests/c/size.c`, which holds both functions of `ecgedge_frame.h` and nothing else, and
weighs its sections; fills the tables of firmware_bridge/README.md, bandwidth included. Needs
arm-none-eabi-gcc: `scripts/firmware-tools`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.bandwidth import table  # noqa: E402
from benchmarks.page import publish  # noqa: E402
from ecgedge.errors import UsageError  # noqa: E402

BAR_OCTETS = 1536
COMPILER = "arm-none-eabi-gcc"
CORES = ("cortex-m0", "cortex-m4")
FLAGS = ("-std=c99", "-mthumb", "-Os", "-ffreestanding")
SOURCE = ROOT / "tests" / "c" / "size.c"
HEADERS = ROOT / "firmware_bridge" / "include"
PAGE = ROOT / "firmware_bridge" / "README.md"
RESULTS = ROOT / "benchmarks" / "results" / "firmware_size.json"


def run(*command: str | Path) -> str:
    """What a tool prints; raises UsageError with its complaint where it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise UsageError(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout


def compiler_version() -> str:
    """As `arm-none-eabi-gcc (15:12.2.rel1-1) 12.2.1 20221205`; UsageError where there is none."""
    if not shutil.which(COMPILER):
        raise UsageError(f"{COMPILER} is not installed: scripts/firmware-tools installs it")
    return run(COMPILER, "--version").splitlines()[0].strip()


def compiled(core: str, built: Path, *options: str) -> dict[str, int]:
    """Compile the encoder to `built`; octets of each section."""
    words = [f"-mcpu={core}", *FLAGS, *options, "-fstack-usage", "-I", HEADERS, "-c", SOURCE]
    run(COMPILER, *words, "-o", built)
    told = [line.split() for line in run("arm-none-eabi-size", "-A", built).splitlines()]
    return {words[0]: int(words[1]) for words in told if len(words) == 3 and words[0][0] == "."}


def weight(sections: dict[str, int], kind: str) -> int:
    """Octets of a kind of section, `.text.main` and the like included."""
    return sum(size for name, size in sections.items() if name.startswith(kind))


def weigh(core: str) -> dict[str, Any]:
    """Octets of code and of constants, the deepest stack, and what it needs of libraries."""
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "size.o"
        sections = compiled(core, built)
        stacks = built.with_suffix(".su").read_text(encoding="utf-8").splitlines()
        undefined = run("arm-none-eabi-nm", "-u", built).split()[1::2]
        fast = compiled(core, built, "-O2")
    return {
        "core": core,
        "text": weight(sections, ".text"),
        "rodata": weight(sections, ".rodata"),
        "text_at_O2": weight(fast, ".text"),
        "ram": weight(sections, ".data") + weight(sections, ".bss"),
        # No function calls itself: all of them at once is more than there can be.
        "stack_at_most": sum(int(line.split("\t")[1]) for line in stacks),
        "needs": undefined,
    }


def measure() -> dict[str, Any]:
    """The encoder on each core."""
    cores = [weigh(core) for core in CORES]
    return {"compiler": compiler_version(), "flags": list(FLAGS), "cores": cores}


def tables(results: dict[str, Any]) -> str:
    """Bandwidth, then size."""
    rows = [
        f"| {one['core']} | {one['text']} | {one['rodata']} | **{one['text'] + one['rodata']}** |"
        f" {one['text_at_O2']} | {one['ram']} | {one['stack_at_most']} |"
        f" {', '.join(one['needs']) or 'nothing'} |"
        for one in results["cores"]
    ]
    return "\n".join(
        [
            table(),
            "",
            f"The encoder's size in octets, by {results['compiler']} with"
            f" `{' '.join(results['flags'])}`:",
            "",
            "| core | code | constants | together | code with -O2 | static RAM | stack, at most |"
            " of libraries |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="results as JSON")
    parser.add_argument("--page", type=Path, help="page whose tables to fill")
    options = parser.parse_args()
    publish(measure, tables, options.output, options.page)


if __name__ == "__main__":
    main()
