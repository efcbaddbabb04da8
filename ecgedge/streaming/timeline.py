"""The last seconds of a stream, sample by sample: counts as they came, and where none came.

Counts become leads when a window is cut, not when a frame arrives: one product for ten seconds
instead of five hundred small ones, and the same floats however the bytes were cut into pieces.
Memory is fixed when the timeline is made; a gap of any length allocates nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ecgedge.recording import LEADS, FloatArray
from firmware_bridge.leads import LeadMap

T = TypeVar("T")


class Changes(Generic[T]):
    """A value that holds from one sample number until it changes."""

    def __init__(self) -> None:
        self._changes: deque[tuple[int, T]] = deque()

    def set(self, first: int, value: T) -> None:
        """From sample `first` on it is `value`; numbers only grow."""
        if not self._changes or self._changes[-1][1] is not value:
            self._changes.append((first, value))

    def spans(self, first: int, end: int) -> Iterator[tuple[int, int, T]]:
        """(first, end, value) pieces of that range, in order; nothing before the first `set`."""
        ends = [*[begin for begin, _ in self._changes][1:], end]
        for (begin, value), until in zip(self._changes, ends, strict=False):
            if max(begin, first) < min(until, end):
                yield max(begin, first), min(until, end), value

    def forget(self, before: int) -> None:
        """Drop what no range from `before` on asks for."""
        while len(self._changes) > 1 and self._changes[1][0] <= before:
            self._changes.popleft()


class Timeline:
    """The newest `samples` samples before `position`, of any number of samples since `first`.

    What was never received is absent: it becomes NaN, and no later sample moves into its place.
    """

    def __init__(self, samples: int, channels: int, first: int) -> None:
        # Twice the length: what is kept moves to the front once in `samples` samples, and a
        # window is one piece of memory, never two ends of a ring.
        self._counts = np.zeros((2 * samples, channels), dtype=np.int32)
        self._there = np.zeros(2 * samples, dtype=bool)
        self._samples = samples
        self._used = samples
        self._maps = Changes[LeadMap]()
        self._lost = Changes[NDArray[np.bool_] | None]()
        self.position = first

    @property
    def channels(self) -> int:
        return self._counts.shape[1]

    def append(
        self, counts: NDArray[np.int32], leads: LeadMap, lost: NDArray[np.bool_] | None
    ) -> None:
        """The samples at `position`: (n, channels), n at most `samples`.

        lost: (12,), leads that an electrode which is off takes with it; None for none. The same
        state must come as the same object.
        """
        n = len(counts)
        if self._used + n > len(self._there):
            self._to_front()
        used = self._used
        self._counts[used : used + n] = counts
        self._there[used : used + n] = True
        self._maps.set(self.position, leads)
        self._lost.set(self.position, lost)
        self._used = used + n
        self.position += n

    def skip(self, samples: int) -> None:
        """`samples` samples never came."""
        self.position += samples
        samples = min(samples, self._samples)
        if self._used + samples > len(self._there):
            self._to_front()
        self._there[self._used : self._used + samples] = False
        self._used += samples

    def empty(self, samples: int) -> bool:
        """Whether none of the newest `samples` samples came."""
        return not bool(self._there[self._used - samples : self._used].any())

    def cut(self, samples: int) -> tuple[FloatArray, NDArray[np.bool_]]:
        """The newest `samples` samples: leads (12, n), and (n,) where no lead has a sample."""
        end, first = self.position, self.position - samples
        kept = slice(self._used - samples, self._used)
        counts, absent = self._counts[kept], ~self._there[kept]
        pieces = [
            (begin - first, until - first, leads)
            for begin, until, leads in self._maps.spans(first, end)
        ]
        if len(pieces) == 1 and pieces[0][:2] == (0, samples):
            signal = pieces[0][2].derive(counts)
        else:
            signal = np.full((len(LEADS), samples), np.nan, dtype=np.float32)
            for begin, until, leads in pieces:
                signal[:, begin:until] = leads.derive(counts[begin:until])
        if absent.any():
            signal[:, absent] = np.nan
        blanked = any(len(leads.missing) == len(LEADS) for *_, leads in pieces)
        for begin, until, lost in self._lost.spans(first, end):
            if lost is not None:
                signal[lost, begin - first : until - first] = np.nan
                blanked = True
        missing = np.isnan(signal).all(axis=0) if blanked else absent
        return signal, np.asarray(missing)

    def _to_front(self) -> None:
        """Make room behind the newest `samples` samples."""
        kept = slice(self._used - self._samples, self._used)
        self._counts[: self._samples] = self._counts[kept]
        self._there[: self._samples] = self._there[kept]
        self._used = self._samples
        oldest = self.position - self._samples
        self._maps.forget(oldest)
        self._lost.forget(oldest)
