"""Programs in new processes, with the time and memory each needed by the system's own count."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ecgedge.errors import EcgedgeError

#: Starts a command from a process that is itself small: on Linux a child's peak memory
#: begins with that of whoever started it. Tells the cost through the pipe it is given.
LAUNCHER = """
import json, os, sys, time
pipe = int(sys.argv[1])
os.set_inheritable(pipe, False)
begun = time.perf_counter()
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
seconds, scale = time.perf_counter() - begun, 1 << 20 if sys.platform == "darwin" else 1 << 10
code = os.waitstatus_to_exitcode(status)
cost = [code, begun, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / scale]
os.write(pipe, json.dumps(cost).encode())
"""


@dataclass(frozen=True)
class Finished:
    """One process that has ended.

    code: its exit code, below 0 for the signal that ended it. begun: when it was started, by
    the clock of `time.perf_counter`, which on Linux all processes share. peak_mib: the most
    memory it or a process it waited for had resident at once.
    """

    code: int
    begun: float
    seconds: float
    cpu_s: float
    peak_mib: float
    output: str
    complaint: str


def launch(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
) -> Finished:
    """Run a command to its end. command: its first word is a whole path.

    Raises EcgedgeError for one that is not done in time; then nothing of it is left running.
    """
    reader, writer = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", LAUNCHER, str(writer), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=None if environment is None else dict(environment),
            pass_fds=(writer,),
            process_group=0,  # so that all of it can be ended
        )
        os.close(writer)
        output, complaint = _communicate(process, timeout_s)
        with open(reader, "rb", closefd=False) as pipe:
            cost = json.loads(pipe.read() or b"[]")
    finally:
        os.close(reader)
    if not cost:
        raise EcgedgeError(f"{command[0]} cannot be started: {complaint.strip() or 'no reason'}")
    code, begun, seconds, cpu_s, peak_mib = cost
    return Finished(code, begun, seconds, cpu_s, peak_mib, output, complaint)


def _communicate(process: subprocess.Popen[bytes], timeout_s: float | None) -> tuple[str, str]:
    try:
        output, complaint = process.communicate(timeout=timeout_s)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise EcgedgeError(f"it was not done within {timeout_s:g} s") from None
        raise
    return output.decode(errors="replace"), complaint.decode(errors="replace")
