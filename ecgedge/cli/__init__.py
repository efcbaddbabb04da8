"""The command line: one click command a file, no logic.

`COMMANDS` is the only list of commands. Its modules are imported when their
command runs, never for `--help`, so that help is instant on a cart.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from ecgedge import __version__
from ecgedge.cli import base, brief, shield
from ecgedge.errors import EcgedgeError

#: name -> (module that holds a click command named `command`, one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "query": ("ecgedge.cli.query", "Find the past ECGs most similar to this one."),
    "serve": ("ecgedge.cli.serve", "Keep the engine loaded and answer queries at once."),
    "watch": ("ecgedge.cli.watch", "Answer a live stream's last ten seconds, again and again."),
    "simulate": ("ecgedge.cli.simulate", "Play recordings as a device would, with faults."),
    "search": ("ecgedge.cli.search", "Find past ECGs by words, in German or English."),
    "classify": ("ecgedge.cli.classify", "Score statements written as sentences."),
    "verify": ("ecgedge.cli.verify", "Check that the installed release is whole and answers."),
    "sync": ("ecgedge.cli.sync", "Bring the release that the centre offers, and switch to it."),
    "rollback": ("ecgedge.cli.rollback", "Return to the last good release."),
    "status": ("ecgedge.cli.status", "Show what answers, its age, and how the last sync went."),
    "bench": ("ecgedge.cli.bench", "Measure this board and choose the fastest encoder for it."),
    "index": ("ecgedge.cli.index", "Build a case base and a release from a corpus."),
    "keys": ("ecgedge.cli.keys", "Make and rotate the keys that sign a repository."),
    "publish": ("ecgedge.cli.publish", "Offer a release to the carts, signed, on any server."),
    "image": ("ecgedge.cli.image", "Draw what the encoder sees of a recording."),
    "train": ("ecgedge.cli.train", "Train the image and text towers on a corpus."),
    "evaluate": ("ecgedge.cli.evaluate", "Measure retrieval on a corpus, with intervals."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module only to run it (or to show its own help)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found = importlib.import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def main(  # type: ignore[override]  # click's overloads differ in standalone_mode alone
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        """Run and exit; every way out goes through `base.run` so that --json is never broken."""
        arguments = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        parent = super().main
        sys.exit(base.run(lambda: parent(arguments, "ecgedge", **extra), arguments))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ecgedge")
def cli() -> None:
    """Find the most similar past ECGs, on the cart, offline.

    Research software, not a medical device: similar past cases, not a diagnosis.
    """


def main() -> None:
    """Entry point of the `ecgedge` script."""
    arguments = sys.argv[1:]
    if not brief.applies(arguments):
        cli.main(arguments)
    # One query needs no second thread in linear algebra; where memory is short, OpenBLAS would
    # fail to start it, print four lines and raise SIGINT.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    def report(error: EcgedgeError) -> int:
        code = base.report_failure(arguments[0], error, "--json" in arguments)
        sys.stdout.flush()
        return code

    tell = shield.enter(report) if shield.applies(arguments) else None
    brief.begin()
    try:
        cli.main(arguments)
    except SystemExit as done:
        if tell is not None:
            tell(done.code if isinstance(done.code, int) else int(done.code is not None))
        brief.end(done.code)
        raise
    except MemoryError:  # not even enough to say so: the parent does
        os._exit(EcgedgeError.exit_code)
