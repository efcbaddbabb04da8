"""`ecgedge watch` as a person and as a script meet it: processes, ports, sockets, signals."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_release import build_release, write_csv
from watch_builders import (
    PATIENCE_S,
    ROOT,
    Watched,
    events,
    finished,
    frames,
    launch,
    octets,
    told,
    wait_until,
    without,
)

from ecgedge.casebase.release import Store
from ecgedge.cli import cli, watching
from ecgedge.signal.synthetic import Heart, synthesize
from ecgedge.streaming.arrivals import Octets
from ecgedge.streaming.log import LogReader, header_line, record
from firmware_bridge.devices import DEVICES, configuration
from firmware_bridge.devices import device as row
from firmware_bridge.leads import counts_of
from firmware_bridge.records import pack


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small release: each process opens one."""
    return str(build_release(tmp_path_factory.mktemp("release") / "store").root)


@pytest.fixture
def capture(tmp_path: Path) -> str:
    """25 s of a device, as raw octets."""
    path = tmp_path / "capture.bin"
    path.write_bytes(octets(25))
    return str(path)


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """The command line in this process: (exit code, stdout, stderr)."""

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as done:
            cli.main(["watch", *words])
        out, err = capsys.readouterr()
        assert isinstance(done.value.code, int)
        return done.value.code, out, err

    return run


