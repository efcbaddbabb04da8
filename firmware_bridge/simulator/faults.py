"""What goes wrong in a simulated device, and its grammar in text.

    lost=0.01,flipped=0.005,stall=30:5,lead_off=20:3:V1,gain=40:12,unplug=60:5

Entries are parted by commas. `name=P` befalls each frame with probability P; `name=AT:...`
happens once, AT seconds after the device began, and may be given several times. `GRAMMAR`
lists them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import pairwise

from ecgedge.errors import UsageError
from firmware_bridge.events import ELECTRODES, Electrode

#: Silences and changes lie at least so far apart: frames are between them.
_APART_S = 1.0
#: What befalls one frame; a frame suffers at most one of them.
FRAME_FAULTS = ("lost", "duplicated", "reordered", "late", "flipped", "slipped")

_ELECTRODES: dict[str, Electrode] = {
    **{one: one for one in ELECTRODES[1:10]},
    **{f"V{number}": ELECTRODES[3 + number] for number in range(1, 7)},
}

#: Name, how it is written, what happens.
GRAMMAR = (
    ("lost", "lost=P", "the frame is not sent"),
    ("duplicated", "duplicated=P", "it is sent twice"),
    ("reordered", "reordered=P", "it changes places with the next"),
    ("late", "late=P", "it is held back until eight others have arrived"),
    ("flipped", "flipped=P", "one bit of it is turned over, of its delimiter too"),
    ("slipped", "slipped=P", "one octet of it is dropped, or one too many put in"),
    ("stall", "stall=AT:S[:overrun]", "silence of S seconds; then what was kept comes at once, "
     "or (overrun) it was not kept"),
    ("unplug", "unplug=AT:S[:reboot]", "the link ends mid-frame and comes back after S seconds; "
     "the device has gone on, or (reboot) starts anew"),
    ("reboot", "reboot=AT:S", "the device starts anew after S seconds, the link stays"),
    ("lead_off", "lead_off=AT:S:ELECTRODE", "RA, LA, LL or V1 to V6 hangs loose for S seconds"),
    ("gain", "gain=AT:G", "another gain, announced at once"),
    ("rate", "rate=AT:HZ", "another sampling rate, announced at once"),
    ("map", "map=AT:reversed|N", "channels in reversed order, or the first N only, announced"),
    ("clock_back", "clock_back=AT:S", "the microcontroller's clock goes back by S seconds"),
    ("drift", "drift=PPM", "its crystal is that much too fast (too slow: negative)"),
    ("jitter", "jitter=MS", "each frame comes up to MS milliseconds late"),
    ("offset", "offset=MV", "electrode potentials of up to MV, another for each electrode"),
    ("common_mode", "common_mode=MV", "mains hum of MV on the whole body"),
    ("no_configuration", "no_configuration", "no configuration frame ever comes"),
)  # fmt: skip


@dataclass(frozen=True)
class Silence:
    """Seconds without an octet.

    keeps: what is sampled meanwhile comes afterwards. unplugged: the link ends, mid-frame.
    reboots: the device starts anew at the end of it.
    """

    at_s: float
    seconds: float
    keeps: bool = False
    unplugged: bool = False
    reboots: bool = False

    @property
    def end_s(self) -> float:
        return self.at_s + self.seconds


@dataclass(frozen=True)
class LeadOff:
    """An electrode that hangs loose for some seconds."""

    at_s: float
    seconds: float
    electrode: Electrode


@dataclass(frozen=True)
class Change:
    """A new configuration: the fields that are not None. channels: how many, of the first."""

    at_s: float
    gain: float | None = None
    rate_hz: float | None = None
    reversed: bool = False
    channels: int | None = None


@dataclass(frozen=True)
class ClockStep:
    """The microcontroller's clock goes back."""

    at_s: float
    seconds: float


@dataclass(frozen=True)
class Faults:
    """A plan of faults: probabilities a frame, what happens at a time, what holds throughout.

    Times are seconds by the device's own crystal since it began. Raises UsageError for a plan
    that no decoder could follow: silences and changes of configuration less than a second apart.
    """

    lost: float = 0.0
    duplicated: float = 0.0
    reordered: float = 0.0
    late: float = 0.0
    flipped: float = 0.0
    slipped: float = 0.0
    silences: tuple[Silence, ...] = ()
    lead_offs: tuple[LeadOff, ...] = ()
    changes: tuple[Change, ...] = ()
    clock_steps: tuple[ClockStep, ...] = ()
    drift_ppm: float = 0.0
    jitter_ms: float = 0.0
    offset_mv: float = 0.0
    common_mode_mv: float = 0.0
    configured: bool = True

    def __post_init__(self) -> None:
        shares = [getattr(self, name) for name in FRAME_FAULTS]
        if min(shares) < 0 or sum(shares) > 1:
            raise UsageError("the probabilities of faults of a frame must add up to 1 at most")
        apart = sorted([(one.at_s, one.end_s) for one in self.silences])
        for (_, end_s), (at_s, _) in pairwise(apart):
            if at_s < end_s + _APART_S:
                raise UsageError(
                    f"the silence at {at_s:g} s begins less than a second after another's end"
                )
        for change in self.changes:
            for at_s, end_s in apart:
                if at_s - _APART_S < change.at_s < end_s + _APART_S:
                    raise UsageError(
                        f"the change at {change.at_s:g} s is less than a second from the silence "
                        f"at {at_s:g} s, and nobody could tell it from a restart"
                    )


