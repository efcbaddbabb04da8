"""`ecgedge image`, run as the command it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ecgedge.imaging import encoding_ids, get_encoding
from ecgedge.signal.conditioning import condition
from ecgedge.signal.synthetic import synthesize

ROOT = Path(__file__).resolve().parent.parent
SAID = ("--rate-hz", "500", "--unit", "mV")


def image(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "ecgedge", "image", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": path},
    )


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "ecg.npy"
    np.save(path, synthesize().signal)
    return path


def refused(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one sentence of a refusal, after checking that it is nothing but that."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.mark.parametrize("encoding", encoding_ids())
def test_it_writes_the_picture_of_the_image_and_says_so(recording: Path, encoding: str) -> None:
    from test_imaging_png import decode

    out = recording.with_name("out.png")
    done = image(recording, "--encoding", encoding, "-o", out, *SAID, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] is True
    assert told["schema"] == "ecgedge/1"
    assert told["command"] == "image"
    assert told["path"] == str(out)
    assert told["encoding"] == encoding
    made_by = get_encoding(encoding)
    assert told["shape"] == list(made_by.shape)
    expected = made_by.picture(made_by.encode(condition(synthesize())))
    assert np.array_equal(decode(out.read_bytes()), expected)


def test_an_existing_file_is_kept_unless_forced(recording: Path) -> None:
    out = recording.with_name("out.png")
    out.write_text("mine")
    assert "exists already" in refused(image(recording, "-o", out, *SAID), 2)
    assert out.read_text() == "mine"
    assert image(recording, "-o", out, *SAID, "--force").returncode == 0
    assert out.read_bytes().startswith(b"\x89PNG")


def test_an_unknown_encoding_and_a_missing_folder_are_usage_errors(recording: Path) -> None:
    out = recording.with_name("out.png")
    assert "'leads-9' is not one of" in refused(
        image(recording, "--encoding", "leads-9", "-o", out, *SAID), 2
    )
    assert "not a place" in refused(image(recording, "-o", out / "deeper.png", *SAID), 2)
    assert not out.exists()


def test_unreadable_input_is_one_sentence_exit_3_and_nothing_written(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    noise = tmp_path / "noise.npy"
    noise.write_bytes(b"\x93NUMPY and no more")
    for path in (tmp_path, tmp_path / "absent.npy", noise):
        assert refused(image(path, "-o", out, *SAID), 3).startswith("ecgedge: ")
    assert not out.exists()


def test_with_json_a_failure_is_an_object_too(tmp_path: Path) -> None:
    done = image(tmp_path / "absent", "-o", tmp_path / "out.png", "--json")
    assert done.returncode == 3
    told = json.loads(done.stdout)
    assert told["ok"] is False
    assert told["error"]["exit_code"] == 3
