"""Recordings read from files that were sent are those read from the folder they lie in."""

from pathlib import Path

import numpy as np
import pytest
from writers import write_wfdb

from ecgedge import formats
from ecgedge.errors import InputError
from ecgedge.serving.client import gather
from ecgedge.signal.synthetic import synthesize

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
DIGITAL = np.round(synthesize(rate_hz=100).signal.T * 1000).astype(np.int64)


@pytest.mark.parametrize("name", ["synthetic.csv", "synthetic.hea", "synthetic.dat", "synthetic"])
def test_sent_files_give_the_recording_of_the_folder(name: str) -> None:
    files = gather(EXAMPLES / name)
    assert files is not None
    sent, read = formats.read_files(files, name), formats.read(EXAMPLES / name)
    assert np.array_equal(sent.signal, read.signal, equal_nan=True)
    assert (sent.rate_hz, sent.unit, sent.meta) == (read.rate_hz, read.unit, read.meta)
    assert sent.source == name


def test_signal_files_of_another_name_are_gathered_by_the_header(tmp_path: Path) -> None:
    header = write_wfdb(tmp_path, DIGITAL)
    text = header.read_text()
    (tmp_path / "rec.dat").rename(tmp_path / "other.bin")
    header.write_text(text.replace("rec.dat", "other.bin"))
    files = gather(header)
    assert files is not None
    assert set(files) == {"rec.hea", "other.bin"}
    sent = formats.read_files(files, "rec.hea")
    assert np.array_equal(sent.signal, formats.read(header).signal, equal_nan=True)


def test_a_file_that_was_not_sent_is_missing_wherever_the_header_points(tmp_path: Path) -> None:
    header = write_wfdb(tmp_path, DIGITAL)
    header_alone = header.read_text().replace("rec.dat", "out.dat").encode()
    (tmp_path / "inner").mkdir()
    assert gather(tmp_path / "inner") is None
    with pytest.raises(InputError, match="missing"):
        formats.read_files({"rec.hea": header_alone}, "rec.hea")
    with pytest.raises(InputError, match="does not exist"):
        formats.read_files({}, "rec.hea")


def test_more_than_a_request_holds_is_not_gathered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecgedge.serving.client._CONTENT_BYTES", 1000)
    (tmp_path / "fits.csv").write_bytes(b"x" * 1000)
    (tmp_path / "long.csv").write_bytes(b"x" * 1001)
    assert gather(tmp_path / "fits.csv") == {"fits.csv": b"x" * 1000}
    assert gather(tmp_path / "long.csv") is None
    assert gather(tmp_path / "missing.csv") is None
