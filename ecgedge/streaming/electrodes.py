"""Which electrodes are off: named soon, and not at every flicker of a comparator."""

from __future__ import annotations

#: Off for so long in all, without being on for `ON_S` between: it is off. Ours; a comparator
#: that flickers on a dry electrode is named within a second when it is off a sixth of the time.
OFF_S = 0.15
#: On for so long without a break: it is on again. Ours.
ON_S = 0.5


class Electrodes:
    """Counts, for each electrode, samples in which it was off and samples since."""

    def __init__(self) -> None:
        self._off: dict[str, int] = {}
        self._on: dict[str, int] = {}
        self._named: set[str] = set()

    def update(
        self, off: frozenset[str], samples: int, rate_hz: float
    ) -> tuple[list[str], list[str]]:
        """(newly off, newly on) after so many samples in which exactly these were off."""
        if not off and not self._off:
            return [], []
        newly_off, newly_on = [], []
        for electrode in sorted(off):
            self._off[electrode] = self._off.get(electrode, 0) + samples
            self._on[electrode] = 0
            if electrode not in self._named and self._off[electrode] >= OFF_S * rate_hz:
                self._named.add(electrode)
                newly_off.append(electrode)
        for electrode in sorted(self._off.keys() - off):
            self._on[electrode] += samples
            if self._on[electrode] >= ON_S * rate_hz:
                del self._off[electrode]
                if electrode in self._named:
                    self._named.remove(electrode)
                    newly_on.append(electrode)
        return newly_off, newly_on
