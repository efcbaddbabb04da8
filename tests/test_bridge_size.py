"""The encoder stays under 1.5 KB of Thumb code, and the page's tables are what the code gives."""

import json

import pytest
from c_tools import ROOT, STUBS, WARNINGS, need

from benchmarks import bandwidth, firmware_size
from benchmarks.page import between
from ecgedge.errors import UsageError
from ecgedge.recording import MAX_RATE_HZ, MIN_RATE_HZ
from firmware_bridge.wire import MAX_BODY, MAX_STUFFED, seal

EXAMPLES = ROOT / "firmware_bridge" / "examples"


@pytest.fixture(scope="module")
def committed():
    return json.loads(firmware_size.RESULTS.read_text(encoding="utf-8"))


def test_the_pages_tables_are_computed_from_the_wires_sizes_and_the_committed_figures(committed):
    inside = between(firmware_size.PAGE.read_text(encoding="utf-8"))[1]
    assert inside.strip() == firmware_size.tables(committed).strip()


@pytest.mark.parametrize("core", firmware_size.CORES)
def test_the_encoder_is_smaller_than_its_bar_and_needs_no_library(core, committed):
    need(firmware_size.COMPILER)
    weighed = firmware_size.weigh(core)
    assert weighed["text"] + weighed["rodata"] < firmware_size.BAR_OCTETS
    assert weighed["ram"] == 0
    assert weighed["needs"] == []
    if firmware_size.compiler_version() == committed["compiler"]:
        assert weighed in committed["cores"]


def test_committed_sizes_keep_the_bar(committed):
    assert [one["core"] for one in committed["cores"]] == list(firmware_size.CORES)
    assert all(
        one["text"] + one["rodata"] < 1536 and not one["needs"] for one in committed["cores"]
    )


@pytest.mark.parametrize("core", firmware_size.CORES)
def test_the_header_compiles_for_cortex_m_without_a_warning(core, tmp_path):
    compiler = need(firmware_size.COMPILER)
    words = [f"-mcpu={core}", *firmware_size.FLAGS, *WARNINGS]
    source, headers = str(firmware_size.SOURCE), str(firmware_size.HEADERS)
    firmware_size.run(compiler, *words, "-I", headers, "-c", source, "-o", tmp_path / "size.o")


def _libraries(folder):
    """What <stdint.h> includes, or nothing where there is no C library for the target."""
    source = folder / "library.c"
    source.write_text("#include <stdint.h>\n#include <sys/types.h>\n")
    try:
        return firmware_size.run(firmware_size.COMPILER, "-E", source)
    except UsageError:
        return ""


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4"])
def test_the_examples_compile_for_cortex_m(core, tmp_path):
    """Where uint32_t is an unsigned long: what the host's compiler cannot see."""
    compilers = need("arm-none-eabi-gcc"), need("arm-none-eabi-g++")
    if not _libraries(tmp_path):
        pytest.skip("newlib for arm-none-eabi is not installed: scripts/firmware-tools")
    common = [f"-mcpu={core}", "-mthumb", "-Os", "-Wall", "-Wextra", "-Wshadow", "-Werror"]
    for folder in (firmware_size.HEADERS, EXAMPLES, STUBS):
        common += ["-I", str(folder)]
    sketch = EXAMPLES / "arduino" / "ads1298_stream" / "ads1298_stream.ino"
    out = str(tmp_path / "example.o")
    words = ["-std=c++11", "-x", "c++", "-c", sketch, "-o", out]
    firmware_size.run(compilers[1], *common, *words)
    words = ["-std=gnu11", "-c", EXAMPLES / "zephyr" / "src" / "main.c", "-o", out]
    firmware_size.run(compilers[0], *common, *words)


@pytest.mark.parametrize("channels", [1, 3, 8])
@pytest.mark.parametrize("samples", [1, 5, 10, 15])
def test_no_frame_is_longer_than_the_bandwidth_table_counts_with(channels, samples):
    """A body without a zero is the worst that can happen to COBS."""
    told = bandwidth.data_octets(channels, samples)
    body = b"\xff" * (24 + 3 * channels * samples)
    assert told - 1 <= len(seal(body)) <= told
    assert told <= MAX_STUFFED + 1


def test_the_page_tells_the_rates_that_the_runtime_takes():
    text = " ".join(firmware_size.PAGE.read_text(encoding="utf-8").split())
    assert f"the runtime takes {MIN_RATE_HZ:g} to {MAX_RATE_HZ:,.0f} Hz" in text


def test_bandwidth_is_what_one_can_work_out_by_hand():
    """500 Hz, eight channels, ten a frame: 50 frames of 28 + 240 + 2 codes + a zero."""
    assert bandwidth.octets_per_second(500, 8, 10) == 50 * 271 + 66
    assert MAX_BODY == 28 + 360
