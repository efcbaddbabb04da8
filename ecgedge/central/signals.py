"""The signals of cases, packed for a segment: only for `ecgedge index build --signals`."""

from __future__ import annotations

from pathlib import Path

from ecgedge import formats
from ecgedge.casebase.ecgs import pack
from ecgedge.sight import condition_visible
from ecgedge.signal.quality import assess


def packed_ecg(signal: Path) -> bytes:
    """What the encoder saw of a recording (path without suffix), as `casebase.ecgs.pack` keeps it.

    It was encoded a moment ago; one that cannot be read any more raises InputError.
    """
    recording = formats.read(f"{signal}.hea")
    return pack(condition_visible(recording, assess(recording)).signal)
