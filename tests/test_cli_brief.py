"""A command that answers once ends without being taken apart: nothing may be lost by it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "synthetic.csv"


def _python(code: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_exit_handlers_run_and_everything_printed_arrives() -> None:
    done = _python(
        "import atexit, sys; from ecgedge.cli import brief\n"
        "atexit.register(print, 'handled')\n"
        "print('x' * 100_000); print('told', file=sys.stderr)\n"
        "brief.end(4)\n"
        "print('never reached')"
    )
    assert done.returncode == 4
    assert done.stdout == "x" * 100_000 + "\nhandled\n"
    assert done.stderr == "told\n"


def test_a_thread_that_still_works_is_waited_for() -> None:
    done = _python(
        "import threading, time; from ecgedge.cli import brief\n"
        "def work(): time.sleep(0.2); print('done')\n"
        "threading.Thread(target=work).start()\n"
        "brief.end(4)\n"
        "print('as usual')"
    )
    assert (done.returncode, done.stdout) == (0, "as usual\ndone\n")


@pytest.mark.parametrize("code", [None, "a message"])
def test_a_code_that_is_no_number_is_left_to_python(code: str | None) -> None:
    done = _python(f"from ecgedge.cli import brief; brief.end({code!r}); print('as usual')")
    assert done.stdout == "as usual\n"


def test_a_full_disk_does_not_look_like_success() -> None:
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("needs /dev/full")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "ecgedge", "query", str(EXAMPLE)]
    with device.open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith("ecgedge: ")
    assert done.stderr.count("\n") == 1
