"""What starting ecgedge costs: which packages are loaded, and that every module stands alone."""

import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from small_release import build_release

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("ecgedge", "export", "quantization", "firmware_bridge")
#: What no cart has, or has no use for while it answers from a CSV file.
WORKSTATION = (
    "torch", "onnx", "onnxscript", "wfdb", "scipy", "pandas", "matplotlib", "pydicom", "PIL",
    "sklearn", "soundfile", "ai_edge_litert", "fsspec", "ray",
)  # fmt: skip
#: What `ecgedge sync` alone rests on (the extra `sync`).
SYNC = ("tuf", "securesystemslib", "urllib3")
#: Runs the command line and then names, on stderr, which of the given packages it has loaded.
RUN_AND_TELL = """
import json, sys
from ecgedge.cli import cli
names, arguments = json.loads(sys.argv[1]), sys.argv[2:]
try:
    cli.main(arguments)
except SystemExit as done:
    code = done.code
print(json.dumps({"code": code, "loaded": [n for n in names if n in sys.modules]}), file=sys.stderr)
"""
#: Names, on stderr, every module that is loaded once the command line has run and was not after
#: the given imports, which every command or every query needs.
RUN_AND_LIST = """
import json, sys
for name in json.loads(sys.argv[1]):
    __import__(name)
before = set(sys.modules)
from ecgedge.cli import cli
try:
    cli.main(sys.argv[2:])
except SystemExit as done:
    code = done.code
print(json.dumps({"code": code, "loaded": sorted(set(sys.modules) - before)}), file=sys.stderr)
"""
#: All of ours that `ecgedge --help` loads. click and what it rests on is there already.
HELP = {
    "ecgedge", "ecgedge.cli", "ecgedge.cli.base", "ecgedge.cli.brief", "ecgedge.cli.shield",
    "ecgedge.errors",
}  # fmt: skip
#: What click loads of the standard library to write help.
CLICK_WRITES_HELP = {"bz2", "locale", "lzma", "shutil", "textwrap", "zlib"}
#: All that a query loads which is neither ours nor numpy's nor onnxruntime's nor, as hashlib and
#: sqlite3, at the root of reading a release. A new name here makes every cold start slower.
QUERY = {
    "cmath", "copy", "dataclasses", "encodings", "locale", "mmap", "simsimd", "textwrap", "zlib",
}  # fmt: skip
#: Rooms of ours that a plain query of a CSV file has no use for.
UNUSED = (
    "ecgedge.central", "ecgedge.corpora", "ecgedge.draft", "ecgedge.encoders.text",
    "ecgedge.evaluation", "ecgedge.explain", "ecgedge.formats.dicom", "ecgedge.formats.wfdb",
    "ecgedge.imaging.fields", "ecgedge.imaging.trace", "ecgedge.prompts", "ecgedge.serving.client",
    "ecgedge.signal.corrupt", "ecgedge.signal.synthetic", "ecgedge.textsearch", "ecgedge.training",
    "ecgedge.casebase.writing", "ecgedge.streaming", "ecgedge.sync", "ecgedge.zeroshot",
    "firmware_bridge",
)  # fmt: skip
#: Imports each module in a process of its own, forked from one that holds the big packages of
#: others already (or, for a cart, is told that they are not there), and names what failed.
IMPORT_EACH = """
import importlib, json, os, sys, traceback
preload, absent, modules = map(json.loads, sys.argv[1:])
for name in preload:
    importlib.import_module(name)
for name in absent:
    sys.modules[name] = None
failed = []
for module in modules:
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(module)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(module)
print(json.dumps(failed))
"""


def _python(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def _loaded(names: Sequence[str], *arguments: str) -> list[str]:
    done = _python(RUN_AND_TELL, json.dumps(names), *arguments)
    told = json.loads(done.stderr)
    assert told["code"] == 0
    return list(told["loaded"])


def _listed(given: Sequence[str], *arguments: str) -> set[str]:
    """Modules that a command line loads beyond these imports and what they load.

    Without what is compiled into Python and private parts of the standard library.
    """
    done = _python(RUN_AND_LIST, json.dumps(given), *arguments)
    told = json.loads(done.stderr)
    assert told["code"] == 0
    found = set(told["loaded"]) - set(sys.builtin_module_names)
    return {name for name in found if not name.startswith("_")}


def _modules(package: str) -> list[str]:
    """Every module but each `__main__`, which runs a program when it is imported."""
    found = pkgutil.walk_packages([str(ROOT / package)], f"{package}.", onerror=lambda name: None)
    return [package, *(one.name for one in found if not one.name.endswith(".__main__"))]


def _assert_each_imports(
    modules: Sequence[str], *, preload: Sequence[str], absent: Sequence[str]
) -> None:
    done = _python(IMPORT_EACH, json.dumps(preload), json.dumps(absent), json.dumps(modules))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [], done.stderr


def test_a_query_loads_no_package_of_the_workstation_or_of_sync(tmp_path: Path) -> None:
    store = build_release(tmp_path / "store").root
    example = ROOT / "examples" / "synthetic.csv"
    assert _loaded([*WORKSTATION, *SYNC], "query", "--store", str(store), str(example)) == []
    # That what is looked for would be found:
    assert "onnxruntime" in _loaded(["onnxruntime"], "query", "--store", str(store), str(example))


def test_help_and_version_load_neither_numpy_nor_onnxruntime() -> None:
    heavy = ("numpy", "onnxruntime", "usearch", "sqlite3", *WORKSTATION, *SYNC)
    assert _loaded(heavy, "--help") == []
    assert _loaded(heavy, "--version") == []


def test_help_loads_click_and_a_few_small_modules() -> None:
    loaded = _listed(["click"], "--help")
    assert {name for name in loaded if name.startswith("ecgedge")} == HELP
    others = {name.partition(".")[0] for name in loaded - HELP}
    assert others <= {"click", *CLICK_WRITES_HELP}


def test_a_query_loads_nothing_beyond_what_is_known_to_be_needed(tmp_path: Path) -> None:
    store = build_release(tmp_path / "store").root
    given = ("click", "numpy", "numpy.fft", "numpy.typing", "onnxruntime", "sqlite3", "hashlib")
    example = str(ROOT / "examples" / "synthetic.csv")
    loaded = _listed(given, "query", "--json", "--store", str(store), example)
    packages = {name.partition(".")[0] for name in loaded}
    assert packages - {"ecgedge", "numpy", "onnxruntime"} <= QUERY
    assert sorted(loaded.intersection(UNUSED)) == []


def test_onnxruntime_is_told_to_stay_silent_before_it_is_loaded() -> None:
    """Its own switch against the event uploads and files of its Linux builds since 1.31."""
    done = _python(
        "import sys, ecgedge, os; assert 'onnxruntime' not in sys.modules; "
        "print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    assert done.stdout == "1\n"


def test_every_module_imports_on_its_own() -> None:
    """No module leans on another having been imported before it."""
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    modules = [module for package in PACKAGES for module in _modules(package)]
    assert len(modules) > 50
    _assert_each_imports(modules, preload=["numpy", "torch", "onnx", "tuf.ngclient"], absent=[])


def test_every_module_of_the_cart_imports_without_the_workstation_packages() -> None:
    modules = [*_modules("ecgedge"), *_modules("firmware_bridge")]
    cart = [module for module in modules if not module.startswith("ecgedge.training")]
    _assert_each_imports(cart, preload=["numpy"], absent=WORKSTATION)
