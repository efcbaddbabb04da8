"""Devices for tests of `ecgedge watch`: synthetic hearts as octets of our wire format."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ecgedge.recording import Recording
from ecgedge.signal.synthetic import Heart, synthesize
from firmware_bridge import wire
from firmware_bridge.events import Channel, Configuration
from firmware_bridge.leads import counts_of

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 60.0  # a busy machine is not a failure
RATE_HZ = 500
SAMPLES = 10
DEVICE = wire.tagged(
    Configuration(
        device="00000000000000ec",
        boot=1,
        rate_hz=RATE_HZ,
        reference_mv=2400.0,
        encoding="twos",
        full_scale=2**23 - 1,
        channels=(
            Channel("LA", "RA", 6.0),
            Channel("LL", "RA", 6.0),
            *(Channel(chest, "WCT", 6.0) for chest in ("C1", "C2", "C3", "C4", "C5", "C6")),
        ),
    )
)
#: Electrode C3's bit: the positive input of channel 4.
OFF_C3 = 1 << 4
ALL_SENSED = 0xFF


def restarted(boot: int) -> Configuration:
    return wire.tagged(replace(DEVICE, boot=boot))


def frames(
    seconds: float,
    *,
    heart: Heart | None = None,
    device: Configuration = DEVICE,
    first: int = 0,
    off_from_s: float = float("inf"),
) -> Iterator[bytes]:
    """Frames of a stream, a configuration before each second of them.

    first: number of the first sample, so that a stream can be sent in parts.
    """
    whole = synthesize(heart, rate_hz=RATE_HZ, duration_s=first / RATE_HZ + seconds)
    counts = counts_of(device, whole.signal)
    for at in range(first, len(counts), SAMPLES):
        if at % RATE_HZ == 0 or at == first:
            yield wire.seal(wire.configuration_body(device))
        yield wire.seal(
            wire.data_body(
                counts[at : at + SAMPLES],
                first=at,
                t_us=at * 1_000_000 // RATE_HZ,
                tag=device.tag,
                off=OFF_C3 if at / RATE_HZ >= off_from_s else 0,
                off_valid=ALL_SENSED,
            )
        )


def octets(seconds: float, **options: Any) -> bytes:
    return b"".join(frames(seconds, **options))


def without(frames: Sequence[bytes], begin: int, end: int) -> bytes:
    """A stream that lost these of its frames."""
    return b"".join(frames[:begin]) + b"".join(frames[end:])


def launch(*words: str, stdin: int | None = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """`ecgedge watch` as a process of its own."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "ecgedge", "watch", *words],
        env=environment,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finished(*words: str, data: bytes | None = None) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a watch that ends by itself."""
    process = launch(*words, stdin=subprocess.DEVNULL if data is None else subprocess.PIPE)
    out, err = process.communicate(data, timeout=PATIENCE_S)
    return process.returncode, out.decode(), err.decode()


def told(out: str) -> list[dict[str, Any]]:
    """Every line of --json, each checked for the envelope."""
    lines = [json.loads(line) for line in out.splitlines()]
    for line in lines:
        check_envelope(line)
    return lines


def check_envelope(line: dict[str, Any]) -> None:
    assert (line["schema"], line["command"]) == ("ecgedge/1", "watch")
    assert line["event"] in ("answer", "refused", "notice", "summary")
    assert line["ok"] is ("error" not in line)
    if "error" in line:
        assert set(line["error"]) == {"type", "message", "exit_code"}
    if line["event"] in ("answer", "refused"):
        window = ["number", "first", "start_s", "end_s", "missing_s", "clean"]
        assert list(line["window"]) == window
        assert "not a medical device" in line["notice"]
    if line["event"] == "notice":
        assert {"kind", "text", "at_s", "facts"} <= set(line)


def events(lines: Sequence[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["event"] == kind]


class Watched:
    """A running `ecgedge watch --json`, read line by line."""

    def __init__(self, *words: str) -> None:
        self.process = launch(*words, "--json")
        self.lines: list[dict[str, Any]] = []
        # A reader that waits for ever would be no failure but a hang.
        self._timer = threading.Timer(PATIENCE_S, self.process.kill)
        self._timer.start()
        self.until("begun")

    def until(self, kind: str, event: str = "notice") -> dict[str, Any]:
        """The next notice of that kind, or the next of another event where kind is ""."""
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            line = json.loads(raw)
            check_envelope(line)
            self.lines.append(line)
            if line["event"] == event and kind in ("", line.get("kind")):
                return line
        raise AssertionError((self.lines, self.process.communicate()))

    def stop(self, number: int = signal.SIGINT) -> tuple[int, dict[str, Any]]:
        """(exit code, summary)."""
        self.process.send_signal(number)
        assert self.process.stdout is not None
        self.lines += told(self.process.stdout.read().decode())
        self.process.wait(PATIENCE_S)
        assert self.lines[-1]["event"] == "summary", (self.lines, self.process.communicate())
        return self.process.returncode, self.lines[-1]

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=PATIENCE_S)


def wait_until(true: Any) -> None:
    """Until a condition of another thread or process holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def cut(recording: Recording, first: int, seconds: float = 10.0) -> Recording:
    end = first + round(seconds * recording.rate_hz)
    return replace(recording, signal=recording.signal[:, first:end])
