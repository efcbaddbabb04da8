"""`ecgedge bench`: every encoder a row, the fastest that may be chosen, written where asked."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_release import build_release, linear_encoder
from test_alternatives import CLOSE, with_alternative

from ecgedge.bench import board
from ecgedge.bench.process import launch
from ecgedge.bench.turns import ALTERNATIVE, BUNDLE, PRIMARY, Contender, Row, choose, thread_counts
from ecgedge.casebase.alternatives import Parity
from ecgedge.casebase.release import Store
from ecgedge.config import load
from ecgedge.errors import EcgedgeError

ROOT = Path(__file__).resolve().parent.parent
STAGES = {"quality", "condition", "image", "encode", "search", "novelty", "measure", "answer"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A release with one alternative."""
    store = build_release(tmp_path_factory.mktemp("bench") / "store")
    with_alternative(store)
    return store


def _bench(store: Store, *more: str, hook: Path | None = None) -> Any:
    path = os.pathsep.join(map(str, [*([hook] if hook else []), ROOT]))
    command = [sys.executable, "-m", "ecgedge", "bench", "--store", str(store.root), "--quick"]
    return subprocess.run(
        [*command, "--rounds", "2", *more],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
        timeout=300,
    )


def test_every_encoder_and_number_of_threads_is_a_row_and_the_choice_is_applied(
    store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "made" / "config.toml"
    done = _bench(store, "--json", "--apply", "--config", str(file))
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith(" done\n")
    told = json.loads(done.stdout)
    ids = [one.id for one in store.manifest().encoders]
    threads = thread_counts(board.usable_cores())
    asked = [(row["encoder"], row["threads"]) for row in told["rows"]]
    assert asked == [(name, count) for name in ids for count in threads]
    for row in told["rows"]:
        assert row["ok"], row["error"]
        assert {*STAGES, "total", "encoder alone"} == set(row["stages"])
        assert row["stages"]["total"]["p50_ms"] <= row["stages"]["total"]["p99_ms"]
        assert 0 < row["cpu_s_per_query"] < 10
        assert 0.01 < row["cold_s"] < 60
        assert 10 < row["peak_mib"] < 1000
    assert told["rows"][-1]["parity"]["queries"] == CLOSE.queries
    chosen = told["chosen"]
    primary = chosen["encoder"] == ids[0]
    written = load({}, [file])
    assert written.threads == chosen["threads"]
    assert written.encoder == (None if primary else chosen["encoder"])
    assert told["applied"] == str(file)
    assert told["board"]["cores"] == board.usable_cores()


def test_an_encoder_that_crashes_or_is_not_there_costs_a_row(store: Store, tmp_path: Path) -> None:
    """The crash is a real SIGILL, in the process that measures that one encoder."""
    bad = store.manifest().encoders[1].id
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        f"if any({bad!r} in word for word in sys.orig_argv):\n"
        "    os.kill(os.getpid(), signal.SIGILL)\n"
    )
    done = _bench(store, "--json", "--bundle", str(tmp_path / "absent"), hook=hook)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    errors = {row["encoder"]: row["error"] for row in told["rows"]}
    assert errors[store.manifest().encoder.id] is None
    assert "an instruction that this processor does not have" in errors[bad]
    assert "cannot be read" in errors[str(tmp_path / "absent")]
    assert told["chosen"]["encoder"] == store.manifest().encoder.id
    assert told["applied"] is None


