"""What a session says while a stream runs: windows to answer, and notices for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ecgedge.recording import Recording

#: Names are stable; scripts read them.
NoticeKind = Literal[
    "begun",  # what is watched, and what answers
    "configuration",  # what the device is, or a change of it
    "no_configuration",  # data, but nobody says what they are worth
    "no_data",  # silence
    "data_back",  # after silence
    "not_this_format",  # bytes, but no frame among them
    "lead_off",
    "lead_on",
    "gap",
    "damaged",
    "restart",  # sample numbers began anew; the window does too
    "clock",  # the microcontroller's clock stepped
    "source_lost",
    "source_back",
    "dropped",  # a window nobody had time for
    "log",  # the log is no longer written, or the one replayed is torn
    "stats",  # how the clocks run, where it was asked for
]


@dataclass(frozen=True)
class Notice:
    """One sentence for the person at the cart. at_s: seconds of stream since it began."""

    kind: NoticeKind
    text: str
    at_s: float
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Window:
    """Ten seconds of stream.

    number: 1, 2, ... first: number of its first sample. start_s, end_s: seconds of stream
    since its beginning. recording: NaN where samples are missing or a lead was off. missing_s:
    seconds in which no lead has a sample. refused: one sentence why it must not be answered,
    or "".
    """

    number: int
    first: int
    start_s: float
    end_s: float
    recording: Recording
    missing_s: float
    refused: str = ""

    @property
    def clean(self) -> bool:
        return self.missing_s == 0 and not self.refused
