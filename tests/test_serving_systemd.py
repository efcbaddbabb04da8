"""The systemd units, and the two small protocols that a service speaks with systemd."""

import configparser
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from ecgedge.cli import COMMANDS
from ecgedge.errors import NetworkError, NothingNew, UsageError
from ecgedge.serving import place, systemd

UNITS = Path(__file__).resolve().parent.parent / "examples" / "systemd"


def _unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((UNITS / name).read_text())
    return parser


def test_the_service_is_shut_in_watched_and_bounded() -> None:
    service = _unit("ecgedge.service")["Service"]
    command = service["ExecStart"].split()
    assert Path(command[0]).name == "ecgedge"
    assert command[1] in COMMANDS
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 0
    assert service["Restart"] == "on-failure"
    for name, value in {
        "DynamicUser": "yes", "PrivateNetwork": "yes", "ProtectSystem": "strict",
        "ProtectHome": "yes", "PrivateTmp": "yes", "NoNewPrivileges": "yes",
        "RestrictAddressFamilies": "AF_UNIX", "CapabilityBoundingSet": "",
    }.items():  # fmt: skip
        assert service[name] == value
    assert "MemoryMax" in service
    assert "OOMPolicy" in service
    assert "RuntimeDirectory" not in service  # would take the socket away with the service


def test_the_watching_service_may_have_a_serial_port_and_little_else() -> None:
    text = (UNITS / "ecgedge-watch.service").read_text()
    service = _unit("ecgedge-watch.service")["Service"]
    assert service["ExecStart"].split()[1] in COMMANDS
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 0
    assert {"DeviceAllow=char-ttyACM rw", "DeviceAllow=char-ttyUSB rw"} <= set(text.splitlines())
    for name, value in {
        "DynamicUser": "yes", "SupplementaryGroups": "dialout", "DevicePolicy": "closed",
        "PrivateNetwork": "yes", "ProtectSystem": "strict", "ProtectHome": "yes",
        "NoNewPrivileges": "yes", "CapabilityBoundingSet": "",
    }.items():  # fmt: skip
        assert service[name] == value
    assert "PrivateDevices" not in service  # would hide the port


def test_the_socket_is_its_owners_alone_and_where_a_query_looks() -> None:
    unit = _unit("ecgedge.socket")["Socket"]
    assert unit["SocketMode"] == "0600"
    assert Path(unit["ListenStream"]) == place.SYSTEM
    assert unit["SocketUser"]


def test_the_sync_may_write_its_store_alone_and_only_network_trouble_is_no_failure() -> None:
    service = _unit("ecgedge-sync.service")["Service"]
    assert service["ExecStart"].split()[1:] == ["sync", "--store", "/var/lib/ecgedge"]
    assert service["Type"] == "oneshot"
    codes = {int(code) for code in service["SuccessExitStatus"].split()}
    assert codes == {NetworkError.exit_code, NothingNew.exit_code}
    for name, value in {
        "StateDirectory": "ecgedge", "ProtectSystem": "strict", "ProtectHome": "yes",
        "PrivateTmp": "yes", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "",
        "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX AF_NETLINK",
    }.items():  # fmt: skip
        assert service[name] == value
    assert "ReadWritePaths" not in service
    assert "Condition" not in (UNITS / "ecgedge-sync.service").read_text()


def test_carts_do_not_all_look_for_a_release_at_once_and_one_that_was_off_looks_later() -> None:
    timer = _unit("ecgedge-sync.timer")["Timer"]
    assert timer["RandomizedDelaySec"] == "2h"
    assert timer["FixedRandomDelay"] == timer["Persistent"] == "yes"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
def test_systemd_itself_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    for path in UNITS.glob("ecgedge*"):
        text = path.read_text().replace("/opt/ecgedge/bin/ecgedge", shutil.which("true") or "")
        (tmp_path / path.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "./ecgedge.service", "./ecgedge.socket",
         "./ecgedge-watch.service", "./ecgedge-sync.service", "./ecgedge-sync.timer"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_without_systemd_nobody_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert systemd.notify("READY=1") is False
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    assert systemd.notify("READY=1") is False


def test_systemd_is_told_also_at_an_abstract_address(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"ecgedge-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(f"\0{name}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        assert systemd.notify("READY=1", "STATUS=well") is True
        assert told.recv(100) == b"READY=1\nSTATUS=well"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_served_only_where_it_is_asked_for(
    environment: dict[str, str], expected: float | None
) -> None:
    assert systemd.watchdog_s(environment) == expected


def test_only_a_socket_meant_for_this_process_is_taken() -> None:
    assert systemd.inherited({}) is None
    assert systemd.inherited({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) is None
    with pytest.raises(UsageError, match="exactly one socket"):
        systemd.inherited({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"})
