"""The frame every command stands in: help, envelope, exit codes, broken pipes."""

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import ecgedge
from ecgedge import envelope
from ecgedge.cli import COMMANDS, base, cli
from ecgedge.errors import EcgedgeError, InputError, NetworkError, QualityRefused, TrustError

ROOT = Path(__file__).resolve().parent.parent


def _ecgedge(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "ecgedge", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False, **options
    )


def _command(error: BaseException | None = None, payload: dict[str, Any] | None = None) -> Any:
    @click.command()
    @base.guarded("try")
    def command(as_json: bool) -> None:
        if error is not None:
            raise error
        base.emit("try", payload or {}, as_json, "done")

    return command


def test_the_program_starts_as_a_module_and_names_its_version() -> None:
    done = _ecgedge("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert ecgedge.__version__ in done.stdout


def test_help_lists_every_command_and_imports_none_of_them() -> None:
    code = (
        "import sys, ecgedge.cli as c\n"
        "try: c.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'onnxruntime', 'usearch', 'torch'}\n"
        "heavy |= {module for module, _ in c.COMMANDS.values()}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert "HEAVY []" in done.stdout
    for name, (_, line) in COMMANDS.items():
        assert name in done.stdout
        assert line in " ".join(done.stdout.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_explains_itself(name: str) -> None:
    module, line = COMMANDS[name]
    command = importlib.import_module(module).command
    assert isinstance(command, click.Command)
    assert line.endswith(".")
    assert (command.help or "").strip()
    shown = CliRunner().invoke(cli, [name, "--help"])
    assert shown.exit_code == 0
    assert f"Usage: ecgedge {name}" in shown.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_puts_usage_errors_into_the_envelope(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--json", "--no-such-option"])
    told = json.loads(result.stdout)
    assert result.exit_code == 2
    assert (told["schema"], told["command"], told["ok"]) == ("ecgedge/1", name, False)
    assert told["error"]["type"] == "UsageError"
    assert told["error"]["exit_code"] == 2
    assert "No such option" in told["error"]["message"]


def test_an_unknown_command_is_a_usage_error_in_words_and_in_json() -> None:
    done = _ecgedge("guess")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    done = _ecgedge("guess", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["ok"] is False


def test_no_command_at_all_shows_the_help_and_is_a_usage_error() -> None:
    done = _ecgedge()
    assert (done.returncode, done.stdout) == (2, "")
    assert "Commands:" in done.stderr


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (InputError("the file is empty"), "InputError", 3),
        (QualityRefused("too short"), "QualityRefused", 4),
        (NetworkError("no route"), "NetworkError", 5),
        (TrustError("bad signature"), "TrustError", 6),
        (ValueError("surprise\nwith lines"), "EcgedgeError", 1),
        (MemoryError(), "OutOfMemory", 1),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "UsageError", 2),
    ],
)
def test_each_error_becomes_one_sentence_and_its_exit_code(
    error: Exception, kind: str, code: int
) -> None:
    command = _command(error)
    worded = CliRunner().invoke(command, [])
    assert (worded.exit_code, worded.stdout) == (code, "")
    assert worded.stderr.startswith("ecgedge: ")
    assert worded.stderr.count("\n") == 1
    told = json.loads(CliRunner().invoke(command, ["--json"]).stdout)
    assert (told["command"], told["ok"]) == ("try", False)
    assert (told["error"]["type"], told["error"]["exit_code"]) == (kind, code)
    if isinstance(error, EcgedgeError):
        assert told["error"]["message"] == str(error)


def test_a_missing_extra_says_what_to_install() -> None:
    error = ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")
    assert "pip install 'ecgedge[train]'" in CliRunner().invoke(_command(error), []).stderr


def test_the_traceback_is_shown_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    command = _command(RuntimeError("odd"))
    assert "Traceback" not in CliRunner().invoke(command, []).stderr
    monkeypatch.setenv("ECGEDGE_DEBUG", "1")
    assert "Traceback" in CliRunner().invoke(command, []).stderr


def test_numpy_paths_sets_and_numbers_that_are_not_finite_have_a_json_form() -> None:
    payload = {
        "vector": np.arange(3, dtype=np.float32),
        "scalar": np.float32("nan"),
        "count": np.int64(4),
        "path": Path("a") / "b",
        "set": {"y", "x"},
        "nested": {"inf": float("inf"), "none": None, "true": np.bool_(True)},
    }
    told = json.loads(CliRunner().invoke(_command(payload=payload), ["--json"]).stdout)
    assert told["vector"] == [0, 1, 2]
    assert told["scalar"] is None
    assert told["count"] == 4
    assert told["path"] == str(Path("a") / "b")
    assert told["set"] == ["x", "y"]
    assert told["nested"] == {"inf": None, "none": None, "true": True}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=8,
    )
)
@settings(max_examples=50, deadline=None)
def test_whatever_is_dumped_is_one_line_of_strict_ascii_json(value: Any) -> None:
    line = envelope.dumps(value)
    assert line.isascii()
    assert "\n" not in line

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    json.loads(line, parse_constant=refuse)


def test_progress_away_from_a_terminal_is_one_line_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert list(base.progress(iter("abc"), "Reading", 3)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "Reading: 3 done\n")


def _started(script: Path) -> "subprocess.Popen[bytes]":
    """The script in its own process, both outputs piped."""
    return subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_a_reader_that_goes_away_leaves_no_noise(tmp_path: Path) -> None:
    script = tmp_path / "flood.py"
    script.write_text(
        "import sys, click\n"
        "from ecgedge.cli import base\n"
        "def flood():\n"
        "    while True: click.echo('x' * 9999)\n"
        "sys.exit(base.run(flood, []))\n"
    )
    with _started(script) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=20) == 1


def test_ctrl_c_ends_with_one_sentence(tmp_path: Path) -> None:
    script = tmp_path / "wait.py"
    script.write_text(
        "import signal, sys, time\n"
        "from ecgedge.cli import base\n"
        # A job in the background is started deaf to Ctrl-C, and its children with it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def wait():\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "sys.exit(base.run(wait, []))\n"
    )
    with _started(script) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b"ecgedge: stopped before it was done\n"
        assert process.wait(timeout=20) == 130


def test_the_package_offers_its_names_lazily() -> None:
    code = (
        "import sys, ecgedge; assert 'numpy' not in sys.modules; "
        "assert all(hasattr(ecgedge, name) for name in ecgedge.__all__); "
        "assert 'onnxruntime' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    with pytest.raises(AttributeError):
        _ = ecgedge.nonsense
