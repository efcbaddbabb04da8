"""`ecgedge index`: case bases are built, added to, merged, and cases withdrawn from them."""

from __future__ import annotations

import click

from ecgedge.cli.index.build import build
from ecgedge.cli.index.merge import merge
from ecgedge.cli.index.withdraw import withdraw


@click.group()
def command() -> None:
    """Build case bases and keep them current."""


for _one in (build, merge, withdraw):
    command.add_command(_one)
