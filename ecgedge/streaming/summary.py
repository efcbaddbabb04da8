"""What a stream was, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from ecgedge.streaming.windows import Tally
from firmware_bridge.events import Counters


@dataclass(frozen=True)
class Summary:
    """What a stream was, so far. Samples, frames and the like are the decoder's counts.

    seconds: of stream, lost ones included. stray: good frames whose numbers contradict those
    around them. unconfigured: samples whose configuration nobody knew. breaks: how often windows
    began anew. windows: due, of these clean (no sample missing), refused here, and empty (not
    one sample came, so that none was made).
    """

    seconds: float
    octets: int
    frames: int
    samples: int
    lost: int
    gaps: int
    damaged: int
    duplicates: int
    reordered: int
    late: int
    stray: int
    unconfigured: int
    restarts: int
    breaks: int
    clock_steps: int
    windows: int
    clean: int
    refused: int
    empty: int

    @classmethod
    def of(
        cls,
        counters: Counters,
        tally: Tally,
        *,
        seconds: float,
        breaks: int,
        clock_steps: int,
    ) -> Summary:
        """Decoder's counters and the windows' in one."""
        return cls(
            seconds=seconds,
            octets=counters.octets,
            frames=counters.frames,
            samples=counters.samples,
            lost=counters.lost,
            gaps=counters.gaps,
            damaged=counters.damaged,
            duplicates=counters.duplicates,
            reordered=counters.reordered,
            late=counters.late,
            stray=counters.stray,
            unconfigured=counters.unconfigured,
            restarts=counters.restarts,
            breaks=breaks,
            clock_steps=clock_steps,
            windows=tally.due,
            clean=tally.clean,
            refused=tally.refused,
            empty=tally.empty,
        )
