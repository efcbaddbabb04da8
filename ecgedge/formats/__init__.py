"""A path or bytes -> Recording, detected by content.

WFDB      header + 16, 24, 32, 80, 212, MATLAB v4; FLAC on a workstation   wfdb.py
CSV       lead names on top, rate and unit given                           tabular.py
NPY       12 or 8 leads, rate and unit given                               npy.py
DICOM     waveform, needs pydicom                                          dicom.py

A reader is imported when a file of its kind comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ecgedge.errors import InputError, UsageError
from ecgedge.formats.detect import HEAD_BYTES, decode_text, find_header, kind_of
from ecgedge.formats.sent import File, SentFile
from ecgedge.recording import Recording

__all__ = ["find_recordings", "read", "read_bytes", "read_files"]

#: A one-file recording beyond this is no resting ECG, and the cart's memory is small.
MAX_BYTES = 256 << 20


def read(
    path: Path | str,
    *,
    rate_hz: float | None = None,
    unit: str | None = None,
    leads: Sequence[str] | None = None,
) -> Recording:
    """Read one recording; a WFDB record may be named by .hea, .dat, .mat or without suffix.

    rate_hz, unit ("mV", "uV", "V", "NU") and leads (one name a channel, in the
    file's order) add what the file does not state; where it states it they must agree.

    Raises InputError for what cannot be read as an ECG, UsageError for a missing or
    contradicting option; one sentence each, beginning with the path.
    """
    path = Path(path)
    try:
        return _read(path, rate_hz, unit, leads)
    except (InputError, UsageError) as error:
        raise _about(str(path), error) from None
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror or error}") from None


def read_bytes(
    data: bytes,
    *,
    name: str = "-",
    rate_hz: float | None = None,
    unit: str | None = None,
    leads: Sequence[str] | None = None,
) -> Recording:
    """Read a recording that came as a stream (CSV, NPY, DICOM). Raises as `read` does."""
    try:
        return _parse(data, name, rate_hz, unit, leads)
    except (InputError, UsageError) as error:
        raise _about("the stream" if name == "-" else name, error) from None


def read_files(
    files: Mapping[str, bytes],
    name: str,
    *,
    rate_hz: float | None = None,
    unit: str | None = None,
    leads: Sequence[str] | None = None,
) -> Recording:
    """Read one recording of a folder that is held in memory: file name -> content.

    name: what `read` would be given inside that folder. Raises as `read` does.
    """
    try:
        return _read(SentFile(name, files), rate_hz, unit, leads)
    except (InputError, UsageError) as error:
        raise _about(name, error) from None


def find_recordings(folder: Path) -> list[Path]:
    """The recordings directly in a folder, sorted: one path a WFDB header, table, NPY or DICOM.

    Tables count where their header row names an ECG lead, so notes and lists are
    passed over. Raises InputError if the folder cannot be listed.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.is_file() and _is_recording(path))
    except OSError as error:
        raise InputError(f"{folder} cannot be listed: {error.strerror or error}") from None


def _about(subject: str, error: InputError | UsageError) -> InputError | UsageError:
    """The same error with its subject in front, as one sentence."""
    text = str(error)
    joint = " " if text.startswith(("is ", "looks ", "does ")) else ": "
    return type(error)(f"{subject}{joint}{text}")


def _read(
    path: File, rate_hz: float | None, unit: str | None, leads: Sequence[str] | None
) -> Recording:
    if path.is_dir():
        raise InputError("is a folder, not a recording")
    if not path.exists():
        header = find_header(path)
        if header is None:
            raise InputError("does not exist")
        return _read_record(header, path, rate_hz, unit, leads)
    if not path.is_file():
        raise InputError("is no regular file")
    # WFDB signal files have no magic of their own: a header beside them decides first.
    header = find_header(path) if path.suffix in (".hea", ".dat", ".mat") else None
    if header is None:
        kind = kind_of(_head(path))
        header = path if kind == "wfdb-header" else None
        if kind == "binary":
            header = find_header(path)
            if header is None:
                raise InputError(
                    "is no known kind of file, and no WFDB header (.hea) lies beside it"
                )
    if header is not None:
        return _read_record(header, path, rate_hz, unit, leads)
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"is larger than {MAX_BYTES >> 20} MiB, no resting ECG")
    return _parse(path.read_bytes(), str(path), rate_hz, unit, leads)


def _read_record(
    header: File, path: File, rate_hz: float | None, unit: str | None, leads: Sequence[str] | None
) -> Recording:
    from ecgedge.formats.wfdb import read_wfdb

    return read_wfdb(header, rate_hz=rate_hz, unit=unit, leads=leads, source=str(path))


def _parse(
    data: bytes,
    name: str,
    rate_hz: float | None,
    unit: str | None,
    leads: Sequence[str] | None,
) -> Recording:
    kind = kind_of(data[:HEAD_BYTES])
    if kind == "dicom":
        from ecgedge.formats.dicom import read_dicom

        return read_dicom(data, rate_hz=rate_hz, unit=unit, leads=leads, source=name)
    if kind == "npy":
        from ecgedge.formats.npy import read_npy

        return read_npy(data, rate_hz=rate_hz, unit=unit, leads=leads, source=name)
    if kind == "wfdb-header":
        raise InputError("is a WFDB header, whose signals lie in a second file; give its path")
    from ecgedge.formats.tabular import MAX_TEXT_BYTES, read_table

    if len(data) > MAX_TEXT_BYTES:
        raise InputError(f"is a text larger than {MAX_TEXT_BYTES >> 20} MiB, no resting ECG")
    text = decode_text(data)
    return read_table(text, rate_hz=rate_hz, unit=unit, leads=leads, source=name)


def _head(path: File) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _is_recording(path: Path) -> bool:
    """Whether `find_recordings` lists this file; the signal files of WFDB are not listed."""
    if path.suffix == ".hea":
        return True
    head = _head(path)
    try:
        kind = kind_of(head)
    except InputError:
        return False
    if kind != "text":
        return kind in ("dicom", "npy", "wfdb-header")
    from ecgedge.formats.tabular import names_leads

    return names_leads(head.decode("utf-8", errors="replace"))
