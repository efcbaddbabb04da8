"""Bad input through the real command line: the right exit code, one sentence, nothing written.

The readers' own tests (test_formats_*.py) cover many more ways to be wrong; here stands,
for each case a cart must survive, what a person or a script at the command line sees.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from small_release import build_release
from test_formats_mutations import EDITS, mutate
from writers import csv_text, dicom_bytes, npy_bytes, write_wfdb

from ecgedge.casebase.manifest import EncoderRef
from ecgedge.casebase.release import Store
from ecgedge.casebase.writing import write_segment
from ecgedge.cli import cli
from ecgedge.recording import LEADS
from ecgedge.signal.synthetic import synthesize

# A warning in here would be text on a real command's stderr.
pytestmark = pytest.mark.filterwarnings("error")

ROOT = Path(__file__).resolve().parent.parent
SENTENCE = re.compile(r"ecgedge: [^\n]+\n")
DIGITAL = np.round(synthesize(rate_hz=100).signal.T * 1000).astype(np.int64)
IN_MV = ("--unit", "mV", "--rate-hz", "100")
Snapshot = dict[str, tuple[int, bytes]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release that answers; read only."""
    return build_release(tmp_path_factory.mktemp("bad") / "store").root


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is working directory, home and room for temporary files at once."""
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(folder))
    return folder


def snapshot(*folders: Path) -> Snapshot:
    """Every path under these folders with its time of change and content."""
    found = [path for folder in folders for path in (folder, *folder.rglob("*"))]
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in found
    }


def refused(store: Path, source: Path, code: int, told: str, *options: str) -> None:
    """In words and in JSON: the exit code, one sentence and nothing else; nothing written."""
    before = snapshot(store, Path.cwd())
    words = ["query", "--store", str(store), *options, str(source)]
    plain = CliRunner().invoke(cli, words)
    assert (plain.exit_code, plain.stdout) == (code, "")
    assert SENTENCE.fullmatch(plain.stderr)
    assert told in plain.stderr
    spoken = CliRunner().invoke(cli, [*words, "--json"])
    assert (spoken.exit_code, spoken.stderr, spoken.stdout.count("\n")) == (code, "", 1)
    envelope = json.loads(spoken.stdout)
    assert (envelope["command"], envelope["ok"]) == ("query", False)
    assert envelope["error"]["exit_code"] == code
    assert f"ecgedge: {envelope['error']['message']}\n" == plain.stderr
    assert "Traceback" not in plain.stderr + spoken.stdout
    assert snapshot(store, Path.cwd()) == before


def answered(store: Path, source: Path, *options: str) -> dict[str, object]:
    words = ["query", "--store", str(store), *options, str(source), "--json"]
    result = CliRunner().invoke(cli, words)
    assert (result.exit_code, result.stderr) == (0, "")
    told = json.loads(result.stdout)
    assert isinstance(told, dict)
    return told


def edited(header: Path, old: str, new: str) -> Path:
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new))
    return header


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_the_undamaged_record_is_answered(store: Path, place: Path) -> None:
    """Else the refusals below would prove nothing."""
    assert answered(store, write_wfdb(place, DIGITAL, rate_hz=100))["ok"] is True


@pytest.mark.parametrize("kept", [0.999, 0.5, 0.0])
def test_a_truncated_wfdb_record_is_refused(kept: float, store: Path, place: Path) -> None:
    header = write_wfdb(place, DIGITAL, rate_hz=100)
    data = (place / "rec.dat").read_bytes()
    written(place / "rec.dat", data[: int(kept * len(data))])
    refused(store, header, 3, "cut short")


def test_a_wfdb_record_without_header_is_refused(store: Path, place: Path) -> None:
    write_wfdb(place, DIGITAL - 500, rate_hz=100).unlink()
    refused(store, place / "rec.dat", 3, "no WFDB header")
    refused(store, place / "rec", 3, "does not exist")


def test_a_header_naming_a_missing_file_is_refused(store: Path, place: Path) -> None:
    header = write_wfdb(place, DIGITAL, rate_hz=100)
    (place / "rec.dat").unlink()
    refused(store, header, 3, "rec.dat named by the header is missing")


def test_gain_zero_is_refused(store: Path, place: Path) -> None:
    header = write_wfdb(place, DIGITAL, rate_hz=100, gain="0(0)/mV")
    refused(store, header, 3, "gain 0, so its amplitude is unknown")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_recording_of_no_finite_sample_is_refused_for_quality(
    value: float, store: Path, place: Path
) -> None:
    array = np.full((12, 1000), value, dtype=np.float32)
    refused(store, written(place / "a.npy", npy_bytes(array)), 4, "cannot carry", *IN_MV)
    table = ",".join(LEADS) + "\n" + f"{','.join([str(value)] * 12)}\n" * 1000
    refused(store, written(place / "a.csv", table), 4, "cannot carry", *IN_MV)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_lead_that_is_not_finite_is_told_and_hidden_not_guessed(
    value: float, store: Path, place: Path
) -> None:
    array = DIGITAL.T / 1000
    array[6] = value
    told = answered(store, written(place / "a.npy", npy_bytes(array)), *IN_MV)
    assert told["quality"]["reasons"] == ["off in V1"]  # type: ignore[index]
    assert told["notes"] == ["not looked at: V1"]


@pytest.mark.parametrize("count", [0, 1, 7, 11, 13])
def test_a_wrong_lead_count_is_refused(count: int, store: Path, place: Path) -> None:
    array = np.resize(DIGITAL.T / 1000, (count, 1000))
    refused(store, written(place / "a.npy", npy_bytes(array)), 3, "shape", *IN_MV)
    header = edited(write_wfdb(place, DIGITAL, rate_hz=100), "rec 12", f"rec {count}")
    refused(store, header, 3, "announces")


def test_a_row_of_fewer_cells_than_leads_is_refused(store: Path, place: Path) -> None:
    text = csv_text(DIGITAL.T / 1000).replace("\n", "\n0,0,0\n", 1)
    refused(store, written(place / "a.csv", text), 3, "line 2", *IN_MV)


def test_duplicate_leads_are_refused(store: Path, place: Path) -> None:
    leads = (*LEADS[:11], "C1")
    refused(store, write_wfdb(place, DIGITAL, rate_hz=100, leads=leads), 3, "lead V1 appears twice")
    text = csv_text(DIGITAL.T / 1000, leads=leads)
    refused(store, written(place / "a.csv", text), 3, "lead V1 appears twice", *IN_MV)
    array = written(place / "a.npy", npy_bytes(DIGITAL.T / 1000))
    refused(store, array, 3, "lead V1 appears twice", *IN_MV, "--leads", ",".join(leads))


@pytest.mark.parametrize("name", ["a.hea", "a.dat", "a.csv", "a.npy", "a.dcm", "a"])
def test_zero_bytes_are_refused(name: str, store: Path, place: Path) -> None:
    refused(store, written(place / name, b""), 3, name, *IN_MV)


def test_a_directory_without_recordings_is_refused(store: Path, place: Path) -> None:
    (place / "empty").mkdir()
    refused(store, place / "empty", 3, "holds no recording")
    (place / "notes").mkdir()
    written(place / "notes" / "readme.txt", "Nothing to see here.\n")
    refused(store, place / "notes", 3, "holds no recording")


def test_a_recording_of_two_seconds_is_refused_for_quality(store: Path, place: Path) -> None:
    refused(store, write_wfdb(place, DIGITAL[:200], rate_hz=100), 4, "too short: 2.0 s, 5 s needed")


@pytest.mark.parametrize("rate", [1, 1_000_000])
def test_rates_of_1_hz_and_1_mhz_are_refused(rate: int, store: Path, place: Path) -> None:
    refused(store, write_wfdb(place, DIGITAL, rate_hz=rate), 3, "outside 100 to 2000 Hz")
    stated = csv_text(DIGITAL.T / 1000, comments=[f"# rate_hz: {rate}", "# unit: mV"])
    refused(store, written(place / "a.csv", stated), 3, "outside 100 to 2000 Hz")
    bare = written(place / "b.csv", csv_text(DIGITAL.T / 1000))
    refused(store, bare, 3, "outside 100 to 2000 Hz", "--unit", "mV", "--rate-hz", str(rate))
    dicom = dicom_bytes([("RHYTHM", DIGITAL.astype(np.int16))], rate_hz=rate)
    refused(store, written(place / "a.dcm", dicom), 3, "outside 100 to 2000 Hz")


@pytest.mark.parametrize("name", ["letter.txt", "letter.csv", "letter.hea", "letter.npy"])
def test_text_instead_of_signal_is_refused(name: str, store: Path, place: Path) -> None:
    letter = "Dear colleague,\n\nthank you for the kind referral. The ECG follows by post.\n"
    refused(store, written(place / name, letter), 3, name, *IN_MV)


def test_text_in_place_of_the_samples_is_refused(store: Path, place: Path) -> None:
    header = write_wfdb(place, DIGITAL, rate_hz=100)
    size = (place / "rec.dat").stat().st_size
    written(place / "rec.dat", (b"no samples here " * size)[:size])
    refused(store, header, 3, "checksum")


def test_a_header_that_claims_4_gb_is_refused(store: Path, place: Path) -> None:
    samples = (4 << 30) // (12 * 2)
    header = write_wfdb(place, DIGITAL, rate_hz=100)
    refused(store, edited(header, "100 1000", f"100 {samples}"), 3, "no resting ECG")
    claim = npy_bytes(DIGITAL.T / 1000).replace(b"(12, 1000)", b"(12, 44739243)")
    refused(store, written(place / "a.npy", claim), 3, "no resting ECG", *IN_MV)
    honest = dicom_bytes([("RHYTHM", DIGITAL.astype(np.int16))], rate_hz=100)
    element = b"\x3a\x00\x10\x00UL\x04\x00"  # (003A,0010) NumberOfWaveformSamples
    old, new = ((1000).to_bytes(4, "little"), samples.to_bytes(4, "little"))
    assert element + old in honest
    dicom = honest.replace(element + old, element + new)
    refused(store, written(place / "a.dcm", dicom), 3, "no resting ECG")


def _files_of_a_release(store: Store) -> dict[str, Path]:
    manifest = store.manifest()
    blobs = {
        "model": manifest.encoder.model,
        "sidecar": manifest.encoder.spec,
        "vectors": manifest.segments[0].vectors,
        "cases": manifest.segments[0].cases,
    }
    return {
        **{part: store.blobs / name for part, name in blobs.items()},
        "manifest": store.root / "releases" / f"{manifest.id}.json",
        "current": store.root / "current",
    }


@pytest.mark.parametrize("at", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("part", ["model", "sidecar", "vectors", "cases", "manifest", "current"])
def test_one_corrupted_byte_of_a_release_is_refused_with_code_7(
    part: str, at: float, store: Path, place: Path
) -> None:
    own = Store(shutil.copytree(store, place / "store"))
    path = _files_of_a_release(own)[part]
    data = bytearray(path.read_bytes().rstrip(b"\n"))
    data[int(at * len(data))] ^= 1
    written(path, bytes(data))
    refused(own.root, write_wfdb(place, DIGITAL, rate_hz=100), 7, str(own.root))


@pytest.mark.parametrize("part", ["model", "sidecar", "vectors", "cases", "manifest", "current"])
def test_a_missing_file_of_a_release_is_refused_with_code_7(
    part: str, store: Path, place: Path
) -> None:
    own = Store(shutil.copytree(store, place / "store"))
    _files_of_a_release(own)[part].unlink()
    refused(own.root, write_wfdb(place, DIGITAL, rate_hz=100), 7, str(own.root))


def test_a_release_built_for_another_encoder_is_refused_with_code_7(
    store: Path, place: Path
) -> None:
    own = Store(shutil.copytree(store, place / "store"))
    manifest, other = own.manifest(), "leads-1-fp32-000000000000"
    (segment,) = own.segments(manifest)
    cases = list(segment.all_records().values())
    embeddings = np.eye(len(cases), segment.ref.dim, dtype=np.float32)
    foreign = write_segment(own.blobs, embeddings, cases, encoder_id=other)
    record = write_wfdb(place, DIGITAL, rate_hz=100)
    own.activate(own.add_release(replace(manifest, segments=(foreign,))))
    refused(own.root, record, 7, f"was built with encoder {other}")
    named = EncoderRef(other, manifest.encoder.model, manifest.encoder.spec)
    own.activate(own.add_release(replace(manifest, encoder=named, segments=(foreign,))))
    refused(own.root, record, 7, f"made with encoder {other}")


def test_a_real_process_refuses_in_one_sentence_and_writes_nothing(
    store: Path, place: Path
) -> None:
    good, short = (write_wfdb(place, DIGITAL[:n], rate_hz=100, name=f"r{n}") for n in (1000, 200))
    damaged = Path(shutil.copytree(store, place / "damaged"))
    written(_files_of_a_release(Store(damaged))["vectors"], b"")
    asked = {
        (store, written(place / "empty.csv", b"")): 3,
        (store, short): 4,
        (damaged, good): 7,
    }
    before = snapshot(store, place)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("ORT_DISABLE_TELEMETRY", None)  # a cart's shell does not set it
    for (root, source), code in asked.items():
        command = [sys.executable, "-m", "ecgedge", "query", "--store", str(root), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert (done.returncode, done.stdout) == (code, "")
        assert SENTENCE.fullmatch(done.stderr)
    assert snapshot(store, place) == before


def _record_without_checksums() -> dict[str, bytes]:
    """So that damaged samples get past the reader and meet the quality gate."""
    with tempfile.TemporaryDirectory() as folder:
        header = write_wfdb(Path(folder), DIGITAL, rate_hz=100, comments=["# Age: 50"])
        lines = [line.split() for line in header.read_text().splitlines()]
        for line in lines[1:13]:
            line[6] = "0"
        text = "\n".join(" ".join(line) for line in lines) + "\n"
        return {"a.hea": text.encode(), "a.dat": (Path(folder) / "rec.dat").read_bytes()}


def _real_dicom() -> dict[str, bytes]:
    from pydicom.data import get_testdata_file

    return {"a.dcm": Path(get_testdata_file("waveform_ecg.dcm")).read_bytes()}


#: kind -> (how its files are made; the first is asked for, the last is damaged at will), options
VALID: dict[str, tuple[Callable[[], dict[str, bytes]], tuple[str, ...]]] = {
    "wfdb": (_record_without_checksums, ()),
    "csv": (
        lambda: {
            "a.csv": csv_text(
                DIGITAL.T / 1000, comments=["# rate_hz: 100", "# unit: mV"], decimals=3
            ).encode()
        },
        (),
    ),
    "npy": (lambda: {"a.npy": npy_bytes((DIGITAL.T / 1000).astype(np.float32))}, IN_MV),
    "dicom": (_real_dicom, ()),
}
EXAMPLES = {"wfdb": 80, "csv": 40, "npy": 60, "dicom": 30}


@pytest.mark.parametrize("kind", VALID)
def test_mutated_files_are_answered_or_refused_never_a_crash(kind: str, store: Path) -> None:
    if kind == "dicom":
        pytest.importorskip("pydicom")
    make, options = VALID[kind]
    files = make()
    store_before = snapshot(store)

    @settings(max_examples=EXAMPLES[kind], deadline=None)
    @given(name=st.sampled_from(sorted(files)), early=st.booleans(), edits=EDITS)
    def survives(name: str, early: bool, edits: list[tuple[str, float, bytes]]) -> None:
        # Half of the time only the head is hit, where one byte changes the most.
        head = 400 if early else len(files[name])
        damaged = mutate(files[name][:head], edits) + files[name][head:]
        with tempfile.TemporaryDirectory() as folder:
            for other, data in {**files, name: damaged}.items():
                written(Path(folder) / other, data)
            before = snapshot(Path(folder))
            asked = Path(folder) / next(iter(files))
            words = ["query", "--store", str(store), *options, str(asked)]
            result = CliRunner().invoke(cli, words)
            assert result.exit_code in (0, 2, 3, 4), result.stderr
            silent = result.stderr if result.exit_code == 0 else result.stdout
            assert silent == ""
            assert result.exit_code == 0 or SENTENCE.fullmatch(result.stderr)
            assert snapshot(Path(folder)) == before

    survives()
    assert snapshot(store) == store_before
