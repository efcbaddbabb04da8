"""A plan of faults as points in time: what begins, changes and ends."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_bridge.simulator.faults import Change, ClockStep, Faults, LeadOff, Silence


@dataclass(frozen=True)
class SilenceEnd:
    """The end of a silence, which is an edge of its own."""

    silence: Silence


Edge = Change | Silence | ClockStep | LeadOff | SilenceEnd | None


def edges_of(faults: Faults) -> list[tuple[float, Edge]]:
    """Everything that happens, in time; a silence of no length ends after it began."""
    edges: list[tuple[float, Edge]] = [(one.at_s, one) for one in faults.clock_steps]
    edges += [(one.at_s, one) for one in faults.changes]
    for off in faults.lead_offs:
        edges += [(off.at_s, off), (off.at_s + off.seconds, None)]
    for silence in faults.silences:
        edges += [(silence.at_s, silence), (silence.end_s, SilenceEnd(silence))]
    return sorted(edges, key=lambda edge: (edge[0], isinstance(edge[1], SilenceEnd)))
