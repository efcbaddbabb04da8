"""A simulation in time: frames leave when they are due, links end and come back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from firmware_bridge.simulator.line import Unplugged
from firmware_bridge.simulator.outlets import Outlet
from firmware_bridge.simulator.stop import Stop
from firmware_bridge.simulator.stream import Simulation


def replay(
    simulation: Simulation,
    outlet: Outlet,
    stop: Stop,
    *,
    speed: float | None,
    say: Callable[[str], None],
) -> Iterator[float]:
    """Play to the end or until asked to stop; yields the time played so far, each second of it.

    speed: times real time; None is as fast as the reader takes it. The outlet is opened, and
    closed at the end. say: is told where the link is, each time it is plugged in.

    The device begins when somebody opens its link, and goes on when somebody opens it again
    after it was unplugged. In between, a reader who leaves or is too slow loses whole frames
    (the ledger has them as "dropped"); at full speed the device waits for its reader instead.
    """
    try:
        outlet.open()
        yield from _play(simulation, outlet, stop, speed, say)
    finally:
        simulation.ledger.finish()
        outlet.close(stop)


def _play(
    simulation: Simulation,
    outlet: Outlet,
    stop: Stop,
    speed: float | None,
    say: Callable[[str], None],
) -> Iterator[float]:
    begun = _open(outlet, stop, time.monotonic(), say)
    told_s = 1.0
    for one in simulation:
        if speed is not None:
            stop.until(begun + one.t_s / speed)
        if stop.asked:
            return
        if isinstance(one, Unplugged):
            outlet.close(stop)
            back = begun + (one.t_s + one.seconds) / speed if speed is not None else 0.0
            if not stop.until(back):
                return
            outlet.open()
            begun = _open(outlet, stop, begun, say)
            continue
        one.dropped = not outlet.send(one.octets, stop, wait=speed is None)
        if one.t_s >= told_s:
            told_s += 1
            yield one.t_s


def _open(outlet: Outlet, stop: Stop, begun: float, say: Callable[[str], None]) -> float:
    """Wait for a reader; when the device began, had it been running all the time."""
    say(outlet.where)
    asked = time.monotonic()
    outlet.wait_for_reader(stop)
    return begun + time.monotonic() - asked
