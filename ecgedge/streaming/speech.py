"""What a stream's notices say, and how often: each kind at once, then ever less often.

A hundredth of all frames damaged is five notices a second that nobody reads. What comes within a
second of its kind's last notice is summed up and said when the second is over; while it goes on,
a second becomes two, four, at last ten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ecgedge.streaming.told import Notice

#: Seconds of stream between two notices of a kind that can come in floods: at first, at most.
EVERY_S, SELDOM_S = 1.0, 10.0
#: What happened, how much of it by name, and how often: told since when.
Say = Callable[[float, Mapping[str, float], int], Notice]


class Held:
    """Notices of one kind, at most one a second and in a flood one in ten."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._sums: dict[str, float] = {}
        self._count = 0
        self._since_s = 0.0
        self._last_s, self._pause_s = float("-inf"), EVERY_S

    def add(self, at_s: float, what: str, amount: float = 1) -> None:
        """So much of it happened at `at_s`; what happened last stands last among the sums."""
        if not self._count:
            self._since_s = at_s
        self._sums[what] = self._sums.pop(what, 0) + amount
        self._count += 1

    def due(self, now_s: float, *, last: bool = False) -> Iterator[Notice]:
        """The notice whose pause is over, if there is one; last: whatever waits."""
        if self._count and (last or now_s >= self._last_s + self._pause_s):
            flood = now_s <= self._last_s + 2 * self._pause_s
            self._pause_s = min(2 * self._pause_s, SELDOM_S) if flood else EVERY_S
            self._last_s = now_s
            yield self._say(self._since_s, self._sums, self._count)
            self._sums, self._count = {}, 0

    @property
    def waiting(self) -> bool:
        """Whether anything has not been said."""
        return self._count > 0


def when(since_s: float, count: int) -> str:
    """ "at 12.3 s" of one thing, "3 times since 12.3 s" of several."""
    return f"at {since_s:.1f} s" if count == 1 else f"{count} times since {since_s:.1f} s"


def gap(since_s: float, seconds: Mapping[str, float], count: int) -> Notice:
    """Samples that are missing: seconds by why."""
    facts = {"seconds": sum(seconds.values()), "gaps": count, "why": dict(seconds)}
    parts = []
    unconfigured_s = seconds.get(UNCONFIGURED, 0.0)
    if lost_s := sum(seconds.values()) - unconfigured_s:
        parts.append(f"{_amount(lost_s)} lost")
    if unconfigured_s:
        parts.append(f"{_amount(unconfigured_s)} came without the configuration they belong to")
    return Notice("gap", f"{' and '.join(parts)}, {when(since_s, count)}", since_s, facts)


def _amount(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1e3:.0f} ms"


#: Why samples are missing that did come: nobody knows what their counts are worth.
UNCONFIGURED = "unconfigured"


def damaged(since_s: float, octets: Mapping[str, float], count: int) -> Notice:
    """Bytes that are no frame: how many, by reason."""
    most = max(octets, key=lambda reason: octets[reason])
    text = f"{int(sum(octets.values())):,} bytes damaged, {when(since_s, count)}: {most}"
    facts = {"octets": int(sum(octets.values())), "times": count, "reasons": dict(octets)}
    return Notice("damaged", text, since_s, facts)


#: Why sample numbers began anew, in words; anything else that a decoder says lost time.
RESTARTS = {
    "restarted": "the device restarted",
    "counter": "so long nothing came that the device's counter cannot tell what was lost",
    "source": "the source was away and this device does not count what it sends",
}


def restart(since_s: float, whys: Mapping[str, float], count: int) -> Notice:
    """A place where windows begin anew."""
    why = list(whys)[-1]
    words = RESTARTS.get(why, "time was lost and nobody can tell how much")
    text = f"{words}, {when(since_s, count)}: windows begin anew"
    return Notice("restart", text, since_s, {"why": dict(whys), "times": count})


def clock(since_s: float, steps_us: Mapping[str, float], count: int) -> Notice:
    """The microcontroller's clock stepped: microseconds by direction."""
    way = list(steps_us)[-1]
    text = (
        f"the device's clock went {way} by {abs(steps_us[way]) / 1e6:.2f} s, "
        f"{when(since_s, count)}; samples stay where their numbers place them"
    )
    return Notice("clock", text, since_s, {"steps_us": dict(steps_us), "times": count})


def configuration(
    since_s: float, texts: Mapping[str, float], count: int, facts: Mapping[str, Any]
) -> Notice:
    """What the device is, or is now: the newest text says all; facts: of the newest."""
    text = list(texts)[-1]
    if count > 1:
        text += f" (changed {when(since_s, count)})"
    return Notice("configuration", text, since_s, {**facts, "times": count})


def lead_off(at_s: float, electrodes: list[str], leads: list[str], *, left: int) -> Notice:
    """Electrodes that fell off, and the leads that cannot be looked at now; left: how many can."""
    text = f"{_electrodes(electrodes)} off"
    if leads and not left:
        text += ": no lead is left"
    elif leads:
        text += f": {', '.join(leads)} {'is' if len(leads) == 1 else 'are'} not looked at"
    return Notice("lead_off", text, at_s, {"electrodes": electrodes, "leads": leads})


def lead_on(at_s: float, electrodes: list[str]) -> Notice:
    """Electrodes that hold again."""
    text = f"{_electrodes(electrodes)} on again"
    return Notice("lead_on", text, at_s, {"electrodes": electrodes})


def _electrodes(names: list[str]) -> str:
    listed = " and ".join(names)
    return f"electrode {listed} is" if len(names) == 1 else f"electrodes {listed} are"
