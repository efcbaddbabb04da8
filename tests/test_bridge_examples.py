"""The Arduino and Zephyr examples, run on this machine against a model of the ADS1298.

What the model converted and what comes out of the example's serial port must be the same,
sample by sample. No real board is in this.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from c_tools import ROOT, SANITIZED, STUBS, compile_c, need

from firmware_bridge.decoder import WireDecoder
from firmware_bridge.events import Channel, Configuration, Damaged, Frame, Gap
from firmware_bridge.leads import lead_map

EXAMPLES = ROOT / "firmware_bridge" / "examples"
SAMPLES = 3000
STRICT = ["-Wall", "-Wextra", "-Wshadow", "-Wpedantic", "-Werror"]
#: As in tests/c/stubs: a record out of step; two conversions before the reader woke (Zephyr).
SLIPPED, MISSED = 700, 900


@dataclass(frozen=True)
class Ran:
    """What the model says it did, and what a decoder makes of the serial port's octets."""

    t_us: list[int]
    status: list[int]
    counts: np.ndarray
    registers: list[int]
    frames: list[Frame]
    gaps: list[Gap]
    damaged: list[Damaged]
    configurations: int


def _arduino(folder: Path) -> Path:
    sketch = EXAMPLES / "arduino" / "ads1298_stream" / "ads1298_stream.ino"
    words = ["-std=c++11", *STRICT, "-Wconversion", *SANITIZED, "-I", STUBS, "-I", EXAMPLES]
    compile_c("g++", *words, "-x", "c++", sketch, STUBS / "arduino_host.cpp", "-o", folder / "run")
    return folder / "run"


def _zephyr(folder: Path) -> Path:
    words = ["-std=gnu11", *STRICT, *SANITIZED, "-I", STUBS, "-I", EXAMPLES]
    application = EXAMPLES / "zephyr" / "src" / "main.c"
    compile_c("gcc", *words, "-Dmain=firmware_main", "-c", application, "-o", folder / "main.o")
    compile_c(
        "gcc", *words, folder / "main.o", STUBS / "zephyr_host.c", "-pthread", "-o", folder / "run"
    )
    return folder / "run"


@pytest.fixture(scope="module", params=[_arduino, _zephyr], ids=["arduino", "zephyr"])
def ran(request, tmp_path_factory) -> Ran:
    program = request.param(tmp_path_factory.mktemp("example"))
    done = subprocess.run(
        [str(program), str(SAMPLES)], capture_output=True, timeout=120, check=False
    )
    told = [line.split() for line in done.stderr.decode().splitlines()]
    assert done.returncode == 0, done.stderr[-500:]
    (registers,) = (list(map(int, words[1:])) for words in told if words[0] == "registers")
    rows = [list(map(int, words[1:])) for words in told if words[0] == "sample"]
    assert [row[0] for row in rows] == list(range(SAMPLES))
    decoder = WireDecoder()
    events = [*decoder.feed(done.stdout), *decoder.finish()]
    return Ran(
        [row[1] for row in rows],
        [row[2] for row in rows],
        np.array([row[3:] for row in rows]),
        registers,
        [event for event in events if isinstance(event, Frame)],
        [event for event in events if isinstance(event, Gap)],
        [event for event in events if isinstance(event, Damaged)],
        decoder.counters.configurations,
    )


def test_the_runtime_reads_exactly_the_samples_that_the_chip_converted(ran):
    for frame in ran.frames:
        assert np.array_equal(frame.counts, ran.counts[frame.first : frame.end])
        assert frame.t_us == ran.t_us[frame.first]
    assert sum(len(frame.counts) for frame in ran.frames) > 0.9 * SAMPLES
    assert ran.damaged == []


def test_the_clock_goes_on_when_32_bits_of_microseconds_are_full(ran):
    assert ran.t_us[0] < 2**32 < ran.t_us[-1]
    times = [frame.t_us for frame in ran.frames]
    assert times == sorted(times)
    assert times[-1] > 2**32


def test_every_conversion_that_was_not_sent_is_told_as_lost(ran):
    """Frames and gaps follow each other without a hole; the last ones may still be on board."""
    spans = [(frame.first, frame.end) for frame in ran.frames]
    spans += [(gap.first, gap.first + gap.samples) for gap in ran.gaps]
    place = 0
    for first, end in sorted(spans):
        assert first == place
        place = end
    assert SAMPLES - 10 < place <= SAMPLES


