"""Who does the work never shows in what is built; a kill or a death loses little and is told."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from central_builders import write_bundle, write_corpus
from release_builders import blobs

from ecgedge.casebase.release import Store
from ecgedge.central import encode
from ecgedge.central.build import BuildRequest, build_release
from ecgedge.central.workforce import LocalWorkforce, Workforce, hire
from ecgedge.cli.base import report_failure
from ecgedge.corpora.ptbxl import load_corpus, parse_folds
from ecgedge.encoders import load_bundle
from ecgedge.errors import EcgedgeError, NetworkError, UsageError

CASES, CHUNK, SEGMENT_CASES = 60, 4, 12
#: Where other processes find ecgedge and this file.
PLACES = os.pathsep.join([str(Path(__file__).parent.parent), str(Path(__file__).parent)])

#: A build in a process of its own, that a test may kill.
PROGRAM = f"""
import sys
from pathlib import Path
from ecgedge.central import encode
from ecgedge.central.build import BuildRequest, build_release
from ecgedge.central.ray_workforce import RayWorkforce
from ecgedge.central.workforce import LocalWorkforce
from ecgedge.corpora.ptbxl import load_corpus, parse_folds

encode.CHUNK = {CHUNK}
engine, corpus, bundle, out = sys.argv[1:]
if __name__ == "__main__":
    workforce = LocalWorkforce(2) if engine == "local" else RayWorkforce(
        2, object_store_bytes=80 << 20)
    build_release(BuildRequest(
        corpus=load_corpus(corpus), bundle=Path(bundle), out=Path(out),
        folds=parse_folds("1-8"), valid_folds=parse_folds("9"), created="2026-11-22",
        segment_cases={SEGMENT_CASES}, workforce=workforce))
