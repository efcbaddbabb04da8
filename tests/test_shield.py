"""Crashes and want of memory, in real processes: one sentence, the right exit code, no orphan.

The crash is real too: a module named like the engine that sends its own process the signal,
as an illegal instruction in the engine would.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_release import build_release, heart, write_csv

from ecgedge.cli import shield
from ecgedge.cli.base import lacks_memory, report_failure
from ecgedge.encoders.threads import check_threads
from ecgedge.errors import DamagedError, InputError, OutOfMemory

ROOT = Path(__file__).resolve().parent.parent
IN_MV = ("--rate-hz", "500", "--unit", "mV")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """store/ and ecg.csv."""
    root = tmp_path_factory.mktemp("shield")
    build_release(root / "store", words=True)
    write_csv(root / "ecg.csv", heart("test/wide"))
    return root


def _environment(hook: Path | None = None, **more: str) -> dict[str, str]:
    path = os.pathsep.join(map(str, [*([hook] if hook else []), ROOT]))
    return {**os.environ, "PYTHONPATH": path, **more}


def _command(place: Path, *more: str) -> list[str]:
    command = [sys.executable, "-m", "ecgedge", "query", str(place / "ecg.csv"), *IN_MV]
    return [*command, "--store", str(place / "store"), *more]


def _hook(tmp_path: Path, body: str, module: str = "onnxruntime") -> Path:
    """A folder whose `module` runs body where the engine would be imported."""
    folder = tmp_path / "hook"
    folder.mkdir(exist_ok=True)
    (folder / f"{module}.py").write_text(f"import os, signal, sys, time\n{body}\n")
    return folder


def _run(
    command: list[str], environment: dict[str, str], **options: Any
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=60,
        **options,
    )


@pytest.mark.parametrize(
    ("name", "code", "kind", "told"),
    [
        ("SIGILL", 7, "ReleaseError", "an instruction that this processor does not have"),
        ("SIGBUS", 7, "ReleaseError", "check the disk or card"),
        ("SIGSEGV", 7, "ReleaseError", "an installed engine crashed"),
        ("SIGABRT", 7, "ReleaseError", "an installed engine gave up"),
        ("SIGFPE", 7, "ReleaseError", "crashed (SIGFPE)"),
        ("SIGKILL", 1, "OutOfMemory", "most often for lack of memory"),
    ],
)
def test_a_crash_in_an_engine_is_one_sentence(
    place: Path, tmp_path: Path, name: str, code: int, kind: str, told: str
) -> None:
    hook = _hook(tmp_path, f"os.kill(os.getpid(), signal.{name})")
    worded = _run(_command(place), _environment(hook))
    assert (worded.returncode, worded.stdout) == (code, "")
    assert worded.stderr.startswith("ecgedge: ")
    assert worded.stderr.count("\n") == 1
    assert told in worded.stderr
    spoken = _run(_command(place, "--json"), _environment(hook))
    assert (spoken.returncode, spoken.stderr, spoken.stdout.count("\n")) == (code, "", 1)
    envelope = json.loads(spoken.stdout)
    assert (envelope["command"], envelope["ok"]) == ("query", False)
    assert (envelope["error"]["type"], envelope["error"]["exit_code"]) == (kind, code)


@pytest.mark.parametrize("command", ["search", "classify", "verify"])
def test_every_command_that_loads_an_engine_is_shielded(
    place: Path, tmp_path: Path, command: str
) -> None:
    hook = _hook(tmp_path, "os.kill(os.getpid(), signal.SIGILL)")
    words = {"search": ["AFIB"], "classify": [str(place / "ecg.csv"), *IN_MV], "verify": []}
    line = [sys.executable, "-m", "ecgedge", command, *words[command]]
    done = _run([*line, "--store", str(place / "store"), "--json"], _environment(hook))
    assert (done.returncode, json.loads(done.stdout)["command"]) == (7, command)


def test_without_the_shield_a_debugger_sees_the_signal_itself(place: Path, tmp_path: Path) -> None:
    hook = _hook(tmp_path, "os.kill(os.getpid(), signal.SIGILL)")
    done = _run(_command(place), _environment(hook, ECGEDGE_NO_SHIELD="1"))
    assert done.returncode == -signal.SIGILL


def test_a_library_that_ends_the_process_is_told(place: Path, tmp_path: Path) -> None:
    done = _run(_command(place, "--json"), _environment(_hook(tmp_path, "os._exit(1)")))
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["type"] == "OutOfMemory"


def test_a_crash_after_the_answer_leaves_answer_and_exit_code_alone(
    place: Path, tmp_path: Path
) -> None:
    """Engines have crashed while a process that was done took them down."""
    body = "import atexit\natexit.register(os.kill, os.getpid(), signal.SIGSEGV)\nraise ImportError"
    hook = _hook(tmp_path, body, "numkong")
    done = _run(_command(place, "--json"), _environment(hook))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["ok"] is True


def test_a_processor_that_numpy_refuses_is_told_with_code_7(place: Path, tmp_path: Path) -> None:
    body = 'raise RuntimeError("NumPy was built with baseline optimizations: (X86_V2) but ...")'
    done = _run(_command(place, "--json"), _environment(_hook(tmp_path, body, "numpy")))
    told = json.loads(done.stdout)["error"]
    assert (done.returncode, told["exit_code"], told["type"]) == (7, 7, "ReleaseError")
    assert "this processor is too old" in told["message"]


SLOW = "print('waiting', flush=True)\ntime.sleep(60)"


def _started(place: Path, tmp_path: Path) -> "subprocess.Popen[str]":
    """A query whose engine never comes, as soon as it waits for it."""
    # A job in the background is started deaf to Ctrl-C, and its children with it.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "signal.signal(signal.SIGHUP, signal.SIG_DFL); "
        "sys.argv = sys.argv[1:]; from ecgedge.cli import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *_command(place)[2:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(_hook(tmp_path, SLOW)),
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    return process


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children")
    if not found.exists():
        pytest.skip("this system does not list a process' children")
    return [int(child) for child in found.read_text().split()]


def _gone(pid: int) -> bool:
    """Ended, within some seconds."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":  # it has ended; whoever inherited it reaps it
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("whole_group", [False, True], ids=["the process", "the terminal"])
def test_ctrl_c_stops_child_and_parent_with_130_and_one_sentence(
    place: Path, tmp_path: Path, whole_group: bool
) -> None:
    with _started(place, tmp_path) as process:
        (child,) = _children(process.pid)
        if whole_group:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr is not None
        assert process.stderr.read().strip() == "ecgedge: stopped before it was done"
        assert _gone(child)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_wish_to_end_is_passed_on_and_seen_outside(
    place: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with _started(place, tmp_path) as process:
        (child,) = _children(process.pid)
        process.send_signal(number)
        assert process.wait(timeout=30) == -number
        assert _gone(child)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the child with its parent")
def test_a_parent_that_is_killed_leaves_no_orphan(place: Path, tmp_path: Path) -> None:
    with _started(place, tmp_path) as process:
        (child,) = _children(process.pid)
        process.kill()
        process.wait(timeout=30)
        assert _gone(child)


def test_standard_input_and_exit_codes_pass_through_the_shield(place: Path) -> None:
    command = [sys.executable, "-m", "ecgedge", "query", "-", *IN_MV, "--json"]
    command += ["--store", str(place / "store")]
    whole = _run(command, _environment(), input=(place / "ecg.csv").read_text())
    assert (whole.returncode, json.loads(whole.stdout)["ok"]) == (0, True)
    assert _run(command, _environment(), input="nonsense").returncode == 3
    assert _run([*command, "--no-such"], _environment(), input="").returncode == 2


def test_only_commands_that_load_engines_are_shielded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(shield.OPT_OUT, raising=False)
    assert shield.applies(["query", "x"])
    assert not any(map(shield.applies, ([], ["--help"], ["train", "query"], ["index", "build"])))


def _limited(mib: int) -> Any:
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (mib << 20, mib << 20))


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is kept by Linux")
@pytest.mark.parametrize("threads", [1, 4])
def test_at_any_limit_of_memory_a_query_answers_or_says_so(place: Path, threads: int) -> None:
    """From where Python itself can start: no traceback, no hang, no half object."""
    seen = set()
    for mib in (30, 50, 75, 100, 125, 150, 175, 200, 250, 400, 4_000):
        command = _command(place, "--json", "--threads", str(threads))
        done = _run(command, _environment(), preexec_fn=_limited(mib))
        assert done.stdout.count("\n") == 1, (mib, done.stdout, done.stderr)
        told = json.loads(done.stdout)
        assert "Traceback" not in done.stderr
        if not told["ok"]:
            assert (done.returncode, told["error"]["type"]) == (1, "OutOfMemory"), (mib, told)
        seen.add(told["ok"])
    assert seen == {True, False}


