"""What kind of file some bytes are, by content; names only tell where a WFDB header lies."""

from __future__ import annotations

import re
from typing import Literal

from ecgedge.errors import InputError
from ecgedge.formats.sent import File

Kind = Literal["dicom", "npy", "wfdb-header", "text", "binary"]

#: How a log of `ecgedge watch --log` begins (streaming/log.py).
_LOG = b'{"log": "ecgedge-log/'
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
    if head.startswith(_LOG):
        raise InputError("is a log of a live stream: `ecgedge watch` replays it")
    for pattern, name in _NOT_READ:
        if re.match(pattern, head):
            raise InputError(f"looks like {name}, which this version does not read")
    if b"\0" in head or _control_share(head) > 0.05:
        return "binary"
    return "wfdb-header" if _is_wfdb_header(head.decode("utf-8", errors="replace")) else "text"


def _is_wfdb_header(text: str) -> bool:
    """Whether a text opens as a WFDB header; its reader is loaded only where it may be one."""
    lines = (line.split() for line in text.splitlines())
    words: list[str] = next((one for one in lines if one and not one[0].startswith("#")), [])
    if len(words) < 2 or not words[1].isdecimal():  # a record line: its name, how many signals
        return False
    from ecgedge.formats.wfdb_header import looks_like_header

    return looks_like_header(text)


def find_header(path: File) -> File | None:
    """The header of a record named with .hea, .dat, .mat or without suffix, or None."""
    if path.suffix == ".hea" and path.is_file():
        return path
    for candidate in (path.with_name(path.name + ".hea"), path.with_suffix(".hea")):
        if candidate.is_file():
            return candidate
    return None


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
