"""What a cart installs: the wheel's content, size and requirements, and that it answers.

The wheel is built once, from a copy, so that nothing is left in the checkout.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SETUPTOOLS_NEEDED = 77  # pyproject.toml
MAX_BYTES = 12_000_000
#: Not sources: what tools, tests and trainings leave in a checkout.
LEFTOVERS = (".*", "__pycache__", "*.egg-info", "build", "dist", "models", "runs")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built with the setuptools that is installed."""
    try:
        setuptools = int(importlib.metadata.version("setuptools").partition(".")[0])
    except importlib.metadata.PackageNotFoundError:
        setuptools = 0
    if setuptools < SETUPTOOLS_NEEDED:
        pytest.skip(f"the wheel is built here only with setuptools>={SETUPTOOLS_NEEDED} installed")
    folder = tmp_path_factory.mktemp("wheel")
    source = shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*LEFTOVERS))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    if importlib.util.find_spec("build"):
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
        command += [str(folder), str(source)]
    else:
        command += ["--wheel-dir", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel: Path) -> Path:
    """The wheel's files in an empty folder, as an installation would lay them."""
    folder = wheel.parent / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _metadata(unpacked: Path) -> Message:
    (path,) = unpacked.glob("ecgedge-*.dist-info/METADATA")
    return Parser().parsestr(path.read_text(encoding="utf-8"))


def test_the_wheel_is_pure_python_and_smaller_than_12_mb(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    assert wheel.stat().st_size < MAX_BYTES


def test_the_wheel_holds_every_module_of_ecgedge_and_firmware_bridge(unpacked: Path) -> None:
    sources = {
        path.relative_to(ROOT).as_posix()
        for package in ("ecgedge", "firmware_bridge")
        for path in (ROOT / package).rglob("*.py")
    }
    files = _files(unpacked)
    assert sources <= files
    assert {"ecgedge/py.typed", "ecgedge/statements.json"} <= files


def test_a_firmwares_author_finds_format_header_and_vectors_in_the_wheel(unpacked: Path) -> None:
    bridge = "firmware_bridge"
    wanted = {f"{bridge}/README.md", f"{bridge}/include/ecgedge_frame.h"}
    wanted |= {f"{bridge}/vectors/{kind}.json" for kind in ("cobs", "configuration", "data")}
    assert wanted <= _files(unpacked)


def test_the_wheel_holds_nothing_but_code_the_release_and_papers(unpacked: Path) -> None:
    """No tests, no workstation tools, no training data, no example, no cache."""
    code = re.compile(r"(ecgedge|firmware_bridge)/([a-z0-9_]+/)*[a-z0-9_]+\.(py|json|toml|h|md)")
    release = re.compile(
        r"ecgedge/builtin/(current|[A-Za-z_-]+\.md|(blobs|releases)/[0-9a-f]+(\.json)?)"
    )
    papers = re.compile(r"ecgedge-[0-9.]+\.dist-info/.+|firmware_bridge/README\.md")
    allowed = (code, release, papers)
    odd = [name for name in _files(unpacked) if not any(one.fullmatch(name) for one in allowed)]
    assert odd == ["ecgedge/py.typed"]
    assert {path.name.partition("-")[0] for path in unpacked.iterdir()} == {
        "ecgedge",
        "firmware_bridge",
    }


def test_the_licence_and_the_attribution_travel_in_the_wheel(unpacked: Path) -> None:
    metadata = _metadata(unpacked)
    # Named "License-Expression" or "License", as setuptools puts what setup.cfg says.
    assert (metadata["License-Expression"] or metadata["License"]) == "Apache-2.0"
    (licences,) = unpacked.glob("ecgedge-*.dist-info/licenses")
    for name in ("LICENSE", "ATTRIBUTION.md"):
        assert name in metadata.get_all("License-File", [])
        assert (licences / name).read_bytes() == (ROOT / name).read_bytes()


def test_the_plain_install_needs_five_packages_only(unpacked: Path) -> None:
    requirements = _metadata(unpacked).get_all("Requires-Dist", [])
    plain = [line for line in requirements if "extra ==" not in line]
    names = {re.split(r"[^A-Za-z0-9_-]", line)[0] for line in plain}
    assert names == {"numpy", "onnxruntime", "usearch", "simsimd", "click"}


def test_the_builtin_release_is_in_the_wheel_and_every_file_is_what_its_name_says(
    unpacked: Path,
) -> None:
    from ecgedge.casebase.release import Store

    store = Store(unpacked / "ecgedge" / "builtin")
    manifest = store.manifest()
    for name in manifest.blobs():
        assert store.blob(name).is_file()
    assert {path.name for path in store.blobs.iterdir()} == set(manifest.blobs())
    assert store.release_ids() == [manifest.id]
    assert sum(ref.count for ref in manifest.segments) > 1_000


def test_the_unpacked_wheel_answers_from_its_own_release(unpacked: Path, tmp_path: Path) -> None:
    """Nothing but the wheel and the four packages: no checkout, no network, no flag."""
    example = shutil.copy(ROOT / "examples" / "synthetic.csv", tmp_path)
    environment = {name: value for name, value in os.environ.items() if "ECGEDGE" not in name}
    environment |= {"PYTHONPATH": str(unpacked), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "ecgedge", "query", "--json", example]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert '"ok": true' in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["synthetic.csv"]


def _sources() -> list[Path]:
    """What is or would be committed; all files where this is no git checkout."""
    listing = ["git", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard"]
    try:
        told = subprocess.run(listing, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return [path for path in ROOT.rglob("*") if path.is_file()]
    return [path for name in told.decode().split("\0") if name and (path := ROOT / name).is_file()]


def _hashes(paths: Iterable[Path]) -> dict[str, Path]:
    return {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in paths}


def test_no_file_of_the_checkout_is_a_file_of_the_recordings(shared_data: Path) -> None:
    _assert_no_copy(_sources(), shared_data)


def test_no_file_of_the_wheel_is_a_file_of_the_recordings(
    shared_data: Path, unpacked: Path
) -> None:
    _assert_no_copy((unpacked / name for name in _files(unpacked)), shared_data)


def _assert_no_copy(files: Iterable[Path], shared_data: Path) -> None:
    ours = [path for path in files if path.stat().st_size]
    sizes = {path.stat().st_size for path in ours}
    theirs = (path for path in shared_data.rglob("*") if path.is_file())
    alike = _hashes(path for path in theirs if path.stat().st_size in sizes)
    own = _hashes(ours)
    assert {str(own[digest]): str(alike[digest]) for digest in own.keys() & alike.keys()} == {}
