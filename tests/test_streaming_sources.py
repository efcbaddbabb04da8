"""Sources of octets on real pseudo-terminals, sockets, pipes and files."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from ecgedge.errors import EcgedgeError, InputError, NetworkError, UsageError
from ecgedge.streaming import live, recorded, serial
from ecgedge.streaming.arrivals import Arrival, Back, End, Lost, Octets, Source
from ecgedge.streaming.live import Live
from ecgedge.streaming.log import header_line, record
from ecgedge.streaming.sources import Manners, open_source

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 60.0  # a busy machine is not a failure


class Pty:
    """A device at the far end of a pseudo-terminal."""

    def __init__(self, link: Path | None = None) -> None:
        self.device, self.port = os.openpty()
        self.path = os.ttyname(self.port)
        os.close(self.port)
        self.link = link
        if link:
            link.unlink(missing_ok=True)
            link.symlink_to(self.path)

    def send(self, data: bytes) -> None:
        os.write(self.device, data)

    def receive(self) -> bytes:
        return os.read(self.device, 100)

    def unplug(self) -> None:
        os.close(self.device)
        if self.link:
            self.link.unlink()


@pytest.fixture
def pty() -> Iterator[Pty]:
    made = Pty()
    yield made
    os.close(made.device)


def opened(text: str, **manners: object) -> Source:
    return open_source(text, Manners(**manners))  # type: ignore[arg-type]


def until(source: Source, wanted: Callable[[Arrival], bool]) -> Arrival:
    """The first arrival of that kind."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        arrival = source.read(0.05)
        if arrival is not None and wanted(arrival):
            return arrival
    raise AssertionError("it never came")


def octets(source: Source, count: int) -> bytes:
    got = b""
    while len(got) < count:
        arrival = until(source, lambda one: isinstance(one, Octets))
        assert isinstance(arrival, Octets)
        got += arrival.data
    return got


def everything(source: Source) -> tuple[bytes, str]:
    """All octets of a source that ends, and what is said of its end."""
    got = b""
    while True:
        arrival = source.read(1.0)
        if isinstance(arrival, Octets):
            got += arrival.data
        if isinstance(arrival, End):
            return got, arrival.why


def test_a_port_gives_every_octet_as_it_was_sent(pty: Pty) -> None:
    source = opened(pty.path)
    data = bytes(range(256)) * 4  # with XON, XOFF, CR, NL, Ctrl-C, Ctrl-D and a zero
    pty.send(data)
    assert octets(source, len(data)) == data
    assert source.live
    source.close()


def test_a_port_is_silent_without_octets(pty: Pty) -> None:
    source = opened(pty.path)
    assert source.read(0.0) is None
    source.close()


@pytest.mark.parametrize("baud", [115_200, 230_400, 921_600, 2_000_000, 4_000_000])
def test_a_port_has_the_rate_that_was_asked_for(pty: Pty, baud: int) -> None:
    source = opened(pty.path, baud=baud)
    speeds = termios.tcgetattr(pty.device)[4:6]
    assert speeds == [getattr(termios, f"B{baud}")] * 2
    source.close()


def test_a_rate_that_no_port_has_is_told_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"123 baud here, only to .*115200.*4000000"):
        opened("/dev/null", baud=123)


def test_the_device_is_told_to_start_and_to_stop(pty: Pty) -> None:
    source = opened(pty.path, start=b"b", stop=b"s")
    assert pty.receive() == b"b"
    source.close()
    assert pty.receive() == b"s"


def test_a_port_is_anothers_no_longer_than_it_is_open(pty: Pty) -> None:
    held = opened(pty.path)
    with pytest.raises(InputError, match=f"{pty.path} is in use by another program"):
        opened(pty.path)
    held.close()
    opened(pty.path).close()


def test_a_port_that_another_process_has_locked_is_busy(pty: Pty) -> None:
    code = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, 2); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, pty.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(InputError, match="in use by another program"):
            opened(pty.path)
        other.communicate(b"\n")


#: Opens a port as a user without rights, as any user is who is not root, and says what it is told.
AS_NOBODY = """
import os, sys
from ecgedge.errors import InputError
from ecgedge.streaming.serial import SerialPort
import encodings.idna, grp
if os.geteuid() == 0:
    os.setgroups([])
    os.setuid(65534)
try:
    SerialPort(sys.argv[1], 115200)
except InputError as error:
    print(error)
"""


