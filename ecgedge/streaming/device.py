"""What a device is, in the words of a notice, and which changes of it samples can bridge."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ecgedge.recording import LEADS, MAX_RATE_HZ, MIN_RATE_HZ
from firmware_bridge.events import Configuration


@dataclass(frozen=True)
class Device:
    """What of a configuration a change of the device changes: neither `boot` nor the tag."""

    device: str
    rate_hz: float
    channels: tuple[tuple[str, str], ...]
    gain: tuple[float, ...]
    reference_mv: float
    encoding: str
    full_scale: int
    amplitude_known: bool

    @classmethod
    def of(cls, configuration: Configuration) -> Device:
        return cls(
            device=configuration.device,
            rate_hz=configuration.rate_hz,
            channels=tuple((one.positive, one.negative) for one in configuration.channels),
            gain=tuple(one.gain for one in configuration.channels),
            reference_mv=configuration.reference_mv,
            encoding=configuration.encoding,
            full_scale=configuration.full_scale,
            amplitude_known=configuration.amplitude_known,
        )

    @property
    def usable(self) -> bool:
        """Whether windows can be made of what it sends."""
        return MIN_RATE_HZ <= self.rate_hz <= MAX_RATE_HZ

    def joins(self, other: Device) -> bool:
        """Whether samples of both may stand in one window: they differ in a count's worth only."""
        return (self.device, self.rate_hz, self.channels, self.amplitude_known) == (
            other.device,
            other.rate_hz,
            other.channels,
            other.amplitude_known,
        )

    def described(self, missing: tuple[str, ...]) -> str:
        """One sentence. missing: leads that its channels cannot give."""
        parts = [
            f"device {self.device}: {self.rate_hz:g} Hz",
            f"{len(self.channels)} channels",
            _gains(self.gain),
            _leads(missing),
        ]
        if not self.amplitude_known:
            parts.append("amplitude unknown")
        text = ", ".join(part for part in parts if part)
        if not self.usable:
            text += (
                f"; a rate outside {MIN_RATE_HZ:g} to {MAX_RATE_HZ:g} Hz is no ECG's, so no "
                "window is made"
            )
        return text

    def told_change(self, old: Device, missing: tuple[str, ...]) -> str:
        """One sentence of what is no longer as in `old`."""
        names = [
            _NAMES[field.name]
            for field in fields(self)
            if getattr(self, field.name) != getattr(old, field.name)
        ]
        after = "" if self.joins(old) else "; windows begin anew"
        return f"changed {' and '.join(names)}{after}; {self.described(missing)}"

    def facts(self, missing: tuple[str, ...]) -> dict[str, Any]:
        """The same for scripts."""
        return {
            "device": self.device,
            "rate_hz": self.rate_hz,
            "gain": list(self.gain),
            "channels": ["-".join(pair) for pair in self.channels],
            "leads": [lead for lead in LEADS if lead not in missing],
            "missing_leads": list(missing),
            "amplitude_known": self.amplitude_known,
        }


_NAMES = {
    "device": "the device",
    "rate_hz": "its rate",
    "channels": "its channels",
    "gain": "its gain",
    "reference_mv": "its reference voltage",
    "encoding": "its number encoding",
    "full_scale": "its full scale",
    "amplitude_known": "whether its amplitude is known",
}


def _gains(gains: tuple[float, ...]) -> str:
    each = sorted(set(gains))
    return f"gain {', '.join(f'{gain:g}' for gain in each)}" if each else ""


def _leads(missing: tuple[str, ...]) -> str:
    if len(missing) == len(LEADS):
        return "none of the 12 leads"
    return f"12 leads but {', '.join(missing)}" if missing else "12 leads"
