"""The centre's page and units say what the commands take."""

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from ecgedge.central.signing import Lifetimes
from ecgedge.cli import cli

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "publish.md").read_text(encoding="utf-8")
CENTRE = ROOT / "examples" / "centre"
COMMANDS = [line.strip() for line in PAGE.splitlines() if line.startswith("    ecgedge ")]


def _takes(line: str) -> None:
    """Raise what click raises for a command line it does not take."""
    words, command = shlex.split(line)[1:], cli
    while hasattr(command, "get_command"):
        command = command.get_command(None, words.pop(0))
        assert command is not None, line
    command.make_context("ecgedge", words)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_of_the_page_is_one(line):
    _takes(line)


def test_the_page_has_commands_and_all_its_links_lead_somewhere():
    assert len(COMMANDS) > 10
    for link in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        if link != "identity.md":
            assert (ROOT / "docs" / link).exists(), link


def test_the_refresh_unit_signs_with_online_keys_more_often_than_timestamps_expire():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read_string((CENTRE / "ecgedge-refresh.service").read_text())
    service = unit["Service"]
    program, _, rest = service["ExecStart"].partition(" ")
    assert Path(program).name == "ecgedge"
    _takes(f"ecgedge {rest}")
    assert "--refresh" in rest
    assert service["ProtectSystem"] == "strict"
    assert service["ReadWritePaths"] == service["Environment"].partition("=")[2]
    timer = (CENTRE / "ecgedge-refresh.timer").read_text()
    assert "OnCalendar=*-*-* " in timer  # every day
    assert Lifetimes().timestamp_days > 3


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
def test_systemd_itself_finds_nothing_wrong_with_the_units(tmp_path):
    program = tmp_path / "ecgedge"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for path in CENTRE.iterdir():
        text = path.read_text().replace("/opt/ecgedge/bin/ecgedge", str(program))
        (tmp_path / path.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *sorted(str(path) for path in tmp_path.glob("*.*"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