def test_a_record_out_of_step_and_a_stalled_line_cost_only_what_they_must(ran, request):
    lost = [gap for gap in ran.gaps if gap.samples == 1]
    singles = [SLIPPED, MISSED] if "zephyr" in request.node.callspec.id else [SLIPPED]
    assert [gap.first for gap in lost] == singles
    (stall,) = (gap for gap in ran.gaps if gap.samples > 1)
    assert 1500 < stall.first < stall.first + stall.samples < 1700
    assert 20 < stall.samples < 100


def test_electrodes_off_are_told_in_the_frames_that_hold_them_and_only_there(ran):
    for frame in ran.frames:
        status = np.bitwise_or.reduce(ran.status[frame.first : frame.end])
        assert (
            frame.off & frame.off_valid
            == ((int(status) >> 12 & 0xFF) | (int(status) >> 4 & 0xFF) << 8) & frame.off_valid
        )
    off = {frame.off & frame.off_valid for frame in ran.frames}
    assert off == {0, 0x0004, 0x0200}  # LL at CH3 positive, RA at CH2 negative
    assert {frame.off_valid for frame in ran.frames} == {0x02FF}


def test_the_configuration_is_tis_wiring_and_comes_each_second(ran):
    (told,) = {frame.configuration for frame in ran.frames}
    assert told is not None
    chest = ("C6", None, None, "C2", "C3", "C4", "C5", "C1")
    wired = [Channel(one, "WCT", 6.0) if one else None for one in chest]
    wired[1:3] = [Channel("LA", "RA", 6.0), Channel("LL", "RA", 6.0)]
    assert told.channels == tuple(wired)
    assert (told.rate_hz, told.reference_mv, told.encoding) == (500.0, 2400.0, "twos")
    assert told.full_scale == 2**23 - 1
    assert ran.configurations == pytest.approx(SAMPLES / 500, abs=1)


def test_all_twelve_leads_follow_and_those_of_an_electrode_that_is_off_are_named(ran):
    leads = lead_map(ran.frames[0].configuration)
    assert leads.missing == ()
    told = {frame.off: leads.off(frame.off, frame.off_valid) for frame in ran.frames}
    names = {off: set(electrodes) for off, (electrodes, _) in told.items()}
    assert names == {0x0100: set(), 0x0104: {"LL"}, 0x0300: {"RA"}}
    assert [lost.any() for _, lost in told.values()] == [bool(names[off]) for off in told]


def test_what_the_chip_was_set_to_is_what_the_frames_say(ran):
    """Datasheet SBAS459: rate, gain, inputs with lead-off currents, Wilson's terminal."""
    told: Configuration = ran.frames[0].configuration
    high_resolution, divider = ran.registers[1] & 0x80, ran.registers[1] & 7
    assert told.rate_hz == (32000 if high_resolution else 16000) >> divider
    gains = {0: 6, 1: 1, 2: 2, 3: 3, 4: 4, 5: 8, 6: 12}
    settings = ran.registers[5:13]
    assert [gains[one >> 4 & 7] for one in settings] == [one.gain for one in told.channels]
    assert all(one & 0x87 == 0 for one in settings)  # powered, electrodes
    assert ran.frames[0].off_valid == ran.registers[0x0F] | ran.registers[0x10] << 8
    assert ran.registers[0x17] & 0x02  # lead-off comparators
    first, second = ran.registers[0x18], ran.registers[0x19]
    assert (first & 0x08, second & 0xC0) == (0x08, 0xC0)  # all three amplifiers
    inputs = [first & 7, second >> 3 & 7, second & 7]
    ends = [(told.channels[one >> 1].positive, told.channels[one >> 1].negative) for one in inputs]
    terminal = {pair[one & 1] for pair, one in zip(ends, inputs, strict=True)}
    assert terminal == {"RA", "LA", "LL"}


def test_the_sketch_builds_as_its_comment_says_with_both_headers_beside_it(tmp_path):
    sketch = EXAMPLES / "arduino" / "ads1298_stream" / "ads1298_stream.ino"
    folder = tmp_path / "ads1298_stream"
    shutil.copytree(sketch.parent, folder)
    for header in (EXAMPLES / "ads1298.h", ROOT / "firmware_bridge/include/ecgedge_frame.h"):
        shutil.copy(header, folder)
    words = ["-std=c++11", *STRICT, "-I", STUBS, "-x", "c++", "-c", folder / sketch.name]
    command = [need("g++"), *map(str, words), "-o", str(tmp_path / "sketch.o")]
    assert subprocess.run(command, check=False).returncode == 0
