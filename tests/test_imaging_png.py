"""PNG files read back by a decoder of the format's definition."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.atomic import write_atomic
from ecgedge.errors import UsageError
from ecgedge.imaging.png import encode_png


def decode(data: bytes) -> np.ndarray:
    """A truecolour PNG without row filters -> (height, width, 3); checks every CRC."""
    assert data[:8] == bytes([137, 80, 78, 71, 13, 10, 26, 10])
    at, chunks = 8, []
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        (check,) = struct.unpack_from(">I", data, at + 8 + length)
        assert zlib.crc32(kind + body) == check
        chunks.append((kind, body))
        at += 12 + length
    assert [kind for kind, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    width, height, bits, colour, packing, filtering, interlace = struct.unpack(
        ">IIBBBBB", chunks[0][1]
    )
    assert (bits, colour, packing, filtering, interlace) == (8, 2, 0, 0, 0)
    rows = np.frombuffer(zlib.decompress(chunks[1][1]), np.uint8).reshape(height, 1 + 3 * width)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 3)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_a_picture_reads_back_pixel_for_pixel(height: int, width: int, seed: int) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert np.array_equal(decode(encode_png(rgb)), rgb)


def test_a_reader_of_others_agrees(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    rgb = np.random.default_rng(0).integers(0, 256, (9, 31, 3), dtype=np.uint8)
    write_atomic(tmp_path / "a.png", encode_png(rgb))
    assert np.array_equal(np.asarray(image.open(tmp_path / "a.png")), rgb)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 4), (0, 4, 3)])
def test_what_is_no_rgb_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a picture is uint8"):
        encode_png(np.zeros(shape, np.uint8))


def test_a_failed_write_leaves_what_was_there_and_no_litter(tmp_path: Path) -> None:
    taken = tmp_path / "a.png"
    taken.mkdir()
    (taken / "kept").write_text("mine")
    with pytest.raises(UsageError, match="directory"):
        write_atomic(taken, encode_png(np.ones((2, 2, 3), np.uint8)))
    assert list(tmp_path.iterdir()) == [taken]
    assert (taken / "kept").read_text() == "mine"
