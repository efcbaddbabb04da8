"""Damaged files: whatever is flipped, inserted or cut, one sentence or a recording comes out."""

import functools
import io
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from writers import csv_text, dicom_bytes, matlab_preamble, npy_bytes, write_wfdb

from ecgedge import formats
from ecgedge.errors import InputError, UsageError
from ecgedge.recording import LEADS, Recording

pytestmark = pytest.mark.filterwarnings("error")

DIGITAL = np.random.default_rng(2).integers(-500, 500, (60, 12))
MEMORY_LIMIT = 32 << 20

NASTY = st.sampled_from(
    [
        b"0",
        b"-1",
        b"1e999",
        b"nan",
        b"9" * 20,
        b"",
        b"\0",
        b"\n",
        b" ",
        b"/",
        b",",
        b"x",
        b"\xff" * 4,
    ]
)
EDIT = st.tuples(
    st.sampled_from(["flip", "insert", "cut", "replace", "number"]),
    st.floats(0, 1, exclude_max=True),
    NASTY | st.binary(min_size=1, max_size=8),
)
EDITS = st.lists(EDIT, min_size=1, max_size=4)


def mutate(data: bytes, edits: list[tuple[str, float, bytes]]) -> bytes:
    for kind, where, value in edits:
        if not data:
            break
        at = int(where * len(data))
        if kind == "flip":
            data = data[:at] + bytes([data[at] ^ (value[:1] or b"\1")[0]]) + data[at + 1 :]
        elif kind == "insert":
            data = data[:at] + value + data[at:]
        elif kind == "cut":
            data = data[:at]
        elif kind == "replace":
            data = data[:at] + value + data[at + max(1, len(value)) :]
        else:  # the next run of digits becomes the value
            start = next((i for i in range(at, len(data)) if data[i : i + 1].isdigit()), at)
            end = start
            while data[end : end + 1].isdigit():
                end += 1
            data = data[:start] + value + data[end:]
    return data


def survives(read: Callable[[], Recording]) -> None:
    """Only our own errors, one line each, or a sound recording; and little memory."""
    tracemalloc.start()
    try:
        outcome: Recording | str = read()
    except (InputError, UsageError) as error:
        outcome = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MEMORY_LIMIT
    if isinstance(outcome, str):
        assert "\n" not in outcome
        assert len(outcome) < 400
    else:
        assert outcome.signal.shape[0] == 12
        assert outcome.signal.dtype == np.float32
        assert not np.isinf(outcome.signal).any()
        assert 100 <= outcome.rate_hz <= 2000


def wfdb_files(code: int, suffix: str = ".dat") -> tuple[bytes, bytes]:
    digital = np.clip(DIGITAL, -127, 127) if code == 80 else DIGITAL
    preamble = matlab_preamble(12, len(digital)) if suffix == ".mat" else b""
    with tempfile.TemporaryDirectory() as folder:
        header = write_wfdb(
            Path(folder),
            digital,
            code=code,
            suffix=suffix,
            preamble=preamble,
            comments=["# Age: 50", "# Sex: F"],
        )
        return header.read_bytes(), header.with_suffix(suffix).read_bytes()


@functools.cache
def flac_files() -> tuple[bytes, bytes]:
    soundfile = pytest.importorskip("soundfile")
    file = io.BytesIO()
    soundfile.write(file, DIGITAL[:, :4].astype(np.int16), 500, "PCM_16", format="FLAC")
    with tempfile.TemporaryDirectory() as folder:
        header = write_wfdb(Path(folder), DIGITAL[:, :4], leads=LEADS[6:10]).read_bytes()
    return header.replace(b".dat 16 ", b".dat 516 "), file.getvalue()


RECORDS = {
    "16": wfdb_files(16),
    "24": wfdb_files(24),
    "80": wfdb_files(80),
    "212": wfdb_files(212),
    "mat": wfdb_files(16, ".mat"),
}


