"""Bad WFDB records: each refused with one sentence that names the trouble."""

import importlib
import tracemalloc
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from writers import matlab_preamble, write_wfdb

from ecgedge import formats
from ecgedge.errors import InputError, UsageError
from ecgedge.recording import LEADS

DIGITAL = np.arange(12 * 300).reshape(300, 12) % 1000


def edit(header: Path, old: str, new: str) -> Path:
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new))
    return header


def refused(path: Path, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        formats.read(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert caught.value.__suppress_context__


def test_a_truncated_signal_file_is_refused(tmp_path: Path) -> None:
    header = write_wfdb(tmp_path, DIGITAL)
    data = tmp_path / "rec.dat"
    data.write_bytes(data.read_bytes()[:-1])
    refused(header, "cut short")


def test_a_signal_file_without_header_is_refused(tmp_path: Path) -> None:
    write_wfdb(tmp_path, DIGITAL - 500).unlink()
    refused(tmp_path / "rec.dat", "no WFDB header")


def test_a_bare_matlab_file_is_refused(tmp_path: Path) -> None:
    preamble = matlab_preamble(12, 300)
    write_wfdb(tmp_path, DIGITAL, preamble=preamble, suffix=".mat").unlink()
    refused(tmp_path / "rec.mat", "no WFDB header")


def test_a_header_naming_a_missing_file_is_refused(tmp_path: Path) -> None:
    header = write_wfdb(tmp_path, DIGITAL)
    (tmp_path / "rec.dat").unlink()
    refused(header, r"rec\.dat named by the header is missing")


@pytest.mark.parametrize("name", ["../rec.dat", "/etc/passwd", "..", "-", "a\\b", "C:x"])
def test_a_header_naming_a_file_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    header = write_wfdb(tmp_path / "in", DIGITAL)
    (tmp_path / "rec.dat").write_bytes((tmp_path / "in" / "rec.dat").read_bytes())
    refused(edit(header, "rec.dat", name), "outside its own folder")


@pytest.mark.parametrize("gain", ["0", "0/mV", "0(0)/mV", "0.0(5)"])
def test_gain_zero_is_refused(gain: str, tmp_path: Path) -> None:
    refused(write_wfdb(tmp_path, DIGITAL, gain=gain), "gain 0, so its amplitude is unknown")


@pytest.mark.parametrize("gain", ["1e-300/mV", "1e300/mV", "nan/mV", "inf", "x/mV", "1..2"])
def test_absurd_gains_are_refused(gain: str, tmp_path: Path) -> None:
    refused(write_wfdb(tmp_path, DIGITAL, gain=gain), "gain")


def test_an_unknown_unit_is_refused(tmp_path: Path) -> None:
    refused(write_wfdb(tmp_path, DIGITAL, gain="200/mmHg"), "'mmHg' is none of V, mV, uV or NU")


def test_mv_and_nu_in_one_file_are_refused(tmp_path: Path) -> None:
    header = write_wfdb(tmp_path, DIGITAL)
    lines = header.read_text().splitlines()
    lines[5] = lines[5].replace("/mV", "/NU")
    header.write_text("\n".join(lines))
    refused(header, "some leads are in mV and some in NU")


@pytest.mark.parametrize(
    ("gain", "unit"), [("1000/mV", "NU"), ("1000/NU", "mV"), ("1000/NU", "uV")]
)
def test_a_unit_that_contradicts_the_file_is_refused(gain: str, unit: str, tmp_path: Path) -> None:
    header = write_wfdb(tmp_path, DIGITAL, gain=gain)
    with pytest.raises(UsageError, match="contradicts --unit"):
        formats.read(header, unit=unit)


def test_a_rate_that_contradicts_the_file_is_refused(tmp_path: Path) -> None:
    header = write_wfdb(tmp_path, DIGITAL)
    with pytest.raises(UsageError, match="contradicts --rate-hz 250"):
        formats.read(header, rate_hz=250)
    assert formats.read(header, rate_hz=500).rate_hz == 500


def test_lead_names_that_contradict_the_file_are_refused(tmp_path: Path) -> None:
    header = write_wfdb(tmp_path, DIGITAL)
    with pytest.raises(UsageError, match="which --leads calls"):
        formats.read(header, leads=LEADS[::-1])
    with pytest.raises(UsageError, match="names 2 channels"):
        formats.read(header, leads=["I", "II"])


@pytest.mark.parametrize("rate", [1, 99, 2001, 1e6])
def test_rates_no_front_end_uses_are_refused(rate: float, tmp_path: Path) -> None:
    refused(write_wfdb(tmp_path, DIGITAL, rate_hz=rate), "outside 100 to 2000 Hz")


@pytest.mark.parametrize("other", ["V1", "C1", "lead v1", "-V1"])
def test_duplicate_leads_are_refused(other: str, tmp_path: Path) -> None:
    header = write_wfdb(tmp_path, DIGITAL[:, :3], leads=("II", "V1", other))
    refused(header, "lead V1 appears twice")


def test_no_ecg_lead_at_all_is_refused(tmp_path: Path) -> None:
    header = write_wfdb(tmp_path, DIGITAL[:, :2], leads=("resp", "pleth"))
    refused(header, "none of its 2 channels is named as an ECG lead")


def test_more_or_fewer_signal_lines_than_announced_are_refused(tmp_path: Path) -> None:
    header = write_wfdb(tmp_path, DIGITAL)
    text = header.read_text()
    for wrong in (11, 13, 0, 999999999):
        header.write_text(text.replace("rec 12", f"rec {wrong}"))
        refused(header, "announces")


@pytest.mark.parametrize("samples", [301, 7_200_000, 400_000_000, 10**17])
def test_a_header_that_claims_more_than_the_file_holds_costs_no_memory(
    samples: int, tmp_path: Path
) -> None:
    """400 million samples of 12 leads would be 9.6 GB."""
    header = edit(write_wfdb(tmp_path, DIGITAL), "500 300", f"500 {samples}")
    tracemalloc.start()
    refused(header, "cut short|no resting ECG")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_wrong_checksum_is_refused_as_damage(tmp_path: Path) -> None:
    header = write_wfdb(tmp_path, DIGITAL)
    data = bytearray((tmp_path / "rec.dat").read_bytes())
    data[50] ^= 4
    (tmp_path / "rec.dat").write_bytes(bytes(data))
    refused(header, "lead II does not match its checksum")


def test_checksums_may_be_signed_absent_or_the_placeholder_zero(tmp_path: Path) -> None:
    header = write_wfdb(tmp_path, DIGITAL)
    lines = [line.split() for line in header.read_text().splitlines()]
    for change in (lambda c: str(int(c) - 65536), lambda c: "0"):
        edited = [[*line[:6], change(line[6]), *line[7:]] for line in lines[1:]]
        header.write_text("\n".join(" ".join(line) for line in [lines[0], *edited]))
        assert formats.read(header).n_samples == 300
    header.write_text("rec 1 500 300\nrec.dat 16 1000/mV\n")
    assert formats.read(header, leads=["II"]).n_samples == 300


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("rec 12", "rec/3 12", "multi-segment"),
        (" 16 1000", " 16x4 1000", "several samples a frame"),
        (" 16 1000", " 16:5 1000", "skewed in time"),
        (" 16 1000", " 310 1000", "WFDB format 310 is not read, only 16, 24"),
        (" 16 1000", " x 1000", "no readable format"),
        (" 16 1000", " 16+7200 1000", "cut short"),
        (" 0 I\n", " zero I\n", "a field that is no number"),
        ("rec.dat 16 1000(0)/mV 16 0 2 ", "rec.dat 24 1000(0)/mV 16 0 2 ", "several formats"),
    ],
)
def test_headers_outside_our_grammar_are_refused(
    old: str, new: str, match: str, tmp_path: Path
) -> None:
    refused(edit(write_wfdb(tmp_path, DIGITAL), old, new), match)


