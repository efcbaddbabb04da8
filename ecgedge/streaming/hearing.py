"""Is anybody there, and do they speak our language? What only the host's clock can tell.

Silence, bytes among which no frame is, frames without samples, samples without a configuration.
Each is said once and again only after it was over.
"""

from __future__ import annotations

from collections.abc import Iterator

from ecgedge.streaming.told import Notice
from firmware_bridge.events import Counters

#: Host seconds of silence before it is said; a second of configuration frames and one to spare.
SILENT_S = 2.0
#: Host seconds of bytes without a frame, or of frames without a configuration.
UNKNOWN_S = 3.0
#: So many bytes without a frame say it too: over a hundred of our longest frames.
UNKNOWN_OCTETS = 1 << 16
#: Fewer say nothing: the rest of one frame, or a boot loader's greeting.
FEW_OCTETS = 512


class Hearing:
    """Watches the counters of a decoder against the host's clock."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._begun_us: int | None = None
        self.heard_us: int | None = None
        self._silent = self._away = False
        self._frames = self._samples = 0
        self._sampled_us: int | None = None
        self._dry = False
        self._strange_octets, self._strange_us = 0, 0
        self._strange_said = False
        self._unknown_us: int | None = None
        self._unknown_said = False

    def away(self, away: bool, host_us: int) -> None:
        """The source is gone, or back: its silence is no news."""
        self._away, self._silent, self._begun_us = away, False, host_us
        self.heard_us = self._sampled_us = None

    def data(self, octets: int, host_us: int, at_s: float) -> Iterator[Notice]:
        """Bytes came."""
        if self._silent:
            self._silent, self._sampled_us = False, None
            yield Notice("data_back", "data again", at_s)
        self.heard_us = host_us
        if not self._strange_octets:
            self._strange_us = host_us
        self._strange_octets += octets

    def decoded(self, unconfigured: bool, host_us: int, at_s: float) -> Iterator[Notice]:
        """What those bytes were. unconfigured: the newest samples have no known worth."""
        frames = self._counters.frames + self._counters.configurations
        if frames != self._frames:
            self._frames = frames
            self._strange_octets, self._strange_said = 0, False
            yield from self._sampled(host_us, at_s)
        if not unconfigured:
            self._unknown_us, self._unknown_said = None, False
        elif self._unknown_us is None:
            self._unknown_us = host_us
        yield from self._judge(host_us, at_s, UNKNOWN_S)

    def tick(self, host_us: int, at_s: float) -> Iterator[Notice]:
        """Time passed; nothing need have come."""
        if self._begun_us is None:
            self._begun_us = host_us
        since_us = self._begun_us if self.heard_us is None else self.heard_us
        if not (self._silent or self._away) and host_us - since_us >= SILENT_S * 1e6:
            self._silent = True
            yield Notice("no_data", f"nothing came for {SILENT_S:g} s", at_s)
        yield from self._judge(host_us, at_s, UNKNOWN_S)

    def finish(self, host_us: int, at_s: float) -> Iterator[Notice]:
        """The end: what there was no time to say."""
        if self._counters.configurations:
            self._unknown_us = None  # the next one was on its way
        yield from self._judge(host_us, at_s, 0.0)

    def _sampled(self, host_us: int, at_s: float) -> Iterator[Notice]:
        """Frames came: were samples among them?"""
        if self._counters.samples != self._samples or self._sampled_us is None:
            self._samples, self._sampled_us = self._counters.samples, host_us
            if self._dry:
                self._dry = False
                yield Notice("data_back", "samples again", at_s)
        elif not self._dry and host_us - self._sampled_us >= UNKNOWN_S * 1e6:
            self._dry = True
            text = f"the device says what it is, but sent no sample for {UNKNOWN_S:g} s"
            yield Notice("no_data", text, at_s)

    def _judge(self, host_us: int, at_s: float, patience_s: float) -> Iterator[Notice]:
        octets, patience_us = self._strange_octets, patience_s * 1e6
        long = octets >= FEW_OCTETS and host_us - self._strange_us >= patience_us
        if (long or octets >= UNKNOWN_OCTETS) and not self._strange_said:
            self._strange_said = True
            since = " since the last one" if self._frames else ""
            text = (
                f"{octets:,} bytes and no frame among them{since}: is this device's format "
                "another (--device), or the port's speed?"
            )
            yield Notice("not_this_format", text, at_s, {"octets": octets})
        unknown = self._unknown_us is not None and host_us - self._unknown_us >= patience_us
        if unknown and not self._unknown_said:
            self._unknown_said = True
            text = (
                "samples, but no configuration frame says what they are worth, so nothing can be "
                "looked at: the device should send one each second"
            )
            yield Notice("no_configuration", text, at_s)
