"""What can be connected: a device's configuration and its decoder, by name.

The devices themselves are data: `device_table`.
"""

from __future__ import annotations

from dataclasses import replace

from ecgedge.errors import UsageError
from ecgedge.recording import MAX_RATE_HZ, MIN_RATE_HZ
from firmware_bridge.device_table import DEVICES, Device
from firmware_bridge.events import Channel, Configuration, Decoder
from firmware_bridge.wire import tagged

__all__ = ["DEVICES", "Device", "configuration", "device", "open_decoder"]

#: A rate is taken for one that is offered when it differs by less (853 stands for 853.33).
_RATE_TOLERANCE = 1e-3
_MAX_WIRE_GAIN = 655.0  # the wire tells hundredths in 16 bits


def device(name: str) -> Device:
    """The row of that name. Raises UsageError for a name that is not in the table."""
    if name not in DEVICES:
        raise UsageError(f"no device is called {name!r}; there are {', '.join(DEVICES)}")
    return DEVICES[name]


def configuration(
    name: str, *, rate_hz: float | None = None, gain: float | None = None
) -> Configuration:
    """What a device's counts are worth, at a rate in Hz and a gain it offers (None: its usual).

    For "ecgedge" it is the configuration of a simulated device, with its tag: a real one sends
    its own. Raises UsageError for an unknown device, and for a rate or gain it does not have.
    """
    row = device(name)
    rate, full_scale = _rate(row, rate_hz)
    told = Configuration(
        device=name,
        boot=0,
        rate_hz=rate,
        reference_mv=row.reference_mv,
        encoding=row.encoding,
        full_scale=full_scale,
        channels=tuple(Channel(*pair, _gain(row, gain)) for pair in row.channels),
    )
    if row.record is None:
        return tagged(replace(told, device=b"ecgedge\0".hex()))
    return told


def open_decoder(
    name: str,
    *,
    rate_hz: float | None = None,
    gain: float | None = None,
    lead_off: bool = False,
) -> Decoder:
    """A decoder of what this device sends.

    rate_hz, gain: how the device was set up, for formats that do not say; our own wire format
    says, and takes neither. lead_off: believe the lead-off bits of a format that cannot say
    whether the chip senses. Raises UsageError as `configuration` does.
    """
    row = device(name)
    if row.record is None:
        if rate_hz is not None or gain is not None or lead_off:
            raise UsageError(f"{row.title} says its own rate, gain and lead-off; leave them out")
        from firmware_bridge.decoder import WireDecoder

        return WireDecoder()
    if lead_off and not row.off_valid:
        raise UsageError(f"{row.title} does not tell which electrodes are off")
    from firmware_bridge.records import RecordDecoder

    return RecordDecoder(row, configuration(name, rate_hz=rate_hz, gain=gain), lead_off=lead_off)


def _rate(row: Device, rate_hz: float | None) -> tuple[float, int]:
    """The offered rate nearest to what was asked for, and its full scale."""
    if rate_hz is None:
        return row.rates[0]
    if row.record is None:
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise UsageError(f"a rate is {MIN_RATE_HZ:g} to {MAX_RATE_HZ:g} Hz, not {rate_hz:g}")
        return rate_hz, row.rates[0][1]
    nearest = min(row.rates, key=lambda offered: abs(offered[0] - rate_hz))
    if not abs(nearest[0] - rate_hz) <= _RATE_TOLERANCE * nearest[0]:
        offered = ", ".join(f"{rate:.4g}" for rate, _ in sorted(row.rates))
        raise UsageError(f"{row.title} does not run at {rate_hz:g} Hz; it offers {offered}")
    return nearest


def _gain(row: Device, gain: float | None) -> float:
    if gain is None:
        return row.gains[0]
    if row.record is None and 0 < gain <= _MAX_WIRE_GAIN:
        return gain
    if gain not in row.gains:
        offered = ", ".join(f"{one:g}" for one in sorted(row.gains))
        raise UsageError(f"{row.title} has no gain of {gain:g}; it offers {offered}")
    return gain
