"""A bar of bytes and the time left, for what is fetched; without a terminal a line at the end."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar


class BytesBar:
    """Shows nothing until `show` is called, so that a sync with nothing to fetch is silent."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._bar: ProgressBar[int] | None = None
        self._done = self._total = self._first = 0
        self._begun = 0.0

    def show(self, done: int, total: int) -> None:
        """done, total: bytes, of which the first `done` may have been here before."""
        if not self._total:
            self._total, self._first, self._begun = total, done, time.monotonic()
            self._begin()
        if self._bar is not None:
            self._bar.label = f"{self._label} {done / 1e6:.1f} of {total / 1e6:.1f} MB"
            self._bar.update(done - self._done)
        self._done = done

    def _begin(self) -> None:
        if sys.stderr.isatty():
            self._bar = click.progressbar(length=self._total, label=self._label, file=sys.stderr)
            self._bar.__enter__()

    def __enter__(self) -> BytesBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.__exit__(kind, error, trace)
        elif self._total:
            took_s = time.monotonic() - self._begun
            came = (self._done - self._first) / 1e6
            of = f"{self._done / 1e6:.1f} of {self._total / 1e6:.1f} MB are here"
            click.echo(f"{self._label}: {of}, {came:.1f} MB came in {took_s:.0f} s", err=True)
