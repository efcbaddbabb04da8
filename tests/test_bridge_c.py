"""The encoder in C99 and the one in Python give the same octets; compiled with sanitizers."""

import random
import subprocess
from dataclasses import asdict

import numpy as np
import pytest
from c_tools import (
    INCLUDE,
    SANITIZED,
    WARNINGS,
    C,
    Encoder,
    Machine,
    cobs_line,
    compile_c,
    configuration_line,
    data_line,
    random_configuration,
    random_data,
)

from firmware_bridge import vectors
from firmware_bridge.cobs import stuff
from firmware_bridge.decoder import WireDecoder
from firmware_bridge.events import Frame, Gap
from firmware_bridge.wire import configuration_body, seal, tagged

FRAMES = 4000
#: ARMv4T's Thumb is what a Cortex-M0 speaks, with a C library that qemu-arm can run.
THUMB = Machine(
    "arm-none-eabi-gcc",
    options=("-mcpu=arm7tdmi", "-mthumb", "-Os", "--specs=rdimon.specs"),
    emulator="qemu-arm",
)
BIG_ENDIAN = Machine("s390x-linux-gnu-gcc", options=("-O2", "-static"), emulator="qemu-s390x")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return Encoder(tmp_path_factory.mktemp("encoder"))


@pytest.mark.parametrize(
    ("compiler", "standard"),
    [("gcc", "c99"), ("gcc", "c17"), ("g++", "c++11"), ("g++", "c++20")],
)
@pytest.mark.parametrize("level", ["-O0", "-Os", "-O3"])
def test_the_header_compiles_without_a_warning(compiler, standard, level, tmp_path):
    language = "c++" if "++" in standard else "c"
    words = [f"-std={standard}", *WARNINGS, level, "-x", language, "-c", C / "size.c"]
    compile_c(compiler, *words, "-o", tmp_path / "size.o")


def test_the_header_includes_nothing_but_stddef_and_stdint():
    text = (INCLUDE / "ecgedge_frame.h").read_text(encoding="utf-8")
    included = [line.split()[1] for line in text.splitlines() if line.startswith("#include")]
    assert included == ["<stddef.h>", "<stdint.h>"]


def test_c_gives_every_vector_octet_by_octet(encoder):
    configurations, data, cobs = (vectors.load(kind) for kind in ("configuration", "data", "cobs"))
    lines = [configuration_line(one["fields"]) for one in configurations]
    lines += [data_line(one["fields"]) for one in data]
    lines += [cobs_line(bytes.fromhex(one["fields"]["data"])) for one in cobs]
    expected = [one["hex"] for one in configurations + data] + [one["hex"] + "00" for one in cobs]
    answers = encoder.answers(lines)
    assert [words[0] for words in answers] == expected
    told = [int(words[1]) for words in answers[: len(configurations)]]
    assert told == [one["fields"]["tag"] for one in configurations]


def test_c_compiled_as_cpp_gives_every_vector_too(tmp_path):
    data = vectors.load("data")
    answers = Encoder(tmp_path, Machine("g++", "c++11")).answers(
        data_line(one["fields"]) for one in data
    )
    assert [words[0] for words in answers] == [one["hex"] for one in data]


