"""`ecgedge serve` and the query that asks it: real processes, real sockets."""

import base64
import fcntl
import io
import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from serving_builders import (
    EXAMPLE,
    PATIENCE_S,
    RECORD,
    ROOT,
    Connection,
    ask,
    await_answer,
    broken_release,
    copy_store,
    end,
    launch,
    launch_with_socket,
    next_release,
    request,
    running,
)
from writers import csv_text

from ecgedge import formats
from ecgedge.casebase.release import Store
from ecgedge.cli import cli
from ecgedge.engine import Engine
from ecgedge.serving import client as client_module
from ecgedge.serving.protocol import LINE_BYTES
from ecgedge.signal.synthetic import Heart, synthesize


@dataclass
class Serving:
    """The module's server, its socket and its store."""

    process: subprocess.Popen[str]
    path: Path
    store: Store


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("serving")
    store = copy_store(folder / "store")
    with running(folder / "s.sock", "--store", str(store.root)) as process:
        yield Serving(process, folder / "s.sock", store)
        code, _, err = end(process)
        assert code == 0  # every test before left it alive
        assert "Traceback" not in err


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "ANSWER_S", PATIENCE_S)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.open()


def _query(serving: Serving, *words: str | Path, stdin: bytes | None = None) -> Result:
    arguments = ["query", "--store", str(serving.store.root), *map(str, words)]
    return CliRunner().invoke(
        cli, arguments, input=stdin, env={"ECGEDGE_SOCKET": str(serving.path)}
    )


def _lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def _without_time(text: str) -> str:
    kept, timed = [], False
    for line in text.splitlines():
        timed = line.startswith("Time, ms") or (timed and line.startswith(" "))
        if not timed:
            kept.append(line)
    return "\n".join(kept)


def test_only_the_owner_may_ask(serving: Serving) -> None:
    found = serving.path.lstat()
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600
    lock = serving.path.with_name("s.sock.lock").lstat()
    assert stat.S_IMODE(lock.st_mode) == 0o600


def test_the_status_names_what_answers(serving: Serving) -> None:
    told = ask(serving.path, request("status"))
    assert told["pid"] == serving.process.pid
    assert told["release"] == serving.store.current_id()
    assert (told["store"], told["problem"]) == (os.path.realpath(serving.store.root), "")
    assert told["cases"] > 0


@pytest.mark.parametrize(
    "words", [[EXAMPLE], [f"{ROOT}/./examples//synthetic.hea", "--draft", "-k", "2"]]
)
def test_a_served_answer_is_printed_as_a_local_one(
    serving: Serving, words: list[str | Path]
) -> None:
    served, local = _query(serving, *words), _query(serving, *words, "--no-serve")
    assert served.exit_code == local.exit_code == 0
    assert _without_time(served.stdout) == _without_time(local.stdout)
    (told,), (own,) = (
        _lines(_query(serving, *words, "--json", *extra)) for extra in ((), ("--no-serve",))
    )
    assert (told.pop("served"), own.pop("served")) == (True, False)
    assert list(told.pop("timings_ms")) == list(own.pop("timings_ms"))
    assert json.dumps(told) == json.dumps(own)


def test_standard_input_folders_and_several_files_are_served(
    serving: Serving, tmp_path: Path
) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes(EXAMPLE.read_bytes())
    (piped,) = _lines(_query(serving, "-", "--json", stdin=EXAMPLE.read_bytes()))
    assert (piped["source"], piped["served"]) == ("-", True)
    told = _lines(_query(serving, tmp_path, RECORD, "--json"))
    assert [one["source"] for one in told] == [
        str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), str(RECORD),
    ]  # fmt: skip
    assert all(one["served"] for one in told)


def test_a_refusal_is_served_with_its_reasons_and_exit_code(
    serving: Serving, tmp_path: Path
) -> None:
    short = tmp_path / "short.csv"
    short.write_text(csv_text(synthesize(duration_s=2).signal))
    words = [short, "--rate-hz", "500", "--unit", "mV"]
    served, local = _query(serving, *words), _query(serving, *words, "--no-serve")
    assert (served.exit_code, served.stdout, served.stderr) == (4, "", local.stderr)
    (told,), (own,) = (
        _lines(_query(serving, *words, "--json", *extra)) for extra in ((), ("--no-serve",))
    )
    assert (told.pop("served"), own.pop("served")) == (True, False)
    assert told == own
    assert _lines(_query(serving, *words, "--force", "--json"))[0]["served"] is True