class Device:
    """A microcontroller at the far end of a pseudo-terminal behind a fixed name."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.plug()

    def plug(self) -> None:
        self.handle, port = os.openpty()
        name = os.ttyname(port)
        os.close(port)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(name)

    def unplug(self) -> None:
        self.link.unlink()
        os.close(self.handle)

    def send(self, data: bytes) -> None:
        """All of it, as fast as it is read."""
        while data:
            assert select.select([], [self.handle], [], PATIENCE_S)[1]
            data = data[os.write(self.handle, data[:1024]) :]


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    made = Device(tmp_path / "ecg")
    yield made
    os.close(made.handle)


def test_a_capture_is_answered_window_by_window_in_lines_of_one_envelope(
    store: str, capture: str, call: Call
) -> None:
    code, out, err = call(capture, "--store", store, "--json", "--every", "5")
    lines = told(out)
    assert (code, err) == (0, "")
    answers = events(lines, "answer")
    assert [(one["window"]["start_s"], one["window"]["end_s"]) for one in answers] == [
        (0, 10), (5, 15), (10, 20), (15, 25),
    ]  # fmt: skip
    assert all(one["matches"] and one["window"]["clean"] for one in answers)
    summary = lines[-1]
    assert summary["event"] == "summary"
    assert summary["stream"]["samples"] == 12_500
    assert summary["stream"]["lost"] == 0
    assert summary["windows"] == {
        "due": 4, "answered": 4, "refused": 0, "failed": 0, "dropped": 0, "empty": 0,
    }  # fmt: skip


def test_an_answer_is_that_of_a_query_of_the_same_ten_seconds(
    store: str, capture: str, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "ten.csv", synthesize())
    query = [sys.executable, "-m", "ecgedge", "query", str(path), "--rate-hz", "500"]
    done = subprocess.run(
        [*query, "--unit", "mV", "--store", store, "--json", "--no-serve"],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    code, out, _ = finished(capture, "--store", store, "--json", "--windows", "1")
    (answer,) = events(told(out), "answer")
    asked = json.loads(done.stdout)
    assert code == 0
    assert [one["case_id"] for one in answer["matches"]] == [
        one["case_id"] for one in asked["matches"]
    ]
    assert answer["quality"] == asked["quality"]


def test_text_is_short_lines_for_a_small_screen_and_notices_go_to_stderr(
    store: str, tmp_path: Path, call: Call
) -> None:
    stream = list(frames(30, off_from_s=18))
    path = tmp_path / "capture.bin"
    path.write_bytes(without(stream, 600, 800))
    code, out, err = call(str(path), "--store", store)
    assert code == 0
    blocks = out.split("\n\n")
    assert re.fullmatch(r"\[1\] 0:00 to 0:10  good enough", blocks[0].splitlines()[0])
    assert "nearest" in blocks[0]
    assert "NOT ANSWERED, 3.9 s missing" in blocks[1]
    assert "may be" in blocks[1]
    assert "off in V3" in blocks[2]
    assert max(map(len, "\n\n".join(blocks[:3]).splitlines())) <= 64
    assert blocks[3].startswith("0:30 of stream")
    assert "not a medical device" in blocks[3]
    first, *notices = err.splitlines()
    assert "watching" in first
    assert "not a medical device" in first
    assert any("electrode C3 is off" in one for one in notices)
    assert any("lost" in one for one in notices)


def test_a_port_is_answered_until_ctrl_c_which_ends_with_a_summary(
    store: str, device: Device
) -> None:
    with Watched(str(device.link), "--store", store) as watched:
        device.send(octets(12))
        watched.until("", "answer")
        code, summary = watched.stop(signal.SIGINT)
    assert code == 0
    assert summary["ok"]
    assert summary["windows"]["answered"] == 1
    assert summary["stream"]["samples"] == 6000


def test_sigterm_ends_a_watch_that_never_heard_anything_cleanly(store: str, device: Device) -> None:
    with Watched(str(device.link), "--store", store) as watched:
        watched.until("no_data")
        code, summary = watched.stop(signal.SIGTERM)
    assert (code, summary["ok"]) == (0, True)
    assert summary["windows"]["due"] == 0


def test_a_device_that_was_unplugged_is_watched_again_and_only_its_gap_is_missing(
    store: str, device: Device
) -> None:
    stream = list(frames(32))
    with Watched(str(device.link), "--store", store, "--every", "2") as watched:
        device.send(b"".join(stream[: 12 * 51]))
        watched.until("", "answer")
        device.send(stream[12 * 51][:40])  # pulled in the middle of a frame
        device.unplug()
        assert str(device.link) in watched.until("source_lost")["text"]
        device.plug()
        watched.until("source_back")
        device.send(b"".join(stream[13 * 51 :]))
        lost = watched.until("gap")
        assert lost["facts"]["seconds"] == pytest.approx(1.0)
        watched.until("", "answer")
        code, summary = watched.stop()
    assert code == 0
    assert summary["stream"]["lost"] == 500


def test_tcp_is_watched_like_a_port(store: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        name = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with Watched(name, "--store", store) as watched:
            first, _ = server.accept()
            first.sendall(octets(11))
            watched.until("", "answer")
            first.close()
            watched.until("source_lost")
            second, _ = server.accept()
            watched.until("source_back")
            second.sendall(octets(10, first=5500))
            watched.until("", "answer")
            code, summary = watched.stop()
            second.close()
    assert code == 0
    assert summary["windows"]["answered"] == 2


def test_standard_input_is_read_to_its_end(store: str) -> None:
    code, out, _ = finished("-", "--store", store, "--json", data=octets(10))
    assert code == 0
    assert len(events(told(out), "answer")) == 1


def test_a_simulated_device_with_faults_is_counted_exactly_through_a_real_port(
    store: str, tmp_path: Path
) -> None:
    link = tmp_path / "ecg"
    faults = "lost=0.02,flipped=0.01,duplicated=0.01,unplug=20:2"
    words = [sys.executable, "-m", "ecgedge", "simulate", str(ROOT / "examples" / "synthetic.hea")]
    words += ["--link", str(link), "--seconds", "40", "--speed", "20", "--json"]
    with subprocess.Popen(
        [*words, "--faults", faults], env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    ) as simulator:  # fmt: skip
        wait_until(link.exists)
        with Watched(str(link), "--store", store) as watched:
            watched.until("source_lost")
            watched.until("source_back")
            watched.until("source_lost")  # its end
            code, summary = watched.stop()
        assert simulator.stdout is not None
        expected = json.load(simulator.stdout)["ledger"]["expected"]
    assert code == 0
    counted = {name: count for name, count in summary["stream"].items() if name in expected}
    assert counted == {name: expected[name] for name in counted}
    assert counted["lost"] > 500
    assert counted["damaged"] > 0
    assert summary["windows"]["answered"] >= 1


def answered(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answers and refusals without what only the moment decides."""
    kept = [one for one in lines if one["event"] in ("answer", "refused")]
    return [{name: one[name] for name in one if name != "timings_ms"} for one in kept]