@pytest.mark.parametrize("machine", [THUMB, BIG_ENDIAN], ids=["thumb", "big-endian"])
def test_another_machine_gives_every_vector_and_random_frames_too(machine, tmp_path):
    """Emulated: ARM's 32 bits, and a mainframe's order of octets."""
    rng = random.Random(8)
    told = [(one["fields"], bytes.fromhex(one["hex"])) for one in vectors.load("data")]
    told += [random_data(rng) for _ in range(FRAMES // 20)]
    answers = Encoder(tmp_path, machine).answers(data_line(fields) for fields, _ in told)
    assert [words[0] for words in answers] == [frame.hex() for _, frame in told]


def test_thousands_of_random_data_frames_are_the_same_in_c_and_in_python(encoder):
    rng = random.Random(5)
    told = [random_data(rng) for _ in range(FRAMES)]
    answers = encoder.answers(data_line(fields) for fields, _ in told)
    assert [words[0] for words in answers] == [frame.hex() for _, frame in told]
    for (fields, _), words in zip(told, answers, strict=True):
        assert int(words[2]) == (fields["first"] + len(fields["counts"])) % 2**32


def test_a_stream_encoded_in_c_is_decoded_in_python_sample_by_sample(encoder):
    """Through a pipe: one configuration, frames of any length, samples that were skipped."""
    rng = np.random.default_rng(9)
    told = vectors.load("configuration")[0]["fields"]
    channels, samples = len(told["channels"]), 20_000
    taken = rng.integers(-(2**23), 2**23, (samples, channels), dtype=np.int32)
    lines, sent, place = [configuration_line(told)], np.zeros(samples, bool), 0
    while place < samples - 30:
        frame = slice(place, place + int(rng.integers(1, 16)))
        fields = {"first": place, "t_us": 2000 * place, "off": 0, "off_valid": 0}
        fields |= {"tag": told["tag"], "counts": taken[frame].tolist()}
        lines.append(data_line(fields))
        sent[frame] = True
        place = frame.stop + (int(rng.integers(1, 15)) if rng.random() < 0.1 else 0)
    stream = bytes.fromhex("".join(words[0] for words in encoder.answers(lines)))
    decoder, events = WireDecoder(), []
    cuts = np.sort(rng.integers(0, len(stream), 500)).tolist()
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        events += decoder.feed(stream[start:end])
    events += decoder.finish()
    got, lost = np.zeros(samples, bool), np.zeros(samples, bool)
    for event in events:
        if isinstance(event, Frame):
            assert np.array_equal(event.counts, taken[event.first : event.end])
            assert event.t_us == 2000 * event.first
            got[event.first : event.end] = True
        else:
            assert isinstance(event, Gap)
            lost[event.first : event.first + event.samples] = True
    end = int(np.flatnonzero(sent)[-1])
    assert np.array_equal(got, sent)
    assert np.array_equal(lost[:end], ~sent[:end])
    assert decoder.counters.lost == lost.sum() > 500
    assert decoder.counters.damaged == 0


def test_random_configurations_and_their_tags_are_the_same_in_c_and_in_python(encoder):
    rng = random.Random(6)
    told = [tagged(random_configuration(rng)) for _ in range(FRAMES // 4)]
    answers = encoder.answers(configuration_line(asdict(one)) for one in told)
    expected = [[seal(configuration_body(one)).hex(), str(one.tag), "7"] for one in told]
    assert answers == expected


def test_random_octets_are_stuffed_the_same_in_c_and_in_python(encoder):
    rng = random.Random(7)
    told = [
        bytes(rng.choices(rng.choice([[0, 1], [1], range(256)]), k=rng.randint(0, 1100)))
        for _ in range(FRAMES // 10)
    ]
    answers = encoder.answers(cobs_line(one) for one in told)
    assert [words[0] for words in answers] == [(stuff(one) + b"\0").hex() for one in told]


def test_a_buffer_one_octet_too_short_is_refused_and_nothing_is_counted(encoder):
    data, told = vectors.load("data"), vectors.load("configuration")
    lines = ["short " + data_line(one["fields"]) for one in data]
    lines += ["short " + configuration_line(one["fields"]) for one in told]
    expected = [[str(one["fields"]["tag"]), str(one["fields"]["first"])] for one in data]
    expected += [["0", "7"] for _ in told]
    assert encoder.answers(lines) == [["refused", *after] for after in expected]


DATA = "data 9 5 {flags} 0 0 0 {channels} {samples} "
TOLD = "configuration 1 2 {rate} {reference} {encoding} {full} {flags} {channels} {p} {n} {gain}"
GOOD = {
    "rate": 500000, "reference": 2400000, "encoding": 0, "full": 8388607, "flags": 0,
    "channels": 1, "p": 2, "n": 1, "gain": 600,
}  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": 0},
        {"reference": 0},
        {"encoding": 2},
        {"full": 0},
        {"full": 2**23 + 1},
        {"encoding": 1, "full": 2**24},
        {"flags": 2},
        {"channels": 0},
        {"p": 12},
        {"n": 12},
        {"gain": 0},
    ],
)
def test_a_configuration_that_no_decoder_could_use_is_refused(encoder, wrong):
    (good,) = encoder.answers([TOLD.format(**GOOD)])
    assert good[0] != "refused"
    line = TOLD.format(**GOOD | wrong)
    if wrong == {"channels": 0}:
        line = line.rsplit(" ", 3)[0]
    assert encoder.answers([line]) == [["refused", "0", "7"]]


@pytest.mark.parametrize(
    "wrong", [{"flags": 2}, {"channels": 0}, {"channels": 9}, {"samples": 0}, {"samples": 16}]
)
def test_data_of_an_impossible_shape_or_before_a_configuration_are_refused(encoder, wrong):
    shape = {"flags": 0, "channels": 2, "samples": 3} | wrong
    zeros = "0 " * (shape["channels"] * shape["samples"])
    assert encoder.answers([DATA.format(**shape) + zeros]) == [["refused", "9", "5"]]


def test_checksum_and_24_bit_numbers_are_as_others_published(tmp_path):
    compile_c("gcc", "-std=c99", *WARNINGS, *SANITIZED, C / "known.c", "-o", tmp_path / "known")
    assert subprocess.run([str(tmp_path / "known")], check=False).returncode == 0
