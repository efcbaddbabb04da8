"""Ctrl-C, SIGTERM and SIGHUP as something that can be waited for beside files and clocks."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Sequence
from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Whether a signal asked to end; within its context handlers are in place.

    To be entered in the main thread.
    """

    def __init__(self) -> None:
        self.asked = False
        self._reader, self._writer = os.pipe()

    def __enter__(self) -> Stop:
        nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        self._before = {
            number: signal.signal(number, self._ask)
            for number in _SIGNALS
            if not (nohup and number == signal.SIGHUP)
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    def wait(
        self, seconds: float, readable: Sequence[int] = (), writable: Sequence[int] = ()
    ) -> bool:
        """Wait until one of these files is ready or the time is over; False if asked to end."""
        if not self.asked:
            files = select.select([self._reader, *readable], writable, [], max(seconds, 0.0))
            self.asked = self.asked or self._reader in files[0]
        return not self.asked

    def until(self, moment: float) -> bool:
        """Wait for a moment of the monotonic clock; False if asked to end before it."""
        while not self.asked and (left := moment - time.monotonic()) > 0:
            self.wait(left)
        return not self.asked

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        os.write(self._writer, b"!")
