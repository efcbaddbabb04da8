"""What the device install costs, package by package: `python benchmarks/footprint.py`.

Installs the wheel of this checkout without extras into a new environment, and its aarch64
wheels beside it (.cache/footprint, made anew each time; needs the package index). Weighs
them, then imports each package in new processes, taking turns with an empty one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.page import publish  # noqa: E402
from benchmarks.query import EXAMPLE, run_new  # noqa: E402
from benchmarks.sizes import bytecode_mb, installed_mb  # noqa: E402
from ecgedge.bench.process import Finished  # noqa: E402
from ecgedge.errors import UsageError  # noqa: E402

X86_BAR_MB = 140.0
HELP_BAR_S = 0.15
SYNC_BAR_MB = 8.0
#: Wheels a Raspberry Pi OS of glibc 2.28 or later takes; pip must be told each name.
AARCH64 = [
    part
    for tag in ("2_28", "2_27", "2_17")
    for part in ("--platform", f"manylinux_{tag}_aarch64")
] + ["--platform", "manylinux2014_aarch64", "--platform", "any", "--only-binary=:all:"]  # fmt: skip
#: What a query would rest on if we had taken it; measured to say what is avoided.
AVOIDED = ("scipy", "wfdb")
LITERT = "ai-edge-litert"
#: What the extra `sync` names (setup.cfg).
SYNC = ("tuf>=7.0,<8", "urllib3>=2.2,<3")
#: name -> statement timed in a new process; what is imported before it is timed on its own.
IMPORTS = {
    "click": "import click",
    "numpy": "import numpy",
    "onnxruntime": "import onnxruntime",
    "usearch": "import usearch.index",
    "ai_edge_litert": "import ai_edge_litert.interpreter",
    "scipy": "import scipy.signal",
    "wfdb": "import wfdb",
    "tuf": "import tuf.ngclient",
    "ecgedge": "import ecgedge.engine, ecgedge.formats, ecgedge.casebase.release",
}
#: Packages of a folder of their own, for the time of their import.
LENT = {"ai_edge_litert": "litert", "tuf": "sync", "scipy": "avoided", "wfdb": "avoided"}
#: Its time and memory are told apart from these, which it imports too.
RESTS_ON_NUMPY = ("onnxruntime", "usearch", "ai_edge_litert", "scipy", "wfdb", "ecgedge")


def pip(python: Path, *words: str) -> None:
    """Run pip quietly; raises UsageError with its last line where it fails."""
    command = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise UsageError(f"pip {words[0]} failed, is the package index reachable? {last}")


def install(cache: Path) -> dict[str, Path]:
    """name -> folder of packages: x86, litert, sync, avoided here; aarch64 on a board."""
    shutil.rmtree(cache, ignore_errors=True)
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # a wheel would carry what lies there
    subprocess.run([sys.executable, "-m", "venv", str(cache / "venv")], check=True)
    python = cache / "venv" / "bin" / "python"
    pip(python, "wheel", "--no-deps", "--wheel-dir", str(cache), str(ROOT))
    shutil.rmtree(ROOT / "build", ignore_errors=True)
    (wheel,) = cache.glob("ecgedge-*.whl")
    pip(python, "install", str(wheel))
    (site,) = (cache / "venv" / "lib").glob("python*/site-packages")
    places = {"x86": site}
    version = f"{sys.version_info.major}{sys.version_info.minor}"
    for name, arm, wanted in (
        ("litert", False, [LITERT]),
        ("sync", False, list(SYNC)),
        ("avoided", False, list(AVOIDED)),
        ("aarch64", True, [str(wheel)]),
        ("aarch64-litert", True, [LITERT]),
        ("aarch64-sync", True, list(SYNC)),
    ):
        places[name] = cache / name
        words = [*AARCH64, "--python-version", version] if arm else ["--no-compile"]
        pip(python, "install", "--target", str(places[name]), *words, *wanted)
    return places


def sizes(places: Mapping[str, Path]) -> dict[str, Any]:
    """MB of files by package on both machines, and the totals with either engine."""
    mb = {name: installed_mb(site) for name, site in places.items()}
    for own in ("pip", "setuptools"):  # the environment's, not ours
        mb["x86"].pop(own, None)
    found: dict[str, Any] = {"packages": {}}
    for name, lent in (("x86", ""), ("aarch64", "aarch64-")):
        base, extra = mb[name], f"{lent}litert"
        sync = {one: size for one, size in mb[f"{lent}sync"].items() if one not in base}
        found[f"{name}_sync_adds"], found[f"{name}_sync_mb"] = sync, sum(sync.values())
        engine = {one: size for one, size in mb[extra].items() if one not in base}
        whole = sum(base.values())
        found["packages"][name] = base
        found[f"{name}_litert_adds"] = engine
        found[f"{name}_total_mb"] = whole
        found[f"{name}_with_sync_mb"] = whole + sum(sync.values())
        found[f"{name}_both_engines_mb"] = whole + sum(engine.values())
        found[f"{name}_litert_only_mb"] = whole + sum(engine.values()) - base["onnxruntime"]
        found[f"{name}_bytecode_mb"] = bytecode_mb(places[name])
    found["avoided"] = {one: size for one, size in mb["avoided"].items() if one not in mb["x86"]}
    found["avoided_total_mb"] = sum(found["avoided"].values())
    return found


def own_parts(site: Path) -> dict[str, float]:
    """MB of what ecgedge itself installs, by purpose."""
    from ecgedge.casebase.release import Store

    package = site / "ecgedge"
    store = Store(package / "builtin")
    manifest = store.manifest()

    def weigh(names: Iterable[str]) -> float:
        return sum((store.blobs / name).stat().st_size for name in names) / 1e6

    text = [manifest.text.model, manifest.text.spec] if manifest.text else []
    parts = {
        "encoder": weigh([manifest.encoder.model, manifest.encoder.spec]),
        "case base": weigh(name for one in manifest.segments for name in (one.vectors, one.cases)),
        "text tower": weigh(text),
    }
    whole = sum(p.stat().st_size for p in package.rglob("*") if p.is_file() and p.suffix != ".pyc")
    blobs = sum(path.stat().st_size for path in store.blobs.iterdir()) / 1e6
    parts["other encoders, novelty model"] = blobs - sum(parts.values())
    parts["code, statements, manifest"] = whole / 1e6 - blobs
    return parts


def starts(places: Mapping[str, Path], runs: int) -> dict[str, dict[str, float]]:
    """Median seconds and peak MiB of new processes, in turns: imports, help, an empty one."""
    python = str(places["x86"].parents[2] / "bin" / "python")
    commands: dict[str, list[str]] = {"pass": ["-c", "pass"]}
    commands |= {name: ["-c", statement] for name, statement in IMPORTS.items()}
    commands["ecgedge --help"] = ["-m", "ecgedge", "--help"]
    commands["ecgedge query"] = ["-m", "ecgedge", "query", "--json", str(EXAMPLE)]
    laps: dict[str, list[Finished]] = {name: [] for name in commands}
    for number in range(runs + 1):
        for name, words in commands.items():
            lent = LENT.get(name)
            extra = str(places[lent]) if lent else ""
            told = run_new([python, "-P", *words], {**os.environ, "PYTHONPATH": extra})
            if number:  # the first writes bytecode and fills the disk cache
                laps[name].append(told)
    return {
        name: {
            "median_s": sorted(lap.seconds for lap in all_laps)[runs // 2],
            "peak_mib": max(lap.peak_mib for lap in all_laps),
        }
        for name, all_laps in laps.items()
    }


def measure(cache: Path, runs: int) -> dict[str, Any]:
    places = install(cache)
    found = sizes(places)  # before anything is imported
    timed = starts(places, runs)
    found |= {"own": own_parts(places["x86"]), "starts": timed}
    help_s = timed["ecgedge --help"]["median_s"]
    found["help_over_pass"] = help_s / timed["pass"]["median_s"]
    found["help_over_click"] = help_s / timed["click"]["median_s"]
    found["bars"] = {
        "x86_total_mb": [round(found["x86_total_mb"], 1), X86_BAR_MB],
        "help_s": [round(help_s, 3), HELP_BAR_S],
        "sync_adds_mb": [
            round(max(found["x86_sync_mb"], found["aarch64_sync_mb"]), 1),
            SYNC_BAR_MB,
        ],
    }
    return found


def table(found: Mapping[str, Any]) -> str:
    """The packages, the totals, the parts of ecgedge itself, and what starting costs."""
    parts = (_packages(found), _avoided(found), _processes(found), _own(found))
    return "\n\n".join("\n".join(part) for part in parts)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _packages(found: Mapping[str, Any]) -> list[str]:
    x86, arm = (found["packages"][name] for name in ("x86", "aarch64"))
    heads = ("package", "x86, MB", "aarch64, MB", "import, ms", "memory, MiB")
    rows = [_row(*heads), _row(*len(heads) * ["---"])]
    for name in [*x86, *sorted(arm.keys() - x86.keys())]:
        weights = (f"{one[name]:.1f}" if name in one else "-" for one in (x86, arm))
        rows.append(_row(name, *weights, *_start(found, name)))
    for words, key in (
        ("**in all**", "total"),
        ("in all, with the extra `sync`", "with_sync"),
        ("bytecode, where pip writes all of it", "bytecode"),
        ("in all, LiteRT beside ONNX Runtime", "both_engines"),
        ("in all, LiteRT instead of ONNX Runtime", "litert_only"),
    ):
        pair = (f"{found[f'{name}_{key}_mb']:.0f}" for name in ("x86", "aarch64"))
        rows.append(_row(words, *pair, "", ""))
    for words, key in (("LiteRT", "litert"), ("the extra `sync`", "sync")):
        here, there = (found[f"{name}_{key}_adds"] for name in ("x86", "aarch64"))
        for name, size in here.items():
            weights = (f"{one:.1f}" for one in (size, there.get(name, 0.0)))
            rows.append(_row(f"{words} brings {name}", *weights, *_start(found, name)))
    return rows


def _avoided(found: Mapping[str, Any]) -> list[str]:
    heads = ("package", "x86, MB", "import, ms", "memory, MiB")
    rows = ["What is not installed, because the readers and filters are our own:", ""]
    rows += [_row(*heads), _row(*len(heads) * ["---"])]
    avoided = found["avoided"]
    for name in dict.fromkeys([*list(avoided)[:5], "wfdb"]):
        rows.append(_row(name, f"{avoided[name]:.1f}", *_start(found, name)))
    return [*rows, _row("wfdb with all it needs", f"{found['avoided_total_mb']:.0f}", "", "")]


def _processes(found: Mapping[str, Any]) -> list[str]:
    timed, wanted = (
        found["starts"],
        ("pass", "numpy", "onnxruntime", "ecgedge --help", "ecgedge query"),
    )
    words = {"pass": "an empty Python", "ecgedge query": "`ecgedge query`, the built-in release"}
    rows = [_row("a new process", "s", "peak memory, MiB"), _row(*3 * ["---"])]
    for name in wanted:
        told = words.get(name, f"`{IMPORTS.get(name, name)}`")
        rows.append(_row(told, f"{timed[name]['median_s']:.3f}", f"{timed[name]['peak_mib']:.0f}"))
    return rows


def _own(found: Mapping[str, Any]) -> list[str]:
    rows = [_row("of ecgedge itself", "MB"), _row("---", "---")]
    rows += [_row(name, f"{size:.2f}") for name, size in found["own"].items()]
    rows += [
        "",
        f"`ecgedge --help`: {found['starts']['ecgedge --help']['median_s']:.3f} s, "
        f"{found['help_over_pass']:.1f} times an empty Python and "
        f"{found['help_over_click']:.2f} times `import click` in the same run.",
        "",
        _row("bar", "measured", "allowed"),
        _row(*3 * ["---"]),
    ]
    return rows + [_row(name, f"{it[0]:g}", f"{it[1]:g}") for name, it in found["bars"].items()]


def _start(found: Mapping[str, Any], name: str) -> tuple[str, str]:
    """Milliseconds and MiB that importing a package adds to a process that has its supports."""
    timed = found["starts"]
    if name not in IMPORTS:
        return "", ""
    under = timed["numpy" if name in RESTS_ON_NUMPY else "pass"]
    added = timed[name]["median_s"] - under["median_s"]
    return f"{added * 1e3:.0f}", f"{timed[name]['peak_mib'] - under['peak_mib']:.0f}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "footprint")
    parser.add_argument("--runs", type=int, default=7, help="new processes of each kind [7]")
    parser.add_argument("-o", "--output", type=Path, help="also write the JSON to this file")
    parser.add_argument("--page", type=Path, help="also put the tables into this page")
    options = parser.parse_args(arguments)
    cache = options.cache.resolve()
    publish(lambda: measure(cache, options.runs), table, options.output, options.page)


if __name__ == "__main__":
    main()
