"""Windows on the sample clock: which ten seconds are due, and which of them must be refused.

Window k ends `window_s + k * every_s` after the first sample of its segment. A segment is a
stretch of stream in which every sample has a number, received or not; a restart begins another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecgedge.recording import Recording, Unit
from ecgedge.streaming.timeline import Timeline
from ecgedge.streaming.told import Window
from firmware_bridge.leads import LeadMap

#: Above these a window is refused; docs/adr/0015 tells why.
#: All holes together, of the window. Measured (benchmarks/holes.py): with a tenth missing in many
#: places three quarters of the ten nearest cases stay, with a fifth half of them.
MISSING_SHARE = 0.10
#: The longest hole. Ours: a longer one can hide a whole beat.
HOLE_S = 0.5


@dataclass(frozen=True)
class Plan:
    """How windows are cut: one of `window_s` seconds each `every_s`; source names them."""

    every_s: float
    window_s: float
    source: str


@dataclass
class Tally:
    """What became of the windows that were due. empty: not one sample of theirs came."""

    due: int = 0
    clean: int = 0
    refused: int = 0
    empty: int = 0


class Segment:
    """One stretch of numbered samples, and the windows in it.

    first: the number of its first sample. begun_s: seconds of stream before it.
    """

    def __init__(
        self,
        plan: Plan,
        tally: Tally,
        *,
        rate_hz: float,
        unit: Unit,
        channels: int,
        first: int,
        begun_s: float,
    ) -> None:
        self.rate_hz, self.begun_s = rate_hz, begun_s
        self._plan, self._tally, self._unit = plan, tally, unit
        self._first, self._next = first, 0
        self._samples = round(plan.window_s * rate_hz)
        self.timeline = Timeline(self._samples, channels, first)
        self._due = self._end(0)

    @property
    def position(self) -> int:
        """The number of the next sample."""
        return self.timeline.position

    def seconds(self, sample: int) -> float:
        """Seconds of stream before this sample."""
        return self.begun_s + (sample - self._first) / self.rate_hz

    def append(
        self, counts: NDArray[np.int32], leads: LeadMap, lost: NDArray[np.bool_] | None
    ) -> list[Window]:
        """The samples at `position`, and the windows they complete."""
        windows = []
        while len(counts) >= (left := self._room()):
            self.timeline.append(counts[:left], leads, lost)
            counts = counts[left:]
            if self.position == self._due:
                windows.append(self._window())
        if len(counts):
            self.timeline.append(counts, leads, lost)
        return windows

    def skip(self, samples: int) -> list[Window]:
        """Samples that never came, and the windows they complete; one without any is not made."""
        windows = []
        target = self.position + samples
        while self._due <= target:
            self.timeline.skip(self._due - self.position)
            if self.timeline.empty(self._samples):
                self._leap(target)
            else:
                windows.append(self._window())
        self.timeline.skip(target - self.position)
        return windows

    def _room(self) -> int:
        """Samples that may be appended at once: to the next window's end, never over a ring."""
        return min(self._due - self.position, self._samples)

    def _end(self, number: int) -> int:
        """The sample after window `number` of this segment, 0 for its first."""
        return self._first + round(
            (self._plan.window_s + number * self._plan.every_s) * self.rate_hz
        )

    def _leap(self, target: int) -> None:
        """Pass over the windows that end by sample `target`: none of their samples came."""
        seconds = (target - self._first) / self.rate_hz - self._plan.window_s
        after = max(self._next + 1, int(seconds / self._plan.every_s) - 1)
        while self._end(after) <= target:
            after += 1
        self._tally.due += after - self._next
        self._tally.empty += after - self._next
        self._next, self._due = after, self._end(after)

    def _window(self) -> Window:
        """The window that ends here."""
        signal, missing = self.timeline.cut(self._samples)
        first = self.position - self._samples
        start_s, end_s = self.seconds(first), self.seconds(self.position)
        name = f"{clock_text(start_s)}-{clock_text(end_s)}"
        self._next += 1
        self._due = self._end(self._next)
        refused = refusal(missing, self.rate_hz)
        tally = self._tally
        tally.due += 1
        tally.refused += bool(refused)
        tally.clean += not missing.any()
        return Window(
            number=tally.due - tally.empty,
            first=first,
            start_s=start_s,
            end_s=end_s,
            recording=Recording(
                signal, self.rate_hz, self._unit, f"{self._plan.source} {name}".strip()
            ),
            missing_s=int(missing.sum()) / self.rate_hz,
            refused=refused,
        )


def refusal(missing: NDArray[np.bool_], rate_hz: float) -> str:
    """Why a window with these samples missing must not be answered, or "". Pure."""
    if not missing.any():
        return ""
    if missing.all():
        return "no lead has a sample"
    missing_s, window_s = missing.sum() / rate_hz, len(missing) / rate_hz
    if missing_s > MISSING_SHARE * window_s:
        return (
            f"{missing_s:.2f} of {window_s:g} s are missing, "
            f"at most {MISSING_SHARE * window_s:g} s may be"
        )
    hole_s = longest_run(missing) / rate_hz
    if hole_s > HOLE_S:
        return f"{hole_s:.2f} s are missing in one place, at most {HOLE_S:g} s may be"
    return ""


def longest_run(mask: NDArray[np.bool_]) -> int:
    """The most neighbours that are all True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def clock_text(seconds: float) -> str:
    """Seconds of stream as 00:01:20, with what is left of a second where there is any."""
    tenths = round(seconds * 10)
    hours, rest = divmod(tenths, 36_000)
    minutes, rest = divmod(rest, 600)
    whole, tenth = divmod(rest, 10)
    return f"{hours:02}:{minutes:02}:{whole:02}" + (f".{tenth}" if tenth else "")
