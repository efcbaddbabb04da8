"""One thread that answers, and one place to wait for it.

Memory and the age of answers then have a bound, however slow the board: of a live stream's
windows the oldest gives way to the newest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ecgedge.streaming.told import Window


class Answering:
    """Hands windows to `answer`, one at a time, in their order, in a thread of its own.

    failure: what `answer` raised, which ended the thread; None while it works.
    """

    def __init__(
        self, answer: Callable[[Window], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """clock: monotonic seconds."""
        self.failure: BaseException | None = None
        self._answer, self._clock = answer, clock
        self._changed = threading.Condition()
        self._waiting: Window | None = None
        self._busy_since: float | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="answers", daemon=True)
        self._thread.start()

    def offer(self, window: Window) -> Window | None:
        """Have a window answered next; the one that gave way to it, if any. Returns at once."""
        with self._changed:
            dropped, self._waiting = self._waiting, window
            self._changed.notify_all()
        return dropped

    def wait_for_place(self, timeout_s: float) -> bool:
        """Whether nothing waits (any more), after at most timeout_s."""
        with self._changed:
            return self._changed.wait_for(lambda: self._waiting is None, timeout_s)

    def busy_s(self) -> float:
        """For how long the window in hand has been worked at."""
        since = self._busy_since
        return 0.0 if since is None else self._clock() - since

    def finish(self, timeout_s: float | None = None) -> bool:
        """Answer what is there, take nothing more; whether that ended within timeout_s."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None or self._closed)
                window, self._waiting = self._waiting, None
                if window is None:
                    return
                self._busy_since = self._clock()
                self._changed.notify_all()
            try:
                self._answer(window)
            except BaseException as error:  # told to the thread that watches
                with self._changed:
                    self.failure, self._waiting = error, None
                    self._changed.notify_all()
                return
            finally:
                self._busy_since = None
