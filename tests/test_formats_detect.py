"""Which file is what, and the files that are nothing."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from writers import csv_text, npy_bytes, write_wfdb

from ecgedge import formats
from ecgedge.errors import InputError
from ecgedge.recording import LEADS
from ecgedge.streaming.log import header_line

DIGITAL = np.arange(12 * 40).reshape(40, 12) - 200


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        formats.read(path, rate_hz=500, unit="mV")
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_contents_decide_and_names_do_not(tmp_path: Path) -> None:
    table, array = tmp_path / "a.npy", tmp_path / "b.csv"
    table.write_text(csv_text(DIGITAL.T / 1000))
    array.write_bytes(npy_bytes(DIGITAL / 1000))
    header = write_wfdb(tmp_path, DIGITAL)
    renamed = header.rename(tmp_path / "header.txt")
    for path in (table, array, renamed):
        recording = formats.read(path, rate_hz=500, unit="mV")
        np.testing.assert_allclose(recording.signal, DIGITAL.T / 1000, atol=1e-6)
        assert recording.source == str(path)


def test_a_wfdb_record_answers_to_all_its_names(tmp_path: Path) -> None:
    write_wfdb(tmp_path, DIGITAL)
    for name in ("rec", "rec.hea", "rec.dat"):
        assert formats.read(tmp_path / name).n_samples == 40


@pytest.mark.parametrize("magic", [b"IIII", b'{"', b"\x89PNG\r\n", b"%PDF-1", b"\x93NUMPY"])
def test_a_signal_file_that_spells_something_else_is_read_by_its_header(
    magic: bytes, tmp_path: Path
) -> None:
    samples = np.frombuffer((magic * 960)[:960], "<i2").astype(int).reshape(40, 12)
    write_wfdb(tmp_path, samples)
    assert formats.read(tmp_path / "rec.dat").n_samples == 40


def test_nothing_empty_missing_or_special_is_read(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert refusal(tmp_path / "empty").endswith("is empty")
    assert refusal(tmp_path).endswith("is a folder, not a recording")
    assert refusal(tmp_path / "gone").endswith("does not exist")
    assert refusal(Path("/dev/null")).endswith("is no regular file")
    assert refusal(tmp_path / ("x" * 300))
    assert refusal(tmp_path / "loop")


def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "locked.csv"
    path.write_text(csv_text(DIGITAL.T / 1000))
    path.chmod(0)
    try:
        path.read_bytes()
    except PermissionError:
        assert "Permission denied" in refusal(path)
    else:
        pytest.skip("this user may read everything")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0" * 16 + b"SCPECG", "an SCP-ECG file"),
        (b'<?xml version="1.0"?><AnnotatedECG/>', "an XML file"),
        (b"\xef\xbb\xbf<RestingECG>", "an XML file"),
        (b"0       " + b" " * 248, "an EDF file"),
        (b"\x89PNG\r\n\x1a\n", "an image"),
        (b"\xff\xd8\xff\xe0", "an image"),
        (b"%PDF-1.4", "a PDF"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x1f\x8b\x08", "a gzip archive"),
        (b'{"leads": []}', "a JSON file"),
    ],
)
def test_known_files_that_are_not_read_are_called_by_name(
    data: bytes, name: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert f"looks like {name}, which this version does not read" in refusal(path)


def test_a_log_of_a_stream_is_sent_to_the_command_that_replays_it(tmp_path: Path) -> None:
    path = tmp_path / "ward.ecglog"
    path.write_bytes(header_line({"device": "ecgedge"}))
    assert refusal(path).endswith("is a log of a live stream: `ecgedge watch` replays it")


def test_cart_files_of_other_vendors_are_called_by_name(shared_data: Path) -> None:
    for path in sorted((shared_data / "cart-files").glob("*.[xs]*")):
        assert "which this version does not read" in refusal(path)


def test_random_binary_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.bin"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    assert "no known kind of file" in refusal(path)


def test_streams_are_read_but_a_wfdb_header_alone_is_not(tmp_path: Path) -> None:
    header = write_wfdb(tmp_path, DIGITAL)
    with pytest.raises(InputError, match="the stream is a WFDB header, whose signals lie in"):
        formats.read_bytes(header.read_bytes())
    with pytest.raises(InputError, match="the stream is empty"):
        formats.read_bytes(b"")
    with pytest.raises(InputError, match="known here"):
        formats.read_bytes(b"\x01\x02\0" * 100)
    recording = formats.read_bytes(npy_bytes(DIGITAL / 1e3), rate_hz=500, unit="NU")
    assert (recording.source, recording.unit) == ("-", "NU")


def test_a_folder_lists_each_recording_once(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    assert pydicom
    from writers import dicom_bytes

    write_wfdb(tmp_path, DIGITAL, name="b")
    (tmp_path / "a.csv").write_text(csv_text(DIGITAL.T / 1000, leads=LEADS))
    (tmp_path / "c.npy").write_bytes(npy_bytes(DIGITAL / 1000))
    (tmp_path / "IM0001").write_bytes(dicom_bytes([("RHYTHM", DIGITAL.astype(np.int16))]))
    (tmp_path / "README.md").write_text("# Notes\n\nsome, words\n")
    (tmp_path / "records.csv").write_text("file,age\nx,3\n")
    (tmp_path / "scan.png").write_bytes(b"\x89PNG\r\n")
    (tmp_path / "inner").mkdir()
    names = [path.name for path in formats.find_recordings(tmp_path)]
    assert names == ["IM0001", "a.csv", "b.hea", "c.npy"]
    with pytest.raises(InputError, match="cannot be listed"):
        formats.find_recordings(tmp_path / "gone")


def test_reading_wfdb_imports_nothing_heavy(tmp_path: Path) -> None:
    header = write_wfdb(tmp_path, DIGITAL)
    code = (
        "import sys; from ecgedge import formats; formats.read(sys.argv[1]);"
        "heavy = {'wfdb', 'pydicom', 'scipy', 'pandas', 'torch', 'soundfile'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, header], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
