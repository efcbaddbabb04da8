"""What this board is, as far as Linux tells without being root."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

#: Features of a processor that decide how fast int8 and float32 are, as /proc/cpuinfo spells
#: them: x86, then Arm (asimddp: the dot product of a Raspberry Pi 5 that a Pi 4 lacks).
FEATURES = (
    "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "avx512_bf16",
    "amx_int8", "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "atomics",
)  # fmt: skip
_CORES = {
    "0xd03": "Cortex-A53", "0xd04": "Cortex-A35", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72", "0xd0a": "Cortex-A75", "0xd0b": "Cortex-A76", "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1", "0xd41": "Cortex-A78", "0xd4f": "Neoverse-V2",
}  # fmt: skip
_PACKAGES = ("numpy", "onnxruntime", "ai-edge-litert", "tflite-runtime", "usearch")
_CPU, _CPUFREQ = "sys/devices/system/cpu", "sys/devices/system/cpu/cpu0/cpufreq"
#: Bits 0 to 3 of the Raspberry Pi's firmware: now; 16 to 19: since it was started.
_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
_NOW, _BEFORE = 0xF, 0xF0000


@dataclass(frozen=True)
class Board:
    """model: of the board, where it has a name. cores: those this process may use.

    mhz, max_mhz: of the first core. governor: who sets its speed; "" where nobody says.
    throttled: "now", "before" (since the board was started), "no" or "" where it is not told.
    load_1min: processes that wanted to run, beside ours.
    """

    model: str
    cpu: str
    machine: str
    cores: int
    features: tuple[str, ...]
    memory_mib: int | None
    governor: str
    mhz: float | None
    max_mhz: float | None
    temperature_c: float | None
    throttled: str
    load_1min: float
    packages: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def cautions(self) -> list[str]:
        """Why the figures may not be those of this board at its best."""
        told = []
        if self.load_1min > 0.5:
            told.append(f"other programs are running (load {self.load_1min:.1f}): trust the ratios")
        if self.throttled == "now":
            told.append("the board is slowed down by its firmware: heat or a weak power supply")
        if self.throttled == "before":
            told.append("the board was slowed down since it was started: heat or power supply")
        if self.governor == "powersave":
            told.append("the governor is powersave: cores stay at their lowest speed")
        return told


def look(root: Path = Path("/")) -> Board:
    """The board this process runs on. root: where proc and sys are."""
    info = _cpuinfo(root)
    flags = f"{info.get('flags', '')} {info.get('Features', '')}".split()
    cpu = info.get("model name") or _CORES.get(info.get("CPU part", ""), "")
    return Board(
        model=_text(root, "proc/device-tree/model"),
        cpu=cpu or platform.processor() or platform.machine(),
        machine=platform.machine(),
        cores=usable_cores(),
        features=tuple(name for name in FEATURES if name in flags),
        memory_mib=_memory_mib(root),
        governor=_text(root, f"{_CPUFREQ}/scaling_governor"),
        mhz=_scaled(root, f"{_CPUFREQ}/scaling_cur_freq"),
        max_mhz=_scaled(root, f"{_CPUFREQ}/cpuinfo_max_freq"),
        temperature_c=_scaled(root, "sys/class/thermal/thermal_zone0/temp"),
        throttled=_throttled(root),
        load_1min=round(os.getloadavg()[0], 2),
        packages=_packages(),
    )


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpuinfo(root: Path) -> dict[str, str]:
    """The first core's lines."""
    pairs: dict[str, str] = {}
    for line in _text(root, "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        pairs.setdefault(name.strip(), value.strip())
    return pairs


def _memory_mib(root: Path) -> int | None:
    for line in _text(root, "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) >> 10
    return None


def _throttled(root: Path) -> str:
    bits = _text(root, _THROTTLED)
    if bits:
        value = int(bits, 16)
        return "now" if value & _NOW else "before" if value & _BEFORE else "no"
    count = _text(root, f"{_CPU}/cpu0/thermal_throttle/core_throttle_count")
    return ("before" if int(count) else "no") if count else ""


def _scaled(root: Path, name: str) -> float | None:
    """A thousandth of the number in this file: kHz as MHz, thousandths of a degree as degrees."""
    text = _text(root, name)
    return round(int(text) / 1000, 1) if text else None


def _text(root: Path, name: str) -> str:
    try:
        return (root / name).read_text(encoding="utf-8", errors="replace").strip(" \n\0")
    except OSError:
        return ""


def _packages() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
