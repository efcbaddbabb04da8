"""Large files are hashed once between two starts, and again after anything wrote to them."""

import os
import time
from pathlib import Path

import pytest

from ecgedge.atomic import sha256_of, verified
from ecgedge.casebase import remembered
from ecgedge.casebase.remembered import verified_once
from ecgedge.errors import DamagedError


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file that was really hashed."""
    seen: list[Path] = []

    def spied(path: Path) -> Path:
        seen.append(path)
        return verified(path)

    monkeypatch.setattr(remembered, "verified", spied)
    return seen


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setattr(remembered, "WORTH_BYTES", 1000)
    monkeypatch.setattr(remembered, "_SETTLED_S", -1.0)
    return folder


def blob(folder: Path, size: int = 5000) -> Path:
    path = folder / "new"
    path.write_bytes(os.urandom(size))
    return path.rename(folder / sha256_of(path))


def test_a_large_file_is_hashed_once(tmp_path: Path, notes: Path, hashed: list[Path]) -> None:
    path = blob(tmp_path)
    assert [verified_once(path) for _ in range(3)] == [path] * 3
    assert hashed == [path]
    assert (notes / "ecgedge-verified").stat().st_mode & 0o777 == 0o700


def test_a_small_file_is_hashed_each_time(tmp_path: Path, notes: Path, hashed: list[Path]) -> None:
    path = blob(tmp_path, 999)
    for _ in range(3):
        verified_once(path)
    assert len(hashed) == 3
    assert not list(notes.iterdir())


def test_one_changed_bit_is_found_although_size_and_mtime_were_put_back(
    tmp_path: Path, notes: Path
) -> None:
    path = blob(tmp_path)
    verified_once(path)
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[2500] ^= 1
    with path.open("rb+") as file:
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    with pytest.raises(DamagedError, match="is damaged"):
        verified_once(path)


def test_another_file_under_the_same_name_is_hashed(tmp_path: Path, notes: Path) -> None:
    path = blob(tmp_path)
    verified_once(path)
    other = tmp_path / "other"
    other.write_bytes(bytes(5000))
    other.replace(path)
    with pytest.raises(DamagedError, match="is damaged"):
        verified_once(path)


def test_a_missing_file_is_missing_although_it_was_remembered(tmp_path: Path, notes: Path) -> None:
    path = blob(tmp_path)
    verified_once(path)
    path.unlink()
    with pytest.raises(DamagedError, match="is missing"):
        verified_once(path)


def test_a_damaged_file_is_never_remembered(
    tmp_path: Path, notes: Path, hashed: list[Path]
) -> None:
    path = blob(tmp_path)
    path.write_bytes(bytes(5000))
    for _ in range(2):
        with pytest.raises(DamagedError):
            verified_once(path)
    assert len(hashed) == 2


def test_a_file_that_just_changed_is_not_remembered_yet(
    tmp_path: Path, notes: Path, hashed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "_SETTLED_S", 3.0)
    path = blob(tmp_path)
    for _ in range(2):
        verified_once(path)
    assert len(hashed) == 2
    later = time.time() + 10
    monkeypatch.setattr(remembered.time, "time", lambda: later)
    for _ in range(2):
        verified_once(path)
    assert len(hashed) == 3


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o755])
def test_notes_that_others_could_reach_are_not_kept(
    tmp_path: Path, notes: Path, hashed: list[Path], mode: int
) -> None:
    path = blob(tmp_path)
    verified_once(path)  # a note that must not be believed from here on
    notes.chmod(mode)
    verified_once(path)
    assert len(hashed) == 2


def test_without_a_folder_for_notes_every_opening_hashes(
    tmp_path: Path, notes: Path, hashed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = blob(tmp_path)
    for value in ("", str(tmp_path / "nowhere")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
        verified_once(path)
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    verified_once(path)
    assert len(hashed) == 3


def test_notes_that_cannot_be_written_or_read_cost_only_time(
    tmp_path: Path, notes: Path, hashed: list[Path]
) -> None:
    path = blob(tmp_path)
    (notes / "ecgedge-verified").write_text("a file where the folder should be")
    for _ in range(2):
        assert verified_once(path) == path
    (notes / "ecgedge-verified").unlink()
    (notes / "ecgedge-verified").mkdir()
    (notes / "ecgedge-verified" / path.name).write_bytes(b"\xff\xfe")
    assert verified_once(path) == path
    assert len(hashed) == 3
