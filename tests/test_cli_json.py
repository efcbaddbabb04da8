"""Every command: help, one JSON object for bad usage, and its section in docs/cli.md.

docs/cli.md is made from the commands' own help; a stale one fails below. Make it anew with

    python tests/test_cli_json.py > docs/cli.md
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "cli.md"
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from ecgedge import errors  # noqa: E402
from ecgedge.cli import COMMANDS, cli  # noqa: E402

#: Run from the checkout on a workstation; no part of the wheel.
MODULES = ("export", "quantization")

EXAMPLES = {
    "ecgedge query": (
        "ecgedge query examples/synthetic.csv -k 3",
        "ecgedge query ward/*.hea --json",
        "ecgedge query ward/17.hea --draft --explain why.png",
        "ecgedge query - --rate-hz 500 --unit mV < samples.csv",
    ),
    "ecgedge serve": (
        "ecgedge serve",
        "ecgedge serve --socket /run/ecgedge/ecgedge.sock --store /var/lib/ecgedge",
    ),
    "ecgedge watch": (
        "ecgedge watch /dev/ttyACM0",
        "ecgedge watch tcp://10.0.0.7:4000 --every 5 --json",
        "ecgedge watch /dev/ttyACM0 --log ward.ecglog --stats",
        "ecgedge watch ward.ecglog",
        "ecgedge watch /dev/ttyUSB0 --device cyton --gain 24",
    ),
    "ecgedge search": (
        'ecgedge search "old anterior infarct, atrial fibrillation" -k 3',
        "ecgedge search Vorhofflimmern --json",
    ),
    "ecgedge classify": (
        "ecgedge classify examples/synthetic.csv",
        "ecgedge classify examples/synthetic.csv --prompts examples/prompts.toml",
    ),
    "ecgedge verify": ("ecgedge verify", "ecgedge verify --store /var/lib/ecgedge --json"),
    "ecgedge sync": (
        "ecgedge sync",
        "ecgedge sync --check --json",
        "ecgedge sync --from /media/stick/ecgedge --store /var/lib/ecgedge",
        "ecgedge sync --from https://centre.example/ecgedge --channel pilot",
    ),
    "ecgedge rollback": ("ecgedge rollback", "ecgedge rollback --store /var/lib/ecgedge --json"),
    "ecgedge status": ("ecgedge status", "ecgedge status --store /var/lib/ecgedge --json"),
    "ecgedge bench": ("ecgedge bench --quick", "ecgedge bench --apply --json"),
    "ecgedge index build": (
        "ecgedge index build ptbxl --encoder runs/int8 -o store",
        "ecgedge index build ptbxl --encoder runs/int8 --alternative runs/int8:tflite -o store",
        "ecgedge index build grown --add -o store --engine ray --ray-address 10.0.0.5:6379",
    ),
    "ecgedge index merge": ("ecgedge index merge store", "ecgedge index merge store --all --json"),
    "ecgedge index withdraw": (
        "ecgedge index withdraw store ptb-xl/158 ptb-xl/4711",
        "ecgedge index withdraw store --file withdrawn.txt --json",
    ),
    "ecgedge keys new": (
        "ecgedge keys new keys --root-keys 3 --root-threshold 2",
        "ecgedge keys new keys --online-without-passphrase",
    ),
    "ecgedge keys rotate": (
        "ecgedge keys rotate timestamp --keys keys --keys /media/root-a",
        "ecgedge keys rotate root --keys keys --keys /media/root-a --drop 1aee8fe2",
    ),
    "ecgedge keys renew": ("ecgedge keys renew --keys keys --keys /media/root-a",),
    "ecgedge keys sign": (
        "ecgedge keys sign --keys keys --keys /media/root-b",
        "ecgedge keys sign --keys keys --merge from-b/pending.root.json",
    ),
    "ecgedge keys make": ("ecgedge keys make root /media/root-c",),
    "ecgedge keys list": ("ecgedge keys list --keys keys --keys /media/root-a",),
    "ecgedge publish": (
        "ecgedge publish store --to s3://bucket/ecg --keys keys --keys /media/targets",
        "ecgedge publish store --to /srv/ecgedge --keys keys --channel pilot --dry-run",
        "ecgedge publish --to /srv/ecgedge --keys keys --release 6dd1acb25c1b97e5 --rollout 20",
        "ecgedge publish --to /srv/ecgedge --keys keys --withdraw-release 6dd1acb25c1b97e5",
        "ecgedge publish --to /srv/ecgedge --keys keys --refresh",
    ),
    "ecgedge image": ("ecgedge image examples/synthetic.csv --encoding trace-1 -o trace.png",),
    "ecgedge simulate": (
        "ecgedge simulate examples/synthetic.hea --loop --link ecg0",
        "ecgedge simulate examples/synthetic.hea --seconds 60 --output - --faults lost=0.01",
        "ecgedge simulate ward/17.hea --tcp 127.0.0.1:7000 --device cyton --json",
    ),
    "ecgedge train": ("ecgedge train ptbxl --train-folds 1-8 --valid-folds 9 -o runs/main",),
    "ecgedge evaluate": ("ecgedge evaluate ptbxl --split 9 --json",),
    "python -m export": ("python -m export runs/main/best.pt -o runs/fp32",),
    "python -m quantization": ("python -m quantization runs/fp32 -o runs/int8 --corpus ptbxl",),
}
OPENING = """\
# Command line

