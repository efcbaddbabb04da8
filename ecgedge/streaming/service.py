"""A source with what reads it: device, decoder, session; and what its end means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ecgedge import __version__
from ecgedge.errors import EcgedgeError, InputError, QualityRefused, ReleaseError, UsageError
from ecgedge.streaming.arrivals import Source
from ecgedge.streaming.session import Session
from ecgedge.streaming.sources import Manners, open_source
from ecgedge.streaming.watcher import Tally
from firmware_bridge.devices import device, open_decoder
from firmware_bridge.events import Decoder

DEFAULT_DEVICE = "ecgedge"


@dataclass(frozen=True)
class Wanted:
    """What a person asked for. None: as the log says, else as usual."""

    source: str
    every_s: float = 10.0
    device: str | None = None
    rate_hz: float | None = None
    gain: float | None = None
    baud: int | None = None
    lead_off: bool = False


@dataclass(frozen=True)
class Stream:
    """An open source and its session. facts: of a log's header."""

    source: Source
    decoder: Decoder
    session: Session
    facts: dict[str, Any]

    @property
    def device(self) -> str:
        return str(self.facts["device"])


def open_stream(wanted: Wanted) -> Stream:
    """Open the source and make its decoder and session.

    Raises what `open_source` raises; UsageError for a device that is not known, or for a rate
    or gain that it cannot have.
    """
    usual = device(wanted.device or DEFAULT_DEVICE)
    source = open_source(wanted.source, Manners(wanted.baud or usual.baud, usual.start, usual.stop))
    try:
        told = source.options  # of a log; what was asked for goes before
        name = wanted.device or _text(told.get("device")) or DEFAULT_DEVICE
        same = name == told.get("device")
        rate_hz = wanted.rate_hz or (_number(told.get("rate_hz")) if same else None)
        gain = wanted.gain or (_number(told.get("gain")) if same else None)
        lead_off = wanted.lead_off or (same and told.get("lead_off") is True)
        try:
            decoder = open_decoder(name, rate_hz=rate_hz, gain=gain, lead_off=lead_off)
        except UsageError as error:
            if not told:
                raise
            raise InputError(f"{wanted.source}: {error}") from None
        # A replayed window is called what it was called live: the same answer, word for word.
        called = _text(told.get("source")) or wanted.source
        session = Session(decoder, every_s=wanted.every_s, source=called)
        facts = {
            "device": name,
            "rate_hz": rate_hz,
            "gain": gain,
            "lead_off": lead_off,
            "source": called,
            "host_us": source.now_us(),
            "ecgedge": __version__,
        }
        return Stream(source, decoder, session, facts)
    except BaseException:
        source.close()
        raise


def verdict(stream: Stream, tally: Tally) -> EcgedgeError | None:
    """What a stream that has ended failed at; None where a window was answered."""
    if tally.answered:
        return None
    if tally.failed:
        return ReleaseError("no window could be answered: each one's reason was told")
    if tally.refused:
        return QualityRefused("no window could carry an answer: each one's reasons were told")
    return InputError(f"{stream.source.name}: {_nothing(stream)}")


def _nothing(stream: Stream) -> str:
    """Why not one window came of a stream."""
    counted = stream.decoder.counters
    if not counted.octets:
        return "not one byte came"
    if not counted.frames:
        return (
            f"{counted.octets:,} bytes and no frame of device {stream.device} among them; "
            "--device names others, and `ecgedge query` reads recordings"
        )
    if counted.unconfigured >= counted.samples:
        return f"{counted.samples} samples, and the device never said what their counts are worth"
    return f"{counted.samples} samples are no complete window of 10 s"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None
