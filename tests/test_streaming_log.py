"""The log of a stream: what was written is read, whole or torn, and a full card ends nothing."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.errors import InputError, UsageError
from ecgedge.streaming import logbook
from ecgedge.streaming.arrivals import Back, Lost, Octets
from ecgedge.streaming.log import MARK, RECORD, LogReader, header_line, record
from ecgedge.streaming.logbook import Logbook

HOST_US = st.integers(0, 2**64 - 1)
ARRIVALS = st.lists(
    st.builds(Octets, HOST_US, st.binary(max_size=300))
    | st.builds(Lost, HOST_US, st.text(max_size=20))
    | st.builds(Back, HOST_US),
    max_size=8,
)


def read(data: bytes, size: int = 1 << 16) -> tuple[list[object], LogReader]:
    reader = LogReader()
    found: list[object] = []
    for begin in range(0, len(data), size):
        found += reader.feed(data[begin : begin + size])
    return found, reader


def whole(arrivals: list[Octets | Lost | Back]) -> bytes:
    return header_line({"device": "ecgedge"}) + b"".join(map(record, arrivals))


@given(ARRIVALS, st.integers(1, 50))
def test_a_log_is_read_as_it_was_written_however_it_is_cut(
    arrivals: list[Octets | Lost | Back], size: int
) -> None:
    found, reader = read(whole(arrivals), size)
    assert found == arrivals
    assert reader.torn == ""
    assert reader.header is not None
    assert reader.header["device"] == "ecgedge"


@given(ARRIVALS, st.data())
def test_of_a_torn_log_every_whole_record_is_read_and_the_rest_is_told(
    arrivals: list[Octets | Lost | Back], data: st.DataObject
) -> None:
    begun = header_line({"device": "ecgedge"})
    ends = [len(begun)]
    for one in arrivals:
        ends.append(ends[-1] + len(record(one)))
    cut = data.draw(st.integers(ends[0], ends[-1]))
    found, reader = read(whole(arrivals)[:cut])
    complete = sum(end <= cut for end in ends) - 1
    assert found == arrivals[:complete]
    left = cut - ends[complete]
    assert reader.torn == (
        f"the log ends within a record: its last {left} bytes are left out" if left else ""
    )


@given(st.binary(max_size=400))
def test_any_octets_after_a_header_are_read_without_a_fault(junk: bytes) -> None:
    found, _ = read(header_line({}) + junk)
    assert len(found) <= len(junk) // RECORD.size


def test_a_record_of_impossible_length_ends_the_reading_with_a_sentence() -> None:
    data = whole([Octets(1, b"good")]) + RECORD.pack(MARK - 1, 2) + b"x" * 100
    found, reader = read(data)
    assert found == [Octets(1, b"good")]
    assert "damaged" in reader.torn


@pytest.mark.parametrize("line", [b"[1]\n", b"no json\n", b'{"log": 3}\n', b"{" * 70_000])
def test_a_header_that_is_none_is_told(line: bytes) -> None:
    with pytest.raises(InputError, match="no log of ecgedge"):
        read(line)


def test_what_is_kept_is_there_after_closing(tmp_path: Path) -> None:
    path = tmp_path / "x.ecglog"
    kept = Logbook(path, {"device": "cyton", "host_us": 4})
    told: list[Octets | Lost | Back] = [Octets(5, b"abc"), Lost(6, "pulled"), Back(7)]
    for one in told:
        kept.add(one)
    kept.close()
    found, reader = read(path.read_bytes())
    assert found == told
    assert reader.header is not None
    assert (reader.header["device"], reader.header["host_us"]) == ("cyton", 4)
    assert reader.header["started"].endswith("+00:00")
    assert (kept.problem, kept.octets) == ("", path.stat().st_size)
    assert path.stat().st_mode & 0o007 == 0


def test_a_thousand_arrivals_are_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logbook, "WRITE_EVERY_S", 3600)
    kept = Logbook(tmp_path / "x.ecglog", {})
    for number in range(1000):
        kept.add(Octets(number, b"0123456789"))
    assert kept.writes == 1  # the header's
    kept.write()
    assert kept.writes == 2
    kept.close()
    assert (kept.writes, kept.syncs) == (2, 1)


def test_what_came_is_written_without_being_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logbook, "WRITE_EVERY_S", 0.01)
    written = threading.Event()
    real = os.write

    def write(handle: int, data: bytes) -> int:
        done = real(handle, data)
        if b"abc" in bytes(data):
            written.set()
        return done

    monkeypatch.setattr(logbook.os, "write", write)
    kept = Logbook(tmp_path / "x.ecglog", {})
    kept.add(Octets(1, b"abc"))
    assert written.wait(60)
    found, reader = read((tmp_path / "x.ecglog").read_bytes())
    assert (found, reader.torn) == ([Octets(1, b"abc")], "")
    kept.close()


def test_nothing_is_ever_written_over(tmp_path: Path) -> None:
    path = tmp_path / "x.ecglog"
    path.write_bytes(b"somebody's")
    with pytest.raises(UsageError, match="is there already: a log is never written over"):
        Logbook(path, {})
    assert path.read_bytes() == b"somebody's"


def test_in_a_folder_a_log_is_named_by_the_time(tmp_path: Path) -> None:
    kept = Logbook(tmp_path, {})
    kept.close()
    (made,) = tmp_path.iterdir()
    assert made == kept.path
    started = json.loads(made.read_bytes())["started"]
    assert made.name == started[:19].replace(":", "-") + "Z.ecglog"


def test_a_log_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be made: no such file or directory"):
        Logbook(tmp_path / "no" / "x.ecglog", {})


def test_a_full_card_ends_the_log_and_nothing_else() -> None:
    kept = Logbook(Path("/dev/full"), {})
    kept.add(Octets(1, b"abc"))
    assert kept.problem == "no space left on device"
    kept.add(Octets(2, b"abc"))
    kept.close()


def test_a_card_that_takes_nothing_does_not_take_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logbook, "WRITE_EVERY_S", 3600)
    kept = Logbook(tmp_path / "x.ecglog", {})
    for _ in range(200):
        kept.add(Octets(1, bytes(1 << 16)))
    assert kept.problem == "its card takes nothing any more"
    assert len(kept._waiting) < 9 << 20
    kept.close()
