"""`--log`: a stream as it came, written down for replay.

    {"log": "ecgedge-log/1", "device": "ecgedge", ...}\\n      one line of JSON
    u32 octets | u64 host time, us | octets                   a record, little-endian, again and
                                                              again

A record whose length has its highest bit set is a mark: its octets are JSON, {"mark": "lost",
"why": ...} or {"mark": "back"}. A log only ever grows; one that ends within a record, as after
a power cut, is read up to there.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from ecgedge.envelope import dumps
from ecgedge.errors import InputError
from ecgedge.streaming.arrivals import Arrival, Back, Lost, Octets

FORMAT = "ecgedge-log/1"
PREFIX = b'{"log": "ecgedge-log/'
RECORD = struct.Struct("<IQ")
MARK = 1 << 31
#: More than any one read gives: a longer record is damage.
MAX_OCTETS = 1 << 20
_MAX_HEADER = 1 << 16


def header_line(facts: Mapping[str, Any]) -> bytes:
    """The first line. facts: plain data such as the device and how it was opened."""
    return dumps({"log": FORMAT, **facts}).encode() + b"\n"


def record(arrival: Octets | Lost | Back) -> bytes:
    """One arrival as it stands in a log."""
    if isinstance(arrival, Octets):
        return RECORD.pack(len(arrival.data), arrival.host_us) + arrival.data
    why = {"mark": "lost", "why": arrival.why} if isinstance(arrival, Lost) else {"mark": "back"}
    told = dumps(why).encode()
    return RECORD.pack(MARK | len(told), arrival.host_us) + told


class LogReader:
    """A log's octets in, in pieces of any size; arrivals out, whatever the octets hold."""

    def __init__(self) -> None:
        self.header: dict[str, Any] | None = None
        self.damage = ""
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Arrival]:
        """What these octets complete. Raises InputError for a header that is none."""
        self._held += data
        if self.header is None and not self._take_header():
            return
        while not self.damage:
            arrival = self._take()
            if arrival is None:
                return
            yield arrival

    @property
    def torn(self) -> str:
        """What of the octets so far could not be read, as a clause, or ""."""
        if self.damage:
            return self.damage
        if self.header is None:
            return "the log ends within its header"
        held = len(self._held)
        return f"the log ends within a record: its last {held} bytes are left out" if held else ""

    def _take_header(self) -> bool:
        line, end, rest = bytes(self._held).partition(b"\n")
        if not end:
            if len(line) > _MAX_HEADER:
                raise InputError("this is no log of ecgedge: its header does not end")
            return False
        self.header = _parsed_header(line)
        self._held = bytearray(rest)
        return True

    def _take(self) -> Arrival | None:
        if len(self._held) < RECORD.size:
            return None
        length, host_us = RECORD.unpack_from(self._held)
        octets = length & ~MARK
        if octets > MAX_OCTETS:
            self.damage = (
                "the log is damaged: no record stands where one should, the rest is left out"
            )
            return None
        end = RECORD.size + octets
        if len(self._held) < end:
            return None
        data = bytes(self._held[RECORD.size : end])
        del self._held[:end]
        return _mark(host_us, data) if length & MARK else Octets(host_us, data)


def _mark(host_us: int, data: bytes) -> Arrival:
    try:
        told = json.loads(data)
        if told["mark"] == "back":
            return Back(host_us)
        return Lost(host_us, str(told["why"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return Lost(host_us, "a mark of the log cannot be read")


def _parsed_header(line: bytes) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or not str(told.get("log", "")).startswith("ecgedge-log/"):
        raise InputError("this is no log of ecgedge: its header cannot be read")
    if told["log"] != FORMAT:
        raise InputError(f"this log is of format {told['log']}, and this ecgedge reads {FORMAT}")
    return told