def read_record(header: bytes, data: bytes, suffix: str) -> Recording:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rec.hea"
        path.write_bytes(header)
        path.with_suffix(suffix).write_bytes(data)
        return formats.read(path)


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from(sorted(RECORDS)), in_header=st.booleans(), edits=EDITS)
def test_damaged_wfdb_records_never_crash(
    name: str, in_header: bool, edits: list[tuple[str, float, bytes]]
) -> None:
    header, data = RECORDS[name]
    header, data = (mutate(header, edits), data) if in_header else (header, mutate(data, edits))
    survives(lambda: read_record(header, data, ".mat" if name == "mat" else ".dat"))


@settings(max_examples=60, deadline=None)
@given(in_header=st.booleans(), edits=EDITS)
def test_damaged_flac_records_never_crash(
    in_header: bool, edits: list[tuple[str, float, bytes]]
) -> None:
    header, data = flac_files()
    header, data = (mutate(header, edits), data) if in_header else (header, mutate(data, edits))
    survives(lambda: read_record(header, data, ".dat"))


@settings(max_examples=60, deadline=None)
@given(edits=EDITS)
def test_a_changed_sample_is_never_read_as_if_it_were_sound(
    edits: list[tuple[str, float, bytes]],
) -> None:
    """Single flipped bytes are always caught by the checksum."""
    header, data = RECORDS["16"]
    flipped = mutate(data, [("flip", edits[0][1], edits[0][2])])
    with pytest.raises(InputError, match="checksum"):
        read_record(header, flipped if flipped != data else data[:-1] + b"\x55", ".dat")


@settings(max_examples=120, deadline=None)
@given(
    delimiter=st.sampled_from([",", ";", "\t"]),
    stated=st.booleans(),
    edits=EDITS,
)
def test_damaged_tables_never_crash(
    delimiter: str, stated: bool, edits: list[tuple[str, float, bytes]]
) -> None:
    comments = ["# rate_hz: 500", "# unit: uV", "# Age: 61"] if stated else []
    text = csv_text(DIGITAL[:20].T / 1.0, delimiter=delimiter, comments=comments)
    data = mutate(text.encode(), edits)
    options = {} if stated else {"rate_hz": 500.0, "unit": "mV"}
    survives(lambda: formats.read_bytes(data, **options))


@settings(max_examples=200, deadline=None)
@given(edits=EDITS, header_only=st.booleans())
@example(edits=[("number", 0.4, b"9" * 20)], header_only=True)
def test_damaged_arrays_never_crash(
    edits: list[tuple[str, float, bytes]], header_only: bool
) -> None:
    data = npy_bytes(DIGITAL.T / 1000)
    data = mutate(data[:128], edits) + data[128:] if header_only else mutate(data, edits)
    survives(lambda: formats.read_bytes(data, rate_hz=500, unit="mV"))


SMALL_DICOM = dicom_bytes(
    [("RHYTHM", DIGITAL[:10].astype(np.int16)), ("MEDIAN BEAT", DIGITAL[:5].astype(np.int16))],
    age="050Y",
    sex="F",
)


@settings(max_examples=120, deadline=None)
@given(edits=EDITS)
def test_damaged_dicom_files_never_crash(edits: list[tuple[str, float, bytes]]) -> None:
    data = mutate(SMALL_DICOM, edits)
    survives(lambda: formats.read_bytes(data))


@settings(max_examples=15, deadline=None)
@given(edits=EDITS)
def test_a_damaged_real_dicom_file_never_crashes(edits: list[tuple[str, float, bytes]]) -> None:
    pytest.importorskip("pydicom")
    from pydicom.data import get_testdata_file

    data = Path(get_testdata_file("waveform_ecg.dcm")).read_bytes()
    survives(lambda: formats.read_bytes(mutate(data, edits)))


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=400), magic=st.sampled_from([b"", b"\x93NUMPY\1\0", b"I,II\n"]))
def test_arbitrary_bytes_never_crash(data: bytes, magic: bytes) -> None:
    survives(lambda: formats.read_bytes(magic + data, rate_hz=500, unit="mV"))
