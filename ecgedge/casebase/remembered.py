"""Large files that were hashed since they were last written: remembered until the next start.

A case base of a million cases is some hundred megabytes. Hashing them for every cold query costs
a second on a workstation and several on a Pi 4, which has no instructions for SHA-256 and reads
them from a card first.

A file counts as hashed before when its device, inode, size, mtime and ctime are still those that
it had when its bytes were hashed. Linux sets ctime at every write, truncation and rename, and no
program can set it back: nobody wrote to the file through the file system since. What that does
not see, decay of the medium and writes past the file system, is what a hash before the last start
of the machine would not have seen either: notes are kept in $XDG_RUNTIME_DIR, which lies in
memory, belongs to the user alone and is empty after a restart, so that each file is hashed at
least once in between. Where there is no such folder, every opening hashes. `ecgedge verify`
always does.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from ecgedge.atomic import verified, write_atomic
from ecgedge.errors import UsageError

#: Smaller files are hashed each time: that takes less than a tenth of a second anywhere.
WORTH_BYTES = 16 << 20
#: A file that changed this recently might change again within one tick of the file system's
#: clock (2 s on FAT), unseen.
_SETTLED_S = 3.0


def verified_once(path: Path) -> Path:
    """The path again, once its bytes hash to its name or did since they were last written.

    Raises DamagedError as `atomic.verified`.
    """
    note, identity, begun = _note_of(path), _identity(path), time.time()
    if note is None or identity is None:
        return verified(path)
    if _read(note) == identity:
        return path
    verified(path)
    if begun - path.stat().st_ctime > _SETTLED_S and _identity(path) == identity:
        _write(note, identity)
    return path


def _note_of(path: Path) -> Path | None:
    """Where a note on this file belongs, or None where none may be kept or it is not worth it."""
    folder = os.environ.get("XDG_RUNTIME_DIR")
    try:
        if not folder or path.stat().st_size < WORTH_BYTES:
            return None
        known = Path(folder).stat()
    except OSError:
        return None
    if known.st_uid != os.geteuid() or known.st_mode & 0o077:
        return None  # somebody else could write there
    return Path(folder) / "ecgedge-verified" / path.name


def _identity(path: Path) -> str | None:
    try:
        it = path.stat()
    except OSError:
        return None
    return f"{it.st_dev} {it.st_ino} {it.st_size} {it.st_mtime_ns} {it.st_ctime_ns}"


def _read(note: Path) -> str | None:
    try:
        return note.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None


def _write(note: Path, identity: str) -> None:
    """Best effort: whoever cannot remember hashes again."""
    try:
        note.parent.mkdir(mode=0o700, exist_ok=True)
        write_atomic(note, identity.encode("ascii"))
    except (OSError, UsageError):
        return