def test_a_file_that_cannot_be_read_is_told_in_the_local_words(
    serving: Serving, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text("# rate_hz: 500\n# unit: mV\nI,II\n1,x\n")
    result = _query(serving, broken, tmp_path / "missing", EXAMPLE, "--json")
    assert result.exit_code == 3
    told = _lines(result)
    assert [(one["ok"], one["served"]) for one in told] == [
        (False, False), (False, False), (True, True),
    ]  # fmt: skip
    local = _lines(_query(serving, broken, "--no-serve", "--json"))
    assert told[0] == local[0]


def test_another_store_is_not_answered_for(serving: Serving, tmp_path: Path) -> None:
    words = ["query", str(EXAMPLE), "--json"]
    env = {"ECGEDGE_SOCKET": str(serving.path)}
    (told,) = _lines(CliRunner().invoke(cli, words, env=env))  # of the built-in store
    assert (told["ok"], told["served"]) == (True, False)
    linked = tmp_path / "linked"
    linked.symlink_to(serving.store.root)
    (same,) = _lines(CliRunner().invoke(cli, [*words, "--store", str(linked)], env=env))
    assert same["served"] is True


def test_a_served_query_loads_no_engine(serving: Serving) -> None:
    code = (
        "import sys; from ecgedge.cli import cli\n"
        "try: cli.main(sys.argv[1:])\n"
        "except SystemExit as done: assert not done.code, done.code\n"
        "heavy = {'numpy', 'onnxruntime', 'usearch', 'sqlite3', 'ecgedge.engine'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    words = ["query", "--store", str(serving.store.root), str(EXAMPLE), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ECGEDGE_SOCKET": str(serving.path)}
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert json.loads(done.stdout)["served"] is True
    assert done.stderr == "[]\n"


def test_eight_clients_at_once_get_each_its_own_answer(serving: Serving, engine: Engine) -> None:
    hearts = [synthesize(Heart(rate_bpm=50 + 9 * number), rate_hz=100) for number in range(8)]
    texts = [csv_text(heart.signal) for heart in hearts]

    def converse(number: int) -> list[dict[str, Any]]:
        with Connection(serving.path) as connection:
            line = request(
                data=base64.b64encode(texts[number].encode()).decode(),
                k=number + 1, rate_hz=100, unit="mV", source=f"heart {number}",
            )  # fmt: skip
            return [connection.ask(line) for _ in range(2)]

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(converse, range(8)))
    for number, replies in enumerate(told):
        read = formats.read_bytes(texts[number].encode(), rate_hz=100, unit="mV")
        expected = [match.case_id for match in engine.query(read, number + 1).matches]
        for reply in replies:
            assert [match["case_id"] for match in reply["matches"]] == expected
            assert reply["source"] == f"heart {number}"


@pytest.mark.parametrize(
    "sent",
    [b"\n", b"GET / HTTP/1.1\r\n", b"\0\xff\n", b'{"schema": "ecgedge/1", "command": "query"}\n'],
)
def test_garbage_is_refused_and_the_connection_goes_on(serving: Serving, sent: bytes) -> None:
    with Connection(serving.path) as connection:
        assert connection.ask(sent)["error"]["exit_code"] == 2
        assert connection.ask(request(path=str(RECORD)))["ok"]


def test_half_a_line_is_told_and_half_a_connection_ended(serving: Serving) -> None:
    with Connection(serving.path) as connection:
        connection.send(request(path=str(RECORD))[:-1])
        connection.socket.shutdown(socket.SHUT_WR)
        assert "broke off" in connection.receive()["error"]["message"]
        with pytest.raises(EOFError):
            connection.receive()


def test_an_endless_line_is_cut_off(serving: Serving) -> None:
    with Connection(serving.path) as connection:
        with pytest.raises(ConnectionError):
            connection.send(b"x" * (2 * LINE_BYTES))
        assert "longer than" in connection.receive()["error"]["message"]
    assert ask(serving.path, request(path=str(RECORD)))["ok"]