@pytest.fixture
def little_room() -> Iterator[None]:
    with Path("/proc/self/statm").open() as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + (300 << 20), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is kept by Linux")
def test_threads_that_might_not_start_are_refused_before_the_engine_waits_for_them(
    little_room: None,
) -> None:
    check_threads(1)
    with pytest.raises(OutOfMemory, match=r"on 8 threads: use fewer \(--threads\)"):
        check_threads(8)


def test_threads_are_tried_out_where_nothing_limits_memory() -> None:
    check_threads(4)


def _raised(outer: Exception, inner: Exception) -> Exception:
    try:
        try:
            raise inner
        except type(inner):
            raise outer from None
    except type(outer) as error:
        return error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), True),
        (OSError(12, "Cannot allocate memory"), True),
        (OSError(2, "No such file"), False),
        (OSError(11, "Resource temporarily unavailable"), False),
        (OSError("libLiteRt.so: failed to map segment from shared object"), True),
        (RuntimeError("can't start new thread"), True),
        (RuntimeError("std::bad_alloc"), True),
        (ValueError("x"), False),
        (_raised(DamagedError("cannot be run"), RuntimeError("std::bad_alloc")), True),
        (_raised(DamagedError("cannot be run"), RuntimeError("bad opset")), False),
        # A file that claims to be huge is wrong, not the machine too small.
        (_raised(InputError("no array"), MemoryError()), False),
    ],
)
def test_want_of_memory_is_told_from_other_failures(
    error: Exception, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lacks_memory(error) == told
    report_failure("query", error, as_json=True)
    assert (json.loads(capsys.readouterr().out)["error"]["type"] == "OutOfMemory") == told
