"""A stream from its first byte to its last: bytes and host time in, windows and notices out.

    data -> decoder -> Frame | Gap | Damaged -> segment (windows.py) -> Window
                                             -> what must be said (speech.py, hearing.py) -> Notice

Pure, in the manner of python-tuf's ngclient: no thread, socket, file or clock. Which windows
there are, and every sample in them, follows from the bytes alone, however they were cut into
pieces and whenever they came; so a replayed log gives the windows of the stream it is a log of.
The one exception is a device whose counter is so short that only the host's clock can tell
whether it went round (`Gap.modulus`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgedge.errors import UsageError
from ecgedge.recording import LEADS
from ecgedge.streaming import speech
from ecgedge.streaming.clock import Clock
from ecgedge.streaming.device import Device
from ecgedge.streaming.electrodes import Electrodes
from ecgedge.streaming.hearing import Hearing
from ecgedge.streaming.speech import Held
from ecgedge.streaming.summary import Summary
from ecgedge.streaming.told import Notice, Window
from ecgedge.streaming.windows import Plan, Segment, Tally
from firmware_bridge.events import Configuration, Damaged, Decoder, Event, Frame, Gap
from firmware_bridge.leads import LeadMap, lead_map

#: Seconds between windows, and of one: below, beats are cut up or answers overrun each other.
MIN_EVERY_S, MIN_WINDOW_S, MAX_WINDOW_S = 0.1, 1.0, 60.0
#: Lead-off states of one configuration that are remembered; a state that flickers has few.
_STATES = 256


class Session:
    """One watched stream. clock: how the device's clocks run, see `Clock.report`."""

    def __init__(
        self,
        decoder: Decoder,
        *,
        every_s: float = 10.0,
        window_s: float = 10.0,
        source: str = "",
    ) -> None:
        """source: begins the name of every window. Raises UsageError for other lengths than
        0.1 s and more between windows and 1 to 60 s of one.
        """
        if not every_s >= MIN_EVERY_S:
            raise UsageError(f"windows each {every_s:g} s are too many; {MIN_EVERY_S:g} s at least")
        if not MIN_WINDOW_S <= window_s <= MAX_WINDOW_S:
            raise UsageError(
                f"a window of {window_s:g} s is not within {MIN_WINDOW_S:g} to {MAX_WINDOW_S:g} s"
            )
        self.clock = Clock()
        self._decoder = decoder
        self._plan, self._tally = Plan(every_s, window_s, source), Tally()
        self._segment: Segment | None = None
        self._begun_s = 0.0
        self._configuration: Configuration | None = None
        self._device: Device | None = None
        self._map: LeadMap | None = None
        self._states: dict[int, tuple[frozenset[str], NDArray[np.bool_] | None]] = {}
        self._electrodes = Electrodes()
        self._hearing = Hearing(decoder.counters)
        self._elapsed_us = 0
        self._framed = self._unconfigured = False
        self._breaks = self._clock_steps = 0
        self._facts: dict[str, Any] = {}
        self._held = {
            "configuration": Held(partial(speech.configuration, facts=self._facts)),
            "restart": Held(speech.restart),
            "gap": Held(speech.gap),
            "damaged": Held(speech.damaged),
            "clock": Held(speech.clock),
        }
        self._waiting = False

    @property
    def position_s(self) -> float:
        """Seconds of stream so far: taken samples, received or lost, where it is known."""
        segment = self._segment
        return segment.seconds(segment.position) if segment else self._begun_s

    def feed(self, data: bytes, host_us: int) -> list[Window | Notice]:
        """What these bytes make due. host_us: the host's monotonic clock when they came."""
        if not data:
            return []
        heard_us = self._hearing.heard_us
        self._elapsed_us = 0 if heard_us is None else host_us - heard_us
        told: list[Window | Notice] = [*self._hearing.data(len(data), host_us, self.position_s)]
        for event in self._decoder.feed(data):
            told += self._event(event, host_us)
        told += self._hearing.decoded(self._unconfigured, host_us, self.position_s)
        return told

    def tick(self, host_us: int) -> list[Notice]:
        """Time passed without data: says silence, and what `feed` would have said by now."""
        return [*self._hearing.tick(host_us, self.position_s)]

    def source_lost(self, host_us: int, why: str) -> list[Notice]:
        """The source is gone. why: a sentence. The stream goes on when it is back."""
        self._hearing.away(True, host_us)
        return [Notice("source_lost", why, self.position_s)]

    def source_back(self, host_us: int) -> list[Notice]:
        """The source is open again. A device that tells no configuration counts no loss either."""
        self._hearing.away(False, host_us)
        told = [Notice("source_back", "the source is back", self.position_s)]
        if self._segment and self._configuration and not self._configuration.tag:
            self._break("source")
            told += self._due()
        return told

    def finish(self, host_us: int) -> list[Window | Notice]:
        """The end of the stream: what the decoder held back, and what was not yet said."""
        told: list[Window | Notice] = []
        for event in self._decoder.finish():
            told += self._event(event, host_us)
        told += self._due(last=True)
        told += self._hearing.finish(host_us, self.position_s)
        return told

    def summary(self) -> Summary:
        """The counts so far."""
        return Summary.of(
            self._decoder.counters,
            self._tally,
            seconds=self.position_s,
            breaks=self._breaks,
            clock_steps=self._clock_steps,
        )

    def _event(self, event: Event, host_us: int) -> Iterator[Window | Notice]:
        if isinstance(event, Frame):
            yield from self._frame(event, host_us)
        elif isinstance(event, Gap):
            self._gap(event)
        elif self._framed:  # before, it is the middle of a frame, or `hearing` says it better
            self._damaged(event)
        if self._waiting:
            yield from self._due()

    def _frame(self, frame: Frame, host_us: int) -> Iterator[Window | Notice]:
        self._framed = True
        if frame.configuration is not self._configuration or frame.configuration is None:
            if frame.configuration is None:
                self._unconfigured_frame(frame)
                return
            self._configure(frame.configuration)
        self._unconfigured = False
        leads = self._map
        if leads is None:  # a rate that no ECG has
            return
        if self._segment and frame.first < self._segment.position:
            self._break("restarted")
        segment = self._segment or self._begin(frame, leads)
        if frame.first > segment.position:
            yield from segment.skip(frame.first - segment.position)
        step_us = self.clock.add(frame.first, len(frame.counts), frame.t_us, host_us)
        if step_us is not None:
            self._clock_steps += 1
            self._hold("clock", "back" if step_us < 0 else "ahead", step_us)
        off, lost = self._state(frame, leads)
        yield from segment.append(frame.counts, leads, lost)
        newly_off, newly_on = self._electrodes.update(off, len(frame.counts), segment.rate_hz)
        if newly_off or newly_on:
            yield from self._name(newly_off, newly_on, lost, leads.missing)

    def _begin(self, frame: Frame, leads: LeadMap) -> Segment:
        """A new segment, at this frame's first sample."""
        configuration = leads.configuration
        self.clock.begin(configuration.rate_hz)
        self._segment = Segment(
            self._plan,
            self._tally,
            rate_hz=configuration.rate_hz,
            unit="mV" if configuration.amplitude_known else "NU",
            channels=len(configuration.channels),
            first=frame.first,
            begun_s=self._begun_s,
        )
        return self._segment

    def _break(self, why: str) -> None:
        """Sample numbers begin anew, so windows do too."""
        if self._segment:
            self._hold("restart", why, 1)
            self._end_segment()

    def _end_segment(self) -> None:
        if self._segment:
            self._breaks += 1
            self._begun_s = self.position_s
            self._segment = None

    def _configure(self, configuration: Configuration) -> None:
        """Frames belong to another configuration than the ones before."""
        device, old = Device.of(configuration), self._device
        restarted = bool(self._configuration and self._configuration.boot != configuration.boot)
        leads = lead_map(configuration)
        self._configuration, self._device = configuration, device
        self._map = leads if device.usable else None
        self._states.clear()
        self._facts.update(device.facts(leads.missing))
        if old is None:
            self._hold("configuration", device.described(leads.missing), 1)
        elif device != old:
            self._hold("configuration", device.told_change(old, leads.missing), 1)
            if not device.joins(old):
                self._end_segment()
                self._electrodes = Electrodes()
        if restarted:
            self._break("restarted")

    def _unconfigured_frame(self, frame: Frame) -> None:
        """Samples of unknown worth: as good as lost, but for the reason."""
        self._unconfigured = True
        if self._segment:
            seconds = len(frame.counts) / self._segment.rate_hz
            self._hold("gap", speech.UNCONFIGURED, seconds, at=frame.first)

    def _gap(self, gap: Gap) -> None:
        if gap.samples is None:
            self._break(gap.why)
        elif self._segment:
            rate_hz = self._segment.rate_hz
            if gap.modulus and 2 * self._elapsed_us * rate_hz >= gap.modulus * 1e6:
                self._break("counter")
            else:
                self._hold("gap", gap.why, gap.samples / rate_hz, at=gap.first)

    def _damaged(self, damaged: Damaged) -> None:
        self._hold("damaged", damaged.reason, damaged.octets)

    def _state(
        self, frame: Frame, leads: LeadMap
    ) -> tuple[frozenset[str], NDArray[np.bool_] | None]:
        """Electrodes that are off, and the leads they take with them (None for none).

        The same object for the same bits, as `Timeline.append` asks for.
        """
        bits = frame.off & frame.off_valid
        if bits not in self._states:
            if len(self._states) >= _STATES:
                self._states.clear()
            off, lost = leads.off(frame.off, frame.off_valid)
            self._states[bits] = off, lost if lost.any() else None
        return self._states[bits]

    def _name(
        self,
        newly_off: list[str],
        newly_on: list[str],
        lost: NDArray[np.bool_] | None,
        missing: tuple[str, ...],
    ) -> Iterator[Notice]:
        """Electrodes whose state changed; lost: leads that those which are off take with them."""
        if newly_off:
            gone = [] if lost is None else [LEADS[index] for index in np.flatnonzero(lost)]
            left = len(LEADS) - len(gone) - len(missing)
            yield speech.lead_off(self.position_s, newly_off, gone, left=left)
        if newly_on:
            yield speech.lead_on(self.position_s, newly_on)

    def _hold(self, kind: str, what: str, amount: float, *, at: int | None = None) -> None:
        """Something to say, at sample `at` or now; said by `_due`."""
        segment = self._segment
        at_s = segment.seconds(at) if segment and at is not None else self.position_s
        self._held[kind].add(at_s, what, amount)
        self._waiting = True

    def _due(self, *, last: bool = False) -> list[Notice]:
        now_s = self.position_s
        told = [notice for held in self._held.values() for notice in held.due(now_s, last=last)]
        self._waiting = any(held.waiting for held in self._held.values())
        return told
