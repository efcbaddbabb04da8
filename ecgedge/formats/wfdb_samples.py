"""WFDB signal files: bytes -> integer samples, one pure decoder a format.

Source: "signal(5)" of the WFDB Applications Guide. Formats 16, 24, 32, 80 and 212
are decoded here with numpy; FLAC (508, 516, 524) needs the workstation's `soundfile`.
"""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgedge.errors import InputError
from ecgedge.recording import MAX_SAMPLES

IntArray = NDArray[np.signedinteger[Any]]
Decoder = Callable[[bytes, int], IntArray]


def _decode_16(data: bytes, count: int) -> IntArray:
    return np.frombuffer(data, "<i2", count)


def _decode_32(data: bytes, count: int) -> IntArray:
    return np.frombuffer(data, "<i4", count)


def _decode_80(data: bytes, count: int) -> IntArray:
    return np.frombuffer(data, np.uint8, count).astype(np.int16) - np.int16(128)


def _decode_24(data: bytes, count: int) -> IntArray:
    """Three bytes a sample, least significant first, two's complement."""
    octets = np.frombuffer(data, np.uint8, 3 * count).reshape(count, 3)
    # Placed in the upper three bytes of an int32, the arithmetic shift extends the sign.
    widened = np.zeros((count, 4), np.uint8)
    widened[:, 1:] = octets
    return widened.view("<i4")[:, 0] >> 8


def _decode_212(data: bytes, count: int) -> IntArray:
    """Two 12-bit samples in three bytes; the middle byte holds both high nibbles."""
    padded = data + b"\0" * (-len(data) % 3)
    triples = np.frombuffer(padded, np.uint8, 3 * ((count + 1) // 2)).reshape(-1, 3)
    low, middle, high = triples.astype(np.int16).T
    pairs = np.stack([low | (middle & 0x0F) << 8, high | (middle & 0xF0) << 4], axis=1)
    # Shifting 12 bits up and back extends the sign.
    return ((pairs << 4) >> 4).reshape(-1)[:count]


@dataclass(frozen=True)
class Format:
    """bits: bits a sample on disk. invalid: the code that means "no sample here"."""

    bits: int
    invalid: int
    decode: Decoder

    def n_bytes(self, count: int) -> int:
        return (count * self.bits + 7) // 8

    def n_samples(self, n_bytes: int) -> int:
        return n_bytes * 8 // self.bits


FORMATS = {
    16: Format(16, -(1 << 15), _decode_16),
    24: Format(24, -(1 << 23), _decode_24),
    32: Format(32, -(1 << 31), _decode_32),
    80: Format(8, -(1 << 7), _decode_80),
    212: Format(12, -(1 << 11), _decode_212),
}
#: FLAC code -> (bits a sample, dtype to ask soundfile for, shift down to those bits).
FLAC = {508: (8, "int16", 8), 516: (16, "int16", 0), 524: (24, "int32", 8)}

# Code of a MATLAB version 4 matrix's number type -> the WFDB format that reads it.
_MATLAB_TYPES = {2: 32, 3: 16, 5: 80}


def invalid_code(code: int) -> int:
    """The sample value that stands for a missing sample in this format."""
    return FORMATS[code].invalid if code in FORMATS else -(1 << (FLAC[code][0] - 1))


def check_matlab(head: bytes, code: int, offset: int, n_signals: int) -> None:
    """Refuse a .mat file whose own 20-byte header disagrees with the WFDB header.

    head: the file's first bytes. MATLAB version 4 stores type, rows, columns,
    imaginary flag and name length as int32, then the name, then the columns.
    """
    if re.match(rb"MATLAB [57]", head) or head.startswith(b"\x89HDF"):
        raise InputError("the .mat file is newer than MATLAB version 4, which WFDB does not allow")
    if len(head) < 20:
        raise InputError("the .mat file is too short to hold a signal")
    kind, rows, _, imaginary, name_length = np.frombuffer(head, "<i4", 5).tolist()
    fits = (
        0 <= kind < 1000
        and _MATLAB_TYPES.get(kind // 10 % 10) == code
        and rows == n_signals
        and imaginary == 0
        and offset == 20 + name_length
    )
    if not fits:
        raise InputError("the .mat file does not hold what its WFDB header describes")


def decode_flac(data: bytes, code: int, n_signals: int, n_samples: int | None) -> IntArray:
    """FLAC bytes -> integers of shape (n, n_signals). Raises InputError, also without soundfile."""
    try:
        soundfile = importlib.import_module("soundfile")
    except (ImportError, OSError):  # OSError: the wrapper is there, libsndfile is not
        raise InputError(
            "the signals are FLAC-compressed WFDB, which only a workstation reads:"
            " pip install 'ecgedge[train]'"
        ) from None
    _, dtype, shift = FLAC[code]
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            frames = file.frames if n_samples is None else n_samples
            if file.channels != n_signals or not 0 < frames <= min(file.frames, MAX_SAMPLES):
                raise InputError("the FLAC signal file does not hold what its header describes")
            samples = np.asarray(file.read(frames, dtype=dtype, always_2d=True))
    except (RuntimeError, ValueError, TypeError, MemoryError):  # libsndfile's own errors
        raise InputError("the FLAC signal file is damaged") from None
    if len(samples) != frames:
        raise InputError("the FLAC signal file is cut short")
    return samples >> shift