The result goes to standard output and everything else, progress and complaints, to standard
error. With `--json` standard output holds one object (`query`: one a recording, each on its
line), `{"schema": "ecgedge/1", "command": ..., "ok": ...}`; a failure is such an object too,
with `"ok": false` and `"error": {"type", "message", "exit_code"}`. Names are stable: fields are
added, never renamed. `ECGEDGE_DEBUG=1` adds the traceback of a failure.

| exit code | meaning |
|---|---|
"""
EXIT_CODES = {
    0: "done",
    errors.EcgedgeError.exit_code: "unexpected, or not enough memory",
    errors.UsageError.exit_code: "wrong usage",
    errors.InputError.exit_code: "the input cannot be read",
    errors.QualityRefused.exit_code: "the recording is not good enough to carry an answer",
    errors.NetworkError.exit_code: "network trouble: try again",
    errors.TrustError.exit_code: "not what the centre signed: do not retry",
    errors.ReleaseError.exit_code: "the release is damaged or its parts do not belong together, "
    "or an engine does not run on this machine",
    errors.NothingNew.exit_code: "nothing new",
    130: "stopped by Ctrl-C",
}


def commands() -> Iterator[tuple[str, click.Command]]:
    """(how it is called, the command), subcommands in place of their groups."""
    for name, (module, _) in COMMANDS.items():
        yield from _leaves(f"ecgedge {name}", importlib.import_module(module).command)
    for name in MODULES:
        yield f"python -m {name}", importlib.import_module(f"{name}.__main__").command


def _leaves(called: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield called, command
        return
    for name, child in command.commands.items():
        yield from _leaves(f"{called} {name}", child)


def document() -> str:
    """The whole of docs/cli.md."""
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES.items())
    closing = "Scripts must treat a code that is not listed here as failure.\n"
    sections = (section(called, command) for called, command in commands())
    return f"{OPENING}{codes}\n{closing}\n" + "\n".join(sections)


def section(called: str, command: click.Command) -> str:
    """One command's heading, usage, words, examples and table of options, from its help."""
    context = click.Context(command, info_name=called)
    usage = " ".join([called, *command.collect_usage_pieces(context)])
    rows = "".join(f"| `{names}` | {told} |\n" for names, told in _options(command, context))
    words = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(command.help or ""))
    examples = "".join(f"    {line}\n" for line in EXAMPLES[called])
    return (
        f"## {called}\n\n    {usage}\n\n{words}\n\nFor example:\n\n{examples}\n"
        f"| option | meaning |\n|---|---|\n{rows}"
    )


def _options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """(names, meaning) of every option, fit for the cells of a table."""
    for param in command.params:  # without --help, which click words by how it was called
        record = param.get_help_record(context) if isinstance(param, click.Option) else None
        if record is not None:
            names, told = (" ".join(text.split()).replace("|", "\\|") for text in record)
            yield names.replace(", -", "`, `-"), told


def _run(called: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = called.split()[1:] if called.startswith("python") else ["-m", *called.split()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *program, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


ALL = list(commands())
CALLED = [called for called, _ in ALL]


@pytest.mark.parametrize("called", CALLED)
@pytest.mark.parametrize("arguments", [["--no-such-option"], []], ids=["unknown", "missing"])
def test_bad_usage_is_one_json_object_and_exit_code_2(called: str, arguments: list[str]) -> None:
    if called in ("ecgedge verify", "ecgedge bench", "ecgedge status") and not arguments:
        pytest.skip("it takes no argument, so none can be missing")
    done = _run(called, *arguments, "--json")
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (2, "", 1)
    told = json.loads(done.stdout)
    assert (told["schema"], told["ok"]) == ("ecgedge/1", False)
    assert told["command"] == called.removeprefix("ecgedge ").removeprefix("python -m ")
    assert told["error"]["type"] == "UsageError"
    assert told["error"]["exit_code"] == 2
    assert "\n" not in told["error"]["message"]


@pytest.mark.parametrize("called", CALLED)
def test_bad_usage_in_words_is_told_on_stderr_without_a_traceback(called: str) -> None:
    done = _run(called, "--no-such-option")
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such option" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("called", CALLED)
def test_help_says_what_the_command_does_and_that_it_speaks_json(called: str) -> None:
    done = _run(called, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: ")
    assert "--json" in done.stdout


@pytest.mark.parametrize(("called", "command"), ALL, ids=CALLED)
def test_every_command_and_option_explains_itself(called: str, command: click.Command) -> None:
    assert (command.help or "").strip().endswith(".")
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.help, f"{called} says nothing about {param.opts[0]}"


@pytest.mark.parametrize(("called", "command"), ALL, ids=CALLED)
def test_every_example_of_the_document_is_a_call_that_the_command_takes(
    called: str, command: click.Command
) -> None:
    for example in EXAMPLES[called]:
        line = example.partition(" < ")[0]
        words = shlex.split(line)[len(called.split()) :]
        assert command.make_context(called, words).params


def test_the_document_of_the_command_line_is_what_the_help_says() -> None:
    stale = f"{DOCUMENT} is stale: python tests/test_cli_json.py > docs/cli.md"
    assert DOCUMENT.is_file(), stale
    assert DOCUMENT.read_text(encoding="utf-8") == document(), stale


def test_the_document_names_every_command_and_every_exit_code() -> None:
    text = document()
    for name in COMMANDS:
        assert f"\n## ecgedge {name}" in text
    known = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type)}
    assert known <= set(EXIT_CODES)
    assert isinstance(cli, click.Group)


if __name__ == "__main__":
    sys.stdout.write(document())