def parse(text: str) -> Faults:
    """The plan that a text describes, e.g. `lost=0.01,stall=30:5`; "" is none.

    Raises UsageError, one sentence, for a name, a number or a time that means nothing.
    """
    found: dict[str, list[object]] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = entry.partition("=")
        reader = _READERS.get(name)
        if reader is None:
            known = ", ".join(one for one, _, _ in GRAMMAR)
            raise UsageError(f"{name!r} is no fault; there are {known}")
        field, read = reader
        parts = value.split(":") if value else []
        try:
            found.setdefault(field, []).append(read(parts))
        except (ValueError, KeyError):
            form = next(form for one, form, _ in GRAMMAR if one == name)
            raise UsageError(f"{entry!r} is not of the form {form}") from None
        if len(found[field]) > 1 and field not in _REPEATED:
            raise UsageError(f"{name} is given twice")
    return Faults(**{
        field: tuple(values) if field in _REPEATED else values[0]
        for field, values in found.items()
    })  # type: ignore[arg-type]  # fmt: skip


def _number(text: str, least: float = 0.0, most: float = math.inf) -> float:
    value = float(text)
    if not least <= value <= most or math.isinf(value):
        raise ValueError(text)
    return value


def _single(least: float, most: float = math.inf) -> Callable[[list[str]], float]:
    def read(parts: list[str]) -> float:
        (text,) = parts
        return _number(text, least, most)

    return read


def _stall(parts: list[str]) -> Silence:
    overrun = parts[2:] == ["overrun"]
    if len(parts) != 2 + overrun:
        raise ValueError(parts)
    return Silence(_number(parts[0]), _number(parts[1]), keeps=not overrun)


def _unplug(parts: list[str]) -> Silence:
    reboots = parts[2:] == ["reboot"]
    if len(parts) != 2 + reboots:
        raise ValueError(parts)
    return Silence(_number(parts[0]), _number(parts[1]), unplugged=True, reboots=reboots)


def _reboot(parts: list[str]) -> Silence:
    at, seconds = parts
    return Silence(_number(at), _number(seconds), reboots=True)


def _lead_off(parts: list[str]) -> LeadOff:
    at, seconds, electrode = parts
    return LeadOff(_number(at), _number(seconds), _ELECTRODES[electrode.upper()])


def _gain(parts: list[str]) -> Change:
    at, gain = parts
    return Change(_number(at), gain=_number(gain, 0.01, 655.35))


def _rate(parts: list[str]) -> Change:
    at, rate = parts
    return Change(_number(at), rate_hz=_number(rate, 100, 2000))


def _map(parts: list[str]) -> Change:
    at, order = parts
    if order == "reversed":
        return Change(_number(at), reversed=True)
    return Change(_number(at), channels=int(_number(str(int(order)), 1, 8)))


def _clock_back(parts: list[str]) -> ClockStep:
    at, seconds = parts
    return ClockStep(_number(at), _number(seconds))


def _no_configuration(parts: list[str]) -> bool:
    if parts:
        raise ValueError(parts)
    return False


#: Name -> field of `Faults`, reader of what stands between the colons.
_READERS: dict[str, tuple[str, Callable[[list[str]], object]]] = {
    **{name: (name, _single(0, 1)) for name in FRAME_FAULTS},
    "stall": ("silences", _stall),
    "unplug": ("silences", _unplug),
    "reboot": ("silences", _reboot),
    "lead_off": ("lead_offs", _lead_off),
    "gain": ("changes", _gain),
    "rate": ("changes", _rate),
    "map": ("changes", _map),
    "clock_back": ("clock_steps", _clock_back),
    "drift": ("drift_ppm", _single(-1e5, 1e5)),
    "jitter": ("jitter_ms", _single(0)),
    "offset": ("offset_mv", _single(0)),
    "common_mode": ("common_mode_mv", _single(0)),
    "no_configuration": ("configured", _no_configuration),
}
_REPEATED = {one.name for one in fields(Faults) if one.default == ()}
