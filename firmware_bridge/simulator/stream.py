"""A device that runs: samples in time, frames, changes, silences. Pure: nothing here waits."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ecgedge.errors import UsageError
from ecgedge.recording import Recording, check_rate
from firmware_bridge.events import Configuration, Electrode
from firmware_bridge.simulator.edges import SilenceEnd, edges_of
from firmware_bridge.simulator.electrodes import Skin, off_valid
from firmware_bridge.simulator.faults import Change, ClockStep, Faults, LeadOff, Silence
from firmware_bridge.simulator.formats import Format, format_of
from firmware_bridge.simulator.ledger import Ledger, Unit
from firmware_bridge.simulator.line import Line, Sent, Unplugged
from firmware_bridge.simulator.playlist import Playlist, Resample

#: Samples of one frame; 10 are 20 ms at 500 Hz.
SAMPLES_PER_FRAME = 10
_INSTANT_S = 1e-9


class Simulation:
    """An iterable of `Sent` and `Unplugged`, and the `ledger` of it, complete at its end.

    To be iterated once. configuration: what the device says of itself at its beginning.
    """

    ledger: Ledger
    configuration: Configuration

    def __init__(
        self,
        playlist: Playlist,
        configuration: Configuration,
        faults: Faults,
        seed: int,
        seconds: float | None,
        form: Format,
    ) -> None:
        self._playlist, self._faults, self._form, self._seconds = playlist, faults, form, seconds
        self._boots = random.Random(f"boots {seed}")
        self._skin = Skin(faults.offset_mv, faults.common_mode_mv, seed)
        restarts = any(one.reboots for one in faults.silences)
        told = faults.configured or not restarts
        self.ledger = Ledger(framed=form.framed, exact=form.framed and told)
        self._line = Line(faults, self.ledger, seed)
        self.configuration = self._booted(
            replace(configuration, amplitude_known=playlist.amplitude_known)
        )
        self._now = self.configuration
        self._edges = edges_of(faults)
        # Sample `_number` since the start is taken at `_origin_s` + (number - `_base`) / rate,
        # and is sample `_played` + (number - `_base`) of the playlist.
        self._number = self._base = self._played = 0
        self._origin_s = self._boot_s = self._clock_back_s = self._kept_until_s = 0.0
        self._silence: Silence | None = None
        self._announce_at = 0
        self._spare = True

    def __iter__(self) -> Iterator[Sent | Unplugged]:
        while not self._ended():
            yield from self._pass_edges()
            if self._ended():
                break
            frames, rest = self._frames_to_edge()
            if self._silence is not None:
                self._skip(frames * self._form.samples + rest)
            else:
                yield from self._second(frames, rest)
        self.ledger.finish()

    # --- time -------------------------------------------------------------------------

    @property
    def _time_s(self) -> float:
        """When the next sample is taken, by the device's crystal."""
        return self._at_s(self._number)

    def _at_s(self, number: int) -> float:
        return self._origin_s + (number - self._base) / self._now.rate_hz

    def _left(self) -> int:
        """Samples until the device is turned off; a great many for one that never is."""
        if self._seconds is None:
            return 1 << 62
        end = self._base + (self._seconds - self._origin_s) * self._now.rate_hz
        return max(0, math.floor(end + 1e-6) - self._number)

    def _ended(self) -> bool:
        return self._left() == 0

    def _frames_to_edge(self) -> tuple[int, int]:
        """Whole frames until something happens, and the samples of one short frame at the end."""
        each = self._form.samples
        until = 1 << 62 if self._silence else max(self._announce_at - self._number, 1)
        if self._edges:
            after = (self._edges[0][0] - _INSTANT_S - self._time_s) * self._now.rate_hz
            until = min(until, max(1, math.ceil(after)))
        left = self._left()
        if until >= left:
            return divmod(left, each)
        frames = -(-until // each)
        return (frames, 0) if frames * each <= left else divmod(left, each)

    def _ends_hard(self, number: int) -> bool:
        """Whether a frame that ends before this sample is the last before a change."""
        if self._number + self._left() <= number:
            return True
        limit = self._at_s(number) + _INSTANT_S
        return any(
            isinstance(edge, Change | Silence) for at_s, edge in self._edges[:8] if at_s <= limit
        )

    # --- what happens -----------------------------------------------------------------

    def _pass_edges(self) -> Iterator[Sent | Unplugged]:
        while self._edges and self._edges[0][0] <= self._time_s + _INSTANT_S:
            _, edge = self._edges.pop(0)
            if isinstance(edge, Change):
                self._change(edge)
            elif isinstance(edge, Silence):
                yield from self._fall_silent(edge)
            elif isinstance(edge, SilenceEnd):
                yield from self._speak_again(edge.silence)
            elif isinstance(edge, ClockStep):
                self.ledger.inject("clock_steps")
                self._clock_back_s += edge.seconds
            elif isinstance(edge, LeadOff):
                self.ledger.inject("lead_offs")

    def _change(self, change: Change) -> None:
        self.ledger.inject("changes")
        now = self._now
        channels = now.channels[: change.channels]
        if change.gain is not None:
            channels = tuple(replace(one, gain=change.gain) for one in channels)
        if change.reversed:
            channels = channels[::-1]
        time_s = self._time_s
        if change.rate_hz is not None:
            self._origin_s, self._base = time_s, self._number
            self._played = round(time_s * change.rate_hz)
        rate_hz = change.rate_hz or now.rate_hz
        self._now = self._form.tagged(replace(now, channels=channels, rate_hz=rate_hz))
        self._announce_at, self._spare = self._number, True

    def _fall_silent(self, silence: Silence) -> Iterator[Sent | Unplugged]:
        self.ledger.inject(
            "unplugs" if silence.unplugged else "reboots" if silence.reboots else "stalls"
        )
        if silence.keeps:
            self._kept_until_s = silence.end_s
            return
        if silence.unplugged:
            samples = min(self._form.samples, self._left())
            (unit,) = self._units(1 if samples == self._form.samples else 0, samples)
            self._number += samples
            self.ledger.taken += samples
            self.ledger.inject("silenced")
            yield from self._line.cut(unit)
            yield Unplugged(unit.t_s, silence.seconds)
        self._silence = silence

    def _speak_again(self, silence: Silence) -> Iterator[Sent | Unplugged]:
        if silence.keeps:
            return
        self._silence = None
        self._announce_at, self._spare = self._number, True
        if silence.reboots:
            self._reboot()
        if silence.unplugged:
            yield from self._line.end_frame(self._host_s(self._time_s))

    def _reboot(self) -> None:
        self.ledger.restart()
        time_s, played = self._time_s, self._played + self._number - self._base
        self._origin_s = self._boot_s = time_s
        self._played, self._clock_back_s = played, 0.0
        self._number = self._base = self._announce_at = 0
        self._now = self._booted(self._now)

    def _booted(self, configuration: Configuration) -> Configuration:
        return self._form.tagged(replace(configuration, boot=self._boots.getrandbits(32)))

    # --- what is sent -----------------------------------------------------------------

    def _second(self, frames: int, rest: int) -> Iterator[Sent]:
        """Up to a second of frames, with the configuration in front of it."""
        units = []
        announced = self._announce_at <= self._number
        if announced:
            self._announce_at = self._number + round(self._now.rate_hz)
            frames, rest = self._frames_to_edge()
            units = self._configuration_units()
        samples = frames * self._form.samples + rest
        units += self._units(frames, samples)
        self.ledger.taken += samples
        first, last = self._spare, self._ends_hard(self._number + samples)
        self._spare = False
        self._number += samples
        yield from self._line.transmit(units, spare_first=first, spare_last=last)

    def _configuration_units(self) -> list[Unit]:
        if not self._faults.configured:
            return []
        octets = self._form.announce(self._now)
        due_s = self._host_s(self._time_s)
        return [Unit(octets, self._number, 0, due_s, self._now.tag)] if octets else []

    def _units(self, frames: int, samples: int) -> list[Unit]:
        """The next frames, whole ones and a short one for the samples beyond them."""
        each, now = self._form.samples, self._now
        numbers = self._number + np.arange(samples)
        times_s = self._origin_s + (numbers - self._base) / now.rate_hz
        leads = self._playlist.take(now.rate_hz, self._played + self._number - self._base, samples)
        counts, off = self._skin.counts(now, leads, times_s, self._loose())
        firsts = np.arange(0, samples, each)
        off = np.bitwise_or.reduceat(off, firsts)
        t_us = np.rint((times_s[firsts] - self._boot_s) * 1e6).astype(np.int64)
        t_us = np.maximum(t_us - round(self._clock_back_s * 1e6), 0)
        units = []
        for begin, end, size in ((0, frames, each), (frames, len(firsts), samples - frames * each)):
            if begin == end:
                continue
            octets = self._form.frames(
                now,
                counts[begin * each : begin * each + (end - begin) * size],
                size,
                first=self._number + begin * each,
                t_us=t_us[begin:end],
                off=off[begin:end],
                off_valid=off_valid(now),
            )
            for number, one in enumerate(octets, begin):
                first = self._number + number * each
                due_s = self._host_s(self._at_s(first + size))
                units.append(Unit(one, first, size, due_s, now.tag))
        return units

    def _skip(self, samples: int) -> None:
        """Samples that are taken and not sent."""
        self.ledger.inject("silenced", -(-samples // self._form.samples))
        self.ledger.taken += samples
        self._number += samples
        self._announce_at = self._number

    def _loose(self) -> frozenset[Electrode]:
        time_s = self._time_s + _INSTANT_S
        return frozenset(
            one.electrode
            for one in self._faults.lead_offs
            if one.at_s <= time_s < one.at_s + one.seconds
        )

    def _host_s(self, device_s: float) -> float:
        """The host's clock; what is kept in a stall comes at its end."""
        device_s = max(device_s, self._kept_until_s)
        return device_s / (1 + self._faults.drift_ppm * 1e-6)


def simulate(
    recordings: Sequence[Recording],
    configuration: Configuration,
    faults: Faults | None = None,
    *,
    seed: int = 0,
    seconds: float | None = None,
    endless: bool = False,
    samples_per_frame: int = SAMPLES_PER_FRAME,
    device: str = "ecgedge",
    resample: Resample | None = None,
) -> Simulation:
    """A device that replays recordings one after another; see `Simulation`.

    seconds: for how long, beginning anew at the end of the last recording; once through if
    None; for ever if endless. samples_per_frame: of our wire format, 1 to 15; records of other
    devices hold one. device: a name of `devices.DEVICES`. resample: brings recordings to the
    device's rate. The same arguments give the same octets.

    Raises UsageError for what cannot be played.
    """
    if seconds is not None and not seconds > 0:
        raise UsageError(f"a device cannot run for {seconds:g} seconds")
    check_rate(configuration.rate_hz)
    playlist = Playlist(recordings, resample)
    form = format_of(device, samples_per_frame)
    once = playlist.samples(configuration.rate_hz) / configuration.rate_hz
    if seconds is None and not endless:
        seconds = once
    plan = faults or Faults()
    if plan.changes and not form.framed:
        raise UsageError(f"{device} has no way to tell of another gain, rate or channel map")
    for change in plan.changes:
        playlist.samples(change.rate_hz or configuration.rate_hz)  # told before it begins
    return Simulation(playlist, configuration, plan, seed, seconds, form)