def test_silent_and_half_way_clients_hold_nobody_up(serving: Serving) -> None:
    silent = [Connection(serving.path) for _ in range(5)]
    for connection in silent:
        connection.send(request(path=str(RECORD))[:20])
    assert ask(serving.path, request(path=str(RECORD)))["ok"]
    for connection in silent:
        connection.close()


def test_too_many_connections_are_turned_away_and_a_query_is_answered_anyway(
    serving: Serving,
) -> None:
    held: list[Connection] = []
    refusal = None
    while refusal is None:
        held.append(Connection(serving.path))
        with suppress(ConnectionError):  # turned away before it could speak
            held[-1].send(request("ping"))
        refusal = held[-1].receive().get("error")
    assert "too many connections" in refusal["message"]
    assert len(held) <= 17
    (told,) = _lines(_query(serving, RECORD, "--json"))
    assert (told["ok"], told["served"]) == (True, False)
    for connection in held:
        connection.close()
    await_answer(serving.process, serving.path)


def test_a_client_killed_while_it_waits_costs_the_others_nothing(serving: Serving) -> None:
    code = (
        "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "s.sendall(sys.argv[2].encode()); print('sent', flush=True); time.sleep(60)"
    )
    before = ask(serving.path, request("status"))["answered"]
    command = [sys.executable, "-c", code, str(serving.path), request(path=str(EXAMPLE)).decode()]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    assert client.stdout.readline() == "sent\n"
    client.kill()
    client.communicate()
    with Connection(serving.path) as connection:  # gone before its answer could be written
        connection.send(request(path=str(EXAMPLE)))
    assert ask(serving.path, request(path=str(RECORD)))["ok"]
    # Turns are not taken in the order of coming: the requests of those who left may still wait.
    deadline = time.monotonic() + PATIENCE_S
    while (answered := ask(serving.path, request("status"))["answered"]) < before + 2:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    assert answered >= before + 2


def test_a_release_switched_under_it_answers_from_then_on(serving: Serving) -> None:
    first = serving.store.current_id()
    second = next_release(serving.store, "the second release")
    with Connection(serving.path) as connection:
        assert connection.ask(request(path=str(RECORD)))["release"] == first
        serving.store.activate(second)
        told = connection.ask(request(path=str(RECORD)))
        assert told["release"] == second
        assert "the second release" in told["notes"]
        serving.store.activate(first)
        assert connection.ask(request(path=str(RECORD)))["release"] == first


def test_a_broken_new_release_leaves_the_old_one_answering_with_a_note(serving: Serving) -> None:
    first = serving.store.current_id()
    serving.store.activate(broken_release(serving.store))
    told = ask(serving.path, request(path=str(RECORD)))
    assert (told["ok"], told["release"]) == (True, first)
    assert any("the active one cannot be opened" in note for note in told["notes"])
    assert ask(serving.path, request("status"))["problem"]
    (served,) = _lines(_query(serving, RECORD, "--json"))
    assert (served["served"], served["release"]) == (True, first)
    serving.store.activate(first)
    mended = ask(serving.path, request(path=str(RECORD)))
    assert not any("cannot be opened" in note for note in mended["notes"])


def test_memory_that_runs_out_in_a_request_is_its_reply_and_the_next_is_answered(
    serving: Serving, tmp_path: Path
) -> None:
    huge = tmp_path / "huge.npy"
    header = io.BytesIO()
    shape = {"descr": "<f4", "fortran_order": False, "shape": (12, 2_400_000)}
    np.lib.format.write_array_header_1_0(header, shape)
    with huge.open("wb") as file:  # 115 MB of zeros that take no disk
        file.write(header.getvalue())
        file.truncate(len(header.getvalue()) + 12 * 2_400_000 * 4)
    pid = serving.process.pid
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    _, hard = before = resource.prlimit(pid, resource.RLIMIT_AS)
    room = pages * resource.getpagesize() + (160 << 20)
    resource.prlimit(pid, resource.RLIMIT_AS, (room, hard))
    try:
        told = ask(serving.path, request(path=str(huge), rate_hz=500, unit="mV"))
        assert "more memory than the server has" in told["error"]["message"]
        assert ask(serving.path, request(path=str(RECORD)))["ok"]
    finally:
        resource.prlimit(pid, resource.RLIMIT_AS, before)