def told_to_nobody(path: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, path], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return done.stdout.strip()


def test_programs_that_know_no_locks_are_kept_out_of_an_open_port(pty: Pty) -> None:
    Path(pty.path).chmod(0o666)
    source = opened(pty.path)
    with pytest.raises(InputError):  # one that is turned away leaves the port as it was
        opened(pty.path)
    assert told_to_nobody(pty.path) == f"{pty.path} is in use by another program"
    source.close()
    assert told_to_nobody(pty.path) == ""


def test_a_port_without_permission_names_the_group_to_join(pty: Pty) -> None:
    Path(pty.path).chmod(0)
    assert re.fullmatch(
        f"{pty.path} may not be opened by this user: add the user to the group .* and log in again",
        told_to_nobody(pty.path),
    )


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (13, "may not be opened by this user: add the user to the group dialout and log in again"),
        (16, "is in use by another program"),
        (2, "is the device plugged in"),
        (5, "cannot be opened: input/output error"),
    ],
)
def test_each_refusal_of_the_system_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, number: int, sentence: str
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(serial.os, "open", refuse)
    with pytest.raises(InputError, match=sentence):
        serial.SerialPort("/dev/ttyACM99", 115_200)


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        ("/dev/ttyNOSUCH", InputError, "there is no /dev/ttyNOSUCH: is the device plugged in"),
        ("no/such.ecglog", InputError, "^there is no no/such.ecglog$"),
        ("/dev", InputError, "is a directory"),
        ("tcp://localhost", UsageError, "no tcp://host:port"),
        ("tcp://localhost:99999", UsageError, "no tcp://host:port"),
        ("http://localhost:80", UsageError, "no tcp://host:port"),
        ("tcp://nobody.invalid:4000", NetworkError, "the name cannot be resolved"),
        ("a\0b", InputError, "cannot be looked at"),
    ],
)
def test_what_is_no_source_is_one_sentence(
    text: str, kind: type[EcgedgeError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence) as told:
        opened(text)
    assert "\n" not in str(told.value)


def test_a_port_where_nothing_listens_is_network_trouble() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NetworkError, match="nothing listens there"):
        opened(f"tcp://127.0.0.1:{port}")


def test_a_port_that_was_unplugged_comes_back_as_another_device(tmp_path: Path) -> None:
    link = tmp_path / "ecg"
    first = Pty(link)
    source = opened(str(link), start=b"b")
    assert first.receive() == b"b"
    first.send(b"one")
    assert octets(source, 3) == b"one"
    first.unplug()
    lost = until(source, lambda one: not isinstance(one, Octets))
    assert isinstance(lost, Lost)
    assert str(link) in lost.why
    assert source.read(0.01) is None
    second = Pty(link)
    back = until(source, lambda one: True)
    assert isinstance(back, Back)
    assert back.host_us > lost.host_us
    assert second.receive() == b"b"
    second.send(b"two")
    assert octets(source, 3) == b"two"
    source.close()
    second.unplug()


def test_a_name_that_stands_for_another_device_is_noticed_in_silence(tmp_path: Path) -> None:
    link = tmp_path / "ecg"
    first, source = Pty(link), None
    try:
        source = opened(str(link))
        second = Pty(link)  # while the first is silent, and never hangs up
        lost = until(source, lambda one: isinstance(one, Lost))
        assert isinstance(lost, Lost)
        assert "another device" in lost.why
        assert isinstance(until(source, lambda one: True), Back)
        second.send(b"new")
        assert octets(source, 3) == b"new"
    finally:
        if source:
            source.close()
        os.close(first.device)
        second.unplug()


def test_a_connection_that_ended_is_made_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = opened(f"tcp://127.0.0.1:{server.getsockname()[1]}", start=b"b", stop=b"s")
        first, _ = server.accept()
        assert first.recv(1) == b"b"
        first.sendall(b"one")
        assert octets(source, 3) == b"one"
        first.close()
        lost = until(source, lambda one: True)
        assert isinstance(lost, Lost)
        assert lost.why.endswith("has hung up")
        assert isinstance(until(source, lambda one: True), Back)
        second, _ = server.accept()
        assert second.recv(1) == b"b"
        second.sendall(b"two")
        assert octets(source, 3) == b"two"
        source.close()
        assert second.recv(1) == b"s"
        second.close()