def test_a_replayed_log_gives_the_answers_that_were_given_live(
    store: str, device: Device, tmp_path: Path
) -> None:
    log = tmp_path / "live.ecglog"
    stream = list(frames(40, off_from_s=30))
    parts = [b"".join(stream[:600]), b"".join(stream[620:1100]), b"".join(stream[1300:])]
    with Watched(str(device.link), "--store", store, "--every", "2.5", "--log", str(log)) as live:
        device.send(parts[0] + b"\xff" * 20)
        live.until("", "answer")
        device.unplug()
        live.until("source_lost")
        device.plug()
        live.until("source_back")
        for part in parts[1:]:
            device.send(part)
        device.send(octets(3, first=20_000))
        while live.until("", "answer")["window"]["end_s"] < 42:
            pass
        code, summary = live.stop()
    assert code == 0
    assert summary["log"]["octets"] == log.stat().st_size
    assert summary["log"]["problem"] == ""
    code, out, _ = finished(str(log), "--store", store, "--every", "2.5", "--json")
    replayed = told(out)
    assert code == 0
    dropped = {one["facts"]["window"] for one in live.lines if one.get("kind") == "dropped"}
    expected = [one for one in answered(replayed) if one["window"]["number"] not in dropped]
    assert answered(live.lines) == expected
    assert len(expected) >= 5
    assert replayed[-1]["stream"] == summary["stream"]
    kinds = [one["kind"] for one in events(replayed, "notice")]
    assert kinds.count("source_lost") == kinds.count("source_back") == 1


def test_a_torn_log_is_answered_as_far_as_it_is_whole(
    store: str, capture: str, tmp_path: Path, call: Call
) -> None:
    log = tmp_path / "whole.ecglog"
    call(capture, "--store", store, "--log", str(log))
    reader = LogReader()
    assert list(reader.feed(log.read_bytes()))
    assert reader.torn == ""
    torn = tmp_path / "torn.ecglog"
    torn.write_bytes(log.read_bytes()[:-100])
    code, out, _ = call(str(torn), "--store", store, "--json")
    lines = told(out)
    assert code == 0
    (told_so,) = [one for one in events(lines, "notice") if one["kind"] == "log"]
    assert "left out" in told_so["text"]
    assert events(lines, "answer")


def test_a_watch_that_is_killed_leaves_a_log_of_what_came(
    store: str, device: Device, tmp_path: Path
) -> None:
    with Watched(str(device.link), "--store", store, "--log", str(tmp_path)) as watched:
        (log,) = tmp_path.glob("*.ecglog")
        assert watched.lines[0]["facts"]["log"] == str(log)
        sent = octets(12)
        device.send(sent)
        wait_until(lambda: log.stat().st_size > len(sent))  # with neither an end nor a signal
        watched.process.kill()
    reader = LogReader()
    found = [one for one in reader.feed(log.read_bytes()) if isinstance(one, Octets)]
    assert b"".join(one.data for one in found) == sent
    times = [one.host_us for one in found]
    assert times == sorted(times)


def test_a_full_card_does_not_end_the_watch(store: str, capture: str, call: Call) -> None:
    code, out, _ = call(capture, "--store", store, "--json", "--log", "/dev/full")
    lines = told(out)
    assert code == 0
    assert len(events(lines, "answer")) == 2
    assert lines[-1]["log"]["problem"] == "no space left on device"


