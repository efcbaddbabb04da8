"""The example files are what their README says."""

import runpy
from pathlib import Path

import numpy as np

from ecgedge import formats
from ecgedge.signal.synthetic import Heart, synthesize

FOLDER = Path(__file__).resolve().parent.parent / "examples"


def test_both_examples_hold_the_synthetic_heart() -> None:
    expected = synthesize(Heart(rate_bpm=72), rate_hz=250)
    for name in ("synthetic.csv", "synthetic", "synthetic.hea", "synthetic.dat"):
        recording = formats.read(FOLDER / name)
        assert (recording.rate_hz, recording.unit, recording.meta) == (250, "mV", {})
        # Half a step of 2 uV a lead; a derived lead adds up two of them.
        np.testing.assert_allclose(recording.signal, expected.signal, atol=2.1e-3)


def test_the_examples_are_made_again_byte_for_byte(tmp_path: Path) -> None:
    runpy.run_path(str(FOLDER / "make_examples.py"))["main"](tmp_path)
    for made in tmp_path.iterdir():
        assert made.read_bytes() == (FOLDER / made.name).read_bytes()
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 300_000


def test_the_examples_folder_lists_two_recordings() -> None:
    names = [path.name for path in formats.find_recordings(FOLDER)]
    assert names == ["synthetic.csv", "synthetic.hea"]
