"""What must hold of any decoder on any octets, checked without hypothesis, fast."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import firmware_bridge
from firmware_bridge.events import Damaged, Decoder, Event, Frame, Gap

#: Target -> the modules that it fuzzes.
CODE = {
    "decoder": ("cobs", "decoder", "ordering", "parsing"),
    "cobs": ("cobs",),
    "records": ("records", "layout", "device_table"),
}


def digest(*modules: str) -> str:
    """Names code: runs of one code add up."""
    folder = Path(firmware_bridge.__file__).parent
    octets = b"".join((folder / f"{module}.py").read_bytes() for module in modules)
    return hashlib.sha256(octets).hexdigest()[:16]


def name_code(target: str) -> None:
    """Say in the log which code is fuzzed."""
    print(f"code: {digest(*CODE[target])}", file=sys.stderr)


def plain(events: Iterable[Event]) -> list[Any]:
    """Events that compare with ==."""
    return [
        (one.first, one.counts.tobytes(), one.t_us, one.off, one.off_valid, one.configuration)
        if isinstance(one, Frame)
        else one
        for one in events
    ]


def check_order(events: Iterable[Event]) -> None:
    """Each sample once, in order, and every gap exactly between what it parts."""
    at: int | None = None
    for one in events:
        if isinstance(one, Frame):
            assert at is None or one.first == at, (one.first, at)
            assert one.counts.ndim == 2, one.counts.shape
            at = one.first + len(one.counts)
        elif isinstance(one, Gap):
            assert one.first == at, (one, at)
            assert one.samples is None or one.samples > 0, one
            at = None if one.samples is None else at + one.samples


def check_counters(decoder: Decoder, events: Iterable[Event]) -> None:
    """The counters are the sums of what came out, and every octet is something."""
    seen = decoder.counters
    frames = samples = gaps = lost = damaged = octets = 0
    for one in events:
        if isinstance(one, Frame):
            frames += 1
            samples += len(one.counts)
        elif isinstance(one, Gap):
            gaps += 1
            lost += one.samples or 0
        elif isinstance(one, Damaged):
            damaged += 1
            octets += one.octets
    assert (seen.frames, seen.samples) == (frames, samples), seen
    assert (seen.gaps, seen.lost) == (gaps, lost), seen
    assert seen.damaged == sum(seen.damaged_kinds.values()) == damaged, seen
    accounted = seen.data_octets + seen.configuration_octets + seen.delimiters
    assert seen.damaged_octets == octets, seen
    assert accounted + octets == seen.octets, seen


def run(decoder: Decoder, pieces: Iterable[bytes]) -> list[Event]:
    """Everything a decoder makes of these pieces."""
    events: list[Event] = []
    for piece in pieces:
        events += decoder.feed(piece)
    return [*events, *decoder.finish()]


def check(opened: Callable[[], Decoder], pieces: Sequence[bytes]) -> None:
    """Order and counters."""
    decoder = opened()
    events = run(decoder, pieces)
    check_order(events)
    check_counters(decoder, events)


def check_pieces(opened: Callable[[], Decoder], pieces: Sequence[bytes]) -> None:
    """How a stream is cut changes nothing."""
    whole, cut = opened(), opened()
    assert plain(run(whole, (b"".join(pieces),))) == plain(run(cut, pieces))
    assert whole.counters == cut.counters
