"""The ECG of a case, small enough to keep beside its record: for pictures and explanations.

Kept only where a centre asks for it (`ecgedge index build --signals`): a signal can be
recognised, an embedding hardly. The conditioned 12 leads at 100 Hz become int8, each
lead on its own scale, then differences from sample to sample, then zlib: the rounding
is at most 1/254 of a lead's largest deflection. The same signal gives the same bytes
with the same zlib.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from ecgedge.errors import DamagedError
from ecgedge.recording import FloatArray

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

TABLE = "CREATE TABLE ecgs (key INTEGER PRIMARY KEY, signal BLOB NOT NULL);"

_LEADS = 12
_MISSING = -128
_FULL = 127
_FLAT = 1e-6  # far below the 1/1024 grid of cond-1
_LONGEST_S, _RATE_HZ = 60, 100
_MOST_BYTES = _LEADS * 4 + _LEADS * _LONGEST_S * _RATE_HZ


def pack(signal: FloatArray) -> bytes:
    """A conditioned signal, float32 (12, n), NaN where missing, as bytes; see `unpack`."""
    observed = np.isfinite(signal)
    peak = np.abs(np.where(observed, signal, 0)).max(axis=1, initial=0.0)
    scale = (np.where(peak > _FLAT, peak, 1) / _FULL).astype("<f4")
    with np.errstate(invalid="ignore"):
        levels = np.where(observed, np.round(signal / scale[:, None]), _MISSING)
    numbers = levels.clip(_MISSING, _FULL).astype(np.int8)
    steps = np.diff(numbers.view(np.uint8), axis=1, prepend=np.uint8(0))  # modulo 256
    return zlib.compress(scale.tobytes() + steps.tobytes(), 9)


def unpack(data: bytes) -> FloatArray:
    """float32 (12, n) again, NaN where missing. Raises DamagedError for other bytes."""
    try:
        reader = zlib.decompressobj()
        raw = reader.decompress(data, _MOST_BYTES)
    except zlib.error as error:
        raise DamagedError(f"a case's stored ECG cannot be read: {error}") from None
    head = _LEADS * 4
    if not reader.eof or len(raw) < head or (len(raw) - head) % _LEADS:
        raise DamagedError("a case's stored ECG does not hold 12 leads of one length")
    scale = np.frombuffer(raw[:head], "<f4")
    steps = np.frombuffer(raw[head:], np.uint8).reshape(_LEADS, -1)
    numbers = np.cumsum(steps, axis=1, dtype=np.uint8).view(np.int8)
    signal: FloatArray = numbers.astype(np.float32) * scale[:, None]
    signal[numbers == _MISSING] = np.nan
    return signal


def write_ecgs(database: sqlite3.Connection, packed: Sequence[bytes | None]) -> None:
    """Make the table and fill it in the order of keys, a row for each case that has one."""
    database.executescript(TABLE)
    rows = [(key, one) for key, one in enumerate(packed) if one is not None]
    database.executemany("INSERT INTO ecgs VALUES (?, ?)", rows)


def read_packed(database: sqlite3.Connection) -> dict[int, bytes]:
    """The bytes of every ECG that is kept, by key; empty where there are none."""
    import sqlite3

    try:
        known = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'ecgs'").fetchone()
        return dict(database.execute("SELECT key, signal FROM ecgs")) if known else {}
    except sqlite3.Error as error:
        raise DamagedError(f"the stored ECGs cannot be read: {error}") from None


def read_ecg(database: sqlite3.Connection, key: int) -> FloatArray | None:
    """The ECG of this case, or None where the segment was built without any."""
    import sqlite3

    try:
        known = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'ecgs'").fetchone()
        row = known and database.execute("SELECT signal FROM ecgs WHERE key = ?", (key,)).fetchone()
    except sqlite3.Error as error:
        raise DamagedError(f"the stored ECGs cannot be read: {error}") from None
    return unpack(row[0]) if row else None
