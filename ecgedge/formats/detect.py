"""What kind of file some bytes are, by content; names decide nothing."""

from __future__ import annotations

import re
from typing import Literal

from ecgedge.errors import InputError
from ecgedge.formats.wfdb_header import looks_like_header

Kind = Literal["dicom", "npy", "wfdb-header", "text", "binary"]

#: Enough for every magic number and for two lines of a header or table.
HEAD_BYTES = 8192

_NOT_READ = (
    (rb"(?s).{16}SCPECG", "an SCP-ECG file"),
    (rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml|!--|!DOCTYPE|[A-Za-z])", "an XML file"),
    (rb"\xff\xfe<\0|\xfe\xff\0<", "an XML file"),
    (rb"0       .{80}", "an EDF file"),
    (rb"\x89PNG\r\n|\xff\xd8\xff|GIF8|BM.{4}\0\0\0\0|II\*\0|MM\0\*", "an image"),
    (rb"RIFF.{4}WEBP", "an image"),
    (rb"%PDF-", "a PDF"),
    (rb"PK\x03\x04|PK\x05\x06", "a ZIP archive"),
    (rb"\x1f\x8b", "a gzip archive"),
    (rb"ISHNE1\.0|ANN  1\.0", "an ISHNE file"),
    (rb"fLaC", "a bare FLAC file"),
    (rb"\x89HDF\r\n", "an HDF5 file"),
    (rb"[\[{]\s*[\"{\[]", "a JSON file"),
)


def kind_of(head: bytes) -> Kind:
    """The kind of a file that opens with these bytes.

    Raises InputError for one that is empty, or known by name but not read.
    """
    if not head:
        raise InputError("is empty")
    if head[128:132] == b"DICM":
        return "dicom"
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    for pattern, name in _NOT_READ:
        if re.match(pattern, head):
            raise InputError(f"looks like {name}, which this version does not read")
    if b"\0" in head or _control_share(head) > 0.05:
        return "binary"
    text = head.decode("utf-8", errors="replace")
    return "wfdb-header" if looks_like_header(text) else "text"


def decode_text(data: bytes) -> str:
    """Text in UTF-8 or, as old exports have it, Latin-1. Raises InputError for binary."""
    if b"\0" in data or _control_share(data) > 0.05:
        raise InputError("is neither a table of numbers nor a file of a kind known here")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _control_share(data: bytes) -> float:
    """Share of bytes that no text has: controls other than tab, newline, carriage return."""
    head = data[:HEAD_BYTES]
    return len(re.findall(rb"[\x00-\x08\x0e-\x1f\x7f]", head)) / max(1, len(head))