def test_a_second_server_is_refused_and_the_first_goes_on(serving: Serving) -> None:
    second = launch(serving.path)
    out, _ = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 2
    assert "another ecgedge serve answers" in json.loads(out)["error"]["message"]
    assert ask(serving.path, request("ping"))["ok"]


def test_a_killed_server_leaves_a_socket_that_the_next_one_replaces(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with running(path) as first:
        end(first, signal.SIGKILL)
    assert path.is_socket()
    words = ["query", str(RECORD), "--json"]
    (told,) = _lines(CliRunner().invoke(cli, words, env={"ECGEDGE_SOCKET": str(path)}))
    assert (told["ok"], told["served"]) == (True, False)  # nobody listens: done here
    with running(path) as second:
        assert ask(path, request("status"))["pid"] == second.pid
        end(second, signal.SIGINT)
        assert second.returncode == 0
    assert not path.exists()


def test_it_ends_clean_and_answers_what_had_arrived(tmp_path: Path) -> None:
    """Also what systemd is told on the way."""
    path, notified = tmp_path / "s.sock", socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notified.settimeout(PATIENCE_S)
    notified.bind(str(tmp_path / "notify"))
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "150000"}
    with notified, running(path, env=env) as server:
        assert notified.recv(4096).startswith(b"READY=1\nSTATUS=release ")
        assert notified.recv(4096).startswith(b"WATCHDOG=1\n")
        connections = [Connection(path) for _ in range(6)]
        for connection in connections:
            assert connection.ask(request("ping"))["ok"]
        for connection in connections:
            connection.send(request(path=str(EXAMPLE)) * 2)
        code, out, err = end(server)
        told = [connection.receive() for connection in connections for _ in range(2)]
        assert all(one["ok"] for one in told)
        assert (code, json.loads(out)["answered"]) == (0, 12)
        assert "Traceback" not in err
        left = b""
        while not left.startswith(b"STOPPING=1"):
            left = notified.recv(4096)
        assert not path.exists()


def test_a_socket_handed_over_by_systemd_is_used_and_left_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "unit.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        server = launch_with_socket(listener)
        try:
            await_answer(server, path)  # the first to ask waits for the engine, and is answered
            assert ask(path, request(path=str(RECORD)))["ok"]
            assert end(server)[0] == 0
        finally:
            server.kill()
        assert path.is_socket()


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        (lambda path: path.write_text("mine"), "is no socket"),
        (lambda path: path.symlink_to("elsewhere"), "is no socket"),
        (lambda path: path.parent.chmod(0o777), "others may write"),
        (lambda path: path.parent.rmdir(), "No such file"),
        (lambda path: path.with_name("s.lock").symlink_to("/dev/null"), "cannot be opened"),
        (lambda path: _hold_lock(path), "another ecgedge serve"),
        (lambda path: _foreign_server(path), "another program answers"),
    ],
)
def test_a_path_that_cannot_be_had_is_a_sentence_and_exit_2_and_is_left_alone(
    tmp_path: Path, prepare: Any, told: str
) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    kept = prepare(folder / "s")
    before = sorted(path.name for path in folder.glob("*"))
    words = ["serve", "--socket", str(folder / "s"), "--store", str(tmp_path / "none")]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert {path.name for path in folder.glob("*")} - set(before) <= {"s.lock"}
    del kept


def _hold_lock(path: Path) -> Any:
    lock = path.with_name("s.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _foreign_server(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    return listener


def test_a_store_without_a_release_is_exit_7_and_makes_no_socket(tmp_path: Path) -> None:
    words = ["serve", "--socket", str(tmp_path / "s"), "--store", str(tmp_path / "none")]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 7
    assert not (tmp_path / "s").exists()


def test_a_path_too_long_for_a_socket_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["serve", "--socket", str(tmp_path / ("x" * 120))])
    assert result.exit_code == 2
    assert "too long for a socket" in result.stderr
