"""How a device's clocks run against the host's: offset, drift and jitter, in bounded memory.

Bytes arrive late, by a little that varies, and never early. So the host's time less the device's,
drawn over the device's, is a cloud above a straight line: its height is the offset, its slope the
drift. Moon, Skelly and Towsley (1999), "Estimation and removal of clock skew from network delay
measurements": of all lines with no point below take the one with the least sum of distances. It
is the edge of the cloud's lower convex hull above the mean, and late bursts do not move it.

Kept is the lowest arrival of each second for an hour: enough for the hull, and an hour in which
an oscillator's temperature, hence its drift, is one. Nothing here ever places a sample: the
sample numbers do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray64 = NDArray[np.float64]

#: How much is kept: an hour of seconds, and so many arrivals for the percentiles of jitter.
SECONDS, ARRIVALS = 3600, 4096
#: Under this nothing is said.
ENOUGH_S = 10.0
#: A device clock that differs by more from its sample numbers has stepped: this, and this share
#: of the time since the frame before.
STEP_US, STEP_SHARE = 100_000.0, 0.01
#: No crystal is off by more (they keep within 0.01 %): what arrives so was not sent live.
LIVE_PPM = 10_000.0


@dataclass(frozen=True)
class Line:
    """One clock of the device against the host's.

    offset_us: host microseconds less the device's, at the newest arrival. drift_ppm: how much
    faster the device's clock runs. within_ppm: how far off that may be: twice the usual lateness
    over the time seen, because a host that looks every 16 ms, nearly in step with the frames, can
    move all arrivals of a minute by as much; without such a beat the error is far less.
    p50_ms, p95_ms, max_ms: how late bytes arrive, beyond the quickest: percentiles of the newest
    `ARRIVALS` arrivals and the worst of the hour. seconds: how long it was looked at.
    """

    offset_us: float
    drift_ppm: float
    within_ppm: float
    p50_ms: float
    p95_ms: float
    max_ms: float
    seconds: float


@dataclass(frozen=True)
class ClockReport:
    """What the clocks did since sample numbers last began, at most in the last hour.

    rate_hz: samples a second as the device states it. device: its clock against the host's;
    samples: its sample numbers, at the stated rate, against the host's. measured_device_hz,
    measured_host_hz: samples in a second of the device's clock and of the host's. steps: how
    often the device's clock stepped. note: why something is missing, one sentence, or "".
    """

    rate_hz: float | None
    device: Line | None
    samples: Line | None
    measured_device_hz: float | None
    measured_host_hz: float | None
    steps: int
    note: str


class Clock:
    """Fed with what frames say and when they came; asked for a `ClockReport` at any time."""

    def __init__(self) -> None:
        self._rate_hz: float | None = None
        self._steps = 0
        self._last: tuple[int, int] | None = None
        self.begin(None)

    def begin(self, rate_hz: float | None) -> None:
        """Sample numbers begin anew, at this rate."""
        self._rate_hz = rate_hz
        self._by_samples = _Envelope()
        self._begin_device()

    def add(self, first: int, samples: int, t_us: int | None, host_us: int) -> float | None:
        """A frame: its samples, the device's clock at the first, and when it arrived.

        Returns by how many microseconds the device's clock stepped since the frame before, None
        where it did not. A frame counts as sent at its end.
        """
        if self._rate_hz is None:
            return None
        sample_us = 1e6 / self._rate_hz
        self._by_samples.add((first + samples) * sample_us, host_us)
        if t_us is None:
            return None
        stepped = self._stepped(first, t_us, sample_us)
        if stepped is not None:
            self._steps += 1
            self._begin_device()
        self._by_device.add(t_us + samples * sample_us, host_us)
        self._rate.add(first, t_us)
        self._last = (first, t_us)
        return stepped

    def report(self) -> ClockReport:
        """What is known by now. Does not change anything."""
        device, samples = self._by_device.line(), self._by_samples.line()
        note = ""
        if samples is None:
            note = f"too little was seen: clocks need {ENOUGH_S:g} s without a restart"
        elif abs(samples.drift_ppm) > LIVE_PPM:
            note = "bytes did not arrive as they were sampled, so this was no live stream"
            device = samples = None
        elif device is None:
            note = "the device tells no time of its own, or its clock stepped"
        return ClockReport(
            rate_hz=self._rate_hz,
            device=device,
            samples=samples,
            measured_device_hz=self._rate.hz(),
            measured_host_hz=(
                self._rate_hz * (1 + samples.drift_ppm / 1e6) if samples and self._rate_hz else None
            ),
            steps=self._steps,
            note=note,
        )

    def _begin_device(self) -> None:
        self._by_device = _Envelope()
        self._rate = _Rate()
        self._last = None

    def _stepped(self, first: int, t_us: int, sample_us: float) -> float | None:
        if self._last is None:
            return None
        passed = (first - self._last[0]) * sample_us
        step = t_us - self._last[1] - passed
        if t_us >= self._last[1] and abs(step) <= STEP_US + STEP_SHARE * passed:
            return None
        return step


class _Newest:
    """The newest rows of numbers, at most `rows`."""

    def __init__(self, rows: int, columns: int) -> None:
        self._rows = np.empty((rows, columns))
        self._count = 0

    def add(self, *row: float) -> None:
        self._rows[self._count % len(self._rows)] = row
        self._count += 1

    def columns(self) -> FloatArray64:
        """(columns, rows), oldest first."""
        size = len(self._rows)
        rows = self._rows[: min(self._count, size)]
        return np.asarray(
            np.roll(rows, -(self._count % size), axis=0).T if self._count > size else rows.T
        )


class _Envelope:
    """Arrivals of one clock of the device: x its microseconds, lateness host less device."""

    def __init__(self) -> None:
        self._origin: tuple[float, int] | None = None
        self._seconds = _Newest(SECONDS, 3)
        self._arrivals = _Newest(ARRIVALS, 2)
        self._second = -1
        self._lowest = self._highest = self._lowest_x = 0.0

    def add(self, x_us: float, host_us: int) -> None:
        if self._origin is None:
            self._origin = (x_us, host_us)
        x = x_us - self._origin[0]
        late = host_us - self._origin[1] - x
        self._arrivals.add(x, late)
        second = int(x // 1e6)
        if second != self._second:
            self._close()
            self._second = second
            self._lowest = self._highest = late
            self._lowest_x = x
            return
        if late < self._lowest:
            self._lowest, self._lowest_x = late, x
        if late > self._highest:
            self._highest = late

    def line(self) -> Line | None:
        """The fit; None where less than `ENOUGH_S` was seen."""
        x, lowest, highest = self._columns()
        if self._origin is None or x[-1] - x[0] < ENOUGH_S * 1e6:
            return None
        slope, level = hull_line(x, lowest)
        slope = max(slope, 1e-9 - 1)  # a capture without times came all at once
        at, late = self._arrivals.columns()
        above = late - (level + slope * at)
        p50, p95 = (float(one) / 1e3 for one in np.percentile(above, [50, 95]))
        worst = max(float((highest - (level + slope * x)).max()), float(above.max()))
        offset = self._origin[1] - self._origin[0] + level + slope * float(at[-1])
        return Line(
            offset_us=offset,
            drift_ppm=(1 / (1 + slope) - 1) * 1e6,
            within_ppm=2 * (p50 * 1e3 + 1) / float(x[-1] - x[0]) * 1e6,  # clocks tell whole us
            p50_ms=p50,
            p95_ms=p95,
            max_ms=worst / 1e3,
            seconds=float(x[-1] - x[0]) / 1e6,
        )

    def _columns(self) -> FloatArray64:
        """x of each second's lowest arrival, its lateness, the second's highest; (3, n)."""
        closed = self._seconds.columns()
        if self._second < 0:
            return closed
        newest = np.array([[self._lowest_x], [self._lowest], [self._highest]])
        return np.hstack([closed, newest])

    def _close(self) -> None:
        if self._second >= 0:
            self._seconds.add(self._lowest_x, self._lowest, self._highest)


class _Rate:
    """Sample numbers against the device's clock, which scatters to both sides: least squares."""

    def __init__(self) -> None:
        self._points = _Newest(SECONDS, 2)
        self._origin: tuple[int, int] | None = None
        self._next_us = 0

    def add(self, first: int, t_us: int) -> None:
        if self._origin is None:
            self._origin, self._next_us = (first, t_us), t_us
        if t_us >= self._next_us:  # one point a second
            self._points.add(t_us - self._origin[1], first - self._origin[0])
            self._next_us = t_us + 1_000_000

    def hz(self) -> float | None:
        at, samples = self._points.columns()
        if not len(at) or at[-1] - at[0] < ENOUGH_S * 1e6:
            return None
        at = at - at.mean()
        return float((at @ (samples - samples.mean())) / (at @ at) * 1e6)


def hull_line(x: FloatArray64, y: FloatArray64) -> tuple[float, float]:
    """(slope, level at x = 0) of the line under all points with the least sum of distances.

    x grows. It is the edge of the lower convex hull (Andrew's monotone chain) over the mean of x.
    """
    hull: list[int] = []
    for i in range(len(x)):
        while len(hull) > 1 and _not_below(x, y, hull[-2], hull[-1], i):
            hull.pop()
        hull.append(i)
    right = next(k for k in range(1, len(hull)) if x[hull[k]] >= x.mean())
    a, b = hull[right - 1], hull[right]
    slope = float((y[b] - y[a]) / (x[b] - x[a]))
    return slope, float(y[a] - slope * x[a])


def _not_below(x: FloatArray64, y: FloatArray64, a: int, b: int, c: int) -> bool:
    """Whether b lies on or above the straight from a to c."""
    return bool((y[b] - y[a]) * (x[c] - x[a]) >= (y[c] - y[a]) * (x[b] - x[a]))
