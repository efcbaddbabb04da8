"""Writing the result so that a reader never sees half a file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ecgedge.errors import UsageError


def check_writable(path: Path) -> None:
    """Raise UsageError, before the work is done, unless path can be created or replaced."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a file to write to")
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"the folder {path.parent} cannot be written to")


def write_atomically(path: Path, text: str) -> None:
    """Write beside, flush to disk, rename. Raises UsageError."""
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
