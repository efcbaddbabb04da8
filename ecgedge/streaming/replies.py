"""A window in, what is said about it out: an answer, or why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ecgedge.answer import Answer, Quality
from ecgedge.errors import QualityRefused
from ecgedge.recording import Recording
from ecgedge.signal.quality import assess
from ecgedge.streaming.told import Window

#: Answers a recording; raises QualityRefused for one that cannot carry an answer.
Query = Callable[[Recording], Answer]


@dataclass(frozen=True)
class Answered:
    """A window and the past cases most like it."""

    window: Window
    answer: Answer


@dataclass(frozen=True)
class Refused:
    """A window without an answer. quality: None where the recording is not to blame.

    error: QualityRefused, or what stood in the way of answering at all.
    """

    window: Window
    error: Exception
    quality: Quality | None

    @property
    def failed(self) -> bool:
        return not isinstance(self.error, QualityRefused)


def reply(window: Window, query: Query) -> Answered | Refused:
    """Ask, whatever comes of it: one window's fault must not end the stream."""
    try:
        if window.refused:
            raise QualityRefused(window.refused)
        return Answered(window, query(window.recording))
    except QualityRefused as error:
        return Refused(window, error, assess(window.recording))
    except Exception as error:
        return Refused(window, error, None)