def test_a_log_is_never_written_over(store: str, capture: str, call: Call) -> None:
    before = Path(capture).read_bytes()
    code, out, err = call(capture, "--store", store, "--log", capture)
    assert (code, out) == (2, "")
    assert "is there already" in err
    assert Path(capture).read_bytes() == before


def test_a_log_of_another_device_needs_no_option_to_be_replayed(
    store: str, tmp_path: Path, call: Call
) -> None:
    cyton = configuration("cyton")
    recording = synthesize(rate_hz=cyton.rate_hz, duration_s=11)
    counts = counts_of(cyton, recording.signal)
    records = pack(row("cyton"), counts, first=0, off=0, off_valid=0, t_us=0)
    log = tmp_path / "cyton.ecglog"
    log.write_bytes(header_line({"device": "cyton"}) + record(Octets(1, b"".join(records))))
    code, out, err = call(str(log), "--store", store, "--json")
    lines = told(out)
    assert (code, err) == (0, "")
    assert lines[-1]["device"] == "cyton"
    assert len(events(lines, "answer")) == 1


def test_a_log_of_a_device_nobody_knows_is_no_input(store: str, tmp_path: Path, call: Call) -> None:
    log = tmp_path / "strange.ecglog"
    log.write_bytes(header_line({"device": "abacus"}))
    code, _, err = call(str(log), "--store", store)
    assert code == 3
    assert str(log) in err
    assert "abacus" in err


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["/dev/ttyNOSUCH"], 3, "is the device plugged in"),
        (["/dev"], 3, "is a directory"),
        (["tcp://127.0.0.1:1"], 5, "nothing listens there"),
        (["tcp://nobody.invalid:4000"], 5, "the name cannot be resolved"),
        (["tcp://nowhere"], 2, "no tcp://host:port"),
        (["x", "--device", "abacus"], 2, "abacus"),
        (["/dev/null", "--baud", "123"], 2, "baud"),
        (["/dev/null", "--every", "0"], 2, "every"),
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_what_cannot_be_watched_is_one_sentence_with_its_exit_code(
    store: str, words: list[str], code: int, sentence: str, as_json: bool, call: Call
) -> None:
    done, out, err = call(*words, "--store", store, *(["--json"] if as_json else []))
    assert done == code
    assert sentence in (out if as_json else err)
    assert "Traceback" not in err
    assert (err == "") if as_json else (out == "")


def test_windows_too_unlike_the_case_base_are_refused_where_asked_for(
    store: str, tmp_path: Path, call: Call
) -> None:
    path = tmp_path / "strange"
    path.write_bytes(octets(20, heart=Heart(rate_bpm=140, qrs_width=3)))
    code, out, _ = call(str(path), "--store", store, "--json", "--max-novelty", "0")
    lines = told(out)
    assert code == 4
    assert {one["error"]["type"] for one in events(lines, "refused")} == {"QualityRefused"}
    assert all(one["quality"] for one in events(lines, "refused"))
    assert lines[-1]["windows"]["refused"] == 2


def test_a_port_that_another_watch_has_is_busy(store: str, device: Device) -> None:
    with Watched(str(device.link), "--store", store):
        code, _, err = finished(str(device.link), "--store", store)
        assert code == 3
        assert "in use by another program" in err


@pytest.mark.parametrize(
    ("data", "code", "sentence"),
    [
        (b"", 3, "not one byte came"),
        (b"I am a CSV file\n" * 100, 3, "no frame of device ecgedge"),
        (octets(5), 3, "2500 samples are no complete window"),
        (without(list(frames(20)), 100, 900), 4, "no window could carry an answer"),
        (octets(20), 0, ""),
    ],
    ids=["nothing", "text", "short", "holes", "good"],
)
def test_the_end_of_a_stream_has_the_exit_code_of_what_came_of_it(
    store: str, data: bytes, code: int, sentence: str, tmp_path: Path, call: Call
) -> None:
    path = tmp_path / "stream"
    path.write_bytes(data)
    done, out, _ = call(str(path), "--store", store, "--json")
    summary = told(out)[-1]
    assert (done, summary["event"]) == (code, "summary")
    assert sentence in (summary["error"]["message"] if code else "")


