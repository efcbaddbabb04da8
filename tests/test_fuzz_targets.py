"""What scripts/fuzz runs, without its fuzzer: the harness finds faults, and adds up its logs."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.decoder import WireDecoder
from firmware_bridge.events import Event, Gap
from firmware_bridge.ordering import RESTART
from tests.fuzz import checks, record, script


class Twice(WireDecoder):
    """Delivers every frame again where a gap follows."""

    def feed(self, data: bytes) -> list[Event]:
        events = super().feed(data)
        gaps = [at for at, one in enumerate(events) if isinstance(one, Gap)]
        return [*events, events[gaps[-1] - 1]] if gaps else events


class Greedy(WireDecoder):
    """Loses what a read cuts."""

    def feed(self, data: bytes) -> list[Event]:
        self._begun = b""
        return super().feed(data)


class Miscounting(WireDecoder):
    """Forgets delimiters."""

    def finish(self) -> list[Event]:
        self.counters.delimiters -= 1
        return super().finish()


LOSSY = script.stream(bytes([0, 0, 100, 3, 95, 0, 80, 0]))


@settings(max_examples=200)
@given(st.binary(max_size=60), st.integers(0, 255))
def test_scripts_make_streams_on_which_all_holds(edits, cut):
    stream = script.stream(edits)
    place = cut * len(stream) >> 8
    checks.check(WireDecoder, (stream[:place], stream[place:]))
    checks.check_pieces(WireDecoder, (stream[:place], stream[place:]))


@pytest.mark.parametrize("wrong", [Twice, Miscounting])
def test_a_decoder_with_a_fault_is_found(wrong):
    checks.check(WireDecoder, (LOSSY,))
    with pytest.raises(AssertionError):
        checks.check(wrong, (LOSSY,))


def test_a_decoder_that_depends_on_the_cuts_is_found():
    with pytest.raises(AssertionError):
        checks.check_pieces(Greedy, (LOSSY[:50], LOSSY[50:]))


def test_scripts_reach_losses_restarts_and_every_kind_of_damage():
    seen: dict[str, int] = {}
    for edits in (
        [0, 0, 100, 3, 95, 0],  # frames, a loss, frames
        [85, 0, 232, 8, 95, 0],  # another place in the numbers
        [0, 0, 145, 9],  # a flipped bit
        [0, 0, 160, 30],  # a slip
        [247, 5],
        [0, 0, 192, 0x21, 192, 0x13],  # another version, another type
        [176, 1, 0x11],  # a body that is too short
    ):
        decoder = WireDecoder()
        checks.run(decoder, (script.stream(bytes([*edits, 0, 0])),))
        for kind in decoder.counters.damaged_kinds:
            seen[kind] = 1
        seen["lost"] = seen.get("lost", 0) + decoder.counters.lost
        seen["restarts"] = seen.get("restarts", 0) + decoder.counters.restarts
    assert set(seen) >= {"crc", "framing", "length", "version", "shape"}
    assert seen["lost"] > 0
    assert seen["restarts"] > 0
    assert RESTART <= 12  # as many as one edit sends


def test_logs_of_the_code_that_is_here_add_up_and_others_do_not(tmp_path: Path):
    code = checks.digest(*checks.CODE["decoder"])
    logs = tmp_path / "logs"
    logs.mkdir()
    done = "#1000\tDONE   cov: 18 ft: 90 corp: 12/40b lim: 4 exec/s: 500 rss: 55Mb\n"
    ended = "#700\tNEW    cov: 19 ft: 91 corp: 13/44b lim: 4 exec/s: 0 rss: 55Mb L: 4/4\n"
    (logs / "1.log").write_text(f"code: {code}\n{done}Done 1000 runs in 2 second(s)\n")
    (logs / "2.log").write_text(f"code: {code}\n{ended}")
    (logs / "3.log").write_text(f"code: 0123456789abcdef\n{done}Done 1000 runs in 2 second(s)\n")
    (logs / "4.log").write_text("INFO: nothing yet\n")
    found = record.summary("decoder", tmp_path)
    assert (found["executions"], found["seconds"], found["executions_per_s"]) == (1700, 2, 500)
    assert (found["edges"], found["features"], found["corpus"], found["found"]) == (19, 91, 13, 0)


def test_logs_of_other_code_alone_are_refused(tmp_path: Path):
    with pytest.raises(Exception, match="no log of cobs"):
        record.summary("cobs", tmp_path)
