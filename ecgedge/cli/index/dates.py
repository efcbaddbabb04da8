"""`--date` of the commands that make a release."""

from __future__ import annotations

import datetime

import click

from ecgedge.errors import UsageError

date_option = click.option(
    "--date", "created", help="Date of the release, YYYY-MM-DD; today when not given."
)


def today() -> str:
    """UTC, YYYY-MM-DD."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def parse_date(text: str | None) -> str | None:
    """A date as given, YYYY-MM-DD. Raises UsageError."""
    try:
        return None if text is None else datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        raise UsageError(f"--date {text!r} is not written YYYY-MM-DD") from None
