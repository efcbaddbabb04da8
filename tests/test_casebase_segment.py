"""Segments: the same bytes, verified bytes, and no other encoder's bytes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ecgedge.casebase import vectors
from ecgedge.casebase.segment import CaseRecord, Segment, SegmentRef
from ecgedge.casebase.writing import write_segment
from ecgedge.errors import DamagedError, MismatchError, ReleaseError, UsageError

ENCODER = "leads-1-int8-0123456789ab"


def unit_rows(count: int, dim: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def some_cases(count: int) -> list[CaseRecord]:
    return [
        CaseRecord(
            case_id=f"corpus/{i}",
            statements={"NORM": 100.0, "SR": 0.0} if i % 2 else {"AFIB": 80.0},
            report=None if i % 3 == 0 else f"Vorhofflimmern, Größe {i}",
            age=None if i % 5 == 0 else 40 + i % 40,
            sex=("M", "F", None)[i % 3],
            source=f"corpus record {i}",
            group=f"patient{i // 2}",
        )
        for i in range(count)
    ]


def written(folder: Path, count: int = 30, dim: int = 16) -> SegmentRef:
    return write_segment(folder, unit_rows(count, dim), some_cases(count), encoder_id=ENCODER)


def test_every_field_of_a_case_comes_back_in_the_order_of_the_keys_asked_for(tmp_path):
    segment = Segment.open(tmp_path, written(tmp_path), ENCODER)
    cases = some_cases(30)
    keys = [7, 0, 29, 3]
    assert segment.records(keys) == [cases[key] for key in keys]
    assert list(segment.all_records().values()) == cases


def test_two_builds_of_the_same_cases_give_the_same_bytes(tmp_path):
    first, second = written(tmp_path / "a", 300), written(tmp_path / "b", 300)
    assert first == second
    for name in (first.vectors, first.cases):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_nothing_but_the_two_hash_named_files_is_left_in_the_folder(tmp_path):
    ref = written(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {ref.vectors, ref.cases}


@pytest.mark.parametrize("part", ["vectors", "cases"])
@pytest.mark.parametrize("where", [0.0, 0.3, 0.999])
def test_one_flipped_bit_is_refused_before_anything_is_mapped(tmp_path, monkeypatch, part, where):
    ref = written(tmp_path)
    path = tmp_path / getattr(ref, part)
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 1
    path.write_bytes(data)
    mapped = []
    monkeypatch.setattr(np, "memmap", lambda *args, **kwargs: mapped.append(args))
    with pytest.raises(DamagedError, match=r"is damaged.*ecgedge sync.*or reinstall") as caught:
        Segment.open(tmp_path, ref, ENCODER)
    assert path.name in str(caught.value)
    assert not mapped


def test_a_truncated_or_missing_file_is_refused(tmp_path):
    ref = written(tmp_path)
    path = tmp_path / ref.vectors
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DamagedError, match="is damaged"):
        Segment.open(tmp_path, ref, ENCODER)
    path.unlink()
    with pytest.raises(DamagedError, match="is missing"):
        Segment.open(tmp_path, ref, ENCODER)


def test_a_segment_built_with_another_encoder_is_refused(tmp_path):
    with pytest.raises(MismatchError, match=r"was built with encoder leads-1-int8-0123456789ab"):
        Segment.open(tmp_path, written(tmp_path), "leads-1-fp32-ffffffffffff")


def test_a_reference_with_another_count_or_dimension_is_refused(tmp_path):
    ref = written(tmp_path)
    for count, dim in ((29, 16), (30, 15)):
        with pytest.raises(MismatchError, match="the release says"):
            Segment.open(tmp_path, SegmentRef(ref.vectors, ref.cases, count, dim), ENCODER)


def test_swapped_files_are_refused_although_their_hashes_are_right(tmp_path):
    ref = written(tmp_path)
    swapped = SegmentRef(ref.cases, ref.vectors, ref.count, ref.dim)
    with pytest.raises(DamagedError, match="does not hold case records"):
        Segment.open(tmp_path, swapped, ENCODER)


def test_vectors_of_another_size_than_the_records_are_refused(tmp_path):
    ref, other = written(tmp_path, 30), written(tmp_path, 20)
    mixed = SegmentRef(other.vectors, ref.cases, ref.count, ref.dim)
    with pytest.raises(DamagedError, match="does not hold 30 vectors"):
        Segment.open(tmp_path, mixed, ENCODER)


def test_a_segment_of_a_newer_schema_is_refused_with_the_remedy(tmp_path, monkeypatch):
    from ecgedge.casebase import writing

    monkeypatch.setattr(writing, "SCHEMA", "2")
    ref = written(tmp_path)
    monkeypatch.undo()
    with pytest.raises(MismatchError, match="update ecgedge"):
        Segment.open(tmp_path, ref, ENCODER)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_an_embedding_without_a_direction_is_refused_and_nothing_is_left(tmp_path, bad):
    embeddings = unit_rows(3, 8)
    embeddings[1] = bad
    with pytest.raises(ReleaseError, match="not finite or is all zero"):
        write_segment(tmp_path, embeddings, some_cases(3), encoder_id=ENCODER)
    assert not list(tmp_path.iterdir())


def test_a_repeated_case_id_an_empty_segment_and_a_wrong_shape_are_refused(tmp_path):
    cases = some_cases(3)
    with pytest.raises(UsageError, match="appears twice"):
        write_segment(tmp_path, unit_rows(3, 8), [cases[0], *cases[:2]], encoder_id=ENCODER)
    with pytest.raises(UsageError, match="0 cases"):
        write_segment(tmp_path, unit_rows(0, 8), [], encoder_id=ENCODER)
    with pytest.raises(UsageError, match="3 cases"):
        write_segment(tmp_path, unit_rows(2, 8), cases, encoder_id=ENCODER)


def test_a_read_only_folder_can_be_searched(tmp_path):
    ref = written(tmp_path)
    for path in tmp_path.iterdir():
        path.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        assert len(Segment.open(tmp_path, ref, ENCODER).records([1, 2])) == 2
    finally:
        tmp_path.chmod(0o755)


def test_int8_rows_use_the_whole_range_and_keep_the_direction():
    rows = unit_rows(200, 128)
    quantized = vectors.quantize(rows)
    assert (np.abs(quantized).max(axis=1) == 127).all()
    floats = quantized.astype(np.float64)
    cosines = (floats * rows).sum(axis=1) / np.linalg.norm(floats, axis=1)
    assert cosines.min() > 0.9999


@pytest.mark.parametrize("limit_bytes", [3_000, 20_000])
def test_a_disk_that_refuses_is_a_sentence_and_leaves_nothing_half_written(tmp_path, limit_bytes):
    """The system refuses to let a file grow: in the vectors, then in the case records."""
    program = f"""
import resource, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_casebase_segment import written
from ecgedge.errors import UsageError
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_bytes}, {limit_bytes}))
try:
    written(Path({str(tmp_path)!r}), 100)
except UsageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "cannot be written" in done.stdout, done.stderr
    assert "run it again" in done.stdout
    assert all(len(path.name) == 64 for path in tmp_path.iterdir())