class _Line:
    """A line that is lost whenever it is read."""

    def read(self, timeout_s: float) -> bytes | None:
        raise InputError("gone")

    def close(self) -> None: ...


def test_tries_to_come_back_are_two_seconds_apart_in_the_end() -> None:
    now, tries = 0.0, []

    def connect() -> _Line:
        tries.append(now)
        if len(tries) > 1:
            raise InputError("not yet")
        return _Line()

    def wait(seconds: float) -> None:
        nonlocal now
        now += seconds

    source = Live("port", connect, clock=lambda: now, wait=wait)
    assert source.read(0.1) == Lost(0, "gone")
    while len(tries) < 8:
        assert source.read(0.1) is None
    pauses = [after - before for before, after in pairwise(tries)]
    assert pauses == pytest.approx([0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0])
    assert live.LONGEST_PAUSE_S == 2.0


def test_a_file_of_raw_octets_is_all_at_time_0(tmp_path: Path) -> None:
    path = tmp_path / "capture.bin"
    data = os.urandom(200_000)
    path.write_bytes(data)
    source = opened(str(path))
    arrivals = []
    while not isinstance(arrival := source.read(0.0), End):
        assert isinstance(arrival, Octets)
        arrivals.append(arrival)
    assert b"".join(one.data for one in arrivals) == data
    assert {one.host_us for one in arrivals} == {0}
    assert not source.live
    assert arrival.why == ""
    source.close()


@pytest.mark.parametrize("content", [b"", b"{", b'{"log": "ecg', b"ordinary"])
def test_a_short_file_is_raw_octets(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "short"
    path.write_bytes(content)
    assert everything(opened(str(path))) == (content, "")


def test_a_log_is_its_arrivals_at_their_times(tmp_path: Path) -> None:
    told: list[Octets | Lost | Back] = [
        Octets(5, b"a" * 70_000), Lost(7, "the cable"), Back(9), Octets(11, b"b"),
    ]  # fmt: skip
    path = tmp_path / "x.ecglog"
    path.write_bytes(header_line({"device": "cyton", "gain": 24}) + b"".join(map(record, told)))
    source = opened(str(path))
    assert source.options["device"] == "cyton"
    assert [source.read(0.0) for _ in told] == told
    assert source.read(0.0) == End(11, "")
    source.close()


def test_a_log_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.ecglog"
    path.write_bytes(b'{"log": "ecgedge-log/9"}\n')
    with pytest.raises(InputError, match="of format ecgedge-log/9"):
        opened(str(path))


def test_a_log_without_the_end_of_its_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.ecglog"
    path.write_bytes(header_line({"device": "ecgedge"})[:-5])
    with pytest.raises(InputError, match="ends within its header"):
        opened(str(path))


def test_a_pipe_gives_its_octets_as_they_come_and_then_ends(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    assert stat.S_ISFIFO(path.stat().st_mode)
    go_on = threading.Event()

    def write() -> None:
        with path.open("wb", buffering=0) as end:
            end.write(b"first")
            assert go_on.wait(PATIENCE_S)
            end.write(b"second")

    writer = threading.Thread(target=write)
    writer.start()
    source = opened(str(path))
    assert octets(source, 5) == b"first"
    assert source.read(0.01) is None
    go_on.set()
    assert everything(source) == (b"second", "")
    assert not source.live
    writer.join()
    source.close()


@pytest.mark.parametrize(
    ("data", "late"), [(b"live", False), (header_line({"device": "cyton"}), True)]
)
def test_a_pipe_that_is_silent_at_first_is_a_device_and_never_a_log(
    monkeypatch: pytest.MonkeyPatch, data: bytes, late: bool
) -> None:
    monkeypatch.setattr(recorded, "FIRST_OCTETS_S", 0.01)
    reading, writing = os.pipe()
    source = recorded.Recorded(reading, "-", pipe=True)
    assert source.read(0.0) is None
    os.write(writing, data)
    os.close(writing)
    if late:
        with pytest.raises(InputError, match="a log that came too late"):
            source.read(1.0)
    else:
        assert everything(source) == (data, "")
    source.close()


def test_a_device_that_is_no_terminal_is_read_like_a_pipe() -> None:
    assert everything(opened("/dev/null")) == (b"", "")
    source = opened("/dev/urandom")
    assert octets(source, 10)
    source.close()