def test_a_bundle_beside_the_release_is_measured_but_never_chosen(
    store: Store, tmp_path: Path
) -> None:
    data, spec = linear_encoder(seed=4)
    (tmp_path / "model.onnx").write_bytes(data)
    (tmp_path / "model.json").write_text(spec.to_json())
    done = _bench(store, "--bundle", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert spec.id in done.stdout
    assert "not to be chosen: not part of the release" in done.stdout
    assert "fastest" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (("--config", "x.toml"), 2, "give both"),
        (("--apply", "--config", "{file}/config.toml"), 2, "cannot be written"),
        (("--apply", "--config", "{bad}"), 2, "unknown key"),
        (("--store", "{file}.absent"), 7, "holds no release"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_measured(
    store: Store, tmp_path: Path, more: tuple[str, ...], code: int, told: str
) -> None:
    file, bad = tmp_path / "file", tmp_path / "bad.toml"
    file.write_text("")
    bad.write_text("colour = 3\n")
    done = _bench(store, *(word.format(file=file, bad=bad) for word in more), "--json")
    assert (done.returncode, done.stderr) == (code, "")
    assert told in json.loads(done.stdout)["error"]["message"]


def test_where_no_encoder_runs_the_command_says_why_with_code_7(tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "onnxruntime.py").write_text("raise ImportError('built for another machine')\n")
    done = _bench(build_release(tmp_path / "store"), "--json", hook=hook)
    assert done.returncode == 7
    assert "built for another machine" in json.loads(done.stdout)["error"]["message"]


def row(
    role: str, threads: int, p50_ms: float, parity: Parity | None = None, error: str = ""
) -> Row:
    contender = Contender(f"{role}-{threads}", role, parity)
    return Row(contender, threads, error, laps_ms={} if error else {"total": [p50_ms]})


def test_the_fastest_that_keeps_its_bounds_is_chosen() -> None:
    far = Parity(0.9, 0.5, 0.1, 100)
    rows = [
        row(PRIMARY, 1, 10.0),
        row(PRIMARY, 2, 8.0),
        row(ALTERNATIVE, 1, 5.0, CLOSE),
        row(ALTERNATIVE, 2, 4.95, CLOSE),  # as fast as with one thread: that is not worth a core
        row(ALTERNATIVE, 4, 1.0, far),
        row(BUNDLE, 1, 0.5),
        row(ALTERNATIVE, 8, 0.1, CLOSE, error="the engine is missing"),
    ]
    assert choose(rows) is rows[2]
    assert choose(rows[:2]) is rows[1]
    assert choose(rows[4:]) is None
    assert choose([row(ALTERNATIVE, 1, 5.0, CLOSE), primary := row(PRIMARY, 1, 5.1)]) is primary


@given(st.integers(1, 300))
def test_threads_are_powers_of_two_and_all_cores(cores: int) -> None:
    counts = thread_counts(cores)
    assert counts[0] == 1
    assert counts[-1] == cores
    assert counts == sorted(set(counts))
    assert all(one & (one - 1) == 0 for one in counts[:-1])


def test_the_measured_memory_is_the_childs_and_not_that_of_who_asked() -> None:
    ballast = b"x" * (300 << 20)
    done = launch([sys.executable, "-c", "print('here')"])
    assert (done.code, done.output) == (0, "here\n")
    assert 1 < done.peak_mib < 200 < len(ballast) >> 20
    grown = launch([sys.executable, "-c", "x = b'x' * (150 << 20)"])
    assert grown.peak_mib > done.peak_mib + 100
    busy = launch([sys.executable, "-c", "sum(range(3_000_000))"])
    assert busy.cpu_s > done.cpu_s


def test_a_signal_a_failure_and_a_missing_program_are_told() -> None:
    killed = launch([sys.executable, "-c", "import os; os.kill(os.getpid(), 4)"])
    assert killed.code == -signal.SIGILL
    failed = launch([sys.executable, "-c", "import sys; sys.exit('why')"])
    assert (failed.code, failed.complaint) == (1, "why\n")
    with pytest.raises(EcgedgeError, match="cannot be started"):
        launch(["/nowhere/at/all"])


def test_what_is_not_done_in_time_is_ended_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = f"import os, pathlib, time; pathlib.Path({str(mark)!r}).write_text(str(os.getpid()))"
    with pytest.raises(EcgedgeError, match="not done within 2 s"):
        launch([sys.executable, "-c", f"{code}; time.sleep(60)"], timeout_s=2)
    pid = int(mark.read_text())
    for _ in range(100):
        if not _running(pid):
            return
        time.sleep(0.05)
    pytest.fail("the child still runs")


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


PI = {
    "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd crc32\nCPU part\t: 0xd08\n",
    "proc/meminfo": "MemTotal:        3884412 kB\nMemFree: 1 kB\n",
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "600000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1800000\n",
    "sys/class/thermal/thermal_zone0/temp": "81234\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
}


def test_a_raspberry_pi_is_told_with_what_slows_it_down(tmp_path: Path) -> None:
    for name, text in PI.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    pi = board.look(tmp_path)
    assert (pi.model, pi.cpu) == ("Raspberry Pi 4 Model B Rev 1.4", "Cortex-A72")
    assert (pi.features, pi.memory_mib, pi.governor) == (("asimd",), 3793, "powersave")
    assert (pi.mhz, pi.max_mhz, pi.temperature_c, pi.throttled) == (600.0, 1800.0, 81.2, "now")
    told = " ".join(pi.cautions())
    assert "heat or a weak power supply" in told
    assert "powersave" in told


def test_a_board_that_tells_nothing_is_still_described(tmp_path: Path) -> None:
    silent = board.look(tmp_path)
    assert (silent.model, silent.features, silent.throttled) == ("", (), "")
    assert silent.cpu
    assert json.loads(json.dumps(silent.to_dict()))["mhz"] is None


def test_an_alternative_beyond_its_bounds_is_measured_but_not_chosen() -> None:
    far = Contender("far", ALTERNATIVE, Parity(0.9, 0.99, None, 10))
    assert far.why_not() == "cosine p1 0.9000 < 0.995"
    assert not Row(far, 1, laps_ms={"total": [1.0]}).eligible