"""


@dataclass(frozen=True)
class Squares:
    """A job; `deadly` is a piece that kills its worker, `refused` one that is an error."""

    deadly: int | None = None
    refused: int | None = None
    unready: bool = False

    def begin(self) -> Callable[[int], int]:
        if self.unready:
            raise UsageError("this node cannot begin")
        return self.square

    def square(self, number: int) -> int:
        if number == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == self.refused:
            raise UsageError(f"{number} is refused")
        return number * number


@pytest.fixture(scope="module")
def ray_workforce() -> Iterator[Workforce]:
    """One Ray of two cores for all tests, ended after them."""
    pytest.importorskip("ray")
    from ecgedge.central.ray_workforce import RayWorkforce

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", PLACES)  # so that workers know our jobs
        with RayWorkforce(2, object_store_bytes=80 << 20) as workforce:
            yield workforce


@pytest.fixture(params=["local", "ray"])
def workforce(request) -> Workforce:
    if request.param == "local":
        return LocalWorkforce(2)
    return request.getfixturevalue("ray_workforce")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> tuple[Path, Path]:
    """(corpus, bundle)"""
    root = tmp_path_factory.mktemp("inputs")
    return write_corpus(root / "corpus", CASES), write_bundle(root / "bundle")


def build(inputs: tuple[Path, Path], out: Path, workforce: Workforce) -> str:
    corpus, bundle = inputs
    facts = {"folds": parse_folds("1-8"), "valid_folds": parse_folds("9"), "created": "2026-11-22"}
    return build_release(
        BuildRequest(
            corpus=load_corpus(corpus),
            bundle=bundle,
            out=out,
            segment_cases=SEGMENT_CASES,
            workforce=workforce,
            **facts,
        )
    ).release


@pytest.fixture(scope="module")
def alone(inputs, tmp_path_factory) -> Path:
    """A store built by one process."""
    out = tmp_path_factory.mktemp("alone")
    build(inputs, out, LocalWorkforce(1))
    return out


def test_every_piece_is_done_once_whoever_does_it(workforce):
    pieces = {number * 10: number for number in range(20)}
    told = list(workforce.run(Squares(), pieces))
    assert dict(told) == {10 * number: number * number for number in range(20)}
    assert len(told) == 20
    assert list(workforce.run(Squares(), {})) == []


def test_two_workers_and_ray_give_the_bytes_of_one(inputs, alone, tmp_path, workforce, monkeypatch):
    monkeypatch.setattr(encode, "CHUNK", CHUNK)
    build(inputs, tmp_path / "store", workforce)
    assert Store(tmp_path / "store").current_id() == Store(alone).current_id()
    assert blobs(tmp_path / "store") == blobs(alone)
    assert [ref.count for ref in Store(alone).manifest().segments] == [12, 12, 12, 12, 6]


def test_a_worker_that_dies_is_told_in_a_sentence_and_what_was_done_is_kept(workforce):
    results = workforce.run(Squares(deadly=19), {n: n for n in range(20)})
    assert next(results)
    with pytest.raises(EcgedgeError, match=r"a worker process died.*run the same command again"):
        list(results)


@pytest.mark.parametrize("job", [Squares(refused=3), Squares(unready=True)])
def test_an_error_in_a_worker_is_told_as_it_would_be_here(workforce, job):
    with pytest.raises(UsageError, match=r"^3 is refused$|^this node cannot begin$"):
        list(workforce.run(job, {n: n for n in range(5)}))


def test_a_worker_that_does_not_see_the_corpus_is_told_and_skips_nothing(
    inputs, tmp_path, workforce, monkeypatch
):
    monkeypatch.setattr(encode, "CHUNK", CHUNK)
    records = load_corpus(inputs[0]).select(with_signal=True)[:8]
    state = encode._state

    def larger_here(header: str):
        return tuple((size + 1, mtime) for size, mtime in state(header))

    monkeypatch.setattr(encode, "_state", larger_here)  # workers have processes of their own
    with pytest.raises(UsageError, match="storage that every node sees under this path"):
        encode.encode_records(
            records, partial(load_bundle, inputs[1]), tmp_path, workforce=workforce
        )


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_build_that_was_killed_goes_on_where_it_stopped(inputs, alone, tmp_path, engine):
    if engine == "ray":
        pytest.importorskip("ray")
    script, out = tmp_path / "program.py", tmp_path / "store"
    script.write_text(PROGRAM)
    environment = os.environ | {"PYTHONPATH": PLACES}
    command = [sys.executable, str(script), engine, *map(str, inputs), str(out)]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        wait_for(lambda: len(finished(out)) >= 3, process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wait_for(lambda: not living(process.pid, b"spawn_main", b"ray::_Worker"))  # none is left
    finally:
        kill_session(process.pid)
    assert not Store(out).release_ids()
    kept = {path: path.stat().st_mtime_ns for path in finished(out)}
    assert 3 <= len(kept) < CASES // CHUNK
    begun = []

    class Watched(LocalWorkforce):
        def run(self, job, pieces):
            begun.append(len(pieces))
            for result in super().run(job, pieces):
                assert {path: path.stat().st_mtime_ns for path in kept} == kept
                yield result

    encode_chunk, encode.CHUNK = encode.CHUNK, CHUNK
    try:
        assert build(inputs, out, Watched()) == Store(alone).current_id()
    finally:
        encode.CHUNK = encode_chunk
    assert begun == [CASES // CHUNK - len(kept), 5]
    assert blobs(out) == blobs(alone)


def finished(out: Path) -> list[Path]:
    return sorted((out / ".work").rglob("*.npz"))


def wait_for(condition: Callable[[], bool], process: subprocess.Popen | None = None) -> None:
    """Until it holds; a build that ended before, or two minutes, are a failure."""
    end = time.monotonic() + 120
    while not condition():
        assert process is None or process.poll() is None, "the build ended before it was killed"
        assert time.monotonic() < end, "waited for two minutes"
        time.sleep(0.002)


def living(session: int, *kinds: bytes) -> list[int]:
    """Processes of this session that still run, of these kinds by their command lines.

    Ray's own agents, which hold nothing of ours, see only after a minute that they are alone.
    """
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            words = (folder / "cmdline").read_bytes()
        except OSError:  # it has gone meanwhile
            continue
        wanted = not kinds or any(kind in words for kind in kinds)
        if int(fields[3]) == session and fields[0] != "Z" and wanted:
            found.append(int(folder.name))
    return found


def kill_session(session: int) -> None:
    for pid in living(session):
        os.kill(pid, signal.SIGKILL)


def test_options_that_do_not_fit_together_are_a_sentence():
    with pytest.raises(UsageError, match="--ray-address is for --engine ray"):
        hire("local", 2, "ray://nowhere:1")
    with pytest.raises(UsageError, match="choose local or ray"):
        hire("slurm")


def test_without_ray_the_sentence_names_the_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError) as caught:
        hire("ray", 2)
    assert report_failure("index build", caught.value, as_json=False) == 2
    assert "pip install 'ecgedge[central]'" in capsys.readouterr().err


def test_a_cluster_that_does_not_answer_is_a_network_error():
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    with pytest.raises(NetworkError, match=rf"the Ray cluster at 127.0.0.1:{free} cannot be reach"):
        hire("ray", 1, f"127.0.0.1:{free}")


def test_building_on_this_machine_never_imports_ray():
    program = (
        "import sys, ecgedge.central.build, ecgedge.central.add, ecgedge.cli.index\n"
        "sys.exit('ray' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