def test_signal_files_of_different_length_are_refused(tmp_path: Path) -> None:
    a = write_wfdb(tmp_path, DIGITAL[:, :1], name="a", leads=("I",)).read_text().splitlines()
    b = write_wfdb(tmp_path, DIGITAL[:99, :1], name="b", leads=("II",)).read_text().splitlines()
    header = tmp_path / "rec.hea"
    header.write_text("\n".join(["rec 2 500", a[1], b[1]]))
    refused(header, "differ in length")


@pytest.mark.parametrize(
    ("preamble", "match"),
    [
        (matlab_preamble(11, 300), "does not hold what"),
        (matlab_preamble(12, 300, kind=50), "does not hold what"),
        (matlab_preamble(12, 300)[:-1], "does not hold what"),
        (b"MATLAB 5.0 MAT-file, Platform: GLNXA64", "newer than MATLAB version 4"),
    ],
)
def test_a_matlab_file_unlike_its_header_is_refused(
    preamble: bytes, match: str, tmp_path: Path
) -> None:
    refused(write_wfdb(tmp_path, DIGITAL, preamble=preamble, suffix=".mat"), match)


def test_flac_without_the_workstation_packages_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = edit(write_wfdb(tmp_path, DIGITAL), " 16 1000", " 516 1000")
    real = importlib.import_module

    def without_soundfile(name: str, package: str | None = None) -> ModuleType:
        if name == "soundfile":
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", without_soundfile)
    refused(header, r"FLAC-compressed .* pip install 'ecgedge\[train\]'")


def test_a_damaged_flac_file_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    header = edit(write_wfdb(tmp_path, DIGITAL), " 16 1000", " 516 1000")
    refused(header, "FLAC signal file is damaged")
