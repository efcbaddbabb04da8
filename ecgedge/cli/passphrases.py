"""Passphrases on the command line: a file, or asked for on a terminal without being shown."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecgedge.errors import UsageError

if TYPE_CHECKING:
    from ecgedge.central.keys import Passphrases

passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with passphrases, one a line [asked for on a terminal].",
)
keys_option = click.option(
    "--keys",
    "folders",
    type=click.Path(file_okay=False, path_type=Path),
    multiple=True,
    required=True,
    help="Folder of keys, with the roots; repeatable: further ones hold private keys alone.",
)


def passphrases(file: Path | None) -> Passphrases:
    """What the file holds; without one, the terminal is asked, where there is one."""
    from ecgedge.central.keys import Passphrases

    if file is not None:
        return Passphrases(_lines(file))
    return Passphrases(ask=_ask if sys.stdin.isatty() else None)


def new_passphrase(file: Path | None, what: str) -> str:
    """A passphrase for a new key: the file's first, else asked for twice.

    Raises UsageError where there is neither a file nor a terminal.
    """
    if file is not None:
        return _lines(file)[0]
    if not sys.stdin.isatty():
        raise UsageError(
            f"{what} needs a passphrase and there is no terminal to ask: --passphrase-file"
        )
    text: str = click.prompt(
        f"New passphrase of {what}", hide_input=True, confirmation_prompt=True, err=True
    )
    return text


def _ask(path: Path) -> str:
    text: str = click.prompt(f"Passphrase of {path}", hide_input=True, err=True)
    return text


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8 text, so it holds no passphrase") from None
    found = [line for line in lines if line]
    if not found:
        raise UsageError(f"{file} holds no passphrase: write one a line")
    return found
