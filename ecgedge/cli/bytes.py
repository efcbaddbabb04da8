"""A bar of bytes and the time left, for what is fetched; without a terminal a line at the end."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar


class BytesBar:
    """Shows nothing until `show` is called, so that a sync with nothing to fetch is silent."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._bar: ProgressBar[int] | None = None
        self._done = self._total = 0
        self._begun_s = 0.0

    def show(self, done: int, total: int) -> None:
        """done, total: bytes. done may fall, where some had to be thrown away."""
        if not self._total:
            self._begin(total)
        if self._bar is not None:
            self._bar.label = f"{self._label} {done / 1e6:.1f} of {total / 1e6:.1f} MB"
            self._bar.update(done - self._done)
        self._done = done

    def _begin(self, total: int) -> None:
        self._total, self._begun_s = total, time.monotonic()
        if sys.stderr.isatty():
            self._bar = click.progressbar(length=total, label=self._label, file=sys.stderr)
            self._bar.__enter__()

    def __enter__(self) -> BytesBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
        elif self._total:
            here = f"{self._done / 1e6:.1f} of {self._total / 1e6:.1f} MB"
            took_s = time.monotonic() - self._begun_s
            click.echo(f"{self._label}: {here} here after {took_s:.0f} s", err=True)
