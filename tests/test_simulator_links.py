"""`ecgedge simulate` in a process of its own, read through terminals, ports, files and pipes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.decoder import WireDecoder
from firmware_bridge.events import Gap

ROOT = Path(__file__).resolve().parent.parent
RECORDING = str(ROOT / "examples" / "synthetic.hea")
FAULTY = "lost=0.03,flipped=0.03,slipped=0.03,duplicated=0.03,reordered=0.03,late=0.03"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ecgedge", "simulate", RECORDING, *arguments]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command(*arguments), cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The envelope of a simulation that has ended."""
    out, _ = process.communicate(timeout=60)
    envelope: dict[str, Any] = json.loads(out)
    assert process.returncode == 0
    return envelope


def where(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline().strip()


def open_port(path: str) -> int:
    port = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(port, termios.TCSANOW)
    return port


def read_port(path: str) -> bytes:
    """All there is until the device ends or is unplugged."""
    port, pieces = open_port(path), []
    try:
        while piece := os.read(port, 4096):
            pieces.append(piece)
    except OSError:
        pass  # what a terminal says whose other side has gone
    finally:
        os.close(port)
    return b"".join(pieces)


def read_socket(address: str) -> bytes:
    host, _, number = address.removeprefix("tcp://").rpartition(":")
    pieces = []
    with socket.create_connection((host, int(number)), timeout=30) as connection:
        while piece := connection.recv(4096):
            pieces.append(piece)
    return b"".join(pieces)


def counters(data: bytes) -> dict[str, Any]:
    decoder = WireDecoder()
    decoder.feed(data)
    decoder.finish()
    found = dict(vars(decoder.counters))
    del found["damaged_kinds"]
    return found


def octets_in_a_file(tmp_path: Path, *arguments: str) -> bytes:
    path = tmp_path / "octets"
    done = run("--output", str(path), *arguments)
    assert done.returncode == 0, done.stderr
    return path.read_bytes()


def test_a_terminal_carries_the_octets_of_the_file_and_the_ledger_is_what_is_decoded(
    tmp_path: Path,
) -> None:
    how = ("--faults", FAULTY, "--seed", "5", "--seconds", "30")
    expected = octets_in_a_file(tmp_path, *how)
    with running("--pty", "--speed", "full", "--json", *how) as process:
        data = read_port(where(process))
        envelope = told(process)
    assert data == expected
    assert counters(data) == envelope["ledger"]["expected"]
    assert envelope["ledger"]["exact"]
    assert envelope["ledger"]["expected"]["lost"] > 0


def test_a_tcp_port_carries_the_octets_of_the_file(tmp_path: Path) -> None:
    how = ("--faults", FAULTY, "--seed", "6", "--seconds", "20")
    with running("--tcp", "127.0.0.1:0", "--speed", "full", "--json", *how) as process:
        data = read_socket(where(process))
        envelope = told(process)
    assert data == octets_in_a_file(tmp_path, *how)
    assert counters(data) == envelope["ledger"]["expected"]


def test_standard_output_carries_the_octets_alone_and_the_summary_is_told_beside_it(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        command("--output", "-", "--speed", "full"),
        cwd=ROOT, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout == octets_in_a_file(tmp_path)
    assert b"lost 0 samples" in done.stderr


@pytest.mark.parametrize("option", ["", ":reboot"])
def test_an_unplugged_terminal_ends_amid_a_frame_and_its_link_finds_it_again(
    tmp_path: Path, option: str
) -> None:
    link = tmp_path / "device"
    how = ("--faults", f"unplug=2:0.5{option}", "--seconds", "5")
    with running("--pty", "--link", str(link), "--speed", "20", "--json", *how) as process:
        assert where(process) == str(link)
        first = read_port(str(link))
        assert where(process) == str(link)
        second = read_port(str(link))
        envelope = told(process)
    assert not first.endswith(b"\0")
    assert first + second == octets_in_a_file(tmp_path, *how)
    assert counters(first + second) == envelope["ledger"]["expected"]
    assert not link.is_symlink()


def test_an_unplugged_port_refuses_connections_until_it_is_back() -> None:
    with running("--tcp", "127.0.0.1:0", "--faults", "unplug=1:10", "--json") as process:
        address = where(process)
        first = read_socket(address)
        with pytest.raises(ConnectionRefusedError):
            read_socket(address)
        process.send_signal(signal.SIGTERM)
        envelope = told(process)
    assert not first.endswith(b"\0")
    assert envelope["stopped"]
    assert counters(first) == envelope["ledger"]["expected"]


def test_a_reader_who_leaves_loses_whole_frames_and_the_next_one_knows_how_many() -> None:
    with running("--tcp", "127.0.0.1:0", "--speed", "5", "--json", "--seconds", "20") as process:
        address = where(process)
        host, _, number = address.removeprefix("tcp://").rpartition(":")
        with socket.create_connection((host, int(number)), timeout=30) as connection:
            connection.recv(4096)
        # It goes on without a reader; only time tells that it did.
        time.sleep(0.5)
        second = read_socket(address)
        envelope = told(process)
    assert envelope["ledger"]["injected"]["dropped"] > 10
    decoder = WireDecoder()
    events = [*decoder.feed(second), *decoder.finish()]
    assert not any(isinstance(event, Gap) for event in events)
    assert decoder.counters.damaged == 0


def test_a_reader_who_does_not_read_blocks_nobody_and_misses_whole_frames() -> None:
    with running("--pty", "--speed", "50", "--json", "--seconds", "60") as process:
        path = where(process)
        port = open_port(path)
        # Nothing is read until the buffer is full and frames have been dropped.
        time.sleep(1.0)
        pieces = []
        try:
            while piece := os.read(port, 4096):
                pieces.append(piece)
        except OSError:
            pass
        os.close(port)
        envelope = told(process)
    assert envelope["ledger"]["injected"]["dropped"] > 0
    assert counters(b"".join(pieces)) == envelope["ledger"]["expected"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_endless_device_with_its_summary_and_no_link_left(
    tmp_path: Path, number: signal.Signals
) -> None:
    link = tmp_path / "device"
    with running("--pty", "--link", str(link), "--loop", "--json") as process:
        port = open_port(where(process))
        heard = 0
        while heard < 1000:  # a configuration and some frames
            heard += len(os.read(port, 4096))
        process.send_signal(number)
        envelope = told(process)
        os.close(port)
    assert envelope["stopped"]
    assert envelope["ledger"]["expected"]["frames"] > 0
    assert not link.is_symlink()


def test_without_json_the_path_to_connect_to_is_the_first_line_of_the_result() -> None:
    with running("--pty", "--speed", "full", "--seconds", "1") as process:
        assert process.stdout is not None
        path = process.stdout.readline().strip()
        data = read_port(path)
        rest, _ = process.communicate(timeout=60)
    assert counters(data)["samples"] == 250
    assert "250 samples in 25 frames" in rest


# --- what cannot be done ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--pty", "--tcp", "127.0.0.1:0"], 2, "one link"),
        (["--link", "x", "--tcp", "127.0.0.1:0"], 2, "--link is for a pseudo-terminal"),
        (["--output", "-", "--json"], 2, "no room for --json"),
        (["--output", "x", "--loop"], 2, "say how many --seconds"),
        (["--device", "toaster"], 2, "no device is called 'toaster'"),
        (["--device", "cyton", "--gain", "7"], 2, "no gain of 7"),
        (["--device", "cyton", "--faults", "gain=1:12"], 2, "no way to tell of another gain"),
        (["--speed", "slow"], 2, "--speed is real, full or a factor"),
        (["--speed", "0"], 2, "--speed is real, full or a factor"),
        (["--seconds", "0"], 2, "cannot run for 0 seconds"),
        (["--seconds", "nan"], 2, "cannot run for nan seconds"),
        (["--tcp", "nowhere"], 2, "--tcp is HOST:PORT"),
        (["--tcp", "192.0.2.1:80"], 2, "tcp://192.0.2.1:80 cannot be had"),
        (["--tcp", "127.0.0.1:99999"], 2, "cannot be had"),
        (["--faults", "lsot=0.1"], 2, "'lsot' is no fault"),
        (["--faults", "stall=3"], 2, "stall=AT:S[:overrun]"),
        (["--output", "no/such/folder/file"], 2, "cannot be written"),
        (["--link", "no/such/folder/link"], 2, "cannot be made"),
        (["no_such_file.hea"], 3, "no_such_file.hea does not exist"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_its_exit_code(
    arguments: list[str], code: int, said: str
) -> None:
    done = run(*arguments, *([] if "--json" in arguments else ["--json"]))
    assert done.returncode == code
    error = json.loads(done.stdout)["error"]
    assert said in error["message"]
    assert error["exit_code"] == code
    assert "Traceback" not in done.stderr


def test_a_file_or_a_link_in_the_way_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "precious"
    file.write_text("mine")
    for option in ("--output", "--link"):
        done = run(option, str(file))
        assert done.returncode == 2
        assert "exists" in done.stderr
    assert file.read_text() == "mine"


def test_a_port_that_is_taken_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = run("--tcp", f"127.0.0.1:{other.getsockname()[1]}")
    assert done.returncode == 2
    assert "cannot be had: Address already in use" in done.stderr
