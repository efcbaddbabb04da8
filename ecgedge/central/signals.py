"""The signals of cases, packed for a segment: only for `ecgedge index build --signals`."""

from __future__ import annotations

from collections.abc import Sequence

from ecgedge import formats
from ecgedge.casebase.ecgs import pack
from ecgedge.central.encode import Progress
from ecgedge.corpora.ptbxl import CorpusRecord
from ecgedge.sight import condition_visible
from ecgedge.signal.quality import assess


def packed_ecgs(records: Sequence[CorpusRecord], progress: Progress) -> list[bytes]:
    """What the encoder saw of each record, as `casebase.ecgs.pack` keeps it.

    The records were encoded a moment ago; one that cannot be read any more raises
    InputError.
    """
    packed = []
    for number in progress(range(len(records)), "packing signals", len(records)):
        recording = formats.read(f"{records[number].signal}.hea")
        packed.append(pack(condition_visible(recording, assess(recording)).signal))
    return packed
