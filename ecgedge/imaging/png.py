"""An RGB picture as PNG (ISO/IEC 15948) with the standard library only."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BITS, _TRUECOLOUR = 8, 2


def encode_png(rgb: NDArray[np.uint8]) -> bytes:
    """PNG bytes of a uint8 array (height, width, 3); raises ValueError for another."""
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise ValueError(f"a picture is uint8 (height, width, 3), not {rgb.dtype} {rgb.shape}")
    height, width, _ = rgb.shape
    header = struct.pack(">IIBBBBB", width, height, _BITS, _TRUECOLOUR, 0, 0, 0)
    # Filter type 0 (none) before each row.
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = rgb.reshape(height, -1)
    pixels = zlib.compress(rows.tobytes(), 9)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
