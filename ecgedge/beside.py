"""Work in a second thread, while this one waits for an engine that holds no lock of Python's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Beside(Generic[Result]):
    """One piece of work, begun at once."""

    def __init__(self, work: Callable[[], Result]) -> None:
        import threading

        self._work = work
        self._done: list[Result] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._done.append(self._work())
        except BaseException as error:
            self._error = error

    def result(self) -> Result:
        """Waits for the work and gives what it gave; raises what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._done[0]