def test_frames_without_any_configuration_are_told_and_nothing_is_guessed(
    store: str, tmp_path: Path, call: Call
) -> None:
    path = tmp_path / "stream"
    path.write_bytes(b"".join(one for at, one in enumerate(frames(20)) if at % 51))
    code, out, _ = call(str(path), "--store", store, "--json")
    lines = told(out)
    assert code == 3
    assert "never said what their counts are worth" in lines[-1]["error"]["message"]
    assert not events(lines, "answer")


def test_random_octets_end_in_a_sentence(store: str, call: Call) -> None:
    code, out, err = call("/dev/urandom", "--store", store, "--json", "--seconds", "2")
    assert (code, err) == (3, "")
    assert any(one["kind"] == "not_this_format" for one in events(told(out), "notice"))


def test_a_reader_that_has_gone_ends_the_watch_quietly(store: str, device: Device) -> None:
    with launch(str(device.link), "--store", store, "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        data = octets(25)
        while process.poll() is None:  # it takes octets until it has something to say
            if select.select([], [device.handle], [], 0.1)[1]:
                data = data[os.write(device.handle, data[:1024]) :] or octets(25)
        assert process.returncode == 1
        assert process.stderr.read() == b""


def test_a_release_that_a_sync_activates_is_taken_up_between_two_windows(
    store: str, device: Device, tmp_path: Path
) -> None:
    own = Store(build_release(tmp_path / "own").root)
    before = own.current_id()
    manifest = own.manifest()
    following = own.add_release(replace(manifest, notes=(*manifest.notes, "newer")))
    with Watched(str(device.link), "--store", str(own.root)) as watched:
        device.send(octets(10.5))
        assert watched.until("", "answer")["release"] == before
        own.activate(following)
        device.send(octets(10, first=5250))
        assert watched.until("", "answer")["release"] == following
        code, summary = watched.stop()
    assert (code, summary["windows"]["dropped"]) == (0, 0)


def test_systemd_hears_that_it_is_ready_and_that_it_lives(
    store: str, device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(address))
        monkeypatch.setenv("WATCHDOG_USEC", "3000000")
        with Watched(str(device.link), "--store", store) as watched:
            heard = b""
            while heard.count(b"WATCHDOG=1") < 2:
                heard += systemd.recv(1000) + b"\n"
            assert heard.startswith(b"READY=1\n")
            assert watched.stop()[0] == 0
        assert systemd.recv(1000)


def test_systemd_is_not_told_of_life_while_a_query_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(watching.time, "monotonic", lambda: now[0])
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        beat = watching.heartbeat(lambda: "well")
        heard = []
        for now[0], busy_s in ((0.0, 0.0), (1.0, 0.0), (10.0, 29.0), (20.0, 30.0)):
            beat(busy_s)
            with suppress(BlockingIOError):
                heard.append(systemd.recv(100, socket.MSG_DONTWAIT))
    assert heard == [b"WATCHDOG=1\nSTATUS=well", b"WATCHDOG=1\nSTATUS=well", b"STATUS=well"]


def test_help_names_every_device(call: Call) -> None:
    code, out, _ = call("--help")
    assert code == 0
    assert all(name in " ".join(out.split()) for name in DEVICES)


def test_stats_say_how_the_clocks_run_at_the_end(store: str, capture: str, call: Call) -> None:
    code, out, _ = call(capture, "--store", store, "--json", "--stats")
    summary = told(out)[-1]
    assert code == 0
    assert summary["clock"]["rate_hz"] == 500
    assert "no live stream" in summary["clock"]["text"]  # a capture holds no times
